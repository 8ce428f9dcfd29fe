-- How many exits there were, by why and who served them.
--
-- Grain: one row per run, reason, hw_reason and handler that occurred.
-- Time:  none; counts only.
-- Reads: exit.
-- Try:   SELECT * FROM exits_by_reason
CREATE OR REPLACE VIEW exits_by_reason (
  run,            -- Name of the trace.
  reason,         -- Neutral reason, the same for every hypervisor.
  hw_reason,      -- What the modelled hypervisor calls it; null without one.
  handler,        -- Who served it: kernel or user.
  exits,          -- Exits, a count.
  share,          -- Their part of all exits of the run, 0 to 1.
  transitions     -- Privilege switches they took together, a count.
) AS
WITH counted AS (
  SELECT run, reason, hw_reason, handler, count(*) AS exits, sum(transitions) AS transitions
  FROM raw.exit
  GROUP BY ALL
)
SELECT
  run, reason_name(run, reason) AS reason, hw_reason_name(run, hw_reason) AS hw_reason,
  handler_name(run, handler) AS handler, exits, exits / sum(exits) OVER (PARTITION BY run),
  transitions::UBIGINT
FROM counted
ORDER BY run, exits DESC, reason, hw_reason, handler;
