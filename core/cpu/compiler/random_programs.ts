/**
 * Random programs that a compiler likes: functions that call each other, with counted loops and branches
 * around random instructions, over several pages; they store beside their code and into it, trap, and
 * touch devices. They never end. Everything follows from a seed.
 *
 * @module
 */
import { encode, type Insn } from "../insn.ts";
import { INSNS } from "../isa/mod.ts";
import { PTE } from "../mstatus.ts";
import { RAM_BASE, RAM_BYTES, type Rng } from "../random_streams.ts";

const PAGE = 4096;
/** Virtual code pages; the handler's; data; page tables. */
export const PLACES = {
  code: 0,
  codePages: 6,
  handler: 8,
  data: 16,
  stack: 20,
  tables: 32,
} as const;
export const DEVICE = 0x1000_0000;
/** Where paging puts code and data, beside the identity. */
export const ALIAS = 0x4000_0000;

const FREE = [5, 6, 7, 10, 11, 12, 13, 14, 15, 28, 29, 30];
const NARROW = [10, 11, 12, 13, 14, 15];
const [RA, SP, POINTER, CODE_POINTER, DEVICE_POINTER, WORD, SLOT_POINTER, COUNTERS, TARGET] = [
  1,
  2,
  8,
  17,
  16,
  18,
  19,
  20,
  31,
];
const CONTROL = /^(c\.)?(jal|jalr|j|jr|b(eq|ne|lt|ge)u?|b(eq|ne)z)$/;
const SYSTEM = /^(csr|ecall|c?\.?ebreak|mret|sret|wfi|sfence|sinval|hfence|cbo)/;
const MEMORY = /^(c\.)?(f?l[bhwd]u?(sp)?|f?s[bhwd](sp)?|lr\.|sc\.|amo)/;
const plain = INSNS.filter((i) =>
  !CONTROL.test(i.name) && !SYSTEM.test(i.name) && !MEMORY.test(i.name) && i.name !== "c.addi16sp"
);
const integer = plain.filter((i) => i.floats.size === 0);
const floats = plain.filter((i) => i.floats.size > 0);
const memory = INSNS.filter((i) => MEMORY.test(i.name) && !/sp$/.test(i.name));
const BRANCHES = ["beq", "bne", "blt", "bge", "bltu", "bgeu"];
const byName = (name: string) => INSNS.find((i) => i.name === name && i.row.length === 4)!;

interface Line {
  insn: Insn;
  values: Record<string, number>;
  /** Its immediate is the distance to this label. */
  to?: string;
}
type Item = Line | { label: string };

class Source {
  readonly items: Item[] = [];
  #labels = 0;
  put(name: string, values: Record<string, number>, to?: string): void {
    this.items.push({ insn: byName(name), values, to });
  }
  label(name = `l${this.#labels++}`): string {
    this.items.push({ label: name });
    return name;
  }
  later(): string {
    return `l${this.#labels++}`;
  }
  place(label: string): void {
    this.items.push({ label });
  }
}

/** Operands that keep the program's own registers. */
function randomLine(r: Rng, insn: Insn): Line {
  for (;;) {
    const values: Record<string, number> = {};
    for (const [name, o] of insn.row.operands) {
      const low = o.parts.reduce((n, p) => Math.min(n, p.value), 32);
      if (name === "rm") values[name] = r.chance(80) ? 7 : r.below(5);
      else if (/^rd/.test(name)) {
        values[name] = insn.floats.has("rd")
          ? r.below(o.base ? 8 : 32) + o.base
          : r.pick(o.base ? NARROW : FREE);
      } else if (/^rs/.test(name)) values[name] = o.base ? 8 + r.below(8) : r.below(32);
      else {
        const v = r.below(2 ** Math.min(o.bits - low, 20)) * 2 ** low;
        values[name] = o.signed ? v - 2 ** (Math.min(o.bits, 20 + low) - 1) : v;
      }
    }
    if (MEMORY.test(insn.name)) {
      const rs1 = insn.row.operands.get("rs1'") ? "rs1'" : "rs1";
      values[rs1] = POINTER + r.below(2);
    }
    try {
      encode(insn, values);
      return { insn, values };
    } catch (e) {
      if (!(e instanceof RangeError)) throw e; // An excluded value: draw again.
    }
  }
}

class Program {
  readonly src = new Source();
  constructor(readonly r: Rng) {}

