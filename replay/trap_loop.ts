/**
 * A guest that can never go on: every instruction that it tries traps, the trap vector's first one
 * too. With interrupts masked, as a trap leaves them, nothing inside the hart ends that.
 *
 * The harts are looked at whenever all of them together have executed a multiple of `WINDOW`, so that
 * the place where such a run ends depends on the guest alone. No honest guest takes so many traps
 * without retiring one instruction in between.
 * @module
 */
import type { Board } from "../core/board/build.ts";
import { hasMachineMode } from "../core/board/virt.ts";

/** What a look needs of a hart. */
interface Counted {
  readonly icount: number;
  readonly exceptions: number;
}

/** Instructions of all harts between two looks. */
const WINDOW = 1 << 24;
/** Looks in a row at which nothing retired. Another hart may sleep and mend it, so several. */
const LOOKS = { alone: 1, several: 8 } as const;

export class TrapLoopWatch {
  /** Instructions executed by all harts at which to look next. */
  nextAt = WINDOW;
  readonly #harts: readonly Counted[];
  #before: readonly Counted[];
  #stuck = 0;

  constructor(harts: readonly Counted[]) {
    this.#harts = harts;
    this.#before = harts.map(() => ({ icount: 0, exceptions: 0 }));
  }

  /** Call at every stop of the machine. The hart that only traps, or null. */
  look(executed: number): number | null {
    if (executed < this.nextAt) return null;
    this.nextAt = (Math.floor(executed / WINDOW) + 1) * WINDOW;
    const now = this.#harts.map(({ icount, exceptions }) => ({ icount, exceptions }));
    const tried = now.map((h, i) => h.icount - this.#before[i].icount);
    const trapped = now.map((h, i) => h.exceptions - this.#before[i].exceptions);
    this.#before = now;
    this.#stuck = tried.every((n, i) => n === trapped[i]) ? this.#stuck + 1 : 0;
    if (this.#stuck < (now.length === 1 ? LOOKS.alone : LOOKS.several)) return null;
    return tried.indexOf(Math.max(...tried));
  }
}

/** CSRs by their numbers (Privileged ISA, CSR listing), for traps that each mode takes. */
const TRAP_CSRS = {
  S: { vector: ["stvec", 0x105], cause: ["scause", 0x142], epc: ["sepc", 0x141] },
  M: { vector: ["mtvec", 0x305], cause: ["mcause", 0x342], epc: ["mepc", 0x341] },
} as const;
const MACHINE = 3;
/** Privileged ISA, table of mcause values after trap. */
const CAUSES: Readonly<Record<number, string>> = {
  0: "instruction address misaligned",
  1: "instruction access fault",
  2: "illegal instruction",
  3: "breakpoint",
  4: "load address misaligned",
  5: "load access fault",
  6: "store address misaligned",
  7: "store access fault",
  12: "instruction page fault",
  13: "load page fault",
  15: "store page fault",
};

/** What a hart is caught in, and what is often the reason. */
export function describeTrapLoop(board: Board, hart: number): string {
  const h = board.machine.harts[hart];
  const csrs = h.priv === MACHINE ? TRAP_CSRS.M : TRAP_CSRS.S;
  const vector = h.csr(csrs.vector[1]);
  const cause = Number(h.csr(csrs.cause[1]) & 0xffn);
  const what = `hart ${hart} traps at its own trap vector (${csrs.vector[0]} 0x${
    vector.toString(16)
  }): ${CAUSES[cause] ?? `cause ${cause}`} at every step`;
  if (vector !== 0n) return what;
  const unset = `${what}. It trapped before it had set a vector`;
  return hasMachineMode(board.spec)
    ? unset
    : `${unset}: --bios builtin starts guests in S-mode; one that is made for M-mode needs --bios none`;
}
