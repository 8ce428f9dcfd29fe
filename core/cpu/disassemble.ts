/**
 * Disassembly in the syntax of the GNU tools without aliases, from the `asm` of each row.
 *
 * @module
 */
import { csrName } from "./csr.ts";
import type { Insn } from "./insn.ts";
import { DECODER } from "./isa/mod.ts";
import { extract } from "./row.ts";

const REGISTERS = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 " +
  "s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6").split(" ");

const FLOAT_REGISTERS =
  ("ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 " +
    "fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11").split(" ");
const ROUNDING = "rne rtz rdn rup rmm unknown unknown dyn".split(" ");

const hex = (v: number | bigint) => `0x${v.toString(16)}`;

function target(offset: number, pc: bigint | undefined): string {
  if (pc !== undefined) return hex(BigInt.asUintN(64, pc + BigInt(offset)));
  return `. ${offset < 0 ? "-" : "+"} ${Math.abs(offset)}`;
}

const ORDER = ["", "rl", "aq", "aqrl"];

/** Which of a predecessor or successor set's bits are in: device input, output, memory reads, writes. */
function fenceSet(v: number): string {
  return [..."iorw"].filter((_, i) => v & 8 >> i).join("") || "unknown";
}

function operand(insn: Insn, token: string, word: number, pc: bigint | undefined): string {
  const value = (name: string) => extract(insn.row.operands.get(name)!, word);
  const immediate = () => value(insn.row.operands.has("imm") ? "imm" : "nzimm");
  switch (token) {
    case "imm20":
      return hex(immediate() >>> 12 & 0xfffff);
    case "target":
      return target(immediate(), pc);
    case "csr":
      return csrName(value("csr")) ?? hex(value("csr"));
    case "rm":
    case "rm0":
      return ROUNDING[value("rm")];
    case "shamt":
      return hex(value("shamt"));
    case "pred":
    case "succ":
      return fenceSet(value(token));
  }
  if (/^f[ds]/.test(token)) return FLOAT_REGISTERS[value(`r${token.slice(1)}`)];
  const o = insn.row.operands.get(token);
  if (!o) return token;
  return token.startsWith("r") ? REGISTERS[value(token)] : String(value(token));
}

/** `pc` makes targets absolute. Words that are no instruction print as data. */
export function disassemble(word: number, pc?: bigint): string {
  const insn = DECODER.find((word & 3) === 3 ? word >>> 0 : word & 0xffff);
  if (!insn) return (word & 3) === 3 ? `.4byte ${hex(word >>> 0)}` : `.2byte ${hex(word & 0xffff)}`;
  const [, name, rest] = /^(\S+) ?(.*)$/.exec(insn.asm)!;
  const order = name.endsWith("{aqrl}")
    ? ORDER[
      extract(insn.row.operands.get("aq")!, word) * 2 + extract(insn.row.operands.get("rl")!, word)
    ]
    : "";
  const mnemonic = name.replace("{aqrl}", order && `.${order}`);
  const text = rest.replace(/[a-z][a-z0-9]*'?/g, (t) => operand(insn, t, word, pc))
    .replace(rest.endsWith("rm0") ? /, rne$/ : /, dyn$/, "");
  return text ? `${mnemonic} ${text}` : mnemonic;
}
