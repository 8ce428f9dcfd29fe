/**
 * ECALL, EBREAK, Zicsr and the privileged instructions. Each `row` is the line of the Unprivileged
 * ISA manual's instruction listing or of the Privileged ISA's ("Trap-Return", "Interrupt-Management",
 * "Supervisor Memory-Management").
 * Simplifications: SFENCE.VMA ignores its ASID, for ASIDLEN is 0.
 *
 * @module
 */
import { csrModify, csrRead, csrWrite } from "../csr.ts";
import { type Insn, insn, type Sem } from "../insn.ts";
import { CAUSE, MSTATUS } from "../mstatus.ts";
import type { Fields, Ops } from "../ops.ts";
import { Stop } from "../state.ts";
import { bitSet } from "../values.ts";
import { leave } from "../trap.ts";

const ecall = insn({
  row: "000000000000 00000 000 00000 1110011",
  asm: "ecall",
  sem: (o) => {
    const priv = o.get("priv");
    const hypercall = o.both(o.ne(o.get("sbi"), o.konst(0)), o.eq(priv, o.konst(1)));
    o.when(hypercall, () => o.stop(Stop.Ecall));
    o.raise(o.add(o.konst(CAUSE.EcallU), priv), o.konst(0));
  },
});
export const ebreak = insn({
  row: "000000000001 00000 000 00000 1110011",
  asm: "ebreak",
  sem: (o) => o.raise(CAUSE.Breakpoint, o.pc()),
});

type Source = <V, C>(o: Ops<V, C>, f: Fields) => V;
type Combine = <V, C>(o: Ops<V, C>, old: V, src: V) => V;
const REGISTER: Source = (o, { rs1 }) => o.x(rs1);
const IMMEDIATE: Source = (o, { imm }) => o.imm(imm);

/** Read, change, write: the write's checks come before rd changes. */
const modify = (source: Source, combine?: Combine): Sem => (o, f) => {
  const index = o.csr(f.csr);
  const src = source(o, f);
  const old = o.call(csrRead, index);
  o.call(csrWrite, index, combine ? combine(o, o.call(csrModify, index), src) : src);
  o.setX(f.rd, old);
  o.serialize();
};
const SET: Combine = (o, old, src) => o.or(old, src);
const CLEAR: Combine = (o, old, src) => o.and(old, o.xor(src, o.konst(-1)));

const csrInsns = (
  [["csrrw", "001", "101", undefined], ["csrrs", "010", "110", SET], [
    "csrrc",
    "011",
    "111",
    CLEAR,
  ]] as const
).flatMap(([name, register, immediate, combine]) => [
  insn({
    row: `csr rs1 ${register} rd 1110011`,
    asm: `${name} rd, csr, rs1`,
    sem: modify(REGISTER, combine),
  }),
  insn({
    row: `csr uimm[4:0] ${immediate} rd 1110011`,
    asm: `${name}i rd, csr, uimm`,
    sem: modify(IMMEDIATE, combine),
  }),
]);

/** Without a source these only read, so a read-only register is no error (Zicsr). */
const readOnly = (
  [["csrrs", "010", "zero"], ["csrrsi", "110", "0"], ["csrrc", "011", "zero"], [
    "csrrci",
    "111",
    "0",
  ]] as const
).map(([name, funct3, source]) =>
  insn({
    row: `csr 00000 ${funct3} rd 1110011`,
    asm: `${name} rd, csr, ${source}`,
    sem: (o, { rd, csr }) => o.setX(rd, o.call(csrRead, o.csr(csr))),
  })
);

/** Illegal below `priv`, and in S-mode while mstatus has `trap` set. */
function guard<V, C>(o: Ops<V, C>, priv: number, trap?: number): void {
  const now = o.get("priv");
  o.when(o.ltU(now, o.konst(priv)), () => o.illegal());
  if (trap === undefined) return;
  const inS = o.eq(now, o.konst(1));
  o.when(o.both(inS, bitSet(o, o.get("mstatus"), trap)), () => o.illegal());
}

const sret = insn({
  row: "0001000 00010 00000 000 00000 1110011",
  asm: "sret",
  sem: (o) => {
    guard(o, 1, MSTATUS.TSR);
    o.jump(leave(o, "s"), "serialize");
  },
});
const mret = insn({
  row: "0011000 00010 00000 000 00000 1110011",
  asm: "mret",
  sem: (o) => {
    guard(o, 3);
    o.jump(leave(o, "m"), "serialize");
  },
});
const wfi = insn({
  row: "0001000 00101 00000 000 00000 1110011",
  asm: "wfi",
  sem: (o) => {
    guard(o, 1, MSTATUS.TW);
    o.set("stopAfter", o.konst(1 + Stop.Wfi));
    o.set("dirty", o.konst(1));
    o.serialize();
  },
});

/** The next instruction's own translation was forgotten with the others. */
function fetchAgain<V, C>(o: Ops<V, C>): void {
  o.set("dirty", o.konst(1));
  o.serialize();
}

const sfence = insn({
  row: "0001001 rs2 rs1 000 00000 1110011",
  asm: "sfence.vma rs1, rs2",
  sem: (o, { rs1 }) => {
    guard(o, 1, MSTATUS.TVM);
    o.flushTlb(o.x(rs1));
    fetchAgain(o);
  },
});
const sfenceAll = insn({
  row: "0001001 rs2 00000 000 00000 1110011",
  asm: "sfence.vma zero, rs2",
  sem: (o) => {
    guard(o, 1, MSTATUS.TVM);
    o.flushTlb();
    fetchAgain(o);
  },
});

const sinval = (asm: string, rs1: "rs1" | "00000") =>
  insn({
    row: `0001011 rs2 ${rs1} 000 00000 1110011`,
    asm,
    sem: (o, f) => {
      guard(o, 1, MSTATUS.TVM);
      if (rs1 === "rs1") o.flushTlb(o.x(f.rs1));
      else o.flushTlb();
      fetchAgain(o);
    },
  });
/** Orders what is already in order. */
const inval = (name: string, number: string) =>
  insn({
    row: `0001100 ${number} 00000 000 00000 1110011`,
    asm: name,
    sem: (o) => guard(o, 1),
  });
export const SVINVAL: Insn[] = [
  sinval("sinval.vma rs1, rs2", "rs1"),
  sinval("sinval.vma zero, rs2", "00000"),
  inval("sfence.w.inval", "00000"),
  inval("sfence.inval.ir", "00001"),
];

export const SYSTEM: Insn[] = [
  ...[ecall, ebreak, sret, mret, wfi, sfence, sfenceAll],
  ...csrInsns,
  ...readOnly,
];
