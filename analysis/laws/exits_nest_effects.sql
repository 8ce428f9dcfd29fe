-- What happened during an exit happened at the exit's time or later, on a row after the exit's.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit, access, vring, dma, step, irq, mark.
CREATE OR REPLACE VIEW exits_nest_effects (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH effect AS (
  SELECT run, seq, time_ns, exit_seq FROM raw.access
  UNION ALL SELECT run, seq, time_ns, exit_seq FROM raw.vring
  UNION ALL SELECT run, seq, time_ns, exit_seq FROM raw.dma
  UNION ALL SELECT run, seq, time_ns, exit_seq FROM raw.step
  UNION ALL SELECT run, seq, time_ns, exit_seq FROM raw.irq
  UNION ALL SELECT run, seq, time_ns, exit_seq FROM raw.mark
)
SELECT f.run, f.seq, 'happened before its exit ' || f.exit_seq
FROM effect f
JOIN raw.exit e ON e.run = f.run AND e.seq = f.exit_seq
WHERE f.seq < e.seq OR f.time_ns < e.time_ns;
