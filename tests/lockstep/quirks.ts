/**
 * Where QEMU 7.2 and this project do not agree, in one place: what happens, who is right by the manual,
 * and how to tell. After an instruction with a quirk the peer is given our state, and the lockstep
 * goes on.
 * @module
 */
import type { Insn } from "../../core/cpu/insn.ts";
import type { ArchSlot } from "../../core/cpu/state.ts";
import type { HartStart } from "./stream.ts";

/**
 * Entries of page tables may differ in A: QEMU sets it before PMP refuses the access. Privileged ISA,
 * "Sv39": it may be set speculatively, D may not.
 */
export const SPECULATIVE = 0x40;

/** One step as both took it. */
export interface Step {
  insn: Insn | undefined;
  word: number;
  /** Number of the CSR that the instruction names, or −1. */
  csr: number;

  /** mcause or scause of the trap that our side took, or −1. */
  cause: number;
  /** Names of the registers that differ. */
  differ: ReadonlySet<string>;
  ours: HartStart;
  theirs: HartStart;
}

export interface Quirk {
  what: string;
  /** The manual's section, and whom it gives right. */
  right: string;
  applies: (s: Step) => boolean;
}

const only = (s: Step, ...names: string[]): boolean =>
  [...s.differ].every((name) => names.includes(name));
/** Both values of a slot that differ only in `bits`. */
const sameBut = (s: Step, slot: ArchSlot, bits: bigint): boolean =>
  ((s.ours.slots[slot]! ^ s.theirs.slots[slot]!) & ~bits) === 0n;
const named = (s: Step, pattern: RegExp): boolean => pattern.test(s.insn?.name ?? "");
const within = (n: number, ranges: readonly [number, number][]): boolean =>
  ranges.some(([from, to]) => n >= from && n <= to);

/** cycle, time, instret, mcycle, minstret: counts of another machine's time. */
const COUNTERS: [number, number][] = [[0xc00, 0xc1f], [0xb00, 0xb1f]];
/** Interrupt wires and enables, with bits of the hypervisor extension. */
const INTERRUPTS: [number, number][] = [[0x104, 0x104], [0x144, 0x144], [0x303, 0x304], [
  0x344,
  0x344,
]];
/** What the machine is and has: identity, hpm events, PMP, triggers, timer, environment. */
const IDENTITY: [number, number][] = [
  ...[[0xf11, 0xf15], [0x301, 0x301], [0x320, 0x33f], [0x3a0, 0x3ef]] as [number, number][],
  ...[[0x7a0, 0x7af], [0x14d, 0x14d], [0x10a, 0x10a], [0x30a, 0x30a], [0x306, 0x306]] as [
    number,
    number,
  ][],
];

const MPRV = 1n << 17n;
const MPP = 3n << 11n;
const MPP_2 = 2n << 11n;
/** UXL, SXL, GVA, MPV, VS, and SD, which follows VS. */
const UNWRITABLE = 15n << 32n | 3n << 38n | 3n << 9n | 1n << 63n;

/** Of the trap that has just been taken. */
export const tvalOf = (h: HartStart): bigint =>
  (h.slots.priv === 3n ? h.slots.mtval : h.slots.stval) ?? 0n;
export const causeOf = (h: HartStart): number =>
  Number(h.slots.priv === 3n ? h.slots.mcause : h.slots.scause);

const MEMORY = /^(c\.)?(f?l[bhwdq]u?|f?s[bhwdq]|amo|lr|sc|cbo)/;

/** What is not given to the peer at all, as it might do something else than fail to agree. */
export const KEPT_FROM_PEER: readonly { what: string; right: string; applies: KeptRule }[] = [
  {
    what: "counters count something else",
    right: "both: Unprivileged ISA, Zicntr leaves the rates open",
    applies: ({ csr }) => within(csr, COUNTERS),
  },
  {
    what: "mip, mie and mideleg have the hypervisor's bits and the board's wires",
    right: "both: they follow from what is attached and what misa has",
    applies: ({ csr }) => within(csr, INTERRUPTS),
  },
  {
    what: "identity, PMP, timer and environment registers of another machine",
    right: "both: WARL and implementation-defined",
    applies: ({ csr }) => within(csr, IDENTITY),
  },
  {
    what: "translations under MPRV outlive a change of MPP",
    right: "ours: Privileged ISA §3.1.6.3, MPP decides at each access",
    applies: ({ insn, mstatus }) => (mstatus & MPRV) !== 0n && MEMORY.test(insn?.name ?? ""),
  },
  {
    what: "menvcfg.PBMTE does not switch Svpbmt off, and reserved bits of entries are ignored",
    right: "ours: Privileged ISA, Sv39 and Svpbmt: reserved bits and encodings raise a page fault",
    applies: ({ cause, leaf }) => [12, 13, 15].includes(cause) && (leaf >> 54n & 0x1ffn) !== 0n,
  },
  {
    what: "PMP is looked at for an instruction's first half only",
    right: "ours: Privileged ISA §3.7.1, an entry must allow all bytes of an access",
    applies: ({ cause, ahead }) => cause === 1 && ahead === 2n,
  },
  {
    what: "Zicbom, Zicboz, Zicond and Zawrs",
    right: "both: QEMU 7.2 has none of them, or waits",
    applies: ({ insn }) => /^(cbo|czero|wrs)/.test(insn?.name ?? ""),
  },
  {
    what: "a misaligned access outside memory reaches a device, or is an access fault",
    right: "both: Privileged ISA §3.7.1, the order of the two is the implementation's",
    applies: ({ insn, cause }) =>
      (cause === 4 || cause === 6) && !/^(amo|lr|sc)/.test(insn?.name ?? ""),
  },
];
type KeptRule = (
  s: Pick<Step, "insn" | "cause" | "csr"> & {
    mstatus: bigint;
    /** The page-table entry that was read last. */
    leaf: bigint;
    /** Bytes from the instruction to the address in mtval or stval. */
    ahead: bigint;
  },
) => boolean;

