/**
 * What F, D and Zfh have in common: the rows of one format, and what an instruction does around the
 * arithmetic of `Ops.float` (rounding mode, NaN boxes, mstatus.FS, flags). Each `row` is the line of
 * the Unprivileged ISA manual's instruction listing.
 *
 * In `asm`, `rm` goes unprinted when dynamic, and `rm0`, of conversions that never round, when zero.
 * A reserved rounding mode is illegal even where the result is always exact. An instruction that
 * writes no floating-point register makes FS dirty only when a flag rises.
 *
 * @module
 */
import {
  canonicalNaN,
  D,
  type FloatOp,
  type Format,
  H,
  integerBits,
  INTEGERS,
  RM,
  S,
  signBitOf,
  widthOf,
} from "../float/format.ts";
import { type Insn, insn, type Sem } from "../insn.ts";
import { FS_MASK } from "../mstatus.ts";
import type { Ops, Rm } from "../ops.ts";

const statusOff = <V, C>(o: Ops<V, C>): C =>
  o.eq(o.and(o.get("mstatus"), o.konst(FS_MASK)), o.konst(0));
const setDirty = <V, C>(o: Ops<V, C>): void =>
  o.set("mstatus", o.or(o.get("mstatus"), o.konst(FS_MASK)));

/** Every floating-point instruction is illegal while mstatus.FS is Off. */
function requireOn<V, C>(o: Ops<V, C>): void {
  o.when(statusOff(o), () => o.illegal());
}
function makeDirty<V, C>(o: Ops<V, C>): void {
  o.when(o.ne(o.and(o.get("mstatus"), o.konst(FS_MASK)), o.konst(FS_MASK)), () => setDirty(o));
}
/** For instructions that cannot trap once their mode is known to be valid. */
function useRegisters<V, C>(o: Ops<V, C>): void {
  o.when(o.ne(o.and(o.get("mstatus"), o.konst(FS_MASK)), o.konst(FS_MASK)), () => {
    requireOn(o);
    setDirty(o);
  });
}

function roundingMode<V, C>(o: Ops<V, C>, rm: Rm): V {
  const field = o.rm(rm);
  const mode = o.select(o.eq(field, o.konst(RM.DYN)), o.get("frm"), field);
  o.when(o.ltU(o.konst(RM.RMM), mode), () => o.illegal());
  return mode;
}

/** A value whose upper bits are not all ones counts as the canonical NaN. */
function unbox<V, C>(o: Ops<V, C>, f: Format, raw: V): V {
  if (f === D) return raw;
  const ones = o.konst((1n << BigInt(64 - widthOf(f))) - 1n);
  const boxed = o.eq(o.shr(raw, o.konst(widthOf(f))), ones);
  return o.select(boxed, o.extend(raw, f.bytes, "unsigned"), o.konst(canonicalNaN(f)));
}

/** `rm` absent: the operation rounds nothing. */
const modeOf = <V, C>(o: Ops<V, C>, rounds: boolean, rm: Rm): V =>
  rounds ? roundingMode(o, rm) : o.konst(0);
const SOURCES = ["rs1", "rs2", "rs3"] as const;

/** Result to a floating-point register; operands of `from`, which is f but for conversions. */
const toFloat = (f: Format, op: FloatOp, operands: number, rounds: boolean, from = f): Sem =>
(
  o,
  fields,
) => {
  const mode = modeOf(o, rounds, fields.rm);
  useRegisters(o);
  const args = SOURCES.slice(0, operands).map((s) => unbox(o, from, o.fp(fields[s])));
  o.setFp(fields.rd, o.extend(o.float(op, f, mode, ...args), f.bytes, "boxed"));
};
/** Result to an integer register. */
const toInteger =
  (f: Format, op: FloatOp, operands: number, rounds: boolean): Sem => (o, fields) => {
    const mode = modeOf(o, rounds, fields.rm);
    requireOn(o);
    const before = o.get("fflags");
    const args = SOURCES.slice(0, operands).map((s) => unbox(o, f, o.fp(fields[s])));
    o.setX(fields.rd, o.float(op, f, mode, ...args));
    o.when(o.ne(o.get("fflags"), before), () => makeDirty(o));
  };
