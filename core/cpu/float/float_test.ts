/**
 * Every operation, in every mode, on special and random values: the interpreter's result and flags
 * against exact arithmetic. `SEED=7 deno test -A core/cpu/float` repeats a failure.
 *
 * @module
 */
import assert from "node:assert/strict";
import { disassemble } from "../disassemble.ts";
import { encode } from "../insn.ts";
import { RV64D } from "../isa/d.ts";
import { RV64F } from "../isa/f.ts";
import { RiscvCpu } from "../mod.ts";
import { FS_MASK } from "../mstatus.ts";
import { Oracle } from "../oracle.ts";
import { Rng } from "../random_streams.ts";
import { type Execution, MODES, word } from "../testing.ts";
import { COMPUTING, operandsFor } from "./vectors.ts";

const RAM_BASE = 0x8000_0000;
const FD = 4;
const RD = 6;
const SEED = Number(Deno.env.get("SEED") ?? 1);

/** The instruction, and a jump back to it: a loop, which is what is compiled. */
class Pair {
  readonly cpu: RiscvCpu;
  readonly oracle: Oracle;
  /** Instructions executed in the mode that compiled code takes for granted, to nearest even. */
  nearest = 0;

  constructor(mode: Execution) {
    this.cpu = new RiscvCpu({
      ...{ harts: 1, ramBase: RAM_BASE, ramBytes: 0x1000, nsPerInsn: 1, timebaseHz: 1_000_000_000 },
      ...{ sbi: false, ...mode },
    });
    this.cpu.stage2.fill(1);
    this.oracle = new Oracle(new Uint8Array(0x1000), new Uint8Array(1).fill(1), BigInt(RAM_BASE));
    const h = this.cpu.hart(0);
    h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 3 });
    h.setCsr(0x300, h.csr(0x300) | FS_MASK);
    this.oracle.set("mstatus", FS_MASK);
    this.oracle.set("priv", 3n);
    this.#store(4, word("jal", { rd: 0, imm: -4 }).bits);
  }
  #store(at: number, bits: number): void {
    this.cpu.ramView.setUint32(at, bits, true);
    this.cpu.wroteRam(at, 4);
    new DataView(this.oracle.ram.buffer).setUint32(at, bits, true);
  }
  load(bits: number): void {
    this.#store(0, bits);
    const h = this.cpu.hart(0);
    h.setCsr(3, 0n);
    h.pc = BigInt(RAM_BASE);
    this.cpu.run(0, 20);
  }
  /** Runs the instruction on f1, f2, f3 and x1; both sides must agree on f4, x6 and the flags. */
  check(args: readonly bigint[], mode: number, flags: number): void {
    const [h, o] = [this.cpu.hart(0), this.oracle];
    args.forEach((v, i) => {
      h.setFp(i + 1, v);
      o.setFp(i + 1, v);
    });
    h.setX(1, args[0]);
    o.setX(1, args[0]);
    const fcsr = BigInt(mode << 5 | flags);
    h.setCsr(3, fcsr);
    o.set("frm", BigInt(mode));
    o.set("fflags", BigInt(flags));
    h.pc = BigInt(RAM_BASE);
    o.set("pc", BigInt(RAM_BASE));
    this.cpu.run(0, 2);
    if (mode === 0) this.nearest += 2;
    o.step();
    o.step();
    const expected = [o.fp(FD), o.x(RD), o.get("fflags")];
    const got = [h.fp(FD), h.x(RD), h.csr(1)];
    if (got.every((v, i) => v === expected[i])) return;
    const hex = (vs: readonly bigint[]) => vs.map((v) => v.toString(16)).join(" ");
    assert.fail(
      `${disassemble(this.cpu.ramView.getUint32(0, true))} of ${hex(args)} in mode ${mode}, ` +
        `flags ${flags}: f${FD}, x${RD} and flags are ${hex(got)}, expected ${hex(expected)}`,
    );
  }
}

const PAIRS = Object.entries(MODES).map(([name, mode]) => ({ name, pair: new Pair(mode) }));
for (
  const { name, pair, insn } of PAIRS.flatMap((p) => COMPUTING.map((insn) => ({ ...p, insn })))
) {
  Deno.test(`${insn.name}, ${name}: result and flags are those of exact arithmetic`, () => {
    const rounds = insn.mapping.rm !== undefined;
    const registers = { rd: insn.floats.has("rd") ? FD : RD, rs1: 1, rs2: 2, rs3: 3, rm: 7 };
    const values = Object.entries(registers).filter(([name]) => insn.row.operands.has(name));
    pair.load(encode(insn, Object.fromEntries(values)));
    const r = new Rng(SEED);
    for (const mode of rounds ? [0, 1, 2, 3, 4] : [0]) {
      for (const args of operandsFor(insn, r, 400)) {
        pair.check(args, mode, r.chance(50) ? 0 : r.below(32));
      }
    }
  });
}

const [{ pair }] = PAIRS;

Deno.test("rounding mode: reserved ones are illegal, static and dynamic", () => {
  const illegal = (word: number, frm: number) => {
    pair.load(word);
    const h = pair.cpu.hart(0);
    h.setCsr(3, BigInt(frm << 5));
    h.setCsr(0x342, 0n);
    h.pc = BigInt(RAM_BASE);
    pair.cpu.run(0, 1);
    return h.csr(0x342) === 2n && h.csr(0x343) === BigInt(word);
  };
  const add = RV64D.find((i) => i.name === "fadd.d")!;
  for (let rm = 0; rm < 8; rm++) {
    const word = encode(add, { rd: 1, rs1: 1, rs2: 1, rm });
    for (let frm = 0; frm < 8; frm++) {
      const reserved = rm === 7 ? frm > 4 : rm > 4;
      assert.equal(illegal(word, frm), reserved, `rm ${rm}, frm ${frm}`);
    }
  }
});

Deno.test("NaN box: a register without one counts as the canonical NaN", () => {
  const classify = RV64F.find((i) => i.name === "fclass.s")!;
  pair.load(encode(classify, { rd: RD, rs1: 1 }));
  pair.check([0x3f80_0000n], 0, 0);
  assert.equal(pair.cpu.hart(0).x(RD), 1n << 9n);
});

Deno.test("compiled: most operations ran as compiled code", () => {
  const { cpu, nearest } = PAIRS.find(({ name }) => name === "compiled")!.pair;
  const { executed } = cpu.compilation!;
  assert.ok(executed > nearest / 2, `${executed} of ${nearest}`);
});