export const QUIRKS: readonly Quirk[] = [
  {
    what: "bit 0 of mepc and sepc can be set",
    right: "ours: Privileged ISA §3.1.14, mepc[0] is always zero",
    applies: (s) => only(s, "mepc", "sepc") && sameBut(s, "mepc", 1n) && sameBut(s, "sepc", 1n),
  },
  {
    what: "MRET and SRET to less than M-mode leave mstatus.MPRV set",
    right: "ours: Privileged ISA §3.1.6.1, xRET to a mode below M clears MPRV",
    applies: (s) => named(s, /^[ms]ret$/) && only(s, "mstatus") && sameBut(s, "mstatus", MPRV),
  },
  {
    what: "stval and mtval are zero after EBREAK",
    right: "both: Privileged ISA §3.1.16, the address or zero",
    applies: (s) => s.cause === 3 && only(s, "mtval", "stval"),
  },
  {
    what: "UXL, and fields of the vector and hypervisor extensions, can be written in mstatus",
    right: "ours: Privileged ISA §3.1.6, one XLEN and no V or H make them read-only",
    applies: (s) => named(s, /^csr/) && only(s, "mstatus") && sameBut(s, "mstatus", UNWRITABLE),
  },
  {
    what: "MRET to less than M-mode is illegal while PMP has no entry",
    right: "ours: Privileged ISA §3.7.1, it is the fetch behind it that faults",
    applies: (s) => named(s, /^mret$/) && s.cause < 0 && s.theirs.slots.mcause === 2n,
  },
  {
    what: "CTZW of a word that is zero counts on in the upper half",
    right: "ours: Unprivileged ISA, Zbb: the result is 32",
    applies: (s) => named(s, /^ctzw$/) && [...s.differ].every((n) => /^x\d+$/.test(n)),
  },
  {
    what: "an illegal SINVAL.VMA leaves zero in mtval or stval",
    right: "both: Privileged ISA §3.1.16, the instruction's bits or zero",
    applies: (s) => named(s, /^sinval/) && s.cause === 2 && only(s, "mtval", "stval"),
  },
  {
    what: "mstatus.MPP takes 2, which is no privilege",
    right: "ours: Privileged ISA §3.1.6.1, MPP is WARL and holds implemented modes only",
    applies: (s) =>
      named(s, /^csr/) && only(s, "mstatus") && sameBut(s, "mstatus", UNWRITABLE | MPP) &&
      (s.theirs.slots.mstatus! & MPP) === MPP_2,
  },
  {
    what: "SFENCE.W.INVAL and SFENCE.INVAL.IR run in U-mode",
    right: "ours: Privileged ISA, Svinval: illegal in U-mode",
    applies: (s) => named(s, /^sfence\.(w\.inval|inval\.ir)$/) && s.cause === 2,
  },
  {
    what: "the enables of hpm counters can be set",
    right: "both: Privileged ISA §3.1.11, any bit of mcounteren may be read-only zero",
    applies: (s) => named(s, /^csr/) && only(s, "scounteren") && sameBut(s, "scounteren", ~7n),
  },
  {
    what: "LR reaches the board's devices",
    right: "both: Privileged ISA §3.6.3, which regions support it is a physical memory attribute",
    applies: (s) => named(s, /^lr/) && s.cause === 5,
  },
  {
    what: "the board has devices where code is fetched from",
    right: "both: what lies outside memory is the platform's",
    applies: (s) => s.cause === 1 && s.ours.slots.pc !== undefined && s.word === 0,
  },
  {
    what: "a CSR that only one side has",
    right: "both: which optional registers exist is the platform's choice",
    applies: (s) => s.csr >= 0 && s.cause === 2,
  },
  {
    what: "the read half of an AMO faults as a load",
    right: "ours: Privileged ISA, table of mcause: AMOs raise store/AMO exceptions",
    applies: (s) => named(s, /^amo/) && [5, 6, 7, 13, 15].includes(s.cause),
  },
  {
    what: "SC succeeds or fails for another reason, or faults before it fails",
    right: "both: Unprivileged ISA, Zalrsc: reservation sets and spurious failures are open",
    applies: (s) => named(s, /^sc/),
  },
];