  #straight(): void {
    const { r, src } = this;
    for (let i = r.below(9); i >= 0; i--) {
      const from = r.chance(25) ? memory : r.chance(25) ? floats : integer;
      src.items.push(randomLine(r, r.pick(from)));
    }
  }
  #diamond(): void {
    const { r, src } = this;
    const [other, end] = [src.later(), src.later()];
    src.put(r.pick(BRANCHES), { rs1: r.pick(FREE), rs2: r.pick([0, ...FREE]) }, other);
    this.#straight();
    if (r.chance(50)) src.put("jal", { rd: 0 }, end);
    src.place(other);
    if (r.chance(50)) this.#straight();
    src.place(end);
  }
  #loop(counter: number): void {
    const { r, src } = this;
    src.put("addi", { rd: counter, rs1: 0, imm: 1 + r.below(12) });
    const top = src.label();
    this.#straight();
    if (r.chance(40)) this.#diamond();
    src.put("addi", { rd: counter, rs1: counter, imm: -1 });
    src.put("bne", { rs1: counter, rs2: 0 }, top);
  }
  #address(label: string): void {
    this.src.put("auipc", { rd: TARGET, imm: 0 });
    this.src.put("addi", { rd: TARGET, rs1: TARGET }, label); // From the auipc: see `assemble`.
  }
  /** One place or another one. */
  #either(labels: readonly [string, string]): void {
    const { r, src } = this;
    const [other, end] = [src.later(), src.later()];
    src.put(r.pick(BRANCHES), { rs1: r.pick(FREE), rs2: r.pick(FREE) }, other);
    this.#address(labels[0]);
    src.put("jal", { rd: 0 }, end);
    src.place(other);
    this.#address(labels[1]);
    src.place(end);
  }
  #call(callees: readonly [string, string]): void {
    const { r, src } = this;
    if (r.chance(60)) return src.put("jal", { rd: RA }, callees[0]);
    if (r.chance(40)) this.#address(callees[0]);
    else this.#either(callees);
    src.put("jalr", { rd: RA, rs1: TARGET, imm: 0 });
  }
  #switch(): void {
    const { r, src } = this;
    const cases = [src.later(), src.later()] as const;
    const end = src.later();
    this.#either(cases);
    src.put("jalr", { rd: r.pick([0, 0, 5]), rs1: TARGET, imm: 0 });
    src.place(cases[0]);
    this.#straight();
    if (r.chance(60)) src.put("jal", { rd: 0 }, end);
    src.place(cases[1]);
    this.#straight();
    src.place(end);
  }
  #odd(): void {
    const { r, src } = this;
    const what = r.below(7);
    if (what === 0) src.put("sd", { rs2: r.pick(FREE), rs1: CODE_POINTER, imm: r.below(16) * 8 });
    else if (what === 1) {
      src.put("ld", { rd: r.pick(FREE), rs1: CODE_POINTER, imm: r.below(16) * 8 });
    } else if (what === 2) src.put("sw", { rs2: WORD, rs1: SLOT_POINTER, imm: 0 });
    else if (what === 3) {
      src.put("lw", { rd: r.pick(FREE), rs1: DEVICE_POINTER, imm: 4 * r.below(8) });
    } else if (what === 4) {
      src.put("sw", { rs2: r.pick(FREE), rs1: DEVICE_POINTER, imm: 4 * r.below(8) });
    } else if (what === 5) src.put("fence.i", { rd: 0, rs1: 0, imm: 0 });
    else {src.put("csrrw", {
        rd: r.pick(FREE),
        rs1: r.pick(FREE),
        csr: r.pick([0x140, 0x001, 0x140]),
      });}
  }

  func(i: number): void {
    const { r, src } = this;
    src.place(`f${i}`);
    const counter = COUNTERS + i;
    src.put("addi", { rd: SP, rs1: SP, imm: -16 });
    src.put("sd", { rs2: RA, rs1: SP, imm: 0 });
    src.put("addi", { rd: counter, rs1: 0, imm: 1 + r.below(6) });
    const top = src.label();
    for (let n = 1 + r.below(5); n > 0; n--) {
      const what = r.below(10);
      if (what < 3) this.#straight();
      else if (what < 5) r.chance(60) ? this.#diamond() : this.#switch();
      else if (what < 7) this.#loop(COUNTERS + 6 + r.below(2));
      else if (what < 9 && i > 0) this.#call([`f${r.below(i)}`, `f${r.below(i)}`]);
      else this.#odd();
    }
    if (i === 1) {
      src.place("slot");
      src.put("addi", { rd: 5, rs1: 5, imm: 1 });
    }
    src.put("addi", { rd: counter, rs1: counter, imm: -1 });
    src.put("bne", { rs1: counter, rs2: 0 }, top);
    src.put("ld", { rd: RA, rs1: SP, imm: 0 });
    src.put("addi", { rd: SP, rs1: SP, imm: 16 });
    src.put("jalr", { rd: 0, rs1: RA, imm: 0 });
  }
}

/** Where each label is, and the bytes; a branch that is too far becomes one to itself plus 4. */
function assemble(items: readonly Item[], at: number, into: DataView): Map<string, number> {
  const labels = new Map<string, number>();
  let place = at;
  for (const item of items) {
    if ("label" in item) labels.set(item.label, place);
    else place += item.insn.row.length;
  }
  place = at;
  for (const item of items) {
    if ("label" in item) continue;
    const values = { ...item.values };
    if (item.to) values.imm = labels.get(item.to)! - place + (item.insn.name === "addi" ? 4 : 0);
    let word: number;
    try {
      word = encode(item.insn, values);
    } catch {
      word = encode(item.insn, { ...values, imm: 4 });
    }
    into.setUint16(place, word & 0xffff, true);
    if (item.insn.row.length === 4) into.setUint16(place + 2, word >>> 16, true);
    place += item.insn.row.length;
  }
  return labels;
}

