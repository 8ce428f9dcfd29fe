-- Which functions of the guest's kernel take the exits, and for which device.
--
-- Grain: one row per run, function and device. Exits in user mode share the rows without a function
--        with exits in code whose name is not known.
-- Time:  none; counts only.
-- Reads: exits_by_pc.
-- Try:   SELECT * FROM exits_by_function LIMIT 10
CREATE OR REPLACE VIEW exits_by_function (
  run,            -- Name of the trace.
  function,       -- Function of the guest's kernel; null in user mode and where not known.
  module,         -- Kernel module of that function; null for the kernel itself.
  device,         -- Instance accessed; null when the exits are no accesses to one.
  exits,          -- Exits, a count.
  share           -- Their part of all exits of the run, 0 to 1.
) AS
WITH counted AS (
  SELECT run, function, module, device, sum(exits)::BIGINT AS exits FROM exits_by_pc GROUP BY ALL
)
SELECT
  run, function, module, device, exits, exits / sum(exits) OVER (PARTITION BY run)
FROM counted
ORDER BY run, exits DESC, function, module, device;
