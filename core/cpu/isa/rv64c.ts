/**
 * Extension C: each row expands to an instruction of RV64I. Each `row` is the line of the
 * Unprivileged ISA manual's RVC listing; encodings reserved for HINTs run as the no-operations that
 * they expand to.
 *
 * @module
 */
import { type Insn, insn } from "../insn.ts";
import * as i from "./rv64i.ts";
import { ebreak } from "./system.ts";

const SP = 2;
const RA = 1;

const alu = (name: string, row: string, base: Insn) =>
  insn({ row, asm: `c.${name} rd', rs2'`, as: [base, { rd: "rd'", rs1: "rd'", rs2: "rs2'" }] });
const branch = (name: string, funct3: string, base: Insn) =>
  insn({
    row: `${funct3} imm[8|4:3] rs1' imm[7:6|2:1|5] 01`,
    asm: `c.${name} rs1', target`,
    as: [base, { rs1: "rs1'", rs2: 0, imm: "imm" }],
  });
const shiftRight = (name: string, funct2: string, base: Insn) =>
  insn({
    row: `100 shamt[5] ${funct2} rd' shamt[4:0] 01`,
    asm: `c.${name} rd', shamt`,
    as: [base, { rd: "rd'", rs1: "rd'", imm: "shamt" }],
  });
const loadOf = (name: string, row: string, base: Insn) =>
  insn({
    row,
    asm: `c.${name} rd', uimm(rs1')`,
    as: [base, { rd: "rd'", rs1: "rs1'", imm: "uimm" }],
  });
const storeOf = (name: string, row: string, base: Insn) =>
  insn({
    row,
    asm: `c.${name} rs2', uimm(rs1')`,
    as: [base, { rs2: "rs2'", rs1: "rs1'", imm: "uimm" }],
  });

const quadrant0 = [
  insn({
    row: "000 nzuimm[5:4|9:6|2|3] rd' 00",
    asm: "c.addi4spn rd', sp, nzuimm",
    as: [i.addi, { rd: "rd'", rs1: SP, imm: "nzuimm" }],
  }),
  loadOf("lw", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", i.lw),
  loadOf("ld", "011 uimm[5:3] rs1' uimm[7:6] rd' 00", i.ld),
  storeOf("sw", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", i.sw),
  storeOf("sd", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", i.sd),
];

const quadrant1 = [
  insn({ row: "000 imm[5] 00000 imm[4:0] 01", asm: "c.nop", as: [i.addi, {}] }),
  insn({
    row: "000 imm[5] rd≠0 imm[4:0] 01",
    asm: "c.addi rd, imm",
    as: [i.addi, { rd: "rd", rs1: "rd", imm: "imm" }],
  }),
  insn({
    row: "001 imm[5] rd≠0 imm[4:0] 01",
    asm: "c.addiw rd, imm",
    as: [i.addiw, { rd: "rd", rs1: "rd", imm: "imm" }],
  }),
  insn({
    row: "010 imm[5] rd imm[4:0] 01",
    asm: "c.li rd, imm",
    as: [i.addi, { rd: "rd", rs1: 0, imm: "imm" }],
  }),
  insn({
    row: "011 nzimm[9] 00010 nzimm[4|6|8:7|5] 01",
    asm: "c.addi16sp sp, nzimm",
    as: [i.addi, { rd: SP, rs1: SP, imm: "nzimm" }],
  }),
  insn({
    row: "011 nzimm[17] rd≠2 nzimm[16:12] 01",
    asm: "c.lui rd, imm20",
    as: [i.lui, { rd: "rd", imm: "nzimm" }],
  }),
  shiftRight("srli", "00", i.srli),
  shiftRight("srai", "01", i.srai),
  insn({
    row: "100 imm[5] 10 rd' imm[4:0] 01",
    asm: "c.andi rd', imm",
    as: [i.andi, { rd: "rd'", rs1: "rd'", imm: "imm" }],
  }),
  alu("sub", "100 0 11 rd' 00 rs2' 01", i.sub),
  alu("xor", "100 0 11 rd' 01 rs2' 01", i.xor),
  alu("or", "100 0 11 rd' 10 rs2' 01", i.or),
  alu("and", "100 0 11 rd' 11 rs2' 01", i.and),
  alu("subw", "100 1 11 rd' 00 rs2' 01", i.subw),
  alu("addw", "100 1 11 rd' 01 rs2' 01", i.addw),
  insn({
    row: "101 imm[11|4|9:8|10|6|7|3:1|5] 01",
    asm: "c.j target",
    as: [i.jal, { rd: 0, imm: "imm" }],
  }),
  branch("beqz", "110", i.beq),
  branch("bnez", "111", i.bne),
];

const quadrant2 = [
  insn({
    row: "000 shamt[5] rd shamt[4:0] 10",
    asm: "c.slli rd, shamt",
    as: [i.slli, { rd: "rd", rs1: "rd", imm: "shamt" }],
  }),
  insn({
    row: "010 uimm[5] rd≠0 uimm[4:2|7:6] 10",
    asm: "c.lwsp rd, uimm(sp)",
    as: [i.lw, { rd: "rd", rs1: SP, imm: "uimm" }],
  }),
  insn({
    row: "011 uimm[5] rd≠0 uimm[4:3|8:6] 10",
    asm: "c.ldsp rd, uimm(sp)",
    as: [i.ld, { rd: "rd", rs1: SP, imm: "uimm" }],
  }),
  insn({
    row: "100 0 rs1≠0 00000 10",
    asm: "c.jr rs1",
    as: [i.jalr, { rd: 0, rs1: "rs1", imm: 0 }],
  }),
  insn({
    row: "100 0 rd rs2≠0 10",
    asm: "c.mv rd, rs2",
    as: [i.add, { rd: "rd", rs1: 0, rs2: "rs2" }],
  }),
  insn({ row: "100 1 00000 00000 10", asm: "c.ebreak", as: [ebreak, {}] }),
  insn({
    row: "100 1 rs1≠0 00000 10",
    asm: "c.jalr rs1",
    as: [i.jalr, { rd: RA, rs1: "rs1", imm: 0 }],
  }),
  insn({
    row: "100 1 rd rs2≠0 10",
    asm: "c.add rd, rs2",
    as: [i.add, { rd: "rd", rs1: "rd", rs2: "rs2" }],
  }),
  insn({
    row: "110 uimm[5:2|7:6] rs2 10",
    asm: "c.swsp rs2, uimm(sp)",
    as: [i.sw, { rs2: "rs2", rs1: SP, imm: "uimm" }],
  }),
  insn({
    row: "111 uimm[5:3|8:6] rs2 10",
    asm: "c.sdsp rs2, uimm(sp)",
    as: [i.sd, { rs2: "rs2", rs1: SP, imm: "uimm" }],
  }),
];

export const RV64C: Insn[] = [...quadrant0, ...quadrant1, ...quadrant2];