/** Skips what trapped; an interrupt closes mie. */
function handler(into: DataView): void {
  const s = new Source();
  const [end, out] = [s.later(), s.later()];
  s.put("csrrw", { rd: TARGET, rs1: TARGET, csr: 0x340 });
  s.put("csrrs", { rd: TARGET, rs1: 0, csr: 0x342 });
  s.put("blt", { rs1: TARGET, rs2: 0 }, end);
  s.put("csrrs", { rd: TARGET, rs1: 0, csr: 0x341 });
  s.put("addi", { rd: TARGET, rs1: TARGET, imm: 4 });
  s.put("csrrw", { rd: 0, rs1: TARGET, csr: 0x341 });
  s.put("jal", { rd: 0 }, out);
  s.place(end);
  s.put("csrrw", { rd: 0, rs1: 0, csr: 0x304 });
  s.place(out);
  s.put("csrrw", { rd: TARGET, rs1: TARGET, csr: 0x340 });
  s.put("mret", {});
  assemble(s.items, PLACES.handler * PAGE, into);
}

export interface RandomProgram {
  readonly ram: Uint8Array<ArrayBuffer>;
  readonly paged: boolean;
  readonly start: number;
  readonly registers: Map<number, bigint>;
  /** Physical page of each virtual code page. */
  readonly physical: number[];
  /** RAM offset of the instruction that programs overwrite. */
  readonly slot: number;
}

const pte = (page: number) =>
  BigInt(RAM_BASE / PAGE + page) << 10n |
  BigInt(PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D);

/** Sv39: the identity through superpages, and code and data in 4 KiB pages from ALIAS on. */
function tables(ram: DataView, physical: readonly number[]): void {
  const entry = (page: number, index: number, v: bigint) =>
    ram.setBigUint64(page * PAGE + index * 8, v, true);
  const pointer = (page: number) => BigInt(RAM_BASE / PAGE + page) << 10n | BigInt(PTE.V);
  const root = PLACES.tables;
  entry(root, RAM_BASE / 2 ** 30, BigInt(RAM_BASE / PAGE) << 10n | 0xcfn);
  entry(root, 0, BigInt(PTE.V | PTE.R | PTE.W | PTE.A | PTE.D)); // Devices.
  entry(root, ALIAS / 2 ** 30, pointer(root + 1));
  entry(root + 1, 0, pointer(root + 2));
  for (let p = 0; p < PLACES.tables; p++) entry(root + 2, p, pte(physical[p] ?? p));
}
/** RAM offset of the leaf for virtual code page `p`. */
export const leafOf = (p: number): number => (PLACES.tables + 2) * PAGE + p * 8;
export const leafFor = pte;

export function randomProgram(r: Rng): RandomProgram {
  const paged = r.chance(50);
  const image = new DataView(new ArrayBuffer(RAM_BYTES));
  const p = new Program(r);
  p.src.place("main");
  p.src.put("jal", { rd: RA }, "f5");
  p.src.put("jal", { rd: 0 }, "main");
  for (let i = 0; i < 6; i++) p.func(i);
  const labels = assemble(p.src.items, r.below(1000) * 2, image);
  handler(image);
  const physical = [0, 1, 2, 3, 4, 5];
  if (paged) physical.sort(() => r.chance(50) ? 1 : -1);
  const ram = new Uint8Array(image.buffer.slice(0));
  physical.forEach((to, from) =>
    ram.set(new Uint8Array(image.buffer, from * PAGE, PAGE), to * PAGE)
  );
  const view = new DataView(ram.buffer);
  tables(view, physical);
  for (let at = PLACES.data * PAGE; at < PLACES.stack * PAGE; at += 8) {
    view.setBigUint64(at, r.u64(), true);
  }
  const base = BigInt(paged ? ALIAS : RAM_BASE);
  const at = (offset: number) => base + BigInt(offset);
  const slot = labels.get("slot")!;
  const registers = new Map<number, bigint>();
  for (const f of FREE) registers.set(f, r.u64());
  registers.set(SP, at(PLACES.stack * PAGE + 2048));
  registers.set(POINTER, at(PLACES.data * PAGE + 2048 + r.below(64)));
  registers.set(POINTER + 1, at((PLACES.data + 2) * PAGE + r.below(512) * 8));
  registers.set(CODE_POINTER, at((labels.get("f5")! & -PAGE) + 3800));
  registers.set(DEVICE_POINTER, BigInt(DEVICE));
  registers.set(WORD, BigInt(encode(byName("addi"), { rd: 5, rs1: 5, imm: r.below(2000) })));
  registers.set(SLOT_POINTER, at(slot));
  const where = (v: number) => physical[v >> 12] * PAGE + v % PAGE;
  return { ram, paged, start: labels.get("main")!, registers, physical, slot: where(slot) };
}
