-- Which functions of the guest's kernel take the dearest exits, under each cost profile: a model, not
-- a measurement.
--
-- Grain: one row per run, profile and function. Exits in user mode share a row without a function
--        with exits in code whose name is not known.
-- Time:  host nanoseconds as the profile's source states them; no virtual time.
-- Reads: exits_by_pc, price.
-- Try:   SELECT profile, function, exits, total_ns FROM function_cost LIMIT 10
CREATE OR REPLACE VIEW function_cost (
  run,            -- Name of the trace.
  profile,        -- Cost profile.
  function,       -- Function of the guest's kernel; null in user mode and where not known.
  module,         -- Kernel module of that function; null for the kernel itself.
  exits,          -- Exits that have a price, a count.
  unpriced,       -- Exits that have none, a count.
  total_ns,       -- What those with a price cost together.
  share,          -- Their part of what the run's exits cost, 0 to 1.
  measured        -- True when every price is a published measurement.
) AS
WITH summed AS (
  SELECT
    run, profile, function, module, coalesce(sum(exits) FILTER (ns IS NOT NULL), 0)::BIGINT AS exits,
    coalesce(sum(exits) FILTER (ns IS NULL), 0)::BIGINT AS unpriced,
    coalesce(sum(exits * ns), 0)::BIGINT AS total_ns, bool_and(measured) AS measured
  FROM exits_by_pc
  JOIN price USING (run, reason, handler)
  GROUP BY ALL
)
SELECT
  run, profile, function, module, exits, unpriced, total_ns,
  total_ns / nullif(sum(total_ns) OVER (PARTITION BY run, profile), 0), measured
FROM summed
ORDER BY run, profile, total_ns DESC, function, module;
