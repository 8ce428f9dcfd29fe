/**
 * RV64I. Each `row` is the line of the Unprivileged ISA manual's instruction listing.
 * Simplifications: FENCE orders nothing, for harts run one at a time; FENCE.I does nothing, for
 * decoded code is kept coherent with stores.
 *
 * @module
 */
import { type Insn, insn, type Sem } from "../insn.ts";
import type { Bytes, Extend, Imm, Ops, Reg } from "../ops.ts";

/** Computation on two values. */
export type Alu = <V, C>(o: Ops<V, C>, a: V, b: V) => V;

export const regReg = (alu: Alu): Sem => (o, { rd, rs1, rs2 }) =>
  o.setX(rd, alu(o, o.x(rs1), o.x(rs2)));
const regImm = (alu: Alu): Sem => (o, { rd, rs1, imm }) => o.setX(rd, alu(o, o.x(rs1), o.imm(imm)));
/** The W instructions: 32-bit results, sign-extended. */
const word = (alu: Alu): Alu => (o, a, b) => o.extend(alu(o, a, b), 4, "signed");
const amount = <V, C>(o: Ops<V, C>, b: V, bits: number) => o.and(b, o.konst(bits - 1));

const ADD: Alu = (o, a, b) => o.add(a, b);
const SUB: Alu = (o, a, b) => o.sub(a, b);
const AND: Alu = (o, a, b) => o.and(a, b);
const OR: Alu = (o, a, b) => o.or(a, b);
const XOR: Alu = (o, a, b) => o.xor(a, b);
const SLT: Alu = (o, a, b) => o.bool(o.ltS(a, b));
const SLTU: Alu = (o, a, b) => o.bool(o.ltU(a, b));
const SLL: Alu = (o, a, b) => o.shl(a, b);
const SRL: Alu = (o, a, b) => o.shr(a, b);
const SRA: Alu = (o, a, b) => o.sar(a, b);
const SLLW: Alu = (o, a, b) => o.shl(a, amount(o, b, 32));
const SRLW: Alu = (o, a, b) => o.shr(o.extend(a, 4, "unsigned"), amount(o, b, 32));
const SRAW: Alu = (o, a, b) => o.sar(o.extend(a, 4, "signed"), amount(o, b, 32));

const immediate = (name: string, funct3: string, alu: Alu, opcode = "0010011") =>
  insn({
    row: `imm[11:0] rs1 ${funct3} rd ${opcode}`,
    asm: `${name} rd, rs1, imm`,
    sem: regImm(alu),
  });
const shift = (name: string, high: string, funct3: string, alu: Alu, opcode: string) =>
  insn({
    row: `${high} shamt[${opcode === "0010011" ? 5 : 4}:0] rs1 ${funct3} rd ${opcode}`,
    asm: `${name} rd, rs1, shamt`,
    sem: regImm(alu),
  });
export const register = (name: string, funct7: string, funct3: string, alu: Alu, op = "0110011") =>
  insn({
    row: `${funct7} rs2 rs1 ${funct3} rd ${op}`,
    asm: `${name} rd, rs1, rs2`,
    sem: regReg(alu),
  });

const WORD_IMM = "0011011";
export const WORD_OP = "0111011";

export const addi = immediate("addi", "000", ADD);
export const slti = immediate("slti", "010", SLT);
export const sltiu = immediate("sltiu", "011", SLTU);
export const xori = immediate("xori", "100", XOR);
export const ori = immediate("ori", "110", OR);
export const andi = immediate("andi", "111", AND);
export const addiw = immediate("addiw", "000", word(ADD), WORD_IMM);
export const slli = shift("slli", "000000", "001", SLL, "0010011");
export const srli = shift("srli", "000000", "101", SRL, "0010011");
export const srai = shift("srai", "010000", "101", SRA, "0010011");
export const slliw = shift("slliw", "0000000", "001", word(SLLW), WORD_IMM);
export const srliw = shift("srliw", "0000000", "101", word(SRLW), WORD_IMM);
export const sraiw = shift("sraiw", "0100000", "101", word(SRAW), WORD_IMM);

export const add = register("add", "0000000", "000", ADD);
export const sub = register("sub", "0100000", "000", SUB);
export const sll = register("sll", "0000000", "001", SLL);
export const slt = register("slt", "0000000", "010", SLT);
export const sltu = register("sltu", "0000000", "011", SLTU);
export const xor = register("xor", "0000000", "100", XOR);
export const srl = register("srl", "0000000", "101", SRL);
export const sra = register("sra", "0100000", "101", SRA);
export const or = register("or", "0000000", "110", OR);
export const and = register("and", "0000000", "111", AND);
export const addw = register("addw", "0000000", "000", word(ADD), WORD_OP);
export const subw = register("subw", "0100000", "000", word(SUB), WORD_OP);
export const sllw = register("sllw", "0000000", "001", word(SLLW), WORD_OP);
export const srlw = register("srlw", "0000000", "101", word(SRLW), WORD_OP);
export const sraw = register("sraw", "0100000", "101", word(SRAW), WORD_OP);

