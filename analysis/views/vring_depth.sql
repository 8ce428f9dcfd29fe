-- How many chains each virtqueue's device held, at every change: popped and not yet pushed.
--
-- Grain: one row per chain popped or pushed. A chain that was never given back (in flight at the end,
--        or dropped by a reset) has no row.
-- Time:  time_ns, virtual nanoseconds since reset.
-- Reads: vring.
-- Try:   SELECT device, queue, max(in_flight) FROM vring_depth GROUP BY ALL
CREATE OR REPLACE VIEW vring_depth (
  run,            -- Name of the trace.
  device,         -- Instance the queue belongs to.
  queue,          -- Index of the queue.
  seq,            -- seq of the event.
  time_ns,        -- Virtual time of it.
  event,          -- 'pop' or 'push'.
  request,        -- Id of the request that the chain carries.
  in_flight       -- Chains that the device holds after it.
) AS
WITH codes AS (
  SELECT
    run, max(code) FILTER (name = 'pop') AS pop, max(code) FILTER (name = 'push') AS push
  FROM name
  WHERE kind = 'vring_event'
  GROUP BY run
),
step AS (
  SELECT run, device, queue, seq, time_ns, request, event = push AS pushes
  FROM raw.vring
  JOIN codes USING (run)
  WHERE event IN (pop, push)
),
returned AS (
  SELECT run, device, queue, request FROM step WHERE pushes
)
SELECT
  run, device_name(run, device) AS device, queue, seq, time_ns,
  CASE WHEN pushes THEN 'push' ELSE 'pop' END, request,
  (sum(CASE WHEN pushes THEN -1 ELSE 1 END)
    OVER (PARTITION BY run, device, queue ORDER BY seq))::BIGINT
FROM step
SEMI JOIN returned USING (run, device, queue, request);
