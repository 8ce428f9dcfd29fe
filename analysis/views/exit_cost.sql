-- What the exits of a run would cost under each cost profile of the trace: a model, not a measurement.
--
-- Grain: one row per run, profile, reason and handler; the price for that very reason and handler
--        goes before one for any. Exits that a profile has no price for have a null price.
-- Time:  host nanoseconds as the profile's source states them; no virtual time.
-- Reads: exit, price.
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
  SELECT run, reason_name(run, reason) AS reason, handler_name(run, handler) AS handler, exits
  FROM (SELECT run, reason, handler, count(*) AS exits FROM raw.exit GROUP BY ALL)
)
SELECT run, profile, reason, handler, exits, ns, exits * ns, measured, source
FROM counted
JOIN price USING (run, reason, handler)
ORDER BY run, profile, exits DESC, reason, handler;
