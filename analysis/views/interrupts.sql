-- How far interrupts got on their way from device to driver.
--
-- Grain: one row per run, device and line that saw an interrupt. A line belongs to the device that
--        drives its wire; the hart's traps know only their cause and stand in rows of their own.
-- Time:  none; counts only.
-- Reads: irq.
-- Try:   SELECT * FROM interrupts
CREATE OR REPLACE VIEW interrupts (
  run,            -- Name of the trace.
  device,         -- Instance whose interrupt it is; null when not known.
  line,           -- Line at the controller, or the interrupt cause for traps.
  raised,         -- Times the line went up.
  coalesced,      -- Causes that found the line up already.
  injected,       -- Traps taken by the hart.
  acknowledged,   -- Claims by the driver.
  completed,      -- Completions by the driver.
  messages        -- Messages sent instead of a line (MSI, MSI-X); line is then the vector.
) AS
WITH wire AS (
  SELECT run, line, if(count(DISTINCT device) = 1, any_value(device), NULL) AS device
  FROM irq WHERE path = 'wire' GROUP BY run, line
),
owned AS (
  SELECT
    run, irq.line, event,
    CASE
      WHEN event = 'inject' THEN NULL
      WHEN path = 'plic' THEN wire.device
      ELSE irq.device
    END AS device
  FROM irq
  LEFT JOIN wire USING (run, line)
)
SELECT
  run, device, line,
  count(*) FILTER (event = 'raise'),
  count(*) FILTER (event = 'coalesce'),
  count(*) FILTER (event = 'inject'),
  count(*) FILTER (event = 'acknowledge'),
  count(*) FILTER (event = 'complete'),
  count(*) FILTER (event = 'message')
FROM owned
GROUP BY run, device, line
ORDER BY run, device, line;
