-- How many exits each device's requests cost: those on its own registers, and the kicks among them.
--
-- Grain: one row per run and device that served requests; over the whole run, set-up included.
-- Time:  none; counts only.
-- Reads: request, exit.
-- Try:   SELECT * FROM exits_per_request
CREATE OR REPLACE VIEW exits_per_request (
  run,               -- Name of the trace.
  device,            -- Instance that served them.
  requests,          -- Requests completed, a count.
  bytes,             -- Payload bytes they moved.
  exits,             -- Exits for the device's registers, a count.
  kicks,             -- Exits among them that started a request, a count.
  announcements,     -- Interrupts that announced a request, a count.
  exits_per_request, -- exits / requests.
  kicks_per_request, -- kicks / requests: 1 when each needs its own.
  requests_per_announcement -- requests / announcements; null without any.
) AS
WITH served AS (
  SELECT
    run, device, count(*) AS requests, sum(bytes)::UBIGINT AS bytes,
    count(DISTINCT kick_exit_seq) AS kicks, count(DISTINCT irq_seq) AS announcements
  FROM raw.request
  GROUP BY ALL
),
exited AS (
  SELECT run, device, count(*) AS exits FROM raw.exit GROUP BY ALL
)
SELECT
  run, device_name(run, device) AS device, requests, bytes, coalesce(exits, 0) AS exits, kicks,
  announcements, coalesce(exits, 0) / requests, kicks / requests, requests / nullif(announcements, 0)
FROM served
LEFT JOIN exited USING (run, device)
ORDER BY run, exits DESC, device;
