-- How many chains the device took per kick, and how often: what one exit was worth.
--
-- Grain: one row per run, device, queue and number of chains. A chain counts for the last kick of its
--        queue before it; chains before the first kick count for none.
-- Time:  none; counts only.
-- Reads: vring.
-- Try:   SELECT device, queue, chains, kicks FROM batch_sizes
CREATE OR REPLACE VIEW batch_sizes (
  run,            -- Name of the trace.
  device,         -- Instance the queue belongs to.
  queue,          -- Index of the queue.
  chains,         -- Chains popped after a kick and before the next one.
  kicks,          -- Kicks with so many, a count.
  share           -- Their part of the queue's kicks, 0 to 1.
) AS
WITH codes AS (
  SELECT
    run, max(code) FILTER (name = 'kick') AS kick, max(code) FILTER (name = 'pop') AS pop
  FROM name
  WHERE kind = 'vring_event'
  GROUP BY run
),
steps AS (
  SELECT
    run, device, queue, event = kick AS kicks,
    sum((event = kick)::INT) OVER (PARTITION BY run, device, queue ORDER BY seq) AS nth
  FROM raw.vring
  JOIN codes USING (run)
  WHERE event IN (kick, pop)
),
batch AS (
  SELECT run, device, queue, nth, count(*) FILTER (NOT kicks) AS chains
  FROM steps
  WHERE nth > 0
  GROUP BY ALL
),
counted AS (
  SELECT run, device, queue, chains, count(*) AS kicks FROM batch GROUP BY ALL
)
SELECT
  run, device_name(run, device) AS device, queue, chains, kicks,
  kicks / sum(kicks) OVER (PARTITION BY run, device, queue)
FROM counted
ORDER BY run, device, queue, chains;
