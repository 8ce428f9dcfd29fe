-- Every access that names its exit agrees with it in device, register, direction, size and value.
-- Not of imported traces (icount null): there an exit may make several accesses, or none that is told.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: access, exit.
CREATE OR REPLACE VIEW access_has_exit (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
SELECT
  a.run, a.seq,
  'exit ' || a.exit_seq || ' is another access: ' || e.reason || ' of ' ||
  coalesce(e.device, 'no device') || '.' || coalesce(e.register, 'no register')
FROM access a
JOIN exit e ON e.run = a.run AND e.seq = a.exit_seq
WHERE e.icount IS NOT NULL AND (e.reason NOT IN ('mmio', 'pio')
  OR (e.device, e.register, e.write, e.size, e.value)
    IS DISTINCT FROM (a.device, a.register, a.write, a.size, a.value));
