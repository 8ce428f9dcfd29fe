-- Every interrupt that a virtqueue sends is a rise of its device's line, or finds it up already.
--
-- Grain: one row per violation; none on a sound trace.
-- Time:  none.
-- Reads: vring, irq.
CREATE OR REPLACE VIEW interrupt_has_irq (
  run,            -- Name of the trace.
  seq,            -- seq of the row at fault.
  problem         -- What is wrong with it.
) AS
SELECT
  v.run, v.seq,
  v.device || ' queue ' || v.queue || ' sent an interrupt, and no irq row tells of it'
FROM vring v
ANTI JOIN irq i ON i.run = v.run AND i.device = v.device AND i.time_ns = v.time_ns
  AND i.exit_seq IS NOT DISTINCT FROM v.exit_seq AND i.event IN ('raise', 'coalesce', 'message')
WHERE v.event = 'interrupt';
