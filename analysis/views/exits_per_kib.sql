-- How many exits each device costs per KiB of work.
--
-- Grain: one row per run and device, and one with a null device for exits that concern none.
-- Time:  none; counts only.
-- Reads: exits_at_work, work.
-- Try:   SELECT * FROM exits_per_kib
CREATE OR REPLACE VIEW exits_per_kib (
  run,            -- Name of the trace.
  device,         -- Instance accessed; null for wfi, stage-2 faults and the like.
  exits,          -- Exits while the work was done, a count.
  bytes,          -- Payload bytes of the work.
  exits_per_kib   -- exits * 1024 / bytes; null when no work is known.
) AS
SELECT
  run, device, sum(exits)::BIGINT AS exits, bytes,
  CASE WHEN bytes > 0 THEN sum(exits)::BIGINT * 1024 / bytes END
FROM exits_at_work
JOIN work USING (run)
GROUP BY run, device, bytes
ORDER BY run, exits DESC, device;
