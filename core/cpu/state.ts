/**
 * The state of a hart, declared once: 8-byte slots in linear memory. Save, load and hash take the
 * architectural ones; the rest is derived or lives only between an exit and its completion.
 *
 * @module
 */

const PMP_ENTRIES = 64;
/** Eight entries' configuration in each (RV64: the odd registers do not exist). */
const PMP_CONFIGS = Array.from({ length: PMP_ENTRIES / 8 }, (_, i) => `pmpcfg${i * 2}` as const);
const PMP_ADDRESSES = Array.from({ length: PMP_ENTRIES }, (_, i) => `pmpaddr${i}` as const);
const TRIGGERS = [0, 1, 2, 3];
const TRIGGER_CONTROLS = TRIGGERS.map((i) => `tdata1_${i}` as const);
const TRIGGER_ADDRESSES = TRIGGERS.map((i) => `tdata2_${i}` as const);
export const FLOAT_REGISTERS = [
  ...["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"] as const,
  ...["f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15"] as const,
  ...["f16", "f17", "f18", "f19", "f20", "f21", "f22", "f23"] as const,
  ...["f24", "f25", "f26", "f27", "f28", "f29", "f30", "f31"] as const,
] as const;

/** Slots that make up the architectural state, beside pc and x1..x31. */
const ARCHITECTURAL = [
  "pc",
  "priv", // 0 U, 1 S, 3 M.
  "icount", // Instructions executed, trapping ones included.
  "exceptions", // Of these, the ones that trapped.
  "skewNs", // clock = skewNs + icount × nsPerInsn.
  "reservation", // Physical address of LR's reservation; all ones: none.
  "irqLines", // Wires: MSIP 3, MTIP 7, SEIP 9, MEIP 11.
  "mip", // Software-writable bits only: SSIP, STIP, SEIP.
  "mie",
  "mstatus",
  "mideleg",
  "medeleg",
  "mtvec",
  "mscratch",
  "mepc",
  "mcause",
  "mtval",
  "mcounteren",
  "mcountinhibit",
  "menvcfg",
  "cycleOffset", // mcycle − icount, as M-mode software left it; mcycle itself while it is inhibited.
  "instretOffset",
  ...PMP_CONFIGS,
  ...PMP_ADDRESSES,
  "tselect",
  ...TRIGGER_CONTROLS,
  ...TRIGGER_ADDRESSES,
  "stvec",
  "sscratch",
  "sepc",
  "scause",
  "stval",
  "scounteren",
  "senvcfg",
  "satp",
  "stimecmp",
  "fflags", // NV 16, DZ 8, OF 4, UF 2, NX 1.
  "frm",
  ...FLOAT_REGISTERS,
] as const;

/** `features`: bit per optional behaviour, see extensions.ts. */
const CONFIGURATION = [
  ...["hartid", "sbi", "nsPerInsn", "timeMul", "timeDiv", "features", "misa"] as const,
] as const;

const DERIVED = [
  "status", // Why an instruction did not complete: 0, STATUS_TRAP, STATUS_ILLEGAL or STATUS_STOP + Stop.
  "excCause",
  "excTval",
  "stopAfter", // 1 + Stop to return once the current instruction has retired; 0: none.
  "dirty", // State that the main loop caches may have changed.
  "lastCause", // Of the interrupt just taken.
  "icountEnd", // icount when the running budget is used up.
  "dataBank", // Addresses of the TLB banks in force.
  "fetchBank",
  "codePage", // Decoded page that runs.
  "pageShift", // log2 of the bytes that the last translation's leaf maps.
  "piecemeal", // The last translation holds for less than its 4 KiB page: it must not be cached.
  "superAddr", // Every superpage in the TLB has va & superMask = superAddr.
  "superMask",
  // The access that Stop.Load or Stop.Store asks for.
  "accessGpa",
  "accessVa",
  "accessMeta", // See handler.ts: bytes in the lowest four bits.
  "accessValue", // Of a store, zero-extended.
  "accessRd",
  "stage2Gpa",
  "stage2Kind", // Access.
  "lastExit", // icount at the exit before, as the exit unit keeps it.
] as const;

export type ArchSlot = typeof ARCHITECTURAL[number];
export type Slot = ArchSlot | typeof CONFIGURATION[number] | typeof DERIVED[number];

/** x0..x31, then the slot that swallows writes to x0. */
export const X_SINK = 32 * 8;
const FIRST = X_SINK + 8;

const ALL: readonly Slot[] = [...ARCHITECTURAL, ...CONFIGURATION, ...DERIVED];
/** Registers in a row, for access by index. */
export type SlotArray = "pmpcfg0" | "pmpaddr0" | "tdata1_0" | "tdata2_0";
export const slotAt = (first: SlotArray, i: number): Slot => ALL[ALL.indexOf(first) + i];
export { PMP_ADDRESSES, PMP_CONFIGS, TRIGGER_ADDRESSES, TRIGGER_CONTROLS };

export const ARCH_SLOTS: readonly ArchSlot[] = ARCHITECTURAL;
export const DERIVED_SLOTS: readonly Slot[] = DERIVED;

/** Byte offset of each slot from the hart's pointer. */
export const SLOT = Object.fromEntries(ALL.map((s, i) => [s, FIRST + i * 8])) as Record<
  Slot,
  number
>;
export const HART_STATE_BYTES = FIRST + ALL.length * 8;

export const STATUS_TRAP = 1;
export const STATUS_ILLEGAL = 2;
export const STATUS_STOP = 16;

/** Why `run` came back. */
export enum Stop {
  Budget,
  Load,
  Store,
  Stage2,
  Ecall,
  Wfi,
  Timer,
  Interrupt,
}

/** Kind of access, numbered so that the page-fault cause is 12 + kind (Privileged ISA, table of mcause). */
export enum Access {
  Fetch = 0,
  Load = 1,
  Store = 3,
}
