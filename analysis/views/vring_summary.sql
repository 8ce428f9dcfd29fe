-- How well each virtqueue spares notifications: what was kicked, popped, pushed and announced.
--
-- Grain: one row per run, device and queue that saw an event.
-- Time:  none; counts only.
-- Reads: vring.
-- Try:   SELECT * FROM vring_summary
CREATE OR REPLACE VIEW vring_summary (
  run,                   -- Name of the trace.
  device,                -- Instance the queue belongs to.
  queue,                 -- Index of the queue.
  kicks,                 -- Writes to QueueNotify, a count.
  pops,                  -- Chains taken from the available ring, a count.
  descriptors,           -- Descriptors read, a count.
  pushes,                -- Chains put into the used ring, a count.
  interrupts,            -- Used buffer notifications sent, a count.
  interrupts_suppressed, -- Used buffer notifications the driver had asked not to get, a count.
  errors,                -- Rules of the specification the driver broke, a count.
  pops_per_kick          -- Batch size: chains taken per kick; null without a kick.
) AS
WITH events AS (
  SELECT
    run, device_name(run, device) AS device, queue, vring_event_name(run, event) AS event, n
  FROM (SELECT run, device, queue, event, count(*) AS n FROM raw.vring GROUP BY ALL)
),
counted AS (
  SELECT
    run, device, queue,
    coalesce(sum(n) FILTER (event = 'kick'), 0)::BIGINT AS kicks,
    coalesce(sum(n) FILTER (event = 'pop'), 0)::BIGINT AS pops,
    coalesce(sum(n) FILTER (event = 'descriptor'), 0)::BIGINT AS descriptors,
    coalesce(sum(n) FILTER (event = 'push'), 0)::BIGINT AS pushes,
    coalesce(sum(n) FILTER (event = 'interrupt'), 0)::BIGINT AS interrupts,
    coalesce(sum(n) FILTER (event = 'interrupt_suppressed'), 0)::BIGINT AS suppressed,
    coalesce(sum(n) FILTER (event = 'error'), 0)::BIGINT AS errors
  FROM events
  GROUP BY run, device, queue
)
SELECT *, pops / nullif(kicks, 0) FROM counted ORDER BY run, device, queue;
