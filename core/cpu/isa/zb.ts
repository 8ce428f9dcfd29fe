/**
 * Bit manipulation: Zba, Zbb, Zbc, Zbs, and Zicond. Each `row` is the line of the Unprivileged ISA
 * manual's chapters "B" and "Zicond".
 *
 * @module
 */
import { type Insn, insn } from "../insn.ts";
import type { Bytes, Extend, Ops, Routine } from "../ops.ts";
import { type Alu, register, WORD_OP } from "./rv64i.ts";

type Unary = <V, C>(o: Ops<V, C>, a: V) => V;

const OP_IMM = "0010011";
const WORD_IMM = "0011011";

const unary = (name: string, number: string, funct3: string, alu: Unary, opcode = OP_IMM) =>
  insn({
    row: `${number} rs1 ${funct3} rd ${opcode}`,
    asm: `${name} rd, rs1`,
    sem: (o, { rd, rs1 }) => o.setX(rd, alu(o, o.x(rs1))),
  });
const shifted = (name: string, high: string, funct3: string, alu: Alu, opcode = OP_IMM) =>
  insn({
    row: `${high} shamt[${high.length === 6 ? 5 : 4}:0] rs1 ${funct3} rd ${opcode}`,
    asm: `${name} rd, rs1, shamt`,
    sem: (o, { rd, rs1, imm }) => o.setX(rd, alu(o, o.x(rs1), o.imm(imm))),
  });

const not = <V, C>(o: Ops<V, C>, v: V) => o.xor(v, o.konst(-1));
const low32 = <V, C>(o: Ops<V, C>, v: V) => o.extend(v, 4, "unsigned");
const signed32 = <V, C>(o: Ops<V, C>, v: V) => o.extend(v, 4, "signed");

// Zba: addresses.

const shadd = (n: number): Alu => (o, a, b) => o.add(o.shl(a, o.konst(n)), b);
const ofWord = (alu: Alu): Alu => (o, a, b) => alu(o, low32(o, a), b);

export const ZBA: Insn[] = [
  register("add.uw", "0000100", "000", ofWord((o, a, b) => o.add(a, b)), WORD_OP),
  ...[1, 2, 3].flatMap((n) => {
    const funct3 = (n * 2).toString(2).padStart(3, "0");
    return [
      register(`sh${n}add`, "0010000", funct3, shadd(n)),
      register(`sh${n}add.uw`, "0010000", funct3, ofWord(shadd(n)), WORD_OP),
    ];
  }),
  shifted("slli.uw", "000010", "001", ofWord((o, a, b) => o.shl(a, b)), WORD_IMM),
];

// Zbb: logic, counts, extrema, extension, rotation, bytes.

const rotateRight: Alu = (o, a, b) => o.or(o.shr(a, b), o.shl(a, o.sub(o.konst(0), b)));
const rotateLeft: Alu = (o, a, b) => o.or(o.shl(a, b), o.shr(a, o.sub(o.konst(0), b)));
/** Both halves hold the word, so that 64-bit shifts by less than 32 rotate it. */
const rotateWord = (right: boolean): Alu => (o, a, b) => {
  const twice = o.or(low32(o, a), o.shl(a, o.konst(32)));
  const n = o.and(b, o.konst(31));
  return signed32(o, o.shr(twice, right ? n : o.and(o.sub(o.konst(32), n), o.konst(31))));
};
const extremum = (sign: Extend, least: boolean): Alu => (o, a, b) => {
  const less = sign === "signed" ? o.ltS(a, b) : o.ltU(a, b);
  return least ? o.select(less, a, b) : o.select(less, b, a);
};
const extension = (bytes: Bytes, e: Extend): Unary => (o, a) => o.extend(a, bytes, e);
/** Each byte that is not zero becomes all ones. */
const combineBytes: Unary = (o, a) => {
  const low7 = o.konst(0x7f7f_7f7f_7f7f_7f7fn);
  const high = o.and(o.or(o.add(o.and(a, low7), low7), a), o.konst(0x8080_8080_8080_8080n));
  return o.mul(o.shr(high, o.konst(7)), o.konst(255));
};
const swapEach = <V, C>(o: Ops<V, C>, v: V, bits: number, mask: bigint): V =>
  o.or(
    o.and(o.shr(v, o.konst(bits)), o.konst(mask)),
    o.shl(o.and(v, o.konst(mask)), o.konst(bits)),
  );
const reverseBytes: Unary = (o, a) => {
  const pairs = swapEach(o, a, 8, 0x00ff_00ff_00ff_00ffn);
  return swapEach(o, swapEach(o, pairs, 16, 0x0000_ffff_0000_ffffn), 32, 0xffff_ffffn);
};

