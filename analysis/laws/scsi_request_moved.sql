-- Every SCSI request that read, wrote or told something moved just its bytes to or from guest memory.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: request, dma.
CREATE OR REPLACE VIEW scsi_request_moved (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH moved AS (
  SELECT run, request AS id, sum(bytes) FILTER (NOT framing) AS bytes, count(*) AS accesses
  FROM dma
  WHERE request IS NOT NULL
  GROUP BY ALL
)
SELECT
  r.run, r.seq,
  r.command || ' of ' || r.bytes || ' bytes: ' || coalesce(m.bytes, 0) || ' bytes of dma in ' ||
  coalesce(accesses, 0) || ' accesses'
FROM request r
LEFT JOIN moved m ON m.run = r.run AND m.id = r.id
WHERE r.command IS NOT NULL
  AND r.kind IN ('disk_read', 'disk_write', 'scsi_control')
  AND coalesce(m.bytes, 0) <> r.bytes;
