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
  SELECT run, device, register, write, count(*) AS exits FROM exit GROUP BY ALL
)
SELECT
  run, device, register, CASE WHEN write THEN 'write' ELSE 'read' END, exits,
  exits / total
FROM (SELECT *, sum(exits) OVER (PARTITION BY run) AS total FROM counted)
WHERE device IS NOT NULL
ORDER BY run, exits DESC, device, register, write;
