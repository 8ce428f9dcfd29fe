-- Where in its code the guest exits: by instruction, with the function it is part of.
--
-- Grain: one row per run, privilege mode, pc, reason, handler, register and direction. Code in user
--        mode and code that no row of symbol covers has no function.
-- Time:  none; counts only.
-- Reads: exit, symbol.
-- Try:   SELECT hex(pc), function, device, exits FROM exits_by_pc LIMIT 10
CREATE OR REPLACE VIEW exits_by_pc (
  run,            -- Name of the trace.
  cpu_mode,       -- Privilege mode of the hart, e.g. 'S'.
  pc,             -- Guest virtual address of the instruction that exited or was next.
  function,       -- Function of the guest's kernel that it lies in; null when not known.
  module,         -- Kernel module of that function; null for the kernel itself.
  pc_offset,      -- Bytes from the function's start.
  reason,         -- Neutral reason of the exit.
  handler,        -- Who served it: kernel or user.
  device,         -- Instance accessed; null when the exit is no access to one.
  register,       -- Register accessed; null where there is none.
  direction,      -- 'read' or 'write'; null when the exit is no access.
  exits           -- Exits, a count.
) AS
WITH counted AS (
  SELECT
    run, cpu_mode, pc, reason, handler, device, register, count(*) AS exits,
    count(*) FILTER (write) AS writes, count(*) FILTER (NOT write) AS reads
  FROM raw.exit
  GROUP BY ALL
),
directed AS (
  SELECT * EXCLUDE (exits, writes, reads), 'write' AS direction, writes AS exits FROM counted
  UNION ALL
  SELECT * EXCLUDE (exits, writes, reads), 'read', reads FROM counted
  UNION ALL
  SELECT * EXCLUDE (exits, writes, reads), NULL, exits - writes - reads FROM counted
),
decoded AS (
  SELECT * REPLACE (
    cpu_mode_name(run, cpu_mode) AS cpu_mode, reason_name(run, reason) AS reason,
    handler_name(run, handler) AS handler, device_name(run, device) AS device,
    register_name(run, register) AS register
  )
  FROM directed
  WHERE exits > 0
),
place AS (
  SELECT DISTINCT run, pc FROM decoded WHERE cpu_mode <> 'U'
),
named AS (
  SELECT run, pc, name, module, pc - address AS pc_offset
  FROM (
    SELECT place.run, place.pc, s.name, s.module, s.address, s.size
    FROM place ASOF JOIN raw.symbol s ON place.run = s.run AND place.pc >= s.address
  )
  WHERE pc - address < size
)
SELECT
  c.run, c.cpu_mode, c.pc, n.name, n.module, n.pc_offset, c.reason, c.handler, c.device, c.register,
  c.direction, c.exits
FROM decoded c
LEFT JOIN named n ON n.run = c.run AND n.pc = c.pc AND c.cpu_mode <> 'U'
ORDER BY c.run, exits DESC, c.pc, c.reason, c.device, c.register, c.direction;
