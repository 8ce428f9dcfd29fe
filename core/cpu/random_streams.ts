/**
 * Random machines for the differential tests: RAM full of instructions, page tables with odd
 * permissions, registers that mostly point somewhere useful. Everything follows from a seed.
 *
 * @module
 */
import { csrNumbers } from "./csr.ts";
import { D, type Format, H, S } from "./float/format.ts";
import { encode, type Insn } from "./insn.ts";
import { INSNS } from "./isa/mod.ts";
import { PTE, SATP } from "./mstatus.ts";

export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES = 0x8_0000;
const PAGE = 4096;
/** Pages 0..15 hold code, 16..31 data, 32.. page tables. */
const DATA_PAGE = 16;
const TABLE_PAGE = 32;
/** Root of the tables in each mode of satp; those of Sv48 and Sv57 lead to the ones below. */
export const ROOTS: Record<number, number> = {
  [SATP.sv39]: RAM_BASE + TABLE_PAGE * PAGE,
  [SATP.sv48]: RAM_BASE + (TABLE_PAGE + 8) * PAGE,
  [SATP.sv57]: RAM_BASE + (TABLE_PAGE + 9) * PAGE,
};

/** SplitMix32: small, and the same everywhere. */
export class Rng {
  #s: number;
  constructor(seed: number) {
    this.#s = seed | 0;
  }
  u32(): number {
    this.#s = (this.#s + 0x9e3779b9) | 0;
    let z = this.#s ^ (this.#s >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)];
  }
  u64(): bigint {
    return BigInt(this.u32()) << 32n | BigInt(this.u32());
  }
}

const SPECIAL = [
  0n,
  1n,
  -1n,
  2n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 63n,
  (1n << 63n) - 1n,
];
/** Bits that change what is enabled: SUM, MXR, SIE, interrupts. */
const MODES = [0x4_0000n, 0x8_0000n, 0xc_0000n, 2n, 0x222n, 0xaaan, 0xc_0002n];
/** Virtual addresses at which the tables map something, beside the identity. */
export const ALIASES = [0x4000_0000n, 0xffff_ffc0_0000_0000n, 0x8020_0000n];

/** Data pages that half of all pointers, and most protection, go to. */
const BUSY = 2;

const codeAddress = (r: Rng) => BigInt(RAM_BASE + r.below(DATA_PAGE * PAGE / 2) * 2);

export function pointer(r: Rng): bigint {
  const page = r.chance(20) ? r.below(DATA_PAGE) : DATA_PAGE + r.below(r.chance(50) ? BUSY : 16);
  const offset = r.chance(25) ? PAGE - 16 + r.below(32) : r.below(512) * 8;
  const flat = BigInt(page * PAGE + offset);
  if (r.chance(5)) return BigInt(0x1000_0000 + r.below(64) * 4);
  return (r.chance(70) ? BigInt(RAM_BASE) : r.pick(ALIASES)) + flat;
}

export function value(r: Rng): bigint {
  if (r.chance(20)) return r.pick(MODES);
  if (r.chance(30)) return r.pick(SPECIAL);
  if (r.chance(20)) return BigInt(r.below(64));
  return r.chance(20) ? codeAddress(r) : r.u64();
}

/** x8..x15 point at data, x5 at code: the operands that compressed instructions can name. */
export const registerValue = (r: Rng, i: number): bigint =>
  i >= 8 && i < 16 ? pointer(r) : i === 2 ? pointer(r) & ~7n : i === 5 ? codeAddress(r) : value(r);

