-- How long requests took, by device and kind: percentiles in virtual time.
--
-- Grain: one row per run, device and kind of request that completed.
-- Time:  virtual nanoseconds, differences.
-- Reads: request_latency.
-- Try:   SELECT * FROM latency_percentiles
CREATE OR REPLACE VIEW latency_percentiles (
  run,            -- Name of the trace.
  device,         -- Instance that served them.
  kind,           -- What was asked for.
  requests,       -- Requests completed, a count.
  mean_ns,        -- Their mean latency.
  p50_ns,         -- Half took at most this.
  p90_ns,         -- Nine of ten took at most this.
  p99_ns,         -- 99 of 100 took at most this.
  max_ns,         -- The longest.
  overlapping     -- Requests that shared their device's time with another, a count.
) AS
SELECT
  run, device, kind, count(*), avg(latency_ns), quantile_disc(latency_ns, 0.5),
  quantile_disc(latency_ns, 0.9), quantile_disc(latency_ns, 0.99), max(latency_ns),
  count(*) FILTER (overlapped)
FROM request_latency
GROUP BY run, device, kind
ORDER BY run, device, kind;
