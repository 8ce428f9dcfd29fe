-- What the exits of a run would cost under each cost profile of the trace: a model, not a measurement.
--
-- Grain: one row per run, profile, reason and handler; the price for that very reason and handler
--        goes before one for any. Exits that a profile has no price for have a null price.
-- Time:  host nanoseconds as the profile's source states them; no virtual time.
-- Reads: exit, cost.
-- Try:   SELECT profile, sum(total_ns) AS ns FROM exit_cost GROUP BY profile
CREATE OR REPLACE VIEW exit_cost (
  run,            -- Name of the trace.
  profile,        -- Cost profile.
  reason,         -- Neutral reason.
  handler,        -- Who served the exits.
  exits,          -- Exits, a count.
  each_ns,        -- Price of one; null when the profile has none.
  total_ns,       -- exits * each_ns.
  measured,       -- True when the price is a published measurement, false when assumed.
  source          -- Where the price comes from.
) AS
WITH counted AS (
  SELECT run, reason, handler, count(*) AS exits FROM exit GROUP BY ALL
),
profiles AS (
  SELECT DISTINCT run, profile FROM cost
),
priced AS (
  SELECT
    c.run, p.profile, c.reason, c.handler, exits, ns, measured, source,
    row_number() OVER (
      PARTITION BY c.run, p.profile, c.reason, c.handler
      ORDER BY cost.reason = '*', cost.handler = '*'
    ) AS rank
  FROM counted c
  JOIN profiles p ON p.run = c.run
  LEFT JOIN cost ON cost.run = c.run AND cost.profile = p.profile
    AND cost.reason IN (c.reason, '*') AND cost.handler IN (c.handler, '*')
)
SELECT run, profile, reason, handler, exits, ns, exits * ns, measured, source
FROM priced
WHERE rank = 1
ORDER BY run, profile, exits DESC, reason, handler;
