/**
 * From a stream that fails to a few instructions: the shortest suffix of its run that still fails,
 * then less and less of its turns, acts, instructions, registers and memory (delta debugging: Zeller,
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input").
 * @module
 */
import { ARCH_SLOTS, type ArchSlot } from "../../core/cpu/state.ts";
import { type Difference, type Executed, type MakeOracle, Pair, resetState } from "./pair.ts";
import {
  executedBy,
  RAM_BYTES,
  type Slots,
  startOf,
  type Stream,
  turnsAfter,
  turnsUntil,
} from "./stream.ts";

const PAGE = 4096;
const MAX_ROUNDS = 4;
const NOP = 0x13;
const C_NOP = 1;

/** Slots that a smaller case keeps: where it is, and how far. */
const KEPT: readonly ArchSlot[] = ["pc", "icount", "exceptions", "skewNs"];

const resets = new Map<boolean, Slots>();
/** What a slot is worth after reset. */
export function defaultOf(slot: ArchSlot, sbi: boolean): bigint {
  const known = resets.get(sbi) ?? startOf(resetState(sbi), 0).slots;
  resets.set(sbi, known);
  return known[slot]!;
}

export interface Shrunk {
  stream: Stream;
  difference: Difference;
  /** What the smaller stream executes. */
  executed: Executed[];
}

