-- What the guest exited for while it did the work that runs are compared by: inside the regions where
-- marks tell the work, over the whole run otherwise. Accesses to the marker do not count.
--
-- Grain: one row per run, region label, reason, device, register and direction that occurred.
-- Time:  none; counts only.
-- Reads: exit, exits_by_region, work.
CREATE OR REPLACE VIEW exits_at_work (
  run,            -- Name of the trace.
  label,          -- Region; null where the whole run counts as work.
  reason,         -- Neutral reason of the exits.
  device,         -- Instance accessed; null when the exits concern none.
  register,       -- Register accessed; null when none.
  direction,      -- 'read' or 'write'; null when the exits are no accesses.
  exits           -- Exits, a count.
) AS
SELECT run, label, reason, device, register, direction, sum(exits)::BIGINT
FROM exits_by_region
JOIN work USING (run)
WHERE basis = 'marks' AND exits_by_region.bytes > 0
GROUP BY run, label, reason, device, register, direction
UNION ALL
SELECT
  run, NULL, reason, device, register,
  CASE WHEN write THEN 'write' WHEN NOT write THEN 'read' END,
  count(*)
FROM exit
JOIN work USING (run)
WHERE basis <> 'marks' AND device IS DISTINCT FROM 'marker'
GROUP BY run, reason, device, register, write;