const fromInteger = (f: Format, op: FloatOp): Sem => (o, { rd, rs1, rm }) => {
  const mode = roundingMode(o, rm);
  useRegisters(o);
  o.setFp(rd, o.extend(o.float(op, f, mode, o.x(rs1)), f.bytes, "boxed"));
};

/** Signs of product and addend. */
const fused = (f: Format, negateProduct: boolean, negateAddend: boolean): Sem => (o, fields) => {
  const mode = roundingMode(o, fields.rm);
  useRegisters(o);
  const [a, b, c] = SOURCES.map((s) => unbox(o, f, o.fp(fields[s])));
  const flip = (v: typeof a, yes: boolean) => yes ? o.xor(v, o.konst(signBitOf(f))) : v;
  const sum = o.float("fma", f, mode, flip(a, negateProduct), b, flip(c, negateAddend));
  o.setFp(fields.rd, o.extend(sum, f.bytes, "boxed"));
};

/** The second operand gives the sign: as it is, inverted, or as a change of the first's. */
const signInjection = (f: Format, how: "j" | "jn" | "jx"): Sem => (o, { rd, rs1, rs2 }) => {
  useRegisters(o);
  const sign = o.konst(signBitOf(f));
  const [a, b] = [unbox(o, f, o.fp(rs1)), unbox(o, f, o.fp(rs2))];
  const from = how === "jx" ? o.xor(a, b) : how === "jn" ? o.xor(b, o.konst(-1)) : b;
  const rest = o.and(a, o.konst(signBitOf(f) - 1n));
  o.setFp(rd, o.extend(o.or(rest, o.and(from, sign)), f.bytes, "boxed"));
};

interface Memory {
  /** Suffix of load, store and moves. */
  unit: string;
  funct3: string;
}
const MEMORY: Record<Format["letter"], Memory> = {
  h: { unit: "h", funct3: "001" },
  s: { unit: "w", funct3: "010" },
  d: { unit: "d", funct3: "011" },
};

export const load = (f: Format): Insn =>
  insn({
    row: `imm[11:0] rs1 ${MEMORY[f.letter].funct3} rd 0000111`,
    asm: `fl${MEMORY[f.letter].unit} fd, imm(rs1)`,
    sem: (o, { rd, rs1, imm }) => {
      requireOn(o);
      o.setFp(rd, o.load(f.bytes, "boxed", o.add(o.x(rs1), o.imm(imm))));
      makeDirty(o);
    },
  });
export const store = (f: Format): Insn =>
  insn({
    row: `imm[11:5] rs2 rs1 ${MEMORY[f.letter].funct3} imm[4:0] 0100111`,
    asm: `fs${MEMORY[f.letter].unit} fs2, imm(rs1)`,
    sem: (o, { rs1, rs2, imm }) => {
      requireOn(o);
      o.store(f.bytes, o.add(o.x(rs1), o.imm(imm)), o.fp(rs2));
    },
  });

const OP = "1010011";

function arithmetic(f: Format): Insn[] {
  const two = (name: "add" | "sub" | "mul" | "div", funct5: string) =>
    insn({
      row: `${funct5}${f.code} rs2 rs1 rm rd ${OP}`,
      asm: `f${name}.${f.letter} fd, fs1, fs2, rm`,
      sem: toFloat(f, name, 2, true),
    });
  const multiplyAdd = (name: string, opcode: string, product: boolean, addend: boolean) =>
    insn({
      row: `rs3 ${f.code} rs2 rs1 rm rd ${opcode}`,
      asm: `f${name}.${f.letter} fd, fs1, fs2, fs3, rm`,
      sem: fused(f, product, addend),
    });
  const sqrt = insn({
    row: `01011${f.code} 00000 rs1 rm rd ${OP}`,
    asm: `fsqrt.${f.letter} fd, fs1, rm`,
    sem: toFloat(f, "sqrt", 1, true),
  });
  return [
    multiplyAdd("madd", "1000011", false, false),
    multiplyAdd("msub", "1000111", false, true),
    multiplyAdd("nmsub", "1001011", true, false),
    multiplyAdd("nmadd", "1001111", true, true),
    ...[two("add", "00000"), two("sub", "00001"), two("mul", "00010"), two("div", "00011"), sqrt],
  ];
}

