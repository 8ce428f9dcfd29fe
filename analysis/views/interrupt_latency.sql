-- How long interrupts took on their way, by device and line: percentiles in virtual time.
--
-- Grain: one row per run, device and line that was raised.
-- Time:  virtual nanoseconds, differences.
-- Reads: interrupt_path.
-- Try:   SELECT * FROM interrupt_latency
CREATE OR REPLACE VIEW interrupt_latency (
  run,            -- Name of the trace.
  device,         -- Instance whose interrupt it is; null when not known.
  line,           -- Line at the controller, or the vector of a message.
  path,           -- What carried it.
  raised,         -- Rises, or messages, a count.
  coalesced,      -- Causes that found the line up already, a count; no part of what follows.
  claimed,        -- Rises that the driver claimed, a count.
  p50_wait_ns,    -- From the rise to the hart's trap: half took at most this.
  p50_claim_ns,   -- From the trap (else the rise) to the claim: half took at most this.
  p50_handle_ns,  -- From the claim to the completion: half took at most this.
  p50_ns,         -- From the rise to the completion: half took at most this.
  p99_ns,         -- From the rise to the completion: 99 of 100 took at most this.
  max_ns,         -- From the rise to the completion: the longest.
  overlapping     -- Rises that shared their way with another of the line, a count.
) AS
WITH rise AS (
  SELECT * REPLACE (CASE WHEN event <> 'coalesce' THEN acknowledge_seq END AS acknowledge_seq)
  FROM interrupt_path
)
SELECT
  run, device, line, path, count(*) FILTER (event <> 'coalesce'),
  count(*) FILTER (event = 'coalesce'), count(acknowledge_seq),
  quantile_disc(wait_ns, 0.5) FILTER (event <> 'coalesce'),
  quantile_disc(claim_ns, 0.5) FILTER (event <> 'coalesce'),
  quantile_disc(handle_ns, 0.5) FILTER (event <> 'coalesce'),
  quantile_disc(total_ns, 0.5) FILTER (event <> 'coalesce'),
  quantile_disc(total_ns, 0.99) FILTER (event <> 'coalesce'),
  max(total_ns) FILTER (event <> 'coalesce'),
  count(*) FILTER (event <> 'coalesce' AND overlapped)
FROM rise
GROUP BY run, device, line, path
ORDER BY run, device, line, path;
