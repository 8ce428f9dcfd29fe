/**
 * Fragments of WebAssembly code as byte lists. An expression is a fragment that leaves one value on
 * the stack; expressions compose by concatenation and may be repeated, so they hold no branches.
 * Source: WebAssembly Core Specification 2.0, §5.4 (binary format of instructions).
 *
 * @module
 */

import type { HostOp } from "../ops.ts";

export type Code = readonly number[];
export type ValueType = "i32" | "i64" | "f32" | "f64";

/** LEB128, unsigned; `v` below 2^32. */
export function uleb(v: number): number[] {
  if (v < 0x80) return [v];
  const out: number[] = [];
  do {
    const rest = Math.floor(v / 128);
    out.push((v % 128) | (rest > 0 ? 0x80 : 0));
    v = rest;
  } while (v > 0);
  return out;
}

/** LEB128, signed, of a whole number below 2^31 in magnitude. */
function slebSmall(v: number): number[] {
  const out: number[] = [];
  for (;;) {
    const byte = v & 0x7f;
    v >>= 7;
    if ((v === 0 && !(byte & 0x40)) || (v === -1 && byte & 0x40)) {
      out.push(byte);
      return out;
    }
    out.push(byte | 0x80);
  }
}

/** LEB128, signed. */
export function sleb(v: bigint): number[] {
  const out: number[] = [];
  for (;;) {
    const byte = Number(v & 0x7fn);
    v >>= 7n;
    if ((v === 0n && !(byte & 0x40)) || (v === -1n && byte & 0x40)) {
      out.push(byte);
      return out;
    }
    out.push(byte | 0x80);
  }
}

const binary = (opcode: number) => (a: Code, b: Code): Code => [...a, ...b, opcode];
const unary = (opcode: number) => (a: Code): Code => [...a, opcode];
const load = (opcode: number) => (addr: Code, offset = 0): Code => [
  ...addr,
  opcode,
  0,
  ...uleb(offset),
];
const store = (opcode: number) => (addr: Code, value: Code, offset = 0): Code => [
  ...addr,
  ...value,
  opcode,
  0,
  ...uleb(offset),
];

/** A store to another memory than the first. */
const storeTo = (opcode: number) => (memory: number, addr: Code, value: Code, offset = 0): Code => [
  ...addr,
  ...value,
  opcode,
  0x40, // § 5.4.6: with bit 6 the memory's index follows.
  ...uleb(memory),
  ...uleb(offset),
];

/** A load from another memory than the first. */
const loadFrom = (opcode: number) => (memory: number, addr: Code, offset = 0): Code => [
  ...addr,
  opcode,
  0x40,
  ...uleb(memory),
  ...uleb(offset),
];

/** Instructions on 32-bit integers. Loads and stores take (address, static offset). */
export const i32 = {
  const: (v: number): Code => [0x41, ...slebSmall(v | 0)],
  load: load(0x28),
  loadFrom: loadFrom(0x28),
  load8u: load(0x2d),
  load16u: load(0x2f),
  store: store(0x36),
  storeTo: storeTo(0x36),
  store8: store(0x3a),
  store16: store(0x3b),
  eqz: unary(0x45),
  eq: binary(0x46),
  ne: binary(0x47),
  ltU: binary(0x49),
  gtU: binary(0x4b),
  leU: binary(0x4d),
  geU: binary(0x4f),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrU: binary(0x76),
  wrap: unary(0xa7),
};

/** Instructions on 64-bit integers. */
export const i64 = {
  const: (v: bigint | number): Code =>
    v === Number(v) && (v | 0) === v
      ? [0x42, ...slebSmall(v)]
      : [0x42, ...sleb(BigInt.asIntN(64, BigInt(v)))],
  load: load(0x29),
  loadFrom: loadFrom(0x29),
  load8s: load(0x30),
  load8u: load(0x31),
  load16s: load(0x32),
  load16u: load(0x33),
  load32s: load(0x34),
  load32u: load(0x35),
  store: store(0x37),
  storeTo: storeTo(0x37),
  store8: store(0x3c),
  store16: store(0x3d),
  store32: store(0x3e),
  eqz: unary(0x50),
  eq: binary(0x51),
  ne: binary(0x52),
  ltS: binary(0x53),
  ltU: binary(0x54),
  geU: binary(0x5a),
  /** Of an f64 in range: outside it traps. */
  truncF64: unary(0xb0),
  clz: unary(0x79),
  ctz: unary(0x7a),
  popcnt: unary(0x7b),
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  divS: binary(0x7f),
  divU: binary(0x80),
  remS: binary(0x81),
  remU: binary(0x82),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: binary(0x86),
  shrS: binary(0x87),
  shrU: binary(0x88),
  extendS: unary(0xac),
  extendU: unary(0xad),
  extend8: unary(0xc2),
  extend16: unary(0xc3),
  extend32: unary(0xc4),
};

/** Loads and stores of doubles, bits as they are. */
export const f64 = { load: load(0x2b), store: store(0x39) };

const f64Bits = (v: Code): Code => [...v, 0xbf];
const bitsOfF64 = (v: Code): Code => [...v, 0xbd];
const f64Binary = (opcode: number) => (a: Code, b: Code): Code =>
  bitsOfF64([...f64Bits(a), ...f64Bits(b), opcode]);

const f64Compare = (opcode: number) => (a: Code, b: Code): Code =>
  i64.extendU([...f64Bits(a), ...f64Bits(b), opcode]);

/** Floating point on bit patterns in i64. */
export const HOST: Record<HostOp, (...args: Code[]) => Code> = {
  "f64.add": f64Binary(0xa0),
  "f64.sub": f64Binary(0xa1),
  "f64.mul": f64Binary(0xa2),
  "f64.div": f64Binary(0xa3),
  "f64.sqrt": (v) => bitsOfF64([...f64Bits(v), 0x9f]),
  "f64.promote_f32": (v) => bitsOfF64([...i32.wrap(v), 0xbe, 0xbb]),
  "f32.demote_f64": (v) => i64.extendU([...f64Bits(v), 0xb6, 0xbc]),
  "f64.convert_i64_s": (v) => bitsOfF64([...v, 0xb9]),
  "i64.trunc_f64_s": (v) => [...f64Bits(v), 0xfc, 0x06],
  "f64.eq": f64Compare(0x61),
  "f64.lt": f64Compare(0x63),
  "f64.le": f64Compare(0x65),
};

/** `cond ? a : b`, both evaluated. */
export const select = (cond: Code, a: Code, b: Code): Code => [...a, ...b, ...cond, 0x1b];
export const memoryFill = (at: Code, value: Code, bytes: Code): Code => [
  ...at,
  ...value,
  ...bytes,
  0xfc,
  0x0b,
  0,
];
/** Copies from another memory into the first. */
export const memoryCopyFrom = (memory: number, to: Code, from: Code, bytes: Code): Code => [
  ...to,
  ...from,
  ...bytes,
  0xfc,
  0x0a,
  0,
  ...uleb(memory),
];
