-- Where the time of each request went: when each step of its way happened, and how long it took to the
-- next: submit, kick, pop, DMA, push, interrupt, acknowledge, complete.
--
-- Grain: one row per completed request. A step that did not happen, or whose table was not recorded, is
--        null. An interrupt that announced several requests stands in each of their rows.
-- Time:  virtual nanoseconds since reset; the columns from wait_ns on are differences.
-- Reads: request_latency, request, exit, vring, dma, interrupt_path.
-- Try:   SELECT kind, avg(wait_ns), avg(serve_ns) FROM request_steps GROUP BY ALL
CREATE OR REPLACE VIEW request_steps (
  run,              -- Name of the trace.
  id,               -- Id of the request.
  device,           -- Instance that served it.
  kind,             -- What was asked for.
  bytes,            -- Payload bytes moved.
  status,           -- How it ended.
  kick_seq,         -- seq of the exit whose access started it.
  interrupt_seq,    -- seq of the irq row that announced it.
  inject_seq,       -- seq of the hart's trap for that interrupt.
  acknowledge_seq,  -- seq of the driver's claim.
  finish_seq,       -- seq of the driver's completion at the interrupt controller.
  submit_ns,        -- When the device learned of it.
  kick_ns,          -- When the guest exited to start it.
  pop_ns,           -- When the device took its chain.
  dma_ns,           -- When the first of its DMA was made.
  dma_end_ns,       -- When the last of its DMA was made.
  push_ns,          -- When its chain was put into the used ring.
  complete_ns,      -- When the device had finished it.
  interrupt_ns,     -- When the interrupt was raised that announced it.
  inject_ns,        -- When the hart trapped.
  acknowledge_ns,   -- When the driver claimed that interrupt.
  finish_ns,        -- When the driver completed it at the interrupt controller.
  latency_ns,       -- complete_ns - submit_ns.
  wait_ns,          -- From the kick (else submission) to the first step of service: pop, else DMA.
  serve_ns,         -- From there to completion.
  signal_ns,        -- From completion to the interrupt; null when unannounced.
  notice_ns,        -- From the interrupt to the driver's claim.
  handle_ns,        -- From the claim to the driver's completion of the interrupt.
  total_ns,         -- From the kick (else submission) to the last step known.
  overlapped        -- True when its device had another request in hand meanwhile.
) AS
WITH started AS (
  SELECT q.run, q.id, e.seq, e.time_ns
  FROM raw.request q JOIN raw.exit e ON e.run = q.run AND e.seq = q.kick_exit_seq
),
codes AS (
  SELECT
    run, max(code) FILTER (name = 'pop') AS pop, max(code) FILTER (name = 'push') AS push
  FROM name
  WHERE kind = 'vring_event'
  GROUP BY run
),
queued AS (
  SELECT
    run, request, min(time_ns) FILTER (event = pop) AS pop_ns,
    max(time_ns) FILTER (event = push) AS push_ns
  FROM raw.vring JOIN codes USING (run)
  WHERE request IS NOT NULL
  GROUP BY run, request
),
moved AS (
  SELECT run, request, min(time_ns) AS dma_ns, max(time_ns) AS dma_end_ns
  FROM raw.dma
  WHERE request IS NOT NULL
  GROUP BY run, request
),
joined AS (
  SELECT
    l.*, q.complete_ns, q.irq_seq, s.seq AS kick_seq, s.time_ns::BIGINT AS kick_ns,
    v.pop_ns::BIGINT AS pop_ns, v.push_ns::BIGINT AS push_ns, d.dma_ns::BIGINT AS dma_ns,
    d.dma_end_ns::BIGINT AS dma_end_ns, i.raise_seq, i.inject_seq, i.acknowledge_seq, i.complete_seq,
    i.raise_ns, i.inject_ns, i.acknowledge_ns, i.complete_ns AS finish_ns
  FROM request_latency l
  JOIN raw.request q ON q.run = l.run AND q.id = l.id
  LEFT JOIN started s ON s.run = l.run AND s.id = l.id
  LEFT JOIN queued v ON v.run = l.run AND v.request = l.id
  LEFT JOIN moved d ON d.run = l.run AND d.request = l.id
  LEFT JOIN interrupt_path i ON i.run = l.run AND i.raise_seq = q.irq_seq
)
SELECT
  run, id, device, kind, bytes, status, kick_seq, irq_seq, inject_seq, acknowledge_seq, complete_seq,
  submit_ns, kick_ns, pop_ns, dma_ns, dma_end_ns, push_ns, complete_ns, raise_ns, inject_ns,
  acknowledge_ns, finish_ns, latency_ns,
  coalesce(pop_ns, dma_ns) - coalesce(kick_ns, submit_ns::BIGINT),
  complete_ns::BIGINT - coalesce(pop_ns, dma_ns, submit_ns::BIGINT), announce_ns,
  acknowledge_ns - raise_ns, finish_ns - acknowledge_ns,
  greatest(coalesce(finish_ns, acknowledge_ns, raise_ns, 0), complete_ns::BIGINT)
    - coalesce(kick_ns, submit_ns::BIGINT),
  overlapped
FROM joined;