export const ZBB: Insn[] = [
  register("andn", "0100000", "111", (o, a, b) => o.and(a, not(o, b))),
  register("orn", "0100000", "110", (o, a, b) => o.or(a, not(o, b))),
  register("xnor", "0100000", "100", (o, a, b) => not(o, o.xor(a, b))),
  unary("clz", "011000000000", "001", (o, a) => o.clz(a)),
  unary("ctz", "011000000001", "001", (o, a) => o.ctz(a)),
  unary("cpop", "011000000010", "001", (o, a) => o.popcount(a)),
  unary(
    "clzw",
    "011000000000",
    "001",
    (o, a) => o.clz(o.or(o.shl(a, o.konst(32)), o.konst(1n << 31n))),
    WORD_IMM,
  ),
  unary("ctzw", "011000000001", "001", (o, a) => o.ctz(o.or(a, o.konst(1n << 32n))), WORD_IMM),
  unary("cpopw", "011000000010", "001", (o, a) => o.popcount(low32(o, a)), WORD_IMM),
  register("max", "0000101", "110", extremum("signed", false)),
  register("maxu", "0000101", "111", extremum("unsigned", false)),
  register("min", "0000101", "100", extremum("signed", true)),
  register("minu", "0000101", "101", extremum("unsigned", true)),
  unary("sext.b", "011000000100", "001", extension(1, "signed")),
  unary("sext.h", "011000000101", "001", extension(2, "signed")),
  unary("zext.h", "000010000000", "100", extension(2, "unsigned"), WORD_OP),
  register("rol", "0110000", "001", rotateLeft),
  register("rolw", "0110000", "001", rotateWord(false), WORD_OP),
  register("ror", "0110000", "101", rotateRight),
  register("rorw", "0110000", "101", rotateWord(true), WORD_OP),
  shifted("rori", "011000", "101", rotateRight),
  shifted("roriw", "0110000", "101", rotateWord(true), WORD_IMM),
  unary("orc.b", "001010000111", "101", combineBytes),
  unary("rev8", "011010111000", "101", reverseBytes),
];

// Zbc: carry-less products.

/** The 64 bits of the product from bit `from` on, one bit of b at a time. */
const carryless = (name: string, from: 0 | 63 | 64): Routine => ({
  name,
  params: 2,
  raises: false,
  body: (o, a, b) => {
    const product = o.var(o.konst(0));
    const i = o.var(o.konst(0));
    const one = o.konst(1);
    o.loop(() => {
      const n = i.get();
      // Shifting in two steps, for an amount may be 64.
      const moved = from === 0
        ? o.shl(a, n)
        : o.shr(o.shr(a, o.sub(o.konst(63), n)), o.konst(from - 63));
      const set = o.ne(o.and(o.shr(b, n), one), o.konst(0));
      product.set(o.xor(product.get(), o.select(set, moved, o.konst(0))));
      i.set(o.add(n, one));
      return o.ltU(i.get(), o.konst(64));
    });
    return product.get();
  },
});
const product = (name: string, funct3: string, from: 0 | 63 | 64) => {
  const routine = carryless(name, from);
  return register(name, "0000101", funct3, (o, a, b) => o.call(routine, a, b));
};
export const ZBC: Insn[] = [
  product("clmul", "001", 0),
  product("clmulr", "010", 63),
  product("clmulh", "011", 64),
];

// Zbs: single bits.

const single: Alu = (o, _, b) => o.shl(o.konst(1), b);
const BITS: [string, string, string, Alu][] = [
  ["bclr", "010010", "001", (o, a, b) => o.and(a, not(o, single(o, a, b)))],
  ["bext", "010010", "101", (o, a, b) => o.and(o.shr(a, b), o.konst(1))],
  ["binv", "011010", "001", (o, a, b) => o.xor(a, single(o, a, b))],
  ["bset", "001010", "001", (o, a, b) => o.or(a, single(o, a, b))],
];
export const ZBS: Insn[] = BITS.flatMap(([name, high, funct3, alu]) => [
  register(name, `${high}0`, funct3, alu),
  shifted(`${name}i`, high, funct3, alu),
]);

const zeroIf = (zero: boolean): Alu => (o, a, b) => {
  const isZero = o.eq(b, o.konst(0));
  return zero ? o.select(isZero, o.konst(0), a) : o.select(isZero, a, o.konst(0));
};
export const ZICOND: Insn[] = [
  register("czero.eqz", "0000111", "101", zeroIf(true)),
  register("czero.nez", "0000111", "111", zeroIf(false)),
];
