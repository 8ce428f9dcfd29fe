-- What a run's exits come to per unit of its work: per KiB, per request, per interrupt.
--
-- Grain: one row per run.
-- Time:  none; counts only. Exits and bytes are those of the work: inside the regions where marks tell
--        it. Requests and interrupts are counted there too.
-- Reads: exits_at_work, work, region, request, irq.
-- Try:   SELECT * FROM exits_per_work
CREATE OR REPLACE VIEW exits_per_work (
  run,                -- Name of the trace.
  basis,              -- Where the bytes come from: 'marks', 'devices' or 'nothing'.
  exits,              -- Exits at work, a count.
  bytes,              -- Payload bytes of the work; 0 when not known.
  requests,           -- Requests completed meanwhile, a count.
  interrupts,         -- Interrupts claimed by the driver meanwhile, a count.
  exits_per_kib,      -- exits * 1024 / bytes; null when no work is known.
  exits_per_request,  -- exits / requests; null without requests.
  exits_per_interrupt -- exits / interrupts; null without interrupts.
) AS
WITH known AS MATERIALIZED (
  FROM work
),
span AS (
  SELECT run, begin_seq, end_seq FROM region JOIN known USING (run)
  WHERE known.basis = 'marks' AND region.bytes > 0
  UNION ALL
  SELECT run, 0, 18446744073709551615 FROM known WHERE basis <> 'marks'
),
exited AS (
  SELECT run, sum(exits)::BIGINT AS exits FROM exits_at_work GROUP BY run
),
asked AS (
  SELECT r.run, count(DISTINCT r.seq) AS requests
  FROM raw.request r JOIN span s ON s.run = r.run AND r.seq > begin_seq AND r.seq < end_seq
  GROUP BY ALL
),
claims AS (
  SELECT i.run, i.seq
  FROM raw.irq i JOIN name n ON n.run = i.run AND n.kind = 'irq_event' AND n.code = i.event
  WHERE n.name = 'acknowledge'
),
claimed AS (
  SELECT c.run, count(DISTINCT c.seq) AS interrupts
  FROM claims c JOIN span s ON s.run = c.run AND c.seq > begin_seq AND c.seq < end_seq
  GROUP BY ALL
)
SELECT
  run, basis, coalesce(exits, 0) AS exits, bytes, coalesce(requests, 0), coalesce(interrupts, 0),
  CASE WHEN bytes > 0 THEN coalesce(exits, 0) * 1024 / bytes END,
  coalesce(exits, 0) / nullif(requests, 0), coalesce(exits, 0) / nullif(interrupts, 0)
FROM known
LEFT JOIN exited USING (run)
LEFT JOIN asked USING (run)
LEFT JOIN claimed USING (run)
ORDER BY run;
