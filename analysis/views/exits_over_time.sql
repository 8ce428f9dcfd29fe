-- How exits were spread over virtual time, by reason: about a hundred equal buckets, the same for all
-- traces. For buckets of another width: exits_in_buckets(width_ns).
--
-- Grain: one row per run, bucket and reason that occurred in it.
-- Time:  start_ns and width_ns are virtual nanoseconds since reset, on the clock of the vcpu that
--        exited.
-- Reads: exit.
-- Try:   SELECT start_ns, reason, exits FROM exits_over_time LIMIT 10
CREATE OR REPLACE VIEW exits_over_time (
  run,            -- Name of the trace.
  start_ns,       -- Where the bucket begins.
  width_ns,       -- How long it is.
  reason,         -- Neutral reason.
  exits           -- Exits in it, a count.
) AS
WITH span AS (
  SELECT bucket_width(max(time_ns) - min(time_ns)) AS width_ns FROM raw.exit
),
counted AS (
  SELECT run, time_ns::BIGINT // width_ns AS bucket, width_ns, reason, count(*) AS exits
  FROM raw.exit, span
  GROUP BY ALL
)
SELECT run, bucket * width_ns AS start_ns, width_ns, reason_name(run, reason) AS reason, exits
FROM counted
ORDER BY run, start_ns, exits DESC, reason;
