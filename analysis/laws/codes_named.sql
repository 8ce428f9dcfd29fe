-- Every code of an enumeration that a row uses has a name.
--
-- Grain: one row per violation, at the first row that uses the code; none on a sound trace.
-- Time:  none.
-- Reads: exit, access, vring, dma, step, irq, request, input, name.
CREATE OR REPLACE VIEW codes_named (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH used AS (
  SELECT run, 'reason' AS kind, reason AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'hw_reason' AS kind, hw_reason AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'handler' AS kind, handler AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'cpu_mode' AS kind, cpu_mode AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'register' AS kind, register AS code, min(seq) AS seq FROM raw.exit GROUP BY ALL
  UNION ALL SELECT run, 'space' AS kind, space AS code, min(seq) AS seq FROM raw.access GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.access GROUP BY ALL
  UNION ALL SELECT run, 'register' AS kind, register AS code, min(seq) AS seq FROM raw.access GROUP BY ALL
  UNION ALL SELECT run, 'vring_event' AS kind, event AS code, min(seq) AS seq FROM raw.vring GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.vring GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.dma GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.step GROUP BY ALL
  UNION ALL SELECT run, 'step_kind' AS kind, kind AS code, min(seq) AS seq FROM raw.step GROUP BY ALL
  UNION ALL SELECT run, 'step_op' AS kind, op AS code, min(seq) AS seq FROM raw.step GROUP BY ALL
  UNION ALL SELECT run, 'irq_event' AS kind, event AS code, min(seq) AS seq FROM raw.irq GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.irq GROUP BY ALL
  UNION ALL SELECT run, 'irq_path' AS kind, path AS code, min(seq) AS seq FROM raw.irq GROUP BY ALL
  UNION ALL SELECT run, 'device' AS kind, device AS code, min(seq) AS seq FROM raw.request GROUP BY ALL
  UNION ALL SELECT run, 'request_kind' AS kind, kind AS code, min(seq) AS seq FROM raw.request GROUP BY ALL
  UNION ALL SELECT run, 'scsi_command' AS kind, command AS code, min(seq) AS seq FROM raw.request GROUP BY ALL
  UNION ALL SELECT run, 'request_status' AS kind, status AS code, min(seq) AS seq FROM raw.request GROUP BY ALL
  UNION ALL SELECT run, 'input_kind' AS kind, kind AS code, min(seq) AS seq FROM raw.input GROUP BY ALL
)
SELECT u.run, min(u.seq), u.kind || ' ' || u.code || ' has no name'
FROM used u
ANTI JOIN raw.name n ON n.run = u.run AND n.kind = u.kind AND n.code = u.code
WHERE u.code IS NOT NULL
GROUP BY u.run, u.kind, u.code;
