-- Neither time nor icount of a vcpu ever goes back as seq goes on.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit, access, vring, dma, step, irq, request, mark, input.
CREATE OR REPLACE VIEW time_monotone (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH event AS (
  SELECT run, seq, vcpu, time_ns, icount FROM raw.exit
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.access
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.vring
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.dma
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.step
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.irq
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.request
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.mark
  UNION ALL SELECT run, seq, vcpu, time_ns, icount FROM raw.input
),
paired AS (
  SELECT
    run, seq, time_ns, icount,
    lag(time_ns) OVER following AS time_before,
    lag(icount) OVER following AS icount_before
  FROM event
  WINDOW following AS (PARTITION BY run, vcpu ORDER BY seq)
)
SELECT
  run, seq,
  CASE
    WHEN time_ns < time_before THEN 'time_ns ' || time_ns || ' after ' || time_before
    ELSE 'icount ' || icount || ' after ' || icount_before
  END
FROM paired
WHERE time_ns < time_before OR icount < icount_before;
