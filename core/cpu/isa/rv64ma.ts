/**
 * Extensions M and A. Each `row` is the line of the Unprivileged ISA manual's instruction listing.
 * Simplifications: aq and rl order nothing, for harts run one at a time.
 *
 * @module
 */
import { type Insn, insn } from "../insn.ts";
import type { Ops } from "../ops.ts";
import { type Alu, register, WORD_OP } from "./rv64i.ts";

type Two = <V, C>(o: Ops<V, C>, a: V, b: V) => V;

const multiply = (name: string, funct3: string, alu: Two, op?: string) =>
  register(name, "0000001", funct3, alu, op);
const wordOf = (sign: "signed" | "unsigned", alu: Two): Alu => (o, a, b) =>
  o.extend(alu(o, o.extend(a, 4, sign), o.extend(b, 4, sign)), 4, "signed");

export const mul = multiply("mul", "000", (o, a, b) => o.mul(a, b));
export const mulh = multiply("mulh", "001", (o, a, b) => o.mulh(a, b, "ss"));
export const mulhsu = multiply("mulhsu", "010", (o, a, b) => o.mulh(a, b, "su"));
export const mulhu = multiply("mulhu", "011", (o, a, b) => o.mulh(a, b, "uu"));
export const div = multiply("div", "100", (o, a, b) => o.div(a, b, "signed"));
export const divu = multiply("divu", "101", (o, a, b) => o.div(a, b, "unsigned"));
export const rem = multiply("rem", "110", (o, a, b) => o.rem(a, b, "signed"));
export const remu = multiply("remu", "111", (o, a, b) => o.rem(a, b, "unsigned"));
export const mulw = multiply("mulw", "000", wordOf("signed", (o, a, b) => o.mul(a, b)), WORD_OP);
export const divw = multiply(
  "divw",
  "100",
  wordOf("signed", (o, a, b) => o.div(a, b, "signed")),
  WORD_OP,
);
export const divuw = multiply(
  "divuw",
  "101",
  wordOf("unsigned", (o, a, b) => o.div(a, b, "unsigned")),
  WORD_OP,
);
export const remw = multiply(
  "remw",
  "110",
  wordOf("signed", (o, a, b) => o.rem(a, b, "signed")),
  WORD_OP,
);
export const remuw = multiply(
  "remuw",
  "111",
  wordOf("unsigned", (o, a, b) => o.rem(a, b, "unsigned")),
  WORD_OP,
);

/** The 32-bit forms compare their operands as 32-bit values. */
const narrow = <V, C>(o: Ops<V, C>, v: V, bytes: 4 | 8, sign: "signed" | "unsigned") =>
  o.extend(v, bytes, sign);

type Change = <V, C>(o: Ops<V, C>, old: V, src: V, bytes: 4 | 8) => V;
const extremum = (sign: "signed" | "unsigned", keepLess: boolean): Change => (o, old, src, n) => {
  const [a, b] = [narrow(o, old, n, sign), narrow(o, src, n, sign)];
  const less = sign === "signed" ? o.ltS(a, b) : o.ltU(a, b);
  return keepLess ? o.select(less, old, src) : o.select(less, src, old);
};

const CHANGES: [string, string, Change][] = [
  ["swap", "00001", (_, __, src) => src],
  ["add", "00000", (o, old, src) => o.add(old, src)],
  ["xor", "00100", (o, old, src) => o.xor(old, src)],
  ["and", "01100", (o, old, src) => o.and(old, src)],
  ["or", "01000", (o, old, src) => o.or(old, src)],
  ["min", "10000", extremum("signed", true)],
  ["max", "10100", extremum("signed", false)],
  ["minu", "11000", extremum("unsigned", true)],
  ["maxu", "11100", extremum("unsigned", false)],
];

const amo = (name: string, funct5: string, bytes: 4 | 8, change: Change) =>
  insn({
    row: `${funct5} aq rl rs2 rs1 ${bytes === 4 ? "010" : "011"} rd 0101111`,
    asm: `amo${name}.${bytes === 4 ? "w" : "d"}{aqrl} rd, rs2, (rs1)`,
    sem: (o, { rd, rs1, rs2 }) => {
      const src = o.x(rs2);
      o.setX(rd, o.amo(bytes, o.x(rs1), (old) => change(o, old, src, bytes)));
    },
  });

const loadReserved = (bytes: 4 | 8) =>
  insn({
    row: `00010 aq rl 00000 rs1 ${bytes === 4 ? "010" : "011"} rd 0101111`,
    asm: `lr.${bytes === 4 ? "w" : "d"}{aqrl} rd, (rs1)`,
    sem: (o, { rd, rs1 }) => o.setX(rd, o.loadReserved(bytes, o.x(rs1))),
  });
const storeConditional = (bytes: 4 | 8) =>
  insn({
    row: `00011 aq rl rs2 rs1 ${bytes === 4 ? "010" : "011"} rd 0101111`,
    asm: `sc.${bytes === 4 ? "w" : "d"}{aqrl} rd, rs2, (rs1)`,
    sem: (o, { rd, rs1, rs2 }) => o.setX(rd, o.storeConditional(bytes, o.x(rs1), o.x(rs2))),
  });

const widths = [4, 8] as const;
export const RV64M: Insn[] = [
  [mul, mulh, mulhsu, mulhu, div, divu, rem, remu],
  [mulw, divw, divuw, remw, remuw],
].flat();
export const RV64A: Insn[] = widths.flatMap((bytes) => [
  loadReserved(bytes),
  storeConditional(bytes),
  ...CHANGES.map(([name, funct5, change]) => amo(name, funct5, bytes, change)),
]);
