-- How long each I/O request took from the device's learning of it to its completion.
--
-- Grain: one row per completed request. Requests still in flight at the end have no row.
-- Time:  virtual nanoseconds since reset; latency_ns and announce_ns are differences.
-- Reads: request, irq.
-- Try:   SELECT device, max(latency_ns) FROM request_latency GROUP BY 1
CREATE OR REPLACE VIEW request_latency (
  run,            -- Name of the trace.
  id,             -- Id of the request.
  device,         -- Instance that served it.
  kind,           -- What was asked for.
  bytes,          -- Payload bytes moved.
  status,         -- How it ended.
  submit_ns,      -- When the device learned of it.
  latency_ns,     -- Completion less submission.
  announce_ns,    -- From completion to the interrupt that announced it; null when unannounced.
  overlapped        -- True when its device had another request in hand meanwhile: latencies do not add up to time.
) AS
WITH spanned AS (
  SELECT
    *,
    coalesce(max(complete_ns) OVER before > submit_ns, false)
      OR coalesce(lead(submit_ns) OVER served < complete_ns, false) AS overlapped
  FROM raw.request
  WINDOW
    served AS (PARTITION BY run, device ORDER BY submit_ns, id),
    before AS (
      PARTITION BY run, device ORDER BY submit_ns, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
SELECT
  r.run, id, device_name(r.run, r.device) AS device, request_kind_name(r.run, kind) AS kind, bytes,
  request_status_name(r.run, status), submit_ns, complete_ns - submit_ns,
  i.time_ns::BIGINT - complete_ns::BIGINT, overlapped
FROM spanned r
LEFT JOIN raw.irq i ON i.run = r.run AND i.seq = r.irq_seq;
