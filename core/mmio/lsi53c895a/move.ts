/**
 * Where a block move finds its address and its count. Source: LSI53C895A Technical Manual, chapter 5
 * (block move) and the descriptions of CCNTL1, SBMS and DBMS in chapter 4.
 * @module
 */
import type { StepRow } from "../port.ts";
import type { StateOf } from "../state.ts";
import type { ChipMemory } from "./memory.ts";
import { CCNTL1, type registerFields } from "./registers.ts";
import { MOVE, signed24 } from "./script.ts";

export type MoveState = StateOf<typeof registerFields> & {
  readonly word: number;
  readonly operand: number;
  readonly third: number;
  /** SCRATCHC to SCRATCHR. */
  readonly scratch: Uint32Array<ArrayBuffer>;
};

/** An address from its upper and lower 32 bits. */
export const upperOf = (upper: number, lower: number): number => upper * 2 ** 32 + (lower >>> 0);

export interface MoveSource {
  readonly count: number;
  readonly address: number;
  /** Address bits from 32 up. */
  readonly upper: number;
  /** Where a table entry lay; null without a table. */
  readonly entry: number | null;
  /** What RBC[31:24] keep: of the entry, or of the instruction. */
  readonly tag: number;
}

/** Upper address bits that a table entry names: SCRATCHC to SCRATCHR, then the selectors. */
function selected(s: MoveState, tag: number): number {
  const selectors = [s.MMRS, s.MMWS, s.SFS, s.DRS, s.SBMS, s.DBMS];
  const index = tag & 0x1f;
  return index < s.scratch.length ? s.scratch[index] : selectors[index - s.scratch.length] ?? 0;
}

/** Null where the table or the pointer would lie is no memory. */
export function moveSource(
  s: MoveState,
  memory: ChipMemory,
  fetched: (row: Omit<StepRow, "kind" | "op" | "request">) => void,
): MoveSource | null {
  const { word, operand } = s;
  if (word & MOVE.table) {
    const gpa = upperOf(s.DRS, s.DSA + signed24(operand));
    const first = memory.word(gpa), address = memory.word(gpa + 4);
    if (first === null || address === null) return null;
    const own_memory = memory.own(gpa, 8) >= 0;
    fetched({ gpa, word: first, operand: address, bytes: 8, own_memory });
    const tag = first >>> 24;
    const upper = (s.CCNTL1 & CCNTL1.EN64TIBMV) === 0
      ? s.SBMS
      : s.CCNTL1 & CCNTL1.XTIMOD
      ? tag
      : selected(s, tag);
    return { count: first & 0xff_ffff, address, upper, entry: gpa >>> 0, tag };
  }
  const count = word & 0xff_ffff, tag = word >>> 24;
  if (word & MOVE.indirect) {
    const gpa = upperOf(s.SBMS, operand);
    const address = memory.word(gpa);
    if (address === null) return null;
    const own_memory = memory.own(gpa, 4) >= 0;
    fetched({ gpa, word: address, operand: 0, bytes: 4, own_memory });
    return { count, address, upper: s.SBMS, entry: null, tag };
  }
  const upper = s.CCNTL1 & CCNTL1.EN64DBMV ? s.third : s.SBMS;
  return { count, address: operand, upper, entry: null, tag };
}
