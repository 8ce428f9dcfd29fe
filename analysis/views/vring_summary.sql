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
WITH counted AS (
  SELECT
    run, device, queue,
    count(*) FILTER (event = 'kick') AS kicks,
    count(*) FILTER (event = 'pop') AS pops,
    count(*) FILTER (event = 'descriptor') AS descriptors,
    count(*) FILTER (event = 'push') AS pushes,
    count(*) FILTER (event = 'interrupt') AS interrupts,
    count(*) FILTER (event = 'interrupt_suppressed') AS suppressed,
    count(*) FILTER (event = 'error') AS errors
  FROM vring
  GROUP BY run, device, queue
)
SELECT *, pops / nullif(kicks, 0) FROM counted ORDER BY run, device, queue;
