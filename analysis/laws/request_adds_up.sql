-- Every request that came through a virtqueue was popped once, pushed once, and moved its payload.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: request, vring, dma.
CREATE OR REPLACE VIEW request_adds_up (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH ring AS (
  SELECT
    run, request AS id,
    count(*) FILTER (event = 'pop') AS pops,
    count(*) FILTER (event = 'push') AS pushes
  FROM vring
  WHERE request IS NOT NULL
  GROUP BY ALL
),
moved AS (
  SELECT run, request AS id, sum(bytes) AS bytes
  FROM dma
  WHERE request IS NOT NULL AND framing IS NOT TRUE
  GROUP BY ALL
),
queued AS (
  SELECT DISTINCT run, device FROM vring
)
SELECT
  r.run, r.seq,
  'request ' || r.id || ' of ' || r.bytes || ' bytes: ' || coalesce(pops, 0) || ' pops, ' ||
  coalesce(pushes, 0) || ' pushes, ' || coalesce(moved.bytes, 0) || ' bytes of payload'
FROM request r
JOIN queued q ON q.run = r.run AND q.device = r.device
LEFT JOIN ring ON ring.run = r.run AND ring.id = r.id
LEFT JOIN moved ON moved.run = r.run AND moved.id = r.id
WHERE pops IS DISTINCT FROM 1 OR pushes IS DISTINCT FROM 1
  OR coalesce(moved.bytes, 0) <> r.bytes;
