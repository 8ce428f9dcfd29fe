/**
 * Bits and masks of the privileged architecture. Source: RISC-V Privileged ISA, "Machine-Level ISA"
 * (mstatus, mip, menvcfg) and "Supervisor-Level ISA" (satp, page-table entries).
 *
 * @module
 */

const bit = (n: number) => 1n << BigInt(n);

export const MSTATUS = {
  SIE: 1,
  MIE: 3,
  SPIE: 5,
  MPIE: 7,
  SPP: 8,
  MPP: 11, // Two bits.
  FS: 13, // Two bits.
  MPRV: 17,
  SUM: 18,
  MXR: 19,
  TVM: 20,
  TW: 21,
  TSR: 22,
} as const;

const WIDE: readonly string[] = ["MPP", "FS"];
const all = (...names: (keyof typeof MSTATUS)[]) =>
  names.reduce((m, n) => m | (WIDE.includes(n) ? 3n : 1n) << BigInt(MSTATUS[n]), 0n);

export const SSTATUS_WRITE = all("SIE", "SPIE", "SPP", "FS", "SUM", "MXR");
export const MSTATUS_WRITE = SSTATUS_WRITE |
  all("MIE", "MPIE", "MPP", "MPRV", "TVM", "TW", "TSR");
/** UXL = SXL = 64 bits, read-only. */
const UXL = 2n << 32n;
/** Off, Initial, Clean, Dirty; all ones are Dirty. */
export const FS_MASK = all("FS");
/** Some extension's state is dirty: read-only, follows FS. */
export const SD = bit(63);
export const MSTATUS_RESET = UXL | (2n << 34n);
export const SSTATUS_READ = SSTATUS_WRITE | UXL;

export const IRQ = { SSI: 1, MSI: 3, STI: 5, MTI: 7, SEI: 9, MEI: 11 } as const;
export const IRQ_S = bit(IRQ.SSI) | bit(IRQ.STI) | bit(IRQ.SEI);
export const IRQ_ALL = IRQ_S | bit(IRQ.MSI) | bit(IRQ.MTI) | bit(IRQ.MEI);
/** Highest priority first (Privileged ISA §3.1.9). */
export const IRQ_PRIORITY = [IRQ.MEI, IRQ.MSI, IRQ.MTI, IRQ.SEI, IRQ.SSI, IRQ.STI];

export const CAUSE = {
  FetchAccess: 1,
  Illegal: 2,
  Breakpoint: 3,
  LoadMisaligned: 4,
  LoadAccess: 5,
  StoreMisaligned: 6,
  StoreAccess: 7,
  EcallU: 8,
} as const;

/** Every exception but an ecall from M-mode can be delegated. */
export const MEDELEG_WRITE = 0xb3ffn;
/** menvcfg; senvcfg has the first four. */
export const MENVCFG = {
  FIOM: 0,
  CBIE: 4, // Two bits.
  CBCFE: 6,
  CBZE: 7,
  ADUE: 61,
  PBMTE: 62,
  STCE: 63,
} as const;
/** cycle, time, instret. */
export const COUNTEREN_WRITE = 7n;

export const PTE = {
  ...{ V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 },
  RESERVED: 0x7fn << 54n,
  PBMT: 3n << 61n,
  N: 1n << 63n,
} as const;
/** Modes. */
export const SATP = { bare: 0, sv39: 8, sv48: 9, sv57: 10 } as const;
export const SATP_PPN = (1n << 44n) - 1n;