function comparisons(f: Format): Insn[] {
  const row = (funct5: string, funct3: string) => `${funct5}${f.code} rs2 rs1 ${funct3} rd ${OP}`;
  const sign = (how: "j" | "jn" | "jx", funct3: string) =>
    insn({
      row: row("00100", funct3),
      asm: `fsgn${how}.${f.letter} fd, fs1, fs2`,
      sem: signInjection(f, how),
    });
  const extremum = (name: "min" | "max", funct3: string) =>
    insn({
      row: row("00101", funct3),
      asm: `f${name}.${f.letter} fd, fs1, fs2`,
      sem: toFloat(f, name, 2, false),
    });
  const compare = (name: "eq" | "lt" | "le", funct3: string) =>
    insn({
      row: row("10100", funct3),
      asm: `f${name}.${f.letter} rd, fs1, fs2`,
      sem: toInteger(f, name, 2, false),
    });
  const classify = insn({
    row: `11100${f.code} 00000 rs1 001 rd ${OP}`,
    asm: `fclass.${f.letter} rd, fs1`,
    sem: toInteger(f, "class", 1, false),
  });
  return [
    ...[sign("j", "000"), sign("jn", "001"), sign("jx", "010")],
    ...[extremum("min", "000"), extremum("max", "001")],
    ...[compare("eq", "010"), compare("lt", "001"), compare("le", "000"), classify],
  ];
}

function conversions(f: Format): Insn[] {
  return INTEGERS.flatMap((kind, i) => {
    const rs2 = i.toString(2).padStart(5, "0");
    const name = kind.toLowerCase();
    return [
      insn({
        row: `11000${f.code} ${rs2} rs1 rm rd ${OP}`,
        asm: `fcvt.${name}.${f.letter} rd, fs1, rm`,
        sem: toInteger(f, `to${kind}`, 1, true),
      }),
      insn({
        row: `11010${f.code} ${rs2} rs1 rm rd ${OP}`,
        asm: `fcvt.${f.letter}.${name} fd, rs1, ${integerBits(kind) <= f.precision ? "rm0" : "rm"}`,
        sem: fromInteger(f, `from${kind}`),
      }),
    ];
  });
}

/** Bits between the register files: the low ones, sign-extended, and back under a box. */
export function moves(f: Format): Insn[] {
  const { unit } = MEMORY[f.letter];
  const suffix = f === S ? "w" : unit;
  return [
    insn({
      row: `11100${f.code} 00000 rs1 000 rd ${OP}`,
      asm: `fmv.x.${suffix} rd, fs1`,
      sem: (o, { rd, rs1 }) => {
        requireOn(o);
        o.setX(rd, o.extend(o.fp(rs1), f.bytes, "signed"));
      },
    }),
    insn({
      row: `11110${f.code} 00000 rs1 000 rd ${OP}`,
      asm: `fmv.${suffix}.x fd, rs1`,
      sem: (o, { rd, rs1 }) => {
        useRegisters(o);
        o.setFp(rd, o.extend(o.x(rs1), f.bytes, "boxed"));
      },
    }),
  ];
}

const NAMED = { s: "fromS", d: "fromD", h: "fromH" } as const;
const convert = (to: Format, from: Format): Insn =>
  insn({
    row: `01000${to.code} 000${from.code} rs1 rm rd ${OP}`,
    asm: `fcvt.${to.letter}.${from.letter} fd, fs1, ${from.bytes < to.bytes ? "rm0" : "rm"}`,
    sem: toFloat(to, NAMED[from.letter], 1, true, from),
  });
/** Conversions between `f` and each of `others`. */
export const between = (f: Format, ...others: Format[]): Insn[] =>
  others.flatMap((other) => [convert(f, other), convert(other, f)]);

export const instructionsOf = (f: Format): Insn[] => [
  ...arithmetic(f),
  ...comparisons(f),
  ...conversions(f),
];
export { D, H, S };
