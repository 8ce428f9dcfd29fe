-- Every disk request that came through a virtqueue had its header read and its status written.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: request, vring, dma.
CREATE OR REPLACE VIEW disk_request_framed (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH framed AS (
  SELECT
    run, request AS id,
    sum(bytes) FILTER (NOT write) AS header,
    sum(bytes) FILTER (write) AS answer
  FROM dma
  WHERE framing
  GROUP BY ALL
),
queued AS (
  SELECT DISTINCT run, device FROM vring
)
SELECT
  r.run, r.seq,
  'request ' || r.id || ': ' || coalesce(header, 0) || ' bytes of header, ' ||
  coalesce(answer, 0) || ' of status'
FROM request r
JOIN queued q ON q.run = r.run AND q.device = r.device
LEFT JOIN framed f ON f.run = r.run AND f.id = r.id
WHERE starts_with(r.kind, 'disk_')
  AND (answer IS NULL OR (header IS NULL AND r.kind <> 'disk_unknown'));
