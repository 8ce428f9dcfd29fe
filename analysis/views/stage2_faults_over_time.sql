-- How the guest's memory came to be mapped: first touches of its pages over virtual time.
--
-- Grain: one row per run and bucket with a fault; about a hundred equal buckets, the same for all
--        traces.
-- Time:  start_ns and width_ns are virtual nanoseconds since reset.
-- Reads: exit.
-- Try:   SELECT start_ns, faults, mapped FROM stage2_faults_over_time LIMIT 10
CREATE OR REPLACE VIEW stage2_faults_over_time (
  run,            -- Name of the trace.
  start_ns,       -- Where the bucket begins.
  width_ns,       -- How long it is.
  faults,         -- First touches in it, a count.
  mapped,         -- First touches up to its end: how many pages are mapped then.
  lowest_gpa,     -- Lowest guest-physical address touched in it.
  highest_gpa     -- Highest guest-physical address touched in it.
) AS
WITH codes AS (
  SELECT run, code FROM name WHERE kind = 'reason' AND name = 'stage2_fault'
),
span AS (
  SELECT bucket_width(max(time_ns) - min(time_ns)) AS width_ns FROM raw.exit
),
counted AS (
  SELECT
    run, time_ns::BIGINT // width_ns AS bucket, width_ns, count(*) AS faults,
    min(gpa) AS lowest_gpa, max(gpa) AS highest_gpa
  FROM span, raw.exit
  JOIN codes USING (run)
  WHERE reason = code
  GROUP BY ALL
)
SELECT
  run, bucket * width_ns AS start_ns, width_ns, faults,
  sum(faults) OVER (PARTITION BY run ORDER BY bucket)::BIGINT, lowest_gpa, highest_gpa
FROM counted
ORDER BY run, start_ns;
