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
WITH counted AS MATERIALIZED (
  SELECT
    run, reason, hw_reason, count(*) AS exits, avg(duration_ns) AS mean_ns, min(time_ns) AS first_ns,
    max(time_ns) AS last_ns
  FROM raw.exit
  GROUP BY run, reason, hw_reason
),
span AS (
  SELECT run, (max(last_ns) - min(first_ns)) / 1e9 AS seconds FROM counted GROUP BY run
),
served AS (
  SELECT run, count(*) AS requests FROM raw.request GROUP BY run
)
SELECT
  c.run, reason_name(c.run, c.reason) AS reason, hw_reason_name(c.run, c.hw_reason) AS hw_reason, exits,
  exits / nullif(seconds, 0), exits / requests, mean_ns
FROM counted c
JOIN span ON span.run = c.run
LEFT JOIN served ON served.run = c.run
ORDER BY c.run, exits DESC, reason, hw_reason;
