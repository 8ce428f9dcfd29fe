-- Symbols cover something, and no two begin at the same address.
--
-- Grain: one row per violation; none on a sound trace. Symbols have no seq: theirs is null.
-- Time:  none.
-- Reads: symbol.
CREATE OR REPLACE VIEW symbols_apart (
  run,            -- Name of the trace.
  seq,            -- Null: a symbol is no event.
  problem         -- What is wrong with it.
) AS
SELECT
  run, NULL::UBIGINT,
  min(name) || ' at ' || hex(address) ||
  CASE WHEN count(*) > 1 THEN ': ' || count(*) || ' symbols' ELSE ' covers nothing' END
FROM symbol
GROUP BY run, address
HAVING count(*) > 1 OR min(size) = 0;