/** Keeps as few of `items` as `fails` lets it. */
export function minimize<T>(items: readonly T[], fails: (kept: T[]) => boolean): T[] {
  if (items.length === 0 || fails([])) return [];
  let kept = [...items];
  for (let parts = 2; kept.length > 1;) {
    const size = Math.ceil(kept.length / parts);
    let smaller: T[] | null = null;
    for (let at = 0; at < kept.length && !smaller; at += size) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (fails(without)) smaller = without;
    }
    if (smaller) {
      kept = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}

export class Shrinker {
  constructor(readonly makeOracle: MakeOracle) {}

  #run(s: Stream, limit = Infinity): Difference | null {
    return new Pair(s, this.makeOracle).run(limit);
  }
  readonly #fails = (s: Stream): boolean => this.#run(s) !== null;

  /** undefined: the stream does not fail. */
  shrink(s: Stream): Shrunk | undefined {
    const steps = this.#shortestPrefix(s);
    if (steps === undefined) return undefined;
    let small = this.#shortestSuffix({ ...s, turns: turnsUntil(s.turns, steps) });
    for (let round = 0, before = ""; round < MAX_ROUNDS; round++) {
      small = this.#smaller(small);
      const size = `${weight(small)} ${executedBy(small)}`;
      if (size === before) break;
      before = size;
    }
    const pair = new Pair(small, this.makeOracle);
    const executed: Executed[] = [];
    pair.onStep = (e) => executed.push(e);
    return { stream: small, difference: pair.run()!, executed };
  }

  /** The fewest instructions after which a comparison fails, by bisection. */
  #shortestPrefix(s: Stream): number | undefined {
    const first = this.#run(s);
    if (!first) return undefined;
    let [good, bad] = [0, executedBy({ ...s, turns: turnsUntil(s.turns, first.executed + 1) })];
    if (!this.#run(s, bad)) bad = executedBy(s);
    while (bad - good > 1) {
      const middle = good + bad >> 1;
      if (this.#run(s, middle)) bad = middle;
      else good = middle;
    }
    return bad;
  }

  /** The same run, from a snapshot as near to the failure as still leads to it. */
  #shortestSuffix(s: Stream): Stream {
    const total = executedBy(s);
    for (let back = 1; back < total; back *= 2) {
      const later = this.#from(s, total - back);
      if (later && this.#fails(later)) return later;
    }
    return s;
  }
  #from(s: Stream, steps: number): Stream | null {
    const pair = new Pair(s, this.makeOracle);
    if (pair.run(steps)) return null;
    const { ram, state } = pair.snapshot;
    return {
      ...{ ...s, ram, turns: turnsAfter(s.turns, pair.executed), mapped: pair.allMapped },
      ...{ current: pair.current, harts: s.harts.map((_, i) => startOf(state, i)) },
    };
  }

  #smaller(s: Stream): Stream {
    s = this.#fewerTurns(s);
    s = this.#fewerActs(s);
    s = this.#fewerInstructions(s);
    s = this.#fewerValues(s);
    return this.#lessMemory(s);
  }
  #fewerTurns(s: Stream): Stream {
    if (!s.mapped && this.#fails({ ...s, mapped: true })) s = { ...s, mapped: true };
    const turns = minimize(s.turns, (kept) => this.#fails({ ...s, turns: kept }));
    s = { ...s, turns };
    turns.forEach((_, i) => {
      for (let counts = 1; counts < s.turns[i].counts; counts++) {
        const shorter = { ...s, turns: s.turns.map((t, j) => j === i ? { ...t, counts } : t) };
        if (this.#fails(shorter)) s = shorter;
      }
    });
    return s;
  }
  #fewerActs(s: Stream): Stream {
    const all = s.turns.flatMap((t) => t.acts);
    const within = (kept: typeof all) => ({
      ...s,
      turns: s.turns.map((t) => ({ ...t, acts: t.acts.filter((a) => kept.includes(a)) })),
    });
    return within(minimize(all, (kept) => this.#fails(within(kept))));
  }
  /** Instructions that do not matter become nops of their length. */
  #fewerInstructions(s: Stream): Stream {
    const pair = new Pair(s, this.makeOracle);
    const places = new Map<number, number>();
    pair.onStep = (e) => places.set(e.at, e.word);
    pair.run();
    const without = (nops: Set<number>) => {
      const ram = s.ram.slice();
      const view = new DataView(ram.buffer);
      for (const at of nops) {
        if ((places.get(at)! & 3) !== 3) view.setUint16(at, C_NOP, true);
        else view.setUint32(at, NOP, true);
      }
      return { ...s, ram };
    };
    const all = [...places.keys()];
    const others = (kept: number[]) => new Set(all.filter((at) => !kept.includes(at)));
    return without(others(minimize(all, (kept) => this.#fails(without(others(kept))))));
  }
  /** Registers and slots that do not matter have the value that they have after reset. */
  #fewerValues(s: Stream): Stream {
    const all = s.harts.flatMap((h, hart) => [
      ...h.x.flatMap((v, i) => v === 0n ? [] : [{ hart, x: i, slot: undefined }]),
      ...ARCH_SLOTS.flatMap((slot) =>
        KEPT.includes(slot) || h.slots[slot] === defaultOf(slot, s.sbi)
          ? []
          : [{ hart, x: -1, slot }]
      ),
    ]);
    const within = (kept: typeof all): Stream => ({
      ...s,
      harts: s.harts.map((h, hart) => {
        const mine = kept.filter((k) => k.hart === hart);
        const slots: Slots = {};
        for (const slot of ARCH_SLOTS) {
          const keep = KEPT.includes(slot) || mine.some((k) => k.slot === slot);
          slots[slot] = keep ? h.slots[slot] : defaultOf(slot, s.sbi);
        }
        return { x: h.x.map((v, i) => mine.some((k) => k.x === i) ? v : 0n), slots };
      }),
    });
    return within(minimize(all, (kept) => this.#fails(within(kept))));
  }
  /** Memory that does not matter is zero: first pages, then lines, then words, then halves. */
  #lessMemory(s: Stream): Stream {
    for (const bytes of [PAGE, 64, 8, 2]) {
      const pieces: number[] = [];
      for (let at = 0; at < RAM_BYTES; at += bytes) {
        if (s.ram.subarray(at, at + bytes).some((b) => b !== 0)) pieces.push(at);
      }
      const within = (kept: number[]): Stream => {
        const ram = new Uint8Array(RAM_BYTES);
        for (const at of kept) ram.set(s.ram.subarray(at, at + bytes), at);
        return { ...s, ram };
      };
      s = within(minimize(pieces, (kept) => this.#fails(within(kept))));
    }
    return s;
  }
}

/** What is left to look at: bytes of memory and values of registers. */
function weight(s: Stream): number {
  const bytes = s.ram.reduce((n, b) => n + (b !== 0 ? 1 : 0), 0);
  const values = s.harts.flatMap((h) => [
    ...h.x.filter((v) => v !== 0n),
    ...ARCH_SLOTS.filter((slot) => h.slots[slot] !== defaultOf(slot, s.sbi)),
  ]);
  return bytes + values.length + s.turns.reduce((n, t) => n + t.acts.length + 1, 0);
}
