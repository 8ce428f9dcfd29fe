-- How far interrupts got on their way from device to driver.
--
-- Grain: one row per run, device, line and path that saw an interrupt. Steps that name no device
--        (the hart's trap knows only its cause) stand in rows of their own with a null device.
-- Time:  none; counts only.
-- Reads: irq.
-- Try:   SELECT * FROM interrupts
CREATE OR REPLACE VIEW interrupts (
  run,            -- Name of the trace.
  device,         -- Instance whose interrupt it is; null when not known.
  line,           -- Line at the controller, or the interrupt cause for traps.
  path,           -- What carried it: wire, plic, aclint, sstc, sbi.
  raised,         -- Times the line went up.
  coalesced,      -- Causes that found the line up already.
  injected,       -- Traps taken by the hart.
  acknowledged,   -- Claims by the driver.
  completed       -- Completions by the driver.
) AS
SELECT
  run, device, line, path,
  count(*) FILTER (event = 'raise'),
  count(*) FILTER (event = 'coalesce'),
  count(*) FILTER (event = 'inject'),
  count(*) FILTER (event = 'acknowledge'),
  count(*) FILTER (event = 'complete')
FROM irq
GROUP BY run, device, line, path
ORDER BY run, device, line, path;
