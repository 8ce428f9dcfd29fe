-- Which registers were accessed when: the cells of a heat map, exits or not.
--
-- Grain: one row per run, device, register and bucket of virtual time with an access; about a hundred
--        equal buckets, the same for all traces.
-- Time:  start_ns and width_ns are virtual nanoseconds since reset.
-- Reads: access.
-- Try:   SELECT device, register, start_ns, reads, writes FROM register_heat LIMIT 10
CREATE OR REPLACE VIEW register_heat (
  run,            -- Name of the trace.
  device,         -- Instance accessed.
  register,       -- Register accessed; null where the device declares none.
  start_ns,       -- Where the bucket begins.
  width_ns,       -- How long it is.
  reads,          -- Reads in it, a count.
  writes,         -- Writes in it, a count.
  exits           -- Accesses in it that were part of an exit, a count.
) AS
WITH span AS (
  SELECT bucket_width(max(time_ns) - min(time_ns)) AS width_ns FROM raw.access
),
counted AS (
  SELECT
    run, device, register, time_ns::BIGINT // width_ns AS bucket, width_ns, count(*) AS accesses,
    count(*) FILTER (write) AS writes, count(exit_seq) AS exits
  FROM raw.access, span
  GROUP BY ALL
)
SELECT
  run, device_name(run, device) AS device, register_name(run, register) AS register,
  bucket * width_ns AS start_ns, width_ns, accesses - writes, writes, exits
FROM counted
ORDER BY run, device, register, start_ns;
