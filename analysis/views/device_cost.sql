-- What each device's exits would cost under each cost profile: a model, not a measurement.
--
-- Grain: one row per run, profile and device, and one with a null device for exits that concern none.
-- Time:  host nanoseconds as the profile's source states them; no virtual time.
-- Reads: exit, price.
-- Try:   SELECT profile, device, total_ns, share FROM device_cost LIMIT 10
CREATE OR REPLACE VIEW device_cost (
  run,            -- Name of the trace.
  profile,        -- Cost profile.
  device,         -- Instance accessed; null for wfi, stage-2 faults and the like.
  exits,          -- Exits, a count, with a price or without.
  unpriced,       -- Those that have no price, a count.
  total_ns,       -- What those with a price cost together.
  share,          -- Their part of what the run's exits cost, 0 to 1.
  measured        -- True when every price is a published measurement.
) AS
WITH counted AS (
  SELECT run, reason, handler, device, count(*) AS exits FROM raw.exit GROUP BY ALL
),
named AS (
  SELECT
    run, reason_name(run, reason) AS reason, handler_name(run, handler) AS handler,
    device_name(run, device) AS device, exits
  FROM counted
),
summed AS (
  SELECT
    run, profile, device, sum(exits)::BIGINT AS exits,
    coalesce(sum(exits) FILTER (ns IS NULL), 0)::BIGINT AS unpriced,
    coalesce(sum(exits * ns), 0)::BIGINT AS total_ns, bool_and(measured) AS measured
  FROM named
  JOIN price USING (run, reason, handler)
  GROUP BY ALL
)
SELECT
  run, profile, device, exits, unpriced, total_ns,
  total_ns / nullif(sum(total_ns) OVER (PARTITION BY run, profile), 0), measured
FROM summed
ORDER BY run, profile, total_ns DESC, device;
