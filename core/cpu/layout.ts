/**
 * Where everything lies in the machine's one linear memory, and the shape of TLB and decoded code.
 *
 * counted exits | targets of jumps | hart states and TLBs | stage-2 bytes | code map | decoded pages | guest RAM
 *
 * A decoded page holds one 16-byte entry for each two bytes of a 4 KiB page of RAM, so the address
 * of an entry gives the pc and the reverse. Entry: u16 operation, u16 rd, u16 rs1, u16 rs2 (byte
 * offsets from the hart; rs2 is the CSR's index where there is one), i64 immediate, or u16 rounding
 * mode and u16 rs3 in its halves.
 *
 * @module
 */
import { HART_STATE_BYTES } from "./state.ts";

export const PAGE = 4096;

/** Direct-mapped; an entry is i64 tag (page address; −1 none), i32 payload, 4 unused bytes. */
export const TLB = {
  entries: 256,
  entryBytes: 16,
  payload: 8,
  /** From the start of a bank: payload = host address − low word of the virtual address. */
  load: 0,
  store: 4096,
  /** Payload = decoded page. */
  fetch: 8192,
  bankBytes: 3 * 4096,
  /** Set in the tag of a store entry whose page holds decoded code: only the slow path matches. */
  holdsCode: 8,
} as const;

/** Each mode in which the same address may mean or allow something else has a bank of its own. */
export const BANK = {
  machine: 0,
  bare: 1,
  user: 2,
  supervisor: 3,
  supervisorSum: 4,
  count: 5,
} as const;

export const ENTRY_BYTES = 16;
export const ENTRY = { op: 0, rd: 2, rs1: 4, rs2: 6, imm: 8, rm: 8, rs3: 12 } as const;
/** Operations that are no instruction. A zeroed entry asks to be decoded. */
export const PSEUDO = {
  decode: 0,
  cross: 1,
  straddle: 2,
  illegal: 3,
  /** A compiled region is entered here: the immediate's halves are its slot in the table, and the entry's number. */
  compiled: 4,
  count: 5,
} as const;

const SLOTS_BYTES = PAGE / 2 * ENTRY_BYTES;
/** Offsets in a decoded page, behind its entries. */
export const CODE_PAGE = {
  slots: SLOTS_BYTES,
  /** Operation `cross`: execution ran off the page's end. */
  end: SLOTS_BYTES,
  /** Linear-memory address of the RAM page, and its number. */
  host: SLOTS_BYTES + 16,
  ramPage: SLOTS_BYTES + 20,
  /** An instruction fetched on its own: its bits, its entry, and what follows two or four bytes. */
  loneWord: SLOTS_BYTES + 24,
  lone: SLOTS_BYTES + 32,
  loneEnd2: SLOTS_BYTES + 48,
  loneEnd4: SLOTS_BYTES + 64,
  /** How many compiled regions hold code of this page; a bit for each two bytes that they hold. */
  regions: SLOTS_BYTES + 80,
  compiled: SLOTS_BYTES + 128,
  bytes: SLOTS_BYTES + 128 + PAGE / 16 + 128,
} as const;

/** Counts the jumps from compiled code to code that is not, by a hash of the target: u32 each. */
export const EXITS = { entries: 4096, bytes: 4 * 4096 } as const;

/** Where indirect jumps lead (targets.ts): u32 place, unused; then i32 distance and u32 count of each target. */
export const TARGETS = { places: 1024, ways: 7, bytes: 1024 * 64 } as const;

const HART_TLB = Math.ceil(HART_STATE_BYTES / 1024) * 1024;
export const HART = { tlb: HART_TLB, bytes: HART_TLB + BANK.count * TLB.bankBytes } as const;

const MAX_CODE_PAGES = 2048;
const WASM_PAGE = 65536;

export interface Layout {
  harts: number;
  ramBase: number;
  ramBytes: number;
  hartsAt: number;
  hartBytes: number;
  /** i32: decoded page taken next, and how many are in use. */
  nextCodePage: number;
  /** u32[EXITS.entries]; i32: counts that are multiples of this plus 1, a power of two, are told. */
  exits: number;
  exitsMask: number;
  /** Rows of TARGETS. */
  targets: number;
  /** i64 each: instructions executed by compiled regions, and how often the interpreter entered one. */
  compiledInsns: number;
  entered: number;
  /** The module counts translations that no TLB held, here (i64), and has some of them timed. */
  metered: boolean;
  walks: number;
  codePagesUsed: number;
  /** See copiesOf; i32: the hart whose they are. */
  copies: number;
  copiesOwner: number;
  stage2: number;
  codeMap: number;
  codePool: number;
  codePages: number;
  ram: number;
  wasmPages: number;
}

/**
 * Where the hart is, in a machine that has one: V8 checks the bounds of an access whose address it does
 * not know, and generated code is full of accesses to the hart's state.
 */
export const onlyHart = (l: Layout): number | null => l.harts === 1 ? l.hartsAt : null;

/** How many copies there are, for base registers modulo half of that. */
const COPIES = 16;
/**
 * Copies of entries of the data TLB, for accesses that compiled code expects in the page of the one before.
 * They are those of the hart that runs. What changes a data TLB, the bank in force, or the hart, empties all.
 */
export const copiesOf = (l: Layout): readonly number[] =>
  Array.from({ length: COPIES }, (_, i) => l.copies + i * TLB.entryBytes);
/** The copy for accesses by a base register; `array`: TLB.load or TLB.store. */
export const copyAt = (l: Layout, array: number, base: number): number =>
  copiesOf(l)[base * 2 % COPIES + (array === TLB.store ? 1 : 0)];

const align = (v: number, to: number) => Math.ceil(v / to) * to;

/** `codePages` bounds the pool of decoded pages (tests make it tiny). */
export function layout(o: {
  harts: number;
  ramBase: number;
  ramBytes: number;
  codePages?: number;
  metered?: boolean;
}): Layout {
  const ramPages = o.ramBytes / PAGE;
  if (!Number.isInteger(ramPages) || ramPages < 1) {
    throw new RangeError(`RAM of ${o.ramBytes} bytes: expected a multiple of ${PAGE}`);
  }
  const codePages = Math.max(2, Math.min(o.codePages ?? MAX_CODE_PAGES, ramPages));
  const exits = PAGE;
  const targets = exits + EXITS.bytes;
  const hartsAt = targets + TARGETS.bytes;
  const stage2 = align(hartsAt + o.harts * HART.bytes, PAGE);
  const codeMap = align(stage2 + ramPages, PAGE);
  const codePool = align(codeMap + ramPages * 4, PAGE);
  const ram = align(codePool + codePages * CODE_PAGE.bytes, WASM_PAGE);
  const wasmPages = align(ram + o.ramBytes, WASM_PAGE) / WASM_PAGE;
  if (wasmPages > 65535) {
    throw new RangeError(
      `RAM of ${o.ramBytes} bytes does not fit a 4 GiB memory; at most ${65535 * WASM_PAGE - ram}`,
    );
  }
  return {
    ...{ harts: o.harts, ramBase: o.ramBase, ramBytes: o.ramBytes, hartsAt, stage2, codeMap },
    hartBytes: HART.bytes,
    ...{
      codePool,
      codePages,
      ram,
      wasmPages,
      exits,
      targets,
      nextCodePage: 1024,
      codePagesUsed: 1028,
    },
    ...{ exitsMask: 1032, compiledInsns: 1040, entered: 1048, walks: 1056 },
    ...{ copiesOwner: 1064, copies: 1088 },
    metered: o.metered ?? false,
  };
}
