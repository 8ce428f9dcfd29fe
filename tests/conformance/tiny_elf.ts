/**
 * Small ELF files for the runner's own tests, written by our encoder.
 *
 * @module
 */
import { type Line, word } from "../../core/cpu/testing.ts";
import { RAM_BASE } from "./program.ts";

const [HEADER, SEGMENT, SECTION, SYMBOL] = [64, 56, 64, 24];
/** Offset of the symbols' words behind the code, 64 bytes each. */
const DATA = 0x400;
const IMAGE_BYTES = 0x800;

export const addressOf = (index: number): number => DATA + index * 64;

function code(lines: readonly Line[]): Uint8Array {
  const out = new DataView(new ArrayBuffer(IMAGE_BYTES));
  let at = 0;
  for (const [name, values] of lines) {
    const { bits, bytes } = word(name, values);
    if (bytes === 4) out.setUint32(at, bits, true);
    else out.setUint16(at, bits, true);
    at += bytes;
  }
  return new Uint8Array(out.buffer);
}

/** A program at the start of RAM; symbol i names the address `addressOf(i)`. */
export function tinyElf(lines: readonly Line[], symbols: readonly string[]): Uint8Array {
  const text = new TextEncoder().encode(`\0${symbols.map((s) => `${s}\0`).join("")}`);
  const image = HEADER + SEGMENT;
  const names = image + IMAGE_BYTES;
  const table = names + text.length;
  const sections = table + symbols.length * SYMBOL;
  const file = new Uint8Array(sections + 2 * SECTION);
  const v = new DataView(file.buffer);
  const quads = (at: number, values: number[]) =>
    values.forEach((q, i) => v.setBigUint64(at + i * 8, BigInt(q), true));
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  v.setUint32(16, 2 | 243 << 16, true);
  quads(24, [RAM_BASE, HEADER, sections]);
  [64, SEGMENT, 1, SECTION, 2, 0].forEach((n, i) => v.setUint16(52 + i * 2, n, true));
  v.setUint32(HEADER, 1, true);
  quads(HEADER + 8, [image, RAM_BASE, RAM_BASE, IMAGE_BYTES, IMAGE_BYTES, 4096]);
  file.set(code(lines), image);
  file.set(text, names);
  let name = 1;
  symbols.forEach((s, i) => {
    v.setUint32(table + i * SYMBOL, name, true);
    v.setUint16(table + i * SYMBOL + 6, 1, true);
    v.setBigUint64(table + i * SYMBOL + 8, BigInt(RAM_BASE + addressOf(i)), true);
    name += s.length + 1;
  });
  [[2, table, symbols.length * SYMBOL, 1], [3, names, text.length, 0]].forEach((s, i) => {
    const at = sections + i * SECTION;
    v.setUint32(at + 4, s[0], true);
    quads(at + 24, [s[1], s[2]]);
    v.setUint32(at + 40, s[3], true);
  });
  return file;
}
