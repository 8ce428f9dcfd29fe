-- What each cost profile of the trace charges for an exit: the price for that very reason and handler
-- goes before one for any.
--
-- Grain: one row per run, profile, reason and handler, also of those without a price.
-- Time:  host nanoseconds as the profile's source states them; no virtual time.
-- Reads: cost, name.
-- Try:   SELECT reason, handler, max(ns) FROM price GROUP BY ALL
CREATE OR REPLACE VIEW price (
  run,            -- Name of the trace.
  profile,        -- Cost profile.
  reason,         -- Neutral reason.
  handler,        -- Who serves the exit: kernel or user.
  ns,             -- Price of one exit; null when the profile has none.
  measured,       -- True when the price is a published measurement, false when assumed.
  source          -- Where the price comes from.
) AS
WITH profiles AS (
  SELECT DISTINCT run, profile FROM cost
),
ranked AS (
  SELECT
    p.run, p.profile, r.name AS reason, h.name AS handler, cost.ns, cost.measured, cost.source,
    row_number() OVER (
      PARTITION BY p.run, p.profile, r.name, h.name
      ORDER BY cost.reason = '*', cost.handler = '*'
    ) AS rank
  FROM profiles p
  JOIN name r ON r.run = p.run AND r.kind = 'reason'
  JOIN name h ON h.run = p.run AND h.kind = 'handler'
  LEFT JOIN cost ON cost.run = p.run AND cost.profile = p.profile
    AND cost.reason IN (r.name, '*') AND cost.handler IN (h.name, '*')
)
SELECT run, profile, reason, handler, ns, measured, source
FROM ranked
WHERE rank = 1
ORDER BY run, profile, reason, handler;
