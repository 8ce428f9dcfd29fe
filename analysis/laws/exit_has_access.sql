-- Every exit for a device's register has exactly one access row.
-- Not of imported traces (icount null): there an exit may make several accesses, or none that is told.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit, access.
CREATE OR REPLACE VIEW exit_has_access (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH made AS (
  SELECT run, exit_seq, count(*) AS accesses FROM access WHERE exit_seq IS NOT NULL GROUP BY ALL
)
SELECT e.run, e.seq, 'exit to ' || e.device || ' has ' || coalesce(accesses, 0) || ' access rows'
FROM exit e
LEFT JOIN made ON made.run = e.run AND made.exit_seq = e.seq
WHERE e.icount IS NOT NULL AND e.reason IN ('mmio', 'pio') AND e.device IS NOT NULL AND accesses IS DISTINCT FROM 1;
