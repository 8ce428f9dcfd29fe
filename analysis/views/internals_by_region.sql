-- Exits beside the work inside devices, for the requests of each region of interest.
--
-- Grain: one row per region and device that completed requests in it.
-- Time:  none; counts only.
-- Reads: region, request, exit, step, vring, dma.
-- Try:   SELECT label, device, exits, instructions FROM internals_by_region
CREATE OR REPLACE VIEW internals_by_region (
  run,            -- Name of the trace.
  label,          -- Region.
  nth,            -- Which region of that label, from 1.
  device,         -- Instance that served the requests.
  requests,       -- Requests that completed in the region, a count.
  exits,          -- Exits for registers of the device, per request.
  instructions,   -- Instructions of the device's own processor, per request.
  table_fetches,  -- Operands that it read from tables in memory, per request.
  descriptors,    -- Descriptors of a virtqueue read, per request.
  dma             -- Accesses of the device to guest memory, per request.
) AS
WITH served AS (
  SELECT g.run, label, nth, begin_seq, end_seq, r.device, count(*) AS requests
  FROM region g
  JOIN request r ON r.run = g.run AND r.seq > begin_seq AND r.seq < end_seq
  GROUP BY ALL
),
happened AS (
  SELECT run, device, seq, 'exit' AS what FROM exit WHERE device IS NOT NULL
  UNION ALL SELECT run, device, seq, kind FROM step
  UNION ALL SELECT run, device, seq, 'descriptor' FROM vring WHERE event = 'descriptor'
  UNION ALL SELECT run, device, seq, 'dma' FROM dma
)
SELECT
  s.run, label, nth, s.device, requests,
  count(*) FILTER (what = 'exit') / requests,
  count(*) FILTER (what = 'instruction') / requests,
  count(*) FILTER (what = 'table_fetch') / requests,
  count(*) FILTER (what = 'descriptor') / requests,
  count(*) FILTER (what = 'dma') / requests
FROM served s
LEFT JOIN happened h
  ON h.run = s.run AND h.device = s.device AND h.seq > s.begin_seq AND h.seq < s.end_seq
GROUP BY s.run, label, nth, begin_seq, s.device, requests
ORDER BY s.run, begin_seq, s.device;
