-- For how long each virtqueue's device held how many chains.
--
-- Grain: one row per run, device, queue and number of chains, from the queue's first pop to its last
--        push.
-- Time:  ns, virtual nanoseconds.
-- Reads: vring_depth.
-- Try:   SELECT device, queue, in_flight, share FROM vring_occupancy
CREATE OR REPLACE VIEW vring_occupancy (
  run,            -- Name of the trace.
  device,         -- Instance the queue belongs to.
  queue,          -- Index of the queue.
  in_flight,      -- Chains that the device held.
  ns,             -- For how long, together.
  share           -- Its part of the time, 0 to 1; null when no time passed at all.
) AS
WITH held AS (
  SELECT
    run, device, queue, in_flight,
    (lead(time_ns) OVER (PARTITION BY run, device, queue ORDER BY seq))::BIGINT - time_ns::BIGINT AS ns
  FROM vring_depth
),
summed AS (
  SELECT run, device, queue, in_flight, sum(ns)::BIGINT AS ns
  FROM held
  WHERE ns IS NOT NULL
  GROUP BY ALL
)
SELECT
  run, device, queue, in_flight, ns, ns / nullif(sum(ns) OVER (PARTITION BY run, device, queue), 0)
FROM summed
ORDER BY run, device, queue, in_flight;
