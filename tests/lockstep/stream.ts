/**
 * A stream as data: what a machine starts from, and what happens to it from outside and when. Nothing
 * is drawn while it runs, so that a stream can be cut, changed and run again.
 * @module
 */
import { RAM_BASE, RAM_BYTES } from "../../core/cpu/random_streams.ts";
import { ARCH_SLOTS, type ArchSlot } from "../../core/cpu/state.ts";

export { RAM_BASE, RAM_BYTES };

export type Slots = Partial<Record<ArchSlot, bigint>>;

/** Everything architectural of a hart but RAM. */
export interface HartStart {
  /** x0..x31. */
  x: bigint[];
  /** A slot that is not given keeps what it has. */
  slots: Slots;
}

/** Something from outside, before a turn. */
export type Act =
  | { kind: "irq"; bit: 3 | 7 | 9 | 11; level: boolean }
  | { kind: "pc"; value: bigint }
  | { kind: "x"; index: number; value: bigint }
  /** stimecmp, in ticks from now. */
  | { kind: "deadline"; ticks: number }
  /** A device writes these bytes at an offset of RAM. */
  | { kind: "dma"; at: number; bytes: number[] }
  | { kind: "state"; start: HartStart };

/** One hart executes `counts` instructions; when another one had the turn, reservations go. */
export interface Turn {
  hart: number;
  counts: number;
  acts: Act[];
}

export interface Stream {
  seed: number;
  sbi: boolean;
  /** Stage 2 maps all of RAM from the start; else page after page as it is asked for. */
  mapped: boolean;
  /** The hart that had the turn before the first one. */
  current: number;
  harts: HartStart[];
  ram: Uint8Array<ArrayBuffer>;
  turns: Turn[];
}

export const executedBy = (s: Stream): number => s.turns.reduce((n, t) => n + t.counts, 0);

/** The saved state of harts, in the layout of `RiscvCpu.stateBytes`, with `start` put over hart `i`. */
export function patched(
  state: Uint8Array<ArrayBuffer>,
  i: number,
  start: HartStart,
): Uint8Array<ArrayBuffer> {
  const out = state.slice();
  const bytes = (31 + ARCH_SLOTS.length) * 8;
  const view = new DataView(out.buffer, i * bytes, bytes);
  for (let r = 1; r < 32; r++) view.setBigUint64((r - 1) * 8, BigInt.asUintN(64, start.x[r]), true);
  ARCH_SLOTS.forEach((slot, at) => {
    const v = start.slots[slot];
    if (v !== undefined) view.setBigUint64((31 + at) * 8, BigInt.asUintN(64, v), true);
  });
  return out;
}

/** The inverse: what `stateBytes` says of hart `i`. */
export function startOf(state: Uint8Array, i: number): HartStart {
  const bytes = (31 + ARCH_SLOTS.length) * 8;
  const view = new DataView(state.buffer, state.byteOffset + i * bytes, bytes);
  const x = Array.from(
    { length: 32 },
    (_, r) => r === 0 ? 0n : view.getBigUint64((r - 1) * 8, true),
  );
  const slots: Slots = {};
  ARCH_SLOTS.forEach((slot, at) => slots[slot] = view.getBigUint64((31 + at) * 8, true));
  return { x, slots };
}

/** `from` without its first `steps` instructions' worth of turns; acts of a turn that has begun are past. */
export function turnsAfter(turns: readonly Turn[], steps: number): Turn[] {
  const rest: Turn[] = [];
  for (const t of turns) {
    if (steps >= t.counts) {
      steps -= t.counts;
      continue;
    }
    rest.push(steps > 0 ? { hart: t.hart, counts: t.counts - steps, acts: [] } : t);
    steps = 0;
  }
  return rest;
}

/** The first `steps` instructions' worth of turns. */
export function turnsUntil(turns: readonly Turn[], steps: number): Turn[] {
  const kept: Turn[] = [];
  for (const t of turns) {
    if (steps <= 0) break;
    kept.push(t.counts <= steps ? t : { ...t, counts: steps });
    steps -= t.counts;
  }
  return kept;
}
