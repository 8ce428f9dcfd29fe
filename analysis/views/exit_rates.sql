-- How often the guest exits for each reason per second and per request: what traces of different length,
-- of hosts and of ours, can be compared by.
--
-- Grain: one row per run, reason and hw_reason that occurred.
-- Time:  seconds are virtual in recorded traces and the host's in imported ones, from the first exit of
--        the run to its last.
-- Reads: exit, request.
-- Try:   SELECT * FROM exit_rates
CREATE OR REPLACE VIEW exit_rates (
  run,            -- Name of the trace.
  reason,         -- Neutral reason, the same for every hypervisor.
  hw_reason,      -- What the hypervisor calls it; null without one.
  exits,          -- Exits, a count.
  per_second,     -- exits per second; null when the trace tells no time.
  per_request,    -- exits per completed request; null when there is none.
  mean_ns         -- Mean host ns from exit to entry; null unless an imported trace tells.
) AS
WITH counted AS (
  SELECT run, reason, hw_reason, count(*) AS exits, avg(duration_ns) AS mean_ns
  FROM exit GROUP BY ALL
),
span AS (
  SELECT run, (max(time_ns) - min(time_ns)) / 1e9 AS seconds FROM exit GROUP BY run
),
served AS (
  SELECT run, count(*) AS requests FROM request GROUP BY run
)
SELECT
  c.run, reason, hw_reason, exits, exits / nullif(seconds, 0), exits / requests, mean_ns
FROM counted c
JOIN span ON span.run = c.run
LEFT JOIN served ON served.run = c.run
ORDER BY c.run, exits DESC, reason, hw_reason;
