/**
 * What tests against QEMU share: programs of our own encoder that print bytes to the first UART and
 * end at the test finisher, on our harts and on QEMU's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { qemuToItsEnd } from "../../tests/qemu_run.ts";
import { encode, type Insn } from "./insn.ts";
import { INSNS } from "./isa/mod.ts";
import { RiscvCpu, Stop } from "./mod.ts";
import { type Execution, MODES } from "./testing.ts";

export const RAM = 0x8000_0000;
export const UART = 0x1000_0000;
export const FINISHER = 0x10_0000;
/** Written to the finisher: power off. */
export const PASS = 0x5555;

export const byName = (name: string, bytes = 4) =>
  INSNS.find((i) => i.name === name && i.row.length === bytes)!;

export class Assembler {
  at = 0;
  constructor(readonly image: DataView) {}
  put(insn: Insn | string, values: Record<string, number> = {}): void {
    const i = typeof insn === "string" ? byName(insn, insn.startsWith("c.") ? 2 : 4) : insn;
    const word = encode(i, values);
    this.image.setUint16(this.at, word & 0xffff, true);
    if (i.row.length === 4) this.image.setUint16(this.at + 2, word >>> 16, true);
    this.at += i.row.length;
  }
  /** An instruction of four bytes. */
  word(bits: number): void {
    this.image.setUint32(this.at, bits, true);
    this.at += 4;
  }
  /** rd = RAM + offset, or any 32-bit value. */
  li(rd: number, v: number): void {
    const low = v << 20 >> 20;
    this.put("lui", { rd, imm: (v - low) | 0 });
    this.put("addi", { rd, rs1: rd, imm: low });
    this.put("slli", { rd, rs1: rd, shamt: 32 });
    this.put("srli", { rd, rs1: rd, shamt: 32 });
  }
}

/** Between two bytes that a program prints; one that needs more is lost. */
const MOST_INSNS = 100_000_000;

/** What the program prints on our harts, however they execute. */
export function ours(program: Uint8Array): Uint8Array {
  const [first, ...others] = Object.values(MODES).map((mode) => printed(program, mode));
  for (const other of others) assert.deepEqual(other, first);
  return first;
}
function printed(program: Uint8Array, mode: Execution): Uint8Array {
  const cpu = new RiscvCpu({
    ...{
      harts: 1,
      ramBase: RAM,
      ramBytes: 0x100_0000,
      nsPerInsn: 1,
      timebaseHz: 10_000_000,
      sbi: false,
      ...mode,
    },
  });
  cpu.stage2.fill(1);
  cpu.ram.set(program);
  const h = cpu.hart(0);
  h.start({ pc: RAM, a0: 0, a1: 0, priv: 3 });
  const out: number[] = [];
  for (;;) {
    const stop = cpu.run(0, MOST_INSNS);
    assert.equal(Stop[stop], "Store", `left at ${h.pc.toString(16)}`);
    if (h.access.gpa === FINISHER) return new Uint8Array(out);
    out.push(h.access.lo);
    h.completeStore();
  }
}

/** And on QEMU's; `extensions` follow the name of its CPU. */
export function qemu(
  program: Uint8Array<ArrayBuffer>,
  extensions: string,
): Uint8Array {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, program);
    const { output, complaints } = qemuToItsEnd([
      ...["-M", "virt", "-m", "16M", "-cpu", `rv64${extensions}`],
      ...["-bios", "none", "-display", "none", "-monitor", "none", "-serial", "stdio"],
      ...["-device", `loader,file=${file},addr=${RAM},force-raw=on`],
    ]);
    assert.equal(complaints, "");
    return output;
  } finally {
    Deno.removeSync(file);
  }
}
