-- An exit's insns is what its vcpu executed since the exit before.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: exit.
CREATE OR REPLACE VIEW insns_add_up (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
WITH step AS (
  SELECT
    run, seq, insns,
    icount - lag(icount, 1, 0::UBIGINT) OVER (PARTITION BY run, vcpu ORDER BY seq) AS executed
  FROM exit
  WHERE icount IS NOT NULL
)
SELECT run, seq, 'insns ' || insns || ', but icount advanced by ' || executed
FROM step
WHERE insns <> executed;
