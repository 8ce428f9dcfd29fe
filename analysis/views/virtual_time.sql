-- How long each hart ran in virtual time, and how often it was interrupted by an exit.
--
-- Grain: one row per run and vcpu that exited.
-- Time:  virtual nanoseconds since reset, at the hart's last exit.
-- Reads: exit.
-- Try:   SELECT * FROM virtual_time
CREATE OR REPLACE VIEW virtual_time (
  run,            -- Name of the trace.
  vcpu,           -- Hart.
  last_ns,        -- time_ns of its last exit.
  icount,         -- Instructions executed until then; null when imported.
  exits,          -- Exits, a count.
  insns_per_exit, -- Mean instructions from exit to exit.
  cost_ns         -- Virtual ns that --costs charged for its exits; 0 without.
) AS
SELECT
  run, vcpu, max(time_ns), max(icount), count(*), max(icount) / count(*),
  sum(cost_ns)::UBIGINT
FROM exit
GROUP BY run, vcpu
ORDER BY run, vcpu;
