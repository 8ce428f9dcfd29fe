-- Every request completes after its submission, was started by an access to its device (a write, unless it takes input), and was announced by its device's line.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: request, exit, irq.
CREATE OR REPLACE VIEW request_links (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
SELECT
  r.run, r.seq,
  'request ' || r.id || CASE
    WHEN complete_ns < submit_ns THEN ' completes before it is submitted'
    WHEN e.seq IS NOT NULL AND (e.device <> r.device OR NOT (e.write OR r.kind = 'console_read'))
      THEN ': exit ' || kick_exit_seq || ' does not start a ' || r.kind || ' of ' || r.device
    ELSE ': irq ' || irq_seq || ' is no rise of the line of ' || r.device
  END
FROM request r
LEFT JOIN exit e ON e.run = r.run AND e.seq = r.kick_exit_seq
LEFT JOIN irq i ON i.run = r.run AND i.seq = r.irq_seq
WHERE complete_ns < submit_ns
  OR (e.seq IS NOT NULL
    AND (e.device IS DISTINCT FROM r.device OR NOT (e.write OR r.kind = 'console_read')))
  OR (irq_seq IS NOT NULL
    AND (i.device IS DISTINCT FROM r.device OR i.event NOT IN ('raise', 'coalesce', 'message')));
