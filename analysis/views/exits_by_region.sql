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
  exits_per_kib,  -- Exits per 1024 payload bytes; null when the region says no bytes.
  overlapped        -- True when another region of the run shares exits with this one.
) AS
WITH stretch AS (
  -- Regions cut at multiples of 4096 events, so that exits find theirs by equality.
  SELECT
    run, begin_seq, end_seq,
    unnest(range((begin_seq >> 12)::BIGINT, (end_seq >> 12)::BIGINT + 1))::UBIGINT AS slot
  FROM region
),
counted AS (
  SELECT
    run, begin_seq, reason, device, register, count(*) AS exits, count(*) FILTER (write) AS writes,
    count(write) AS accesses
  FROM raw.exit
  JOIN stretch USING (run)
  WHERE slot = seq >> 12 AND seq > begin_seq AND seq < end_seq
  GROUP BY run, begin_seq, reason, device, register
),
directed AS (
  SELECT *, 'write' AS direction, writes AS n FROM counted
  UNION ALL
  SELECT *, 'read', accesses - writes FROM counted
  UNION ALL
  SELECT *, NULL, exits - accesses FROM counted
),
named AS (
  SELECT
    run, begin_seq, reason_name(run, reason) AS reason, device_name(run, device) AS device,
    register_name(run, register) AS register, direction, n
  FROM directed
  WHERE n > 0
)
SELECT
  run, label, nth, bytes, reason, device, register, direction, n,
  CASE WHEN bytes > 0 THEN n * 1024 / bytes END, overlapped
FROM named
JOIN region USING (run, begin_seq)
WHERE device IS DISTINCT FROM 'marker'
ORDER BY run, begin_seq, n DESC, reason, device, register, direction;