/** Bits of one format, favouring the ends of its ranges and what lies just beside them. */
export function floatBits(r: Rng, f: Format): bigint {
  const [width, fraction] = [BigInt(f.bytes * 8), BigInt(f.precision - 1)];
  const sign = r.chance(50) ? 1n << (width - 1n) : 0n;
  const mask = (1n << (width - 1n)) - 1n;
  if (r.chance(25)) return sign | r.u64() & mask;
  const fields = [0, 1, 2, f.bias - 1, f.bias, f.bias + 1, 2 * f.bias - 1, 2 * f.bias];
  const near = f.bias - f.precision - 2 + r.below(2 * f.precision + 4);
  const special = 2 * f.bias + 1;
  const field = r.chance(10) ? special : r.chance(50) ? r.pick(fields) : near & special;
  const ones = (1n << fraction) - 1n;
  const one = 1n << BigInt(r.below(Number(fraction)));
  const fractions = [0n, 1n, ones, ones - 1n, 1n << (fraction - 1n), one, one - 1n, ones - one];
  const low = r.chance(30) ? r.u64() & ones : r.pick(fractions);
  return sign | BigInt(field) << fraction | low;
}
/** For a floating-point register: usually boxed. */
export function floatValue(r: Rng, f: Format = r.pick([S, D, D, H])): bigint {
  const bits = floatBits(r, f);
  const box = -1n << BigInt(f.bytes * 8);
  return BigInt.asUintN(64, f === D || r.chance(5) ? bits : bits | box);
}

const CSR_NUMBERS = csrNumbers();
const OFTEN = [
  0x001,
  0x002,
  0x003,
  0x100,
  0x104,
  0x140,
  0x144,
  0x300,
  0x304,
  0x344,
  0xc00,
  0xc01,
  0xc02,
  0x14d,
  0x341,
  0x141,
];
const RARE = /^(wfi|ecall|ebreak|c\.ebreak|mret|sret|sfence)/;
const MEMORY = /^(c\.)?(f?l[bhwd]u?|f?s[bhwd]|lr|sc|amo)/;

function operandValue(r: Rng, insn: Insn, name: string): number {
  const o = insn.row.operands.get(name)!;
  if (name === "csr") {
    return r.chance(60) ? r.pick(OFTEN) : r.chance(90) ? r.pick(CSR_NUMBERS) : r.below(4096);
  }
  if (name === "rs1" && (MEMORY.test(insn.name) || insn.name === "sfence.vma")) {
    return r.chance(90) ? 8 + r.below(8) : r.below(32);
  }
  if (name === "rs1" && insn.name === "jalr") return r.chance(80) ? 5 : r.below(32);
  if (/^(rd|rs1|rs2)/.test(name)) return o.bits === 3 ? 8 + r.below(8) : r.below(32);
  const low = o.parts.reduce((n, p) => Math.min(n, p.value), 32);
  const small = /^(jal|c\.j)$/.test(insn.name) ? 9 : /^c?\.?b/.test(insn.name) ? 8 : o.bits;
  const bits = Math.max(low + 1, Math.min(o.bits, small));
  const v = r.below(2 ** (bits - low)) * 2 ** low;
  return o.signed ? v - 2 ** (bits - 1) : v;
}

/** A random instruction that encodes; now and then any bits at all. */
export function instruction(r: Rng): { word: number; bytes: 2 | 4 } {
  if (r.chance(2)) return { word: r.u32(), bytes: r.chance(50) ? 2 : 4 };
  for (;;) {
    const insn = r.pick(INSNS);
    if (RARE.test(insn.name) && !r.chance(30)) continue;
    const values: Record<string, number> = {};
    for (const name of insn.row.operands.keys()) {
      const v = operandValue(r, insn, name);
      values[name] = insn.row.operands.get(name)!.bits === 32 ? v | 0 : v;
    }
    try {
      return { word: encode(insn, values), bytes: insn.row.length };
    } catch (e) {
      if (!(e instanceof RangeError)) throw e; // An excluded value: draw again.
    }
  }
}

function fillCode(r: Rng, ram: DataView): void {
  for (let at = 0; at < DATA_PAGE * PAGE;) {
    const { word, bytes } = instruction(r);
    ram.setUint16(at, word & 0xffff, true);
    if (bytes === 4 && at + 2 < DATA_PAGE * PAGE) ram.setUint16(at + 2, word >>> 16, true);
    at += bytes;
  }
}

/** A leaf's permissions: usually generous, sometimes nonsense. */
export function leafBits(r: Rng, user: boolean): number {
  const u = r.chance(90) === user ? PTE.U : 0;
  const usual = PTE.V | PTE.R | PTE.X | (r.chance(80) ? PTE.W : 0) | u;
  if (r.chance(8)) return r.below(256);
  return usual | (r.chance(60) ? PTE.A : 0) | (r.chance(60) ? PTE.D : 0);
}
const pte = (page: number, bits: number) => BigInt(page) << 10n | BigInt(bits);

