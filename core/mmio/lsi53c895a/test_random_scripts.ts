/**
 * SCRIPTS programs, tables and commands at random, mostly such that mean something, for a guest that does
 * anything at all.
 * @module
 */
import type { Random } from "../test_random.ts";
import { AT } from "./test_chip.ts";

const PHASES = [0, 1, 2, 3, 6, 7];
/** Instructions of a program: as many as the driver's own has. */
export const SLOTS = 90;

/** Offset of a place for an instruction. */
export const slot = (r: Random) => AT.script + 8 * r.below(SLOTS);

/** Where a program and what it uses lie: `AT` from `base` on, and what else it may name. */
export interface Places {
  readonly base: number;
  readonly place: (r: Random) => number;
}

export const programAt = (r: Random, { base }: Places) =>
  base + (r.chance(0.6) ? AT.script : slot(r));

/** Bytes to put into guest memory, at an offset from the base. */
export interface Poke {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export const words = (at: number, ...w: readonly number[]): Poke => ({
  at,
  bytes: new Uint8Array(Uint32Array.from(w).buffer),
});

/** Words of one instruction, mostly one that means something. */
export function instruction(r: Random, p: Places): [number, number] {
  const phase = r.pick(PHASES) << 24;
  switch (r.below(12)) {
    case 0:
      return [0x0800_0000 | phase | 1 + r.below(16), p.place(r)];
    case 1:
      return [0x1800_0000 | phase, 8 * r.below(4)];
    case 2:
      return [0x2000_0000 | phase | r.below(2000), p.place(r)];
    case 3:
      return [0x4000_0000 | r.below(2) << 24 | r.below(4) << 16, programAt(r, p)];
    case 4:
      return [r.pick([0x4800_0000, 0x5000_0000]), programAt(r, p)];
    case 5:
      return [r.pick([0x5800_0000, 0x6000_0000]) | r.pick([8, 0x40, 0x48, 0x200, 0x400]), 0];
    case 6:
      return [0x4000_0000 | (5 + r.below(3)) << 27 | r.u32() & 0x07ff_ff80, 0];
    case 7:
    case 8: {
      const when = r.pick([
        1 << 19,
        1 << 17 | 1 << 19,
        3 << 16,
        1 << 18,
        1 << 21 | 1 << 19,
        11 << 16,
      ]);
      return [0x8000_0000 | r.below(4) << 27 | phase | when | r.below(256), programAt(r, p)];
    }
    case 9:
      return [0xc000_0000 | 1 + r.below(64), p.place(r)];
    case 10: {
      const reg = (r.chance(0.8) ? 4 * r.below(64) : r.below(256)) << 16;
      return [
        0xe000_0000 | r.below(2) << 28 | r.below(2) << 24 | reg | 1 + r.below(4),
        r.chance(0.5) ? 4 * r.below(16) : p.place(r),
      ];
    }
    default:
      return [r.u32(), p.place(r)];
  }
}

const COMMANDS = [
  0x00,
  0x03,
  0x08,
  0x0a,
  0x12,
  0x15,
  0x1a,
  0x1b,
  0x25,
  0x28,
  0x2a,
  0x41,
  0x42,
  0x9e,
  0xa0,
];

/** A table, messages and a command that a program may find. */
export function table(r: Random, p: Places): Poke[] {
  const entries = Array.from({ length: 5 }, (_, i) => [
    i === 0 ? r.below(4) << 16 : r.pick([1, 6, 10, 16, 512, r.below(5000)]),
    i === 1 ? p.base + AT.message : i === 2 ? p.base + AT.cdb : p.place(r),
  ]).flat();
  const identify = 0xc0 | r.below(2);
  const message = r.pick([[identify], [identify], [identify], [identify, 0x20, r.below(4)], [
    identify,
    6,
  ], [
    0xc0,
    1,
    3,
    1,
    9,
    9,
  ], [...r.bytes(8)]]);
  const cdb = [
    r.pick(COMMANDS),
    ...r.chance(0.7) ? [0, 0, 0, r.below(8), 0, 0, 0, r.below(4), 0] : r.bytes(15),
  ];
  return [
    words(AT.table, ...entries),
    { at: AT.message, bytes: Uint8Array.from(message) },
    { at: AT.cdb, bytes: Uint8Array.from(cdb) },
  ];
}
