-- What a device's own processor executed: work that costs the guest no exit.
--
-- Grain: one row per run, device and operation that was executed.
-- Time:  none; counts only.
-- Reads: step.
-- Try:   SELECT op, instructions FROM steps_by_op
CREATE OR REPLACE VIEW steps_by_op (
  run,            -- Name of the trace.
  device,         -- Instance that worked.
  op,             -- Instruction.
  instructions,   -- Instructions executed, a count.
  table_fetches,  -- Operands read from tables in memory for them, a count.
  guest_bytes     -- Bytes of instructions and operands that were read from guest memory.
) AS
SELECT
  run, device, op,
  count(*) FILTER (kind = 'instruction') AS instructions,
  count(*) FILTER (kind = 'table_fetch'),
  coalesce(sum(bytes) FILTER (NOT own_memory), 0)::UBIGINT
FROM step
GROUP BY run, device, op
ORDER BY run, device, instructions DESC, op;
