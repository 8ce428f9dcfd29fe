-- What `perf kvm stat report` says, in its columns and order: how often and how long a host's guest was
-- left, by exit, MMIO address, I/O port and MSR. Empty for recorded traces, whose exits have no duration.
--
-- Grain: one row per run, kind of event and event; percentages are of the kind. As in perf, the exits
--        before a thread's first entry and those whose end is not in the trace are left out; of several
--        MMIO reads of an exit the first counts, of several writes or port accesses the last.
-- Time:  host nanoseconds. Exits: kvm_exit to kvm_entry. MMIO read: kvm_exit to kvm_mmio. MMIO write, port
--        and MSR: kvm_mmio, kvm_pio or kvm_msr to kvm_entry.
-- Reads: exit, access.
-- Try:   SELECT * FROM kvm_stat_report WHERE event = 'vmexit'
CREATE OR REPLACE VIEW kvm_stat_report (
  run,             -- Name of the trace.
  event,           -- As perf's --event: vmexit, mmio, ioport or msr.
  event_name,      -- Exit by the host's name, or address, port or MSR with R, W, PIN or POUT.
  samples,         -- Times it happened, a count.
  samples_percent, -- Part of the kind's samples, 0 to 100, two decimals.
  time_ns,         -- Host ns that they took together.
  time_percent,    -- Part of the kind's time, 0 to 100, two decimals.
  max_time_ns,     -- Longest.
  min_time_ns,     -- Shortest.
  mean_time_ns     -- Mean.
) AS
WITH timed AS (
  SELECT run, seq, time_ns, duration_ns, hw_reason FROM exit WHERE duration_ns IS NOT NULL
),
made AS (
  SELECT
    a.run, a.exit_seq, a.seq, a.space, a.write, a.device, a.register, a."offset",
    a.time_ns, t.time_ns AS exit_ns, t.time_ns + t.duration_ns AS entry_ns
  FROM access a
  JOIN timed t ON t.run = a.run AND t.seq = a.exit_seq
),
mmio_read AS (
  SELECT * FROM made WHERE space = 'mmio'
  QUALIFY row_number() OVER (PARTITION BY run, exit_seq ORDER BY seq) = 1
),
last AS (
  SELECT * FROM made
  QUALIFY row_number() OVER (PARTITION BY run, exit_seq, space ORDER BY seq DESC) = 1
),
sample AS (
  SELECT run, 'vmexit' AS event, hw_reason AS event_name, duration_ns AS ns FROM timed
  UNION ALL
  SELECT
    run, 'mmio',
    '0x' || lower(to_hex(regexp_extract(device, '0x[0-9a-f]+$')::UBIGINT + "offset")) || ':R',
    time_ns - exit_ns
  FROM mmio_read WHERE NOT write
  UNION ALL
  SELECT
    run, 'mmio',
    '0x' || lower(to_hex(regexp_extract(device, '0x[0-9a-f]+$')::UBIGINT + "offset")) || ':W',
    entry_ns - time_ns
  FROM last WHERE space = 'mmio' AND write
  UNION ALL
  SELECT run, 'ioport', register || CASE WHEN write THEN ':POUT' ELSE ':PIN' END, entry_ns - time_ns
  FROM last WHERE space = 'pio'
  UNION ALL
  SELECT run, 'msr', register || CASE WHEN write THEN ':W' ELSE ':R' END, entry_ns - time_ns
  FROM last WHERE space = 'system_register' AND device = 'msr'
),
counted AS (
  SELECT
    run, event, event_name, count(*) AS samples, sum(ns)::UBIGINT AS ns, max(ns) AS longest,
    min(ns) AS shortest
  FROM sample
  GROUP BY ALL
)
SELECT
  run, event, event_name, samples, round(100 * samples / sum(samples) OVER same, 2),
  ns, round(100 * ns / nullif(sum(ns) OVER same, 0), 2), longest, shortest, ns / samples
FROM counted
WINDOW same AS (PARTITION BY run, event)
ORDER BY run, event = 'vmexit' DESC, event, samples DESC, ns DESC, event_name;
