/**
 * A guest of two harts: the first is alone for a while, of another length each time, and rings for the second,
 * which waits; then both write their numbers into one list. Who writes when is decided by whose turn it is.
 * Source of the calls: RISC-V SBI 2.0, "IPI", "HSM", "SRST".
 * @module
 */
import { Assembler, X } from "./assembler.ts";
import { CSR, KERNEL, SBI } from "./litmus.ts";

const DATA = KERNEL + 0x1000;
/** Offsets, behind the list's length: how often the second hart has answered, and the list. */
const ANSWERS = 8;
const LIST = 64;
const ENTRIES = 8;

function call(g: Assembler, extension: number, fid: number): void {
  g.li(X.a7, extension);
  g.li(X.a6, fid);
  g.put("ecall");
}
/** Appends s0 so many times. */
function append(g: Assembler): void {
  g.li(X.t1, 1);
  for (let i = 0; i < ENTRIES; i++) {
    g.put("amoadd.d", { rd: X.t2, rs1: X.s1, rs2: X.t1 });
    g.put("add", { rd: X.t2, rs1: X.s1, rs2: X.t2 });
    g.put("sb", { rs2: X.s0, rs1: X.t2, imm: LIST });
  }
}

/** The second hart: answers each ring. */
function answer(g: Assembler): void {
  g.label("answer");
  g.put("wfi");
  g.put("csrrs", { rd: X.t1, csr: CSR.sip, rs1: X.zero });
  g.put("andi", { rd: X.t1, rs1: X.t1, imm: 2 });
  g.to("answer", "beq", { rs1: X.t1, rs2: X.zero });
  g.put("csrrci", { rd: X.zero, csr: CSR.sip, uimm: 2 });
  append(g);
  g.put("addi", { rd: X.t3, rs1: X.s1, imm: ANSWERS });
  g.put("amoadd.d", { rd: X.zero, rs1: X.t3, rs2: X.t1 });
  g.to("answer", "jal", { rd: X.zero });
}

/** A flat image for KERNEL that does so many rounds; the list lies behind it in memory. */
export function company(rounds: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(DATA - KERNEL + LIST + 2 * rounds * ENTRIES);
  const g = new Assembler(KERNEL);
  g.put("addi", { rd: X.s0, rs1: X.a0, imm: 0 });
  g.li(X.s1, DATA);
  g.li(X.t0, 2); // Software interrupts wake, and are never taken: sstatus.SIE stays clear.
  g.put("csrrw", { rd: X.zero, csr: CSR.sie, rs1: X.t0 });
  g.to("first", "beq", { rs1: X.s0, rs2: X.zero });
  answer(g);
  g.label("first");
  g.li(X.a0, 1);
  g.li(X.a1, KERNEL);
  call(g, SBI.hsm, 0);
  g.li(X.s2, 0);
  g.label("round");
  g.put("addi", { rd: X.t0, rs1: X.s2, imm: 30 });
  g.label("alone");
  g.put("addi", { rd: X.t0, rs1: X.t0, imm: -1 });
  g.to("alone", "bne", { rs1: X.t0, rs2: X.zero });
  g.li(X.a0, 2);
  g.li(X.a1, 0);
  call(g, SBI.ipi, 0);
  append(g);
  g.put("addi", { rd: X.s2, rs1: X.s2, imm: 1 });
  g.label("unanswered");
  g.put("ld", { rd: X.t1, rs1: X.s1, imm: ANSWERS });
  g.to("unanswered", "bne", { rs1: X.t1, rs2: X.s2 });
  g.li(X.t1, rounds);
  g.to("round", "bne", { rs1: X.s2, rs2: X.t1 });
  g.li(X.a0, 0);
  g.li(X.a1, 0);
  call(g, SBI.srst, 0);
  g.write(new DataView(bytes.buffer));
  if (g.at > DATA - KERNEL) throw new Error(`the program has ${g.at} bytes`);
  return bytes;
}

/** The list: hart numbers in the order in which they were written. */
export const companyList = (ram: Uint8Array, ramBase: number, rounds: number): Uint8Array =>
  ram.slice(DATA - ramBase + LIST, DATA - ramBase + LIST + 2 * rounds * ENTRIES);