export const lui = insn({
  row: "imm[31:12] rd 0110111",
  asm: "lui rd, imm20",
  sem: (o, { rd, imm }) => o.setX(rd, o.imm(imm)),
});
export const auipc = insn({
  row: "imm[31:12] rd 0010111",
  asm: "auipc rd, imm20",
  sem: (o, { rd, imm }) => o.setX(rd, o.add(o.pc(), o.imm(imm))),
});

export const jal = insn({
  row: "imm[20|10:1|11|19:12] rd 1101111",
  asm: "jal rd, target",
  sem: (o, { rd, imm }) => {
    o.setX(rd, o.nextPc());
    o.jumpBy(imm);
  },
});
export const jalr = insn({
  row: "imm[11:0] rs1 000 rd 1100111",
  asm: "jalr rd, imm(rs1)",
  sem: (o, { rd, rs1, imm }) => {
    const target = o.and(o.add(o.x(rs1), o.imm(imm)), o.konst(-2)); // rd may be rs1.
    const link = o.nextPc();
    o.setX(rd, link);
    o.jump(target);
  },
});

type Compare = <V, C>(o: Ops<V, C>, a: V, b: V) => C;
const branch = (name: string, funct3: string, compare: Compare) =>
  insn({
    row: `imm[12|10:5] rs2 rs1 ${funct3} imm[4:1|11] 1100011`,
    asm: `${name} rs1, rs2, target`,
    sem: (o, { rs1, rs2, imm }) => o.branch(compare(o, o.x(rs1), o.x(rs2)), imm),
  });
export const beq = branch("beq", "000", (o, a, b) => o.eq(a, b));
export const bne = branch("bne", "001", (o, a, b) => o.ne(a, b));
export const blt = branch("blt", "100", (o, a, b) => o.ltS(a, b));
export const bge = branch("bge", "101", (o, a, b) => o.not(o.ltS(a, b)));
export const bltu = branch("bltu", "110", (o, a, b) => o.ltU(a, b));
export const bgeu = branch("bgeu", "111", (o, a, b) => o.not(o.ltU(a, b)));

const address = <V, C>(o: Ops<V, C>, rs1: Reg, imm: Imm) => o.add(o.x(rs1), o.imm(imm));
const load = (name: string, funct3: string, bytes: Bytes, extend: Extend) =>
  insn({
    row: `imm[11:0] rs1 ${funct3} rd 0000011`,
    asm: `${name} rd, imm(rs1)`,
    sem: (o, { rd, rs1, imm }) => o.setX(rd, o.load(bytes, extend, address(o, rs1, imm))),
  });
export const lb = load("lb", "000", 1, "signed");
export const lh = load("lh", "001", 2, "signed");
export const lw = load("lw", "010", 4, "signed");
export const ld = load("ld", "011", 8, "unsigned");
export const lbu = load("lbu", "100", 1, "unsigned");
export const lhu = load("lhu", "101", 2, "unsigned");
export const lwu = load("lwu", "110", 4, "unsigned");

const store = (name: string, funct3: string, bytes: Bytes) =>
  insn({
    row: `imm[11:5] rs2 rs1 ${funct3} imm[4:0] 0100011`,
    asm: `${name} rs2, imm(rs1)`,
    sem: (o, { rs1, rs2, imm }) => o.store(bytes, address(o, rs1, imm), o.x(rs2)),
  });
export const sb = store("sb", "000", 1);
export const sh = store("sh", "001", 2);
export const sw = store("sw", "010", 4);
export const sd = store("sd", "011", 8);

export const fence = insn({
  row: "fm pred succ rs1 000 rd 0001111",
  asm: "fence pred, succ",
  sem: () => {},
});
export const fence_i = insn({
  row: "imm[11:0] rs1 001 rd 0001111",
  asm: "fence.i",
  sem: () => {},
});

export const pause = insn({
  row: "0000 0001 0000 00000 000 00000 0001111",
  asm: "pause",
  sem: () => {},
});

export const RV64I: Insn[] = [
  [addi, slti, sltiu, xori, ori, andi, addiw, slli, srli, srai, slliw, srliw, sraiw],
  [add, sub, sll, slt, sltu, xor, srl, sra, or, and, addw, subw, sllw, srlw, sraw],
  [lui, auipc, jal, jalr, beq, bne, blt, bge, bltu, bgeu],
  [lb, lh, lw, ld, lbu, lhu, lwu, sb, sh, sw, sd, fence, fence_i, pause],
].flat();
