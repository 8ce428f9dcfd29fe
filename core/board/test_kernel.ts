/**
 * A Linux kernel's memory without a kernel, for tests: kallsyms as scripts/kallsyms.c lays it out, BTF,
 * loaded modules, and Sv39 tables that map one gigabyte.
 * @module
 */
import type { Random } from "../trace/random_trace.ts";

export interface TestSymbol {
  readonly offset: number;
  readonly type: string;
  readonly name: string;
}

/** Collects bytes in order. */
export class Writer {
  readonly #parts: number[] = [];
  get at(): number {
    return this.#parts.length;
  }
  u8(...values: number[]): this {
    for (const v of values) this.#parts.push(v & 0xff);
    return this;
  }
  u16(v: number): this {
    return this.u8(v, v >>> 8);
  }
  u32(v: number): this {
    return this.u8(v, v >>> 8, v >>> 16, v >>> 24);
  }
  u64(v: bigint): this {
    return this.u32(Number(v & 0xffff_ffffn)).u32(Number(v >> 32n));
  }
  text(text: string): this {
    return this.u8(...new TextEncoder().encode(text), 0);
  }
  align(): this {
    while (this.at % 8 !== 0) this.u8(0);
    return this;
  }
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

/** Tokens as the kernel's build makes them: used characters stand for themselves, the rest for pairs. */
function tokensFor(symbols: readonly TestSymbol[], random: Random): string[] {
  const used = new Set([..."0123456789"]);
  for (const { type, name } of symbols) for (const c of type + name) used.add(c);
  const names = symbols.map((s) => s.type + s.name);
  return Array.from({ length: 256 }, (_, code) => {
    const char = String.fromCharCode(code);
    if (used.has(char)) return char;
    const name = names[random.below(names.length)];
    const at = random.below(name.length);
    return name.slice(at, at + 2 + random.below(4));
  });
}

/** Codes of a name: the longest token that fits, or a shorter one by chance. */
function encode(name: string, tokens: readonly string[], random: Random): number[] {
  const codes: number[] = [];
  for (let at = 0; at < name.length;) {
    const fitting = tokens.flatMap((t, code) => name.startsWith(t, at) ? [code] : []);
    const longest = fitting.reduce((a, b) => tokens[b].length > tokens[a].length ? b : a);
    const code = random.below(4) === 0 ? fitting[random.below(fitting.length)] : longest;
    codes.push(code);
    at += tokens[code].length;
  }
  return codes;
}

/** The table's bytes; `layout` is the first kernel version that has it so. */
export function kallsymsBytes(
  symbols: readonly TestSymbol[],
  base: bigint,
  layout: "6.1" | "6.4",
  random: Random,
): Uint8Array {
  const tokens = tokensFor(symbols, random);
  const out = new Writer();
  const addresses = () => {
    for (const { offset } of symbols) out.u32(offset);
    out.align().u64(base);
  };
  if (layout === "6.1") addresses();
  out.u32(symbols.length).align();
  const names = out.at;
  const markers: number[] = [];
  symbols.forEach(({ type, name }, i) => {
    if (i % 256 === 0) markers.push(out.at - names);
    const codes = encode(type + name, tokens, random);
    if (codes.length > 127) out.u8(codes.length & 0x7f | 0x80, codes.length >>> 7);
    else out.u8(codes.length);
    out.u8(...codes);
  });
  out.align();
  for (const marker of markers) out.u32(marker);
  out.align();
  const table = out.at;
  const index = tokens.map((token) => {
    const at = out.at - table;
    out.text(token);
    return at;
  });
  out.align();
  for (const at of index) out.u16(at);
  if (layout === "6.4") addresses();
  return out.bytes;
}

/** Random symbols in the order of addresses, some addresses twice. */
export function randomSymbols(count: number, random: Random): TestSymbol[] {
  let offset = 0;
  return Array.from({ length: count }, (_, i) => {
    offset += random.below(8) === 0 ? 0 : 1 + random.below(4000);
    const type = "tTdDbBrRwW"[random.below(10)];
    const word = ["virtio", "blk", "irq", "page", "sys_", "__"][random.below(6)];
    const long = random.below(50) === 0 ? "long_".repeat(40) : "";
    return { offset, type, name: `${word}${long}_${i}.${random.below(10)}` };
  });
}

const PAGE = 4096;
const VALID = 1n;
const LEAF = 0xcfn; // V R W X A D

/** Sv39 root at the RAM's start, which maps the gigabyte at `vaddr` onto RAM in one leaf. Returns satp. */
export function mapGigabyte(ram: Uint8Array, ramBase: number, vaddr: bigint): bigint {
  const view = new DataView(ram.buffer, ram.byteOffset, ram.length);
  const index = Number(vaddr >> 30n & 511n);
  view.setBigUint64(index * 8, BigInt(ramBase / PAGE) << 10n | LEAF | VALID, true);
  return 8n << 60n | BigInt(ramBase / PAGE);
}
