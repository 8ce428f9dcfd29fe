-- How many exits each device costs, reads and writes apart.
--
-- Grain: one row per run and device that caused an exit, and one with a null device for exits that
--        concern none.
-- Time:  none; counts only.
-- Reads: exit.
-- Try:   SELECT * FROM exits_by_device
CREATE OR REPLACE VIEW exits_by_device (
  run,            -- Name of the trace.
  device,         -- Instance accessed; null for wfi, stage-2 faults and the like.
  exits,          -- Exits, a count.
  reads,          -- Those that were reads of a register, a count.
  writes,         -- Those that were writes to a register, a count.
  registers,      -- Registers that they were for, a count.
  share           -- Their part of all exits of the run, 0 to 1.
) AS
WITH counted AS (
  SELECT run, device, register, count(*) AS exits, count(*) FILTER (write) AS writes
  FROM raw.exit
  GROUP BY ALL
),
summed AS (
  SELECT
    run, device, sum(exits)::BIGINT AS exits, sum(writes)::BIGINT AS writes,
    count(register) AS registers
  FROM counted
  GROUP BY ALL
)
SELECT
  run, device_name(run, device) AS device, exits,
  CASE WHEN device IS NULL THEN 0 ELSE exits - writes END, writes, registers,
  exits / sum(exits) OVER (PARTITION BY run)
FROM summed
ORDER BY run, exits DESC, device;
