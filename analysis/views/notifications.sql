-- Notifications sent against spared, both ways: kicks of the driver, interrupts of the device.
--
-- Grain: one row per run, device and queue that saw an event; raised and coalesced are the device's,
--        the same on each of its queues.
-- Time:  none; counts only.
-- Reads: vring, vring_summary, interrupts.
-- Try:   SELECT device, kicks, chains_without_kick, interrupts FROM notifications
CREATE OR REPLACE VIEW notifications (
  run,                   -- Name of the trace.
  device,                -- Instance the queue belongs to.
  queue,                 -- Index of the queue.
  kicks,                 -- Writes to QueueNotify, a count.
  chains_without_kick,   -- Chains popped beyond one per kick: what batching and suppression spared.
  kicks_disabled,        -- Times the device asked for no more kicks, a count.
  kicks_enabled,         -- Times the device asked for kicks again, a count.
  interrupts,            -- Used buffer notifications sent, a count.
  interrupts_suppressed, -- Used buffer notifications the driver had asked not to get, a count.
  chains_per_interrupt,  -- Chains pushed per notification sent; null without one.
  raised,                -- Times the device's line went up, a count; null when irq has none of it.
  coalesced              -- Causes that found its line up already, a count; null when irq has none of it.
) AS
WITH asked AS (
  SELECT run, device_name(run, device) AS device, queue, vring_event_name(run, event) AS event, n
  FROM (SELECT run, device, queue, event, count(*) AS n FROM raw.vring GROUP BY ALL)
),
switched AS (
  SELECT
    run, device, queue,
    coalesce(sum(n) FILTER (event = 'notify_suppressed'), 0)::BIGINT AS disabled,
    coalesce(sum(n) FILTER (event = 'notify_enabled'), 0)::BIGINT AS enabled
  FROM asked
  GROUP BY ALL
),
line AS (
  SELECT run, device, sum(raised)::BIGINT AS raised, sum(coalesced)::BIGINT AS coalesced
  FROM interrupts
  WHERE device IS NOT NULL
  GROUP BY ALL
)
SELECT
  run, device, queue, kicks, greatest(pops - kicks, 0), disabled, enabled, interrupts,
  interrupts_suppressed, pushes / nullif(interrupts, 0), raised, coalesced
FROM vring_summary
JOIN switched USING (run, device, queue)
LEFT JOIN line USING (run, device)
ORDER BY run, device, queue;
