-- The way of each interrupt: raised by the device, trapped for by a hart, claimed and completed by the
-- driver.
--
-- Grain: one row per rise of a line, per cause that found it up already, and per message sent. A step
--        that never came is null. A rise after which the line rose again before any claim has no claim:
--        that is counted for the last rise.
-- Time:  virtual nanoseconds since reset; the columns from wait_ns on are differences.
-- Reads: irq.
-- Try:   SELECT device, max(wait_ns), max(total_ns) FROM interrupt_path GROUP BY ALL
CREATE OR REPLACE VIEW interrupt_path (
  run,              -- Name of the trace.
  device,           -- Instance whose interrupt it is; null when not known.
  line,             -- Line at the controller, or the vector of a message.
  path,             -- What carried it, e.g. wire or msix.
  event,            -- 'raise', 'coalesce' or 'message'.
  raise_seq,        -- seq of that.
  inject_seq,       -- seq of the hart's trap: the last before the claim and after the rise.
  acknowledge_seq,  -- seq of the driver's claim: the first of this line after the rise.
  complete_seq,     -- seq of the driver's completion: the first of this line after the claim.
  raise_ns,         -- When the line rose.
  inject_ns,        -- When the hart trapped; null when it was handling interrupts already.
  acknowledge_ns,   -- When the driver claimed it.
  complete_ns,      -- When the driver completed it.
  wait_ns,          -- From the rise to the trap.
  claim_ns,         -- From the trap (else the rise) to the claim.
  handle_ns,        -- From the claim to the completion.
  total_ns,         -- From the rise to the completion.
  overlapped        -- True when the line had another cause between this one and its completion: they share a claim.
) AS
WITH step AS (
  SELECT run, seq, time_ns, vcpu, line, device, path, irq_event_name(run, event) AS event
  FROM raw.irq
),
walked AS (
  -- The next claim, the next cause and the completion after, as each event of a line sees them.
  SELECT
    *, event IN ('raise', 'coalesce', 'message') AS is_cause,
    first_value(CASE WHEN event = 'acknowledge' THEN seq END IGNORE NULLS) OVER later AS ack_seq,
    first_value(CASE WHEN event IN ('raise', 'message') THEN seq END IGNORE NULLS) OVER later
      AS again_seq,
    first_value(CASE WHEN event IN ('raise', 'coalesce', 'message') THEN seq END IGNORE NULLS)
      OVER later AS cause_seq,
    first_value(CASE WHEN event = 'complete' THEN seq END IGNORE NULLS) OVER later AS done_seq,
    first_value(CASE WHEN event = 'complete' THEN time_ns END IGNORE NULLS) OVER later AS done_ns
  FROM step
  WHERE event <> 'inject'
  WINDOW later AS (
    PARTITION BY run, line ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
  )
),
claim AS (
  SELECT run, line, seq, time_ns, vcpu, done_seq, done_ns FROM walked WHERE event = 'acknowledge'
),
trap AS (
  SELECT c.run, c.seq, t.seq AS inject_seq, t.time_ns AS inject_ns
  FROM claim c
  ASOF JOIN (FROM step WHERE event = 'inject') t
    ON t.run = c.run AND t.vcpu = c.vcpu AND t.seq <= c.seq
),
cause AS (
  SELECT
    *, CASE WHEN again_seq IS NULL OR ack_seq < again_seq THEN ack_seq END AS own_ack_seq,
    coalesce(cause_seq < coalesce(done_seq, ack_seq), false)
      OR coalesce(lag(coalesce(done_seq, ack_seq)) OVER causes > seq, false) AS overlapped
  FROM walked
  WHERE is_cause
  WINDOW causes AS (PARTITION BY run, line ORDER BY seq)
),
joined AS (
  SELECT
    r.run, r.device, r.line, r.path, r.event, r.seq AS raise_seq, c.seq AS ack_seq, c.done_seq,
    CASE WHEN t.inject_seq > r.seq THEN t.inject_seq END AS inject_seq,
    CASE WHEN t.inject_seq > r.seq THEN t.inject_ns END::BIGINT AS inject_ns,
    r.time_ns::BIGINT AS raise_ns, c.time_ns::BIGINT AS ack_ns, c.done_ns::BIGINT AS done_ns,
    r.overlapped
  FROM cause r
  LEFT JOIN claim c ON c.run = r.run AND c.seq = r.own_ack_seq
  LEFT JOIN trap t ON t.run = c.run AND t.seq = c.seq
)
SELECT
  run, device_name(run, device) AS device, line, irq_path_name(run, path) AS path, event, raise_seq,
  inject_seq, ack_seq, done_seq, raise_ns, inject_ns, ack_ns, done_ns, inject_ns - raise_ns,
  ack_ns - coalesce(inject_ns, raise_ns), done_ns - ack_ns, done_ns - raise_ns, overlapped
FROM joined
ORDER BY run, raise_seq;
