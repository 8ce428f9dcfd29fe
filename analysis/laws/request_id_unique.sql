-- Every request has an id of its own.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: request.
CREATE OR REPLACE VIEW request_id_unique (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
SELECT run, max(seq), 'request id ' || id || ' is used ' || count(*) || ' times'
FROM request
GROUP BY run, id
HAVING count(*) > 1;
