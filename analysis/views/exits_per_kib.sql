-- How many exits each device costs per KiB of work: inside the regions where marks tell the work,
-- over the whole run otherwise. Accesses to the marker do not count.
--
-- Grain: one row per run and device, and one with a null device for exits that concern none.
-- Time:  none; counts only.
-- Reads: exit, exits_by_region, work.
-- Try:   SELECT * FROM exits_per_kib
CREATE OR REPLACE VIEW exits_per_kib (
  run,            -- Name of the trace.
  device,         -- Instance accessed; null for wfi, stage-2 faults and the like.
  exits,          -- Exits while the work was done, a count.
  bytes,          -- Payload bytes of the work.
  exits_per_kib   -- exits * 1024 / bytes; null when no work is known.
) AS
WITH counted AS (
  SELECT run, device, sum(exits)::BIGINT AS exits
  FROM exits_by_region
  JOIN work USING (run)
  WHERE basis = 'marks' AND exits_by_region.bytes > 0
  GROUP BY run, device
  UNION ALL
  SELECT run, device, count(*)
  FROM exit
  JOIN work USING (run)
  WHERE basis <> 'marks' AND device IS DISTINCT FROM 'marker'
  GROUP BY run, device
)
SELECT run, device, exits, bytes, CASE WHEN bytes > 0 THEN exits * 1024 / bytes END
FROM counted
JOIN work USING (run)
ORDER BY run, exits DESC, device;
