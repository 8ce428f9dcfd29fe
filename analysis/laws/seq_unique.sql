-- No two rows of a trace, in whatever tables, have the same seq.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit, access, vring, dma, step, irq, request, mark, input.
CREATE OR REPLACE VIEW seq_unique (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH event AS (
  SELECT run, seq, 'exit' AS tab FROM raw.exit
  UNION ALL SELECT run, seq, 'access' AS tab FROM raw.access
  UNION ALL SELECT run, seq, 'vring' AS tab FROM raw.vring
  UNION ALL SELECT run, seq, 'dma' AS tab FROM raw.dma
  UNION ALL SELECT run, seq, 'step' AS tab FROM raw.step
  UNION ALL SELECT run, seq, 'irq' AS tab FROM raw.irq
  UNION ALL SELECT run, seq, 'request' AS tab FROM raw.request
  UNION ALL SELECT run, seq, 'mark' AS tab FROM raw.mark
  UNION ALL SELECT run, seq, 'input' AS tab FROM raw.input
),
repeated AS (
  SELECT run, seq FROM event GROUP BY run, seq HAVING count(*) > 1
)
SELECT run, seq, 'seq is used by ' || string_agg(tab, ', ' ORDER BY tab)
FROM event
SEMI JOIN repeated USING (run, seq)
GROUP BY run, seq;
