-- Which device registers the guest exits for, and how often.
--
-- Grain: one row per run, device, register and direction that caused an exit.
-- Time:  none; counts only.
-- Reads: exit.
-- Try:   SELECT * FROM exits_by_register WHERE device <> 'marker' LIMIT 10
CREATE OR REPLACE VIEW exits_by_register (
  run,            -- Name of the trace.
  device,         -- Instance accessed, e.g. 'uart0'.
  register,       -- Register accessed; null where the device declares none.
  direction,      -- 'read' or 'write', as the guest sees it.
  exits,          -- Exits, a count.
  share           -- Their part of all exits of the run, 0 to 1.
) AS
WITH counted AS (
  SELECT
    run, device, register, count(*) AS exits, count(*) FILTER (write) AS writes
  FROM raw.exit
  GROUP BY ALL
),
directed AS (
  SELECT run, device, register, 'write' AS direction, writes AS exits FROM counted
  UNION ALL
  SELECT run, device, register, 'read', exits - writes FROM counted
)
SELECT
  run, device_name(run, device) AS device, register_name(run, register) AS register, direction,
  exits, share
FROM (SELECT *, exits / sum(exits) OVER (PARTITION BY run) AS share FROM directed)
WHERE device IS NOT NULL AND exits > 0
ORDER BY run, exits DESC, device, register, direction;
