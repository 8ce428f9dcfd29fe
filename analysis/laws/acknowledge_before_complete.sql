-- No interrupt line is completed more often than it was acknowledged.
-- Not of imported traces (icount null): a host's KVM tells of no acknowledge.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: irq.
CREATE OR REPLACE VIEW acknowledge_before_complete (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH balance AS (
  SELECT
    run, seq, line,
    sum(CASE event WHEN 'acknowledge' THEN 1 WHEN 'complete' THEN -1 ELSE 0 END)
      OVER (PARTITION BY run, line, path ORDER BY seq) AS held
  FROM irq
  WHERE icount IS NOT NULL
)
SELECT run, seq, 'line ' || line || ' is completed without an acknowledge' FROM balance WHERE held < 0;
