-- Every link to an exit leads to an exit of the trace.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit, access, vring, dma, step, irq, mark, request.
CREATE OR REPLACE VIEW exit_links (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH link AS (
  SELECT run, seq, exit_seq AS exit_seq, 'access.exit_seq' AS place FROM raw.access
  UNION ALL SELECT run, seq, exit_seq AS exit_seq, 'vring.exit_seq' AS place FROM raw.vring
  UNION ALL SELECT run, seq, exit_seq AS exit_seq, 'dma.exit_seq' AS place FROM raw.dma
  UNION ALL SELECT run, seq, exit_seq AS exit_seq, 'step.exit_seq' AS place FROM raw.step
  UNION ALL SELECT run, seq, exit_seq AS exit_seq, 'irq.exit_seq' AS place FROM raw.irq
  UNION ALL SELECT run, seq, exit_seq AS exit_seq, 'mark.exit_seq' AS place FROM raw.mark
  UNION ALL SELECT run, seq, kick_exit_seq AS exit_seq, 'request.kick_exit_seq' AS place FROM raw.request
)
SELECT run, link.seq, place || ' ' || exit_seq || ' is no exit'
FROM link
ANTI JOIN raw.exit e ON e.run = link.run AND e.seq = link.exit_seq
WHERE exit_seq IS NOT NULL;
