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
WITH known AS MATERIALIZED (
  SELECT run, basis FROM work
),
unmarked AS (
  SELECT run FROM known WHERE basis <> 'marks'
),
counted AS (
  SELECT
    run, reason, device, register, count(*) AS exits, count(*) FILTER (write) AS writes,
    count(*) FILTER (NOT write) AS reads
  FROM raw.exit
  SEMI JOIN unmarked USING (run)
  GROUP BY ALL
),
directed AS (
  SELECT *, 'write' AS direction, writes AS n FROM counted
  UNION ALL
  SELECT *, 'read', reads FROM counted
  UNION ALL
  SELECT *, NULL, exits - writes - reads FROM counted
),
whole AS (
  SELECT
    run, reason_name(run, reason) AS reason, device_name(run, device) AS device,
    register_name(run, register) AS register, direction, n
  FROM directed
  WHERE n > 0
)
SELECT run, label, reason, device, register, direction, sum(exits)::BIGINT
FROM exits_by_region
JOIN known USING (run)
WHERE basis = 'marks' AND exits_by_region.bytes > 0
GROUP BY run, label, reason, device, register, direction
UNION ALL
SELECT run, NULL, reason, device, register, direction, n
FROM whole
WHERE device IS DISTINCT FROM 'marker';
