-- How much work a run did, by which counts are made comparable.
--
-- Grain: one row per run; bytes is 0 where nothing is known.
-- Time:  none; counts only.
-- Reads: region, device_work.
CREATE OR REPLACE VIEW work (
  run,            -- Name of the trace.
  bytes,          -- Payload bytes: of all regions where marks tell them, else of all devices.
  basis           -- 'marks', 'devices' or 'nothing'.
) AS
WITH marked AS (
  SELECT run, sum(bytes)::UBIGINT AS bytes FROM region GROUP BY run
),
moved AS (
  SELECT run, sum(bytes)::UBIGINT AS bytes FROM device_work GROUP BY run
)
SELECT
  run,
  CASE WHEN marked.bytes > 0 THEN marked.bytes ELSE coalesce(moved.bytes, 0) END,
  CASE
    WHEN marked.bytes > 0 THEN 'marks'
    WHEN moved.bytes > 0 THEN 'devices'
    ELSE 'nothing'
  END
FROM (SELECT DISTINCT run FROM name) all_runs
LEFT JOIN marked USING (run)
LEFT JOIN moved USING (run)
ORDER BY run;
