-- How many payload bytes each device moved, as far as the trace can tell.
--
-- Grain: one row per run and device that served requests or was written to by a known transmit
--        register.
-- Time:  none; counts only.
-- Reads: request, access.
CREATE OR REPLACE VIEW device_work (
  run,            -- Name of the trace.
  device,         -- Instance, e.g. 'virtio-console0'.
  bytes,          -- Payload bytes moved.
  transfers,      -- Requests, or writes to the transmit register, a count.
  basis,          -- Where the bytes come from: 'requests', or 'registers' for devices without them.
  register        -- The transmit register; null where requests tell the bytes.
) AS
WITH transmit (register) AS (VALUES ('txdata'), ('thr')),
requested AS (
  SELECT run, device, sum(bytes)::UBIGINT AS bytes, count(*) AS transfers
  FROM raw.request
  GROUP BY ALL
),
written AS (
  SELECT run, device, register, count(*) FILTER (write) AS writes
  FROM raw.access a
  WHERE register IS NOT NULL
  GROUP BY ALL
)
SELECT run, device_name(run, device), bytes, transfers, 'requests', NULL FROM requested
UNION ALL
SELECT
  run, device_name(run, device), writes::UBIGINT, writes, 'registers', register_name(run, register)
FROM written w
WHERE writes > 0 AND lower(register_name(run, register)) IN (FROM transmit)
  AND NOT EXISTS (FROM requested r WHERE r.run = w.run AND r.device = w.device);
