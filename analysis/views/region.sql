-- Regions of interest: what lies between a mark "X begin" and the next mark "X end".
--
-- Grain: one row per closed region, in order. A begin without an end, or the reverse, has no row.
-- Time:  begin_ns and end_ns are virtual nanoseconds since reset.
-- Reads: mark.
-- Try:   SELECT label, bytes, end_ns - begin_ns AS ns FROM region
CREATE OR REPLACE VIEW region (
  run,            -- Name of the trace.
  label,          -- The marks' label without its begin or end.
  nth,            -- Counts regions of the same label, from 1.
  begin_seq,      -- seq of the begin mark.
  end_seq,        -- seq of the end mark.
  begin_ns,       -- time_ns of the begin mark.
  end_ns,         -- time_ns of the end mark.
  bytes,          -- Payload bytes of the work inside, as the end mark (else the begin mark) says.
  overlapped        -- True when another region of the run shares events with it: sums over both count those twice.
) AS
WITH edge AS (
  SELECT
    run, seq, time_ns, number,
    regexp_replace(label, '^(begin|end) | (begin|end)$', '') AS label,
    regexp_matches(label, '^begin | begin$') AS begins
  FROM raw.mark
  WHERE regexp_matches(label, '^(begin|end) | (begin|end)$')
),
paired AS (
  SELECT
    *,
    lead(begins) OVER same AS next_begins,
    lead(seq) OVER same AS next_seq,
    lead(time_ns) OVER same AS next_ns,
    lead(number) OVER same AS next_number
  FROM edge
  WINDOW same AS (PARTITION BY run, label ORDER BY seq)
)
SELECT
  run, label, row_number() OVER (PARTITION BY run, label ORDER BY seq), seq, next_seq, time_ns, next_ns,
  CASE WHEN next_number > 0 THEN next_number ELSE number END,
  coalesce(max(next_seq) OVER before > seq, false) OR coalesce(lead(seq) OVER all_of < next_seq, false)
FROM paired
WHERE begins AND NOT next_begins
WINDOW
  all_of AS (PARTITION BY run ORDER BY seq),
  before AS (PARTITION BY run ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
ORDER BY run, seq;
