-- What the guest exited for inside each region of interest. Accesses to the marker do not count.
--
-- Grain: one row per region, reason, device, register and direction that occurred in it.
-- Time:  none; counts only.
-- Reads: exit, region.
-- Try:   SELECT label, device, sum(exits) FROM exits_by_region GROUP BY ALL
CREATE OR REPLACE VIEW exits_by_region (
  run,            -- Name of the trace.
  label,          -- Region.
  nth,            -- Which region of that label, from 1.
  bytes,          -- Payload bytes of the region.
  reason,         -- Neutral reason of the exits.
  device,         -- Instance accessed; null when the exits concern none.
  register,       -- Register accessed; null when none.
  direction,      -- 'read' or 'write'; null when the exits are no accesses.
  exits,          -- Exits, a count.
  exits_per_kib   -- Exits per 1024 payload bytes; null when the region says no bytes.
) AS
SELECT
  run, label, nth, any_value(bytes), reason, device, register,
  CASE WHEN write THEN 'write' WHEN NOT write THEN 'read' END AS direction,
  count(*) AS exits,
  CASE WHEN any_value(bytes) > 0 THEN count(*) * 1024 / any_value(bytes) END
FROM exit
JOIN region USING (run)
WHERE seq > begin_seq AND seq < end_seq AND device IS DISTINCT FROM 'marker'
GROUP BY run, label, nth, begin_seq, reason, device, register, write
ORDER BY run, begin_seq, exits DESC, reason, device, register, direction;
