-- Where the time of requests goes, step by step, by device and kind.
--
-- Grain: one row per run, device, kind of request and step that some of them took: wait, serve,
--        signal, notice, handle, as request_steps has them, in this order.
-- Time:  virtual nanoseconds, differences.
-- Reads: request_steps.
-- Try:   SELECT device, kind, step, p50_ns, share FROM request_breakdown
CREATE OR REPLACE VIEW request_breakdown (
  run,            -- Name of the trace.
  device,         -- Instance that served them.
  kind,           -- What was asked for.
  nth,            -- Place of the step, from 1.
  step,           -- wait, serve, signal, notice or handle.
  requests,       -- Requests that took it, a count.
  mean_ns,        -- Its mean.
  p50_ns,         -- Half took at most this.
  p99_ns,         -- 99 of 100 took at most this.
  max_ns,         -- The longest.
  share,          -- Its part of all steps' time, 0 to 1; null when no time passed at all.
  overlapping     -- Requests among them that shared their device's time with another, a count.
) AS
WITH step AS (
  SELECT
    run, device, kind, overlapped, unnest([1, 2, 3, 4, 5]) AS nth,
    unnest(['wait', 'serve', 'signal', 'notice', 'handle']) AS step,
    unnest([wait_ns, serve_ns, signal_ns, notice_ns, handle_ns]) AS ns
  FROM request_steps
),
summed AS (
  SELECT
    run, device, kind, nth, step, count(*) AS requests, avg(ns) AS mean_ns,
    quantile_disc(ns, 0.5) AS p50_ns, quantile_disc(ns, 0.99) AS p99_ns, max(ns) AS max_ns,
    sum(ns)::BIGINT AS ns, count(*) FILTER (overlapped) AS overlapping
  FROM step
  WHERE ns IS NOT NULL
  GROUP BY ALL
)
SELECT
  run, device, kind, nth, step, requests, mean_ns, p50_ns, p99_ns, max_ns,
  ns / nullif(sum(ns) OVER (PARTITION BY run, device, kind), 0), overlapping
FROM summed
ORDER BY run, device, kind, nth;
