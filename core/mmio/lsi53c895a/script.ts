/**
 * SCRIPTS instructions as they are encoded. Source: LSI53C895A Technical Manual, chapter 5 (SCSI SCRIPTS
 * Instruction Set), which has a section for each kind.
 * @module
 */
import type { StepRow } from "../port.ts";

export type Op = StepRow["op"];

/** DCMD[7:6]. */
export const KIND = { move: 0, io: 1, transfer: 2, memory: 3 } as const;

/** Block move. */
export const MOVE = { indirect: 1 << 29, table: 1 << 28, unchained: 1 << 27 } as const;
/** I/O instructions; 5 to 7 of the same field are read/write instructions. */
export const IO = {
  select: 0,
  waitDisconnect: 1,
  waitReselect: 2,
  set: 3,
  clear: 4,
  fromSfbr: 5,
  toSfbr: 6,
  modify: 7,
} as const;
export const SELECT = { relative: 1 << 26, table: 1 << 25, attention: 1 << 24 } as const;
export const SIGNAL = {
  carry: 1 << 10,
  target: 1 << 9,
  acknowledge: 1 << 6,
  attention: 1 << 3,
} as const;
/** Read/write instructions. */
export const MODIFY = { useSfbr: 1 << 23, highRegister: 1 << 7 } as const;
/** Transfer control. */
export const TRANSFER = { jump: 0, call: 1, return: 2, interrupt: 3 } as const;
export const WHEN = {
  relative: 1 << 23,
  carry: 1 << 21,
  onTheFly: 1 << 20,
  isTrue: 1 << 19,
  data: 1 << 18,
  phase: 1 << 17,
  wait: 1 << 16,
} as const;
/** Memory move; load and store. */
export const MEMORY = { loadStore: 1 << 29, dsaRelative: 1 << 28, load: 1 << 24 } as const;

/** DCMD[5:3]. */
export const opcodeOf = (word: number): number => word >>> 27 & 7;

const IO_OPS: readonly Op[] = [
  "SELECT",
  "WAIT DISCONNECT",
  "WAIT RESELECT",
  "SET",
  "CLEAR",
  "MOVE REGISTER",
  "MOVE REGISTER",
  "MOVE REGISTER",
];
const TRANSFER_OPS: readonly Op[] = ["JUMP", "CALL", "RETURN", "INT"];

/** What an instruction is called. */
export function opOf(word: number): Op {
  switch (word >>> 30) {
    case KIND.move:
      return word & MOVE.unchained ? "MOVE" : "CHMOV";
    case KIND.io:
      return IO_OPS[opcodeOf(word)];
    case KIND.transfer: {
      const op = TRANSFER_OPS[opcodeOf(word)] ?? "illegal";
      return op === "INT" && word & WHEN.onTheFly ? "INTFLY" : op;
    }
    default:
      if ((word & MEMORY.loadStore) === 0) return "MOVE MEMORY";
      return word & MEMORY.load ? "LOAD" : "STORE";
  }
}

/** A signed field of 24 bits. */
export const signed24 = (v: number): number => v << 8 >> 8;

/** The operators of read/write instructions; carry goes in and comes out. */
export function operate(
  operator: number,
  value: number,
  data: number,
  carry: boolean,
): { value: number; carry: boolean } {
  const in7 = carry ? 0x80 : 0, in0 = carry ? 1 : 0;
  const add = (more: number) => {
    const sum = value + data + more;
    return { value: sum & 0xff, carry: sum > 0xff };
  };
  switch (operator) {
    case 0:
      return { value: data, carry };
    case 1:
      return { value: (value << 1 | in0) & 0xff, carry: (value & 0x80) !== 0 };
    case 2:
      return { value: value | data, carry };
    case 3:
      return { value: value ^ data, carry };
    case 4:
      return { value: value & data, carry };
    case 5:
      return { value: value >>> 1 | in7, carry: (value & 1) !== 0 };
    case 6:
      return add(0);
    default:
      return add(in0);
  }
}
