-- A device's wire rises only when it is down, falls only when it is up, and coalesces only when it is up.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: irq.
CREATE OR REPLACE VIEW wire_alternates (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH step AS (
  SELECT
    run, seq, event, device, line,
    coalesce(last_value(CASE event WHEN 'coalesce' THEN NULL ELSE event END IGNORE NULLS) OVER (
      PARTITION BY run, device, line ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 'lower') AS before
  FROM irq
  WHERE path = 'wire'
)
SELECT run, seq, 'line ' || line || ': ' || event || ' after ' || before
FROM step
WHERE (event = 'raise') = (before = 'raise');
