-- What a device did inside itself for each request: where the cost is when it is not in exits.
--
-- Grain: one row per completed request. What a device does before it knows the request, such as
--        looking for the next one, belongs to none: see internals_by_region.
-- Time:  none; counts only.
-- Reads: request, step, vring, dma.
-- Try:   SELECT kind, avg(instructions) FROM request_internals GROUP BY 1
CREATE OR REPLACE VIEW request_internals (
  run,            -- Name of the trace.
  id,             -- Id of the request.
  device,         -- Instance that served it.
  kind,           -- What was asked for.
  command,        -- SCSI command that it was; null when it was none.
  bytes,          -- Payload bytes moved.
  status,         -- How it ended.
  instructions,   -- Instructions of the device's own processor, a count.
  table_fetches,  -- Operands read from tables in memory, a count.
  descriptors,    -- Descriptors of a virtqueue read, a count.
  payload_dma,    -- Accesses to guest memory for payload, a count.
  framing_dma     -- Accesses to guest memory for commands, headers, messages and status, a count.
) AS
WITH stepped AS (
  SELECT
    run, request AS id,
    count(*) FILTER (kind = 'instruction') AS instructions,
    count(*) FILTER (kind = 'table_fetch') AS fetches
  FROM step
  WHERE request IS NOT NULL
  GROUP BY ALL
),
described AS (
  SELECT run, request AS id, count(*) AS descriptors
  FROM vring
  WHERE event = 'descriptor' AND request IS NOT NULL
  GROUP BY ALL
),
moved AS (
  SELECT
    run, request AS id,
    count(*) FILTER (NOT framing) AS payload,
    count(*) FILTER (framing) AS framing
  FROM dma
  WHERE request IS NOT NULL
  GROUP BY ALL
)
SELECT
  r.run, r.id, r.device, r.kind, r.command, r.bytes, r.status,
  coalesce(instructions, 0), coalesce(fetches, 0), coalesce(descriptors, 0),
  coalesce(payload, 0), coalesce(framing, 0)
FROM request r
LEFT JOIN stepped ON stepped.run = r.run AND stepped.id = r.id
LEFT JOIN described ON described.run = r.run AND described.id = r.id
LEFT JOIN moved ON moved.run = r.run AND moved.id = r.id
ORDER BY r.run, r.id;
