-- Who served the exits: the host's kernel, or a process that the host had to switch to.
--
-- Grain: one row per run and handler that occurred.
-- Time:  none; counts only.
-- Reads: exits_by_reason.
-- Try:   SELECT * FROM exits_by_handler
CREATE OR REPLACE VIEW exits_by_handler (
  run,            -- Name of the trace.
  handler,        -- Who served them: kernel or user.
  exits,          -- Exits, a count.
  share,          -- Their part of all exits of the run, 0 to 1.
  transitions     -- Privilege switches they took together, a count.
) AS
SELECT
  run, handler, sum(exits)::BIGINT AS exits, sum(exits) / sum(sum(exits)) OVER (PARTITION BY run),
  sum(transitions)::UBIGINT
FROM exits_by_reason
GROUP BY run, handler
ORDER BY run, exits DESC, handler;
