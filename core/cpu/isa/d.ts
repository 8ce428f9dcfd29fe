/**
 * Extension D for RV64: double precision; with it, extension C's loads and stores of doubles. Each
 * `row` is the line of the Unprivileged ISA manual's RVC listing.
 *
 * @module
 */
import { type Insn, insn } from "../insn.ts";
import { between, D, instructionsOf, load, moves, S, store } from "./float.ts";

const SP = 2;

export const fld = load(D);
export const fsd = store(D);

/** Needs C as well. */
export const RV64DC: Insn[] = [
  insn({
    row: "001 uimm[5:3] rs1' uimm[7:6] rd' 00",
    asm: "c.fld fd', uimm(rs1')",
    as: [fld, { rd: "rd'", rs1: "rs1'", imm: "uimm" }],
  }),
  insn({
    row: "101 uimm[5:3] rs1' uimm[7:6] rs2' 00",
    asm: "c.fsd fs2', uimm(rs1')",
    as: [fsd, { rs2: "rs2'", rs1: "rs1'", imm: "uimm" }],
  }),
  insn({
    row: "001 uimm[5] rd uimm[4:3|8:6] 10",
    asm: "c.fldsp fd, uimm(sp)",
    as: [fld, { rd: "rd", rs1: SP, imm: "uimm" }],
  }),
  insn({
    row: "101 uimm[5:3|8:6] rs2 10",
    asm: "c.fsdsp fs2, uimm(sp)",
    as: [fsd, { rs2: "rs2", rs1: SP, imm: "uimm" }],
  }),
];

export const RV64D: Insn[] = [fld, fsd, ...moves(D), ...instructionsOf(D), ...between(D, S)];
