-- Where in its code the guest exits: by instruction, with the function it is part of.
--
-- Grain: one row per run, privilege mode, pc, reason, register and direction. Code in user mode and
--        code that no row of symbol covers has no function.
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
  device,         -- Instance accessed; null when the exit is no access to one.
  register,       -- Register accessed; null where there is none.
  direction,      -- 'read' or 'write'; null when the exit is no access.
  exits           -- Exits, a count.
) AS
WITH counted AS (
  SELECT run, cpu_mode, pc, reason, device, register, write, count(*) AS exits
  FROM exit GROUP BY ALL
),
place AS (
  SELECT DISTINCT run, pc FROM counted WHERE cpu_mode <> 'U'
),
named AS (
  SELECT run, pc, name, module, pc - address AS pc_offset
  FROM (
    SELECT place.run, place.pc, s.name, s.module, s.address, s.size
    FROM place ASOF JOIN symbol s ON place.run = s.run AND place.pc >= s.address
  )
  WHERE pc - address < size
)
SELECT
  c.run, c.cpu_mode, c.pc, n.name, n.module, n.pc_offset, c.reason, c.device, c.register,
  CASE c.write WHEN true THEN 'write' WHEN false THEN 'read' END, c.exits
FROM counted c
LEFT JOIN named n ON n.run = c.run AND n.pc = c.pc AND c.cpu_mode <> 'U'
ORDER BY c.run, exits DESC, c.pc, c.reason, c.device, c.register, c.write;
