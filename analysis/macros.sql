-- hex(number): the number as 0x…, in the lower case that disassemblers use.
CREATE OR REPLACE MACRO hex(number) AS '0x' || lower(to_hex(number::UBIGINT));

-- bucket_width(span_ns): a round width (1, 2 or 5 times a power of ten) that cuts the span into 50
-- to 125 buckets; at least 1.
CREATE OR REPLACE MACRO bucket_width(span_ns) AS (
  power(10, floor(log10(greatest(span_ns / 100, 1)))) *
  CASE
    WHEN greatest(span_ns / 100, 1) / power(10, floor(log10(greatest(span_ns / 100, 1)))) <= 1 THEN 1
    WHEN greatest(span_ns / 100, 1) / power(10, floor(log10(greatest(span_ns / 100, 1)))) <= 2 THEN 2
    WHEN greatest(span_ns / 100, 1) / power(10, floor(log10(greatest(span_ns / 100, 1)))) <= 5 THEN 5
    ELSE 10
  END
)::BIGINT;

-- between_marks('label'), between_marks('table', 'label'): the regions of that label with begin_seq
-- and end_seq; with a table's name first, that table's rows inside them. Accesses to the marker are
-- the caller's to exclude. To limit every view instead, query --between LABEL.
--
-- Try: SELECT reason, count(*) FROM between_marks('exit', 'LABEL') GROUP BY 1
CREATE OR REPLACE MACRO between_marks(label_) AS TABLE (
  SELECT * FROM region WHERE label = label_
), (table_, label_) AS TABLE (
  SELECT t.*
  FROM query_table(table_) t
  JOIN region r ON r.run = t.run AND r.label = label_ AND t.seq > r.begin_seq AND t.seq < r.end_seq
);

-- exits_in_buckets(width_ns): exits by reason in buckets of virtual time of that width.
--
-- Try: FROM exits_in_buckets(100000) LIMIT 10
CREATE OR REPLACE MACRO exits_in_buckets(width_ns_) AS TABLE (
  SELECT run, start_ns, reason_name(run, reason) AS reason, exits
  FROM (
    SELECT
      run, time_ns::BIGINT // width_ns_::BIGINT * width_ns_::BIGINT AS start_ns, reason, count(*) AS exits
    FROM raw.exit
    GROUP BY ALL
  )
  ORDER BY run, start_ns, exits DESC, reason
);

-- slowest_requests(n): the n requests of each run that took longest, with where their time went.
--
-- Try: SELECT id, device, kind, latency_ns, serve_ns FROM slowest_requests(3)
CREATE OR REPLACE MACRO slowest_requests(n_) AS TABLE (
  SELECT *
  FROM request_steps
  QUALIFY row_number() OVER (PARTITION BY run ORDER BY latency_ns DESC, id) <= n_
  ORDER BY run, latency_ns DESC, id
);

-- accesses_to('device'): every access to that device's registers in order, with its time since the
-- one before.
--
-- Try: FROM accesses_to('plic') LIMIT 10
CREATE OR REPLACE MACRO accesses_to(device_) AS TABLE (
  SELECT
    run, seq, time_ns, time_ns - lag(time_ns) OVER (PARTITION BY run ORDER BY seq) AS since_ns, vcpu,
    register, CASE WHEN write THEN 'write' ELSE 'read' END AS direction, size, value, exit_seq
  FROM access
  WHERE device = device_
  ORDER BY run, seq
);

-- events_between(from_seq, to_seq): what happened from one seq to another, every table's rows in one
-- order: table, what, device, and a detail in words.
--
-- Try: FROM events_between(100, 120)
CREATE OR REPLACE MACRO events_between(from_seq_, to_seq_) AS TABLE (
  SELECT run, seq, time_ns, vcpu, 'exit' AS "table", reason AS what, device,
    concat_ws(' ', register, CASE write WHEN true THEN 'write' WHEN false THEN 'read' END,
      hex(value), 'by ' || handler) AS detail
  FROM exit WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'access', CASE WHEN write THEN 'write' ELSE 'read' END, device,
    concat_ws(' ', coalesce(register, 'offset ' || "offset"), hex(value))
  FROM access WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'vring', event, device,
    concat_ws(' ', 'queue ' || queue, 'head ' || head, length || ' bytes', 'request ' || request)
  FROM vring WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'dma', CASE WHEN write THEN 'write' ELSE 'read' END, device,
    concat_ws(' ', bytes || ' bytes', 'at ' || hex(gpa), 'request ' || request)
  FROM dma WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'irq', event, device, 'line ' || line || ' ' || path
  FROM irq WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'request', kind, device,
    concat_ws(' ', 'request ' || id, bytes || ' bytes', status)
  FROM request WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'mark', label, NULL, 'number ' || number
  FROM mark WHERE seq BETWEEN from_seq_ AND to_seq_
  UNION ALL
  SELECT run, seq, time_ns, vcpu, 'input', kind, device, channel
  FROM input WHERE seq BETWEEN from_seq_ AND to_seq_
  ORDER BY run, seq
);

-- request_life(id): the life of one request as one timeline: the exit that handed it over, the
-- queue's events, its DMA, its completion, and its interrupt up to the driver's completion.
-- since_ns counts from the first row. The id is that of the table request.
--
-- Try: FROM request_life(1)
CREATE OR REPLACE MACRO request_life(id_) AS TABLE (
  WITH r AS (FROM request_steps WHERE id = id_),
  told AS (
    SELECT e.run, e.seq, e.time_ns, e.vcpu, 'exit' AS step, e.device,
      concat_ws(' ', e.register, CASE WHEN e.write THEN 'write' ELSE 'read' END, hex(e.value))
        AS detail
    FROM exit e SEMI JOIN r ON e.run = r.run AND e.seq = r.kick_seq
    UNION ALL
    SELECT v.run, v.seq, v.time_ns, v.vcpu, 'vring ' || v.event, v.device,
      concat_ws(' ', 'queue ' || v.queue, 'head ' || v.head, v.length || ' bytes')
    FROM vring v
    SEMI JOIN r ON v.run = r.run AND (v.request = id_ OR v.exit_seq = r.kick_seq AND v.event = 'kick')
    UNION ALL
    SELECT d.run, d.seq, d.time_ns, d.vcpu, CASE WHEN d.write THEN 'dma write' ELSE 'dma read' END,
      d.device, concat_ws(' ', d.bytes || ' bytes', 'at ' || hex(d.gpa))
    FROM dma d SEMI JOIN r ON d.run = r.run AND d.request = id_
    UNION ALL
    SELECT q.run, q.seq, q.time_ns, q.vcpu, 'request done', q.device,
      concat_ws(' ', q.kind, q.bytes || ' bytes', q.status)
    FROM request q SEMI JOIN r ON q.run = r.run AND q.id = id_
    UNION ALL
    SELECT i.run, i.seq, i.time_ns, i.vcpu, 'irq ' || i.event, i.device, 'line ' || i.line || ' ' || i.path
    FROM irq i
    SEMI JOIN r ON i.run = r.run
      AND i.seq IN (r.interrupt_seq, r.inject_seq, r.acknowledge_seq, r.finish_seq)
  )
  SELECT run, seq, time_ns, time_ns - min(time_ns) OVER (PARTITION BY run) AS since_ns, vcpu, step,
    device, detail
  FROM told
  ORDER BY run, seq
);