/** Reserved, PBMT, N. */
const HIGH_BITS = [1n << 60n, 1n << 61n, 2n << 61n, 3n << 61n, PTE.N];

/** Sixteen pages of data through one Svnapot leaf, repeated as it must be. */
function fillNapot(r: Rng, user: boolean, entry: (index: number, v: bigint) => void): void {
  const leaf = pte(RAM_BASE / PAGE + DATA_PAGE | 8, leafBits(r, user)) | PTE.N;
  for (let p = 0; p < 16; p++) entry(DATA_PAGE + p, leaf);
}

/** Root, then for each of three regions a level-1 table whose first entry leads to a level-0 table. */
function fillTables(r: Rng, ram: DataView, user: boolean): void {
  const first = RAM_BASE / PAGE;
  const entry = (page: number, index: number, v: bigint) =>
    ram.setBigUint64(page * PAGE + index * 8, v, true);
  const regions = [BigInt(RAM_BASE), ALIASES[0], ALIASES[1]];
  regions.forEach((base, i) => {
    const [level1, level0] = [TABLE_PAGE + 1 + i * 2, TABLE_PAGE + 2 + i * 2];
    entry(TABLE_PAGE, Number(base >> 30n & 511n), pte(first + level1, PTE.V));
    entry(level1, 0, pte(first + level0, PTE.V));
    entry(level1, 1, pte(first, leafBits(r, user))); // A superpage: RAM_BASE lies on 2 MiB.
    for (let p = 0; p < RAM_BYTES / PAGE; p++) {
      const to = i === 0 && !r.chance(10) ? p : r.below(TABLE_PAGE);
      const noise = r.chance(3) ? r.pick(HIGH_BITS) : 0n;
      entry(level0, p, pte(first + to, leafBits(r, to < DATA_PAGE ? user : r.chance(50))) | noise);
    }
    if (r.chance(20)) fillNapot(r, user, (index, v) => entry(level0, index, v));
  });
  for (const [root, below] of [[8, 0], [9, 8]]) {
    for (const index of [0, 511]) {
      entry(TABLE_PAGE + root, index, pte(first + TABLE_PAGE + below, PTE.V));
    }
  }
}

const PMP_SHAPES = [0x08, 0x10, 0x18];
/** An address in the busy pages, or shortly behind `pc`. */
export const watched = (r: Rng, pc: bigint): bigint =>
  r.chance(50)
    ? pc + BigInt(r.below(32) * 2)
    : BigInt(RAM_BASE + (DATA_PAGE * PAGE) + r.below(BUSY * PAGE));

/** Entry → [configuration byte, address register]: a few in places in use, then usually one for all. */
export function randomPmp(r: Rng, pc: bigint): [number, bigint][] {
  const entries: [number, bigint][] = Array.from({ length: r.below(4) }, () => {
    const at = watched(r, pc) >> 2n;
    const napot = at | (1n << BigInt(r.below(9))) - 1n;
    const config = r.pick(PMP_SHAPES) | (r.chance(70) ? 7 : r.below(8)) | (r.chance(20) ? 0x80 : 0);
    return [config, r.chance(50) ? at : napot];
  });
  if (r.chance(90)) entries.push([0x1f, (1n << 54n) - 1n]);
  return entries;
}

/** Code, data and page tables; most pages are for `user` mode, or most are not. */
export function randomRam(r: Rng, user: boolean): Uint8Array<ArrayBuffer> {
  const ram = new Uint8Array(RAM_BYTES);
  const view = new DataView(ram.buffer);
  fillCode(r, view);
  for (let at = DATA_PAGE * PAGE; at < TABLE_PAGE * PAGE; at += 8) {
    view.setBigUint64(at, r.chance(50) ? r.u64() : floatValue(r), true);
  }
  fillTables(r, view, user);
  return ram;
}

export const randomPc = codeAddress;
