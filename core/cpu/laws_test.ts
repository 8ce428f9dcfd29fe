/**
 * Laws of the CPU's interface: the budget is exact, state can be saved anywhere, decoded code is
 * never stale, SFENCE.VMA forgets what it must.
 *
 * @module
 */
import assert from "node:assert/strict";
import { encode } from "./insn.ts";
import { INSNS } from "./isa/mod.ts";
import { type RiscvCpu, Stop } from "./mod.ts";
import { PTE } from "./mstatus.ts";
import { type Line, machine, program, test, word } from "./testing.ts";
import {
  RAM_BASE,
  RAM_BYTES,
  randomPc,
  randomRam,
  registerValue,
  Rng,
  ROOTS,
} from "./random_streams.ts";

const PAGE = 4096;

/** Runs exactly `counts`, serving whatever stops it by rules that depend on the guest alone. */
function runExactly(cpu: RiscvCpu, counts: number): void {
  const h = cpu.hart(0);
  const end = h.icount + counts;
  while (h.icount < end) {
    const stop = cpu.run(0, end - h.icount);
    if (stop === Stop.Load) h.completeLoad(h.access.gpa >>> 0, h.icount >>> 0);
    if (stop === Stop.Store) h.completeStore();
    if (stop === Stop.Ecall) h.retire();
  }
  assert.equal(h.icount, end);
}

function randomMachine(seed: number, codePages?: number): RiscvCpu {
  const r = new Rng(seed);
  const cpu = machine({ codePages });
  cpu.ram.set(randomRam(r, false));
  cpu.wroteRam(0, RAM_BYTES);
  const h = cpu.hart(0);
  h.start({ pc: randomPc(r), a0: 0, a1: 0, priv: r.chance(50) ? 3 : 1 });
  for (let i = 1; i < 32; i++) h.setX(i, registerValue(r, i));
  for (
    const [csr, v] of [
      [0x305, randomPc(r)],
      [0x105, randomPc(r)],
      [0x302, BigInt(r.u32())],
      [0x303, 0x222n],
      [0x304, 0x2aan],
      [0x30a, 1n << 63n],
      [0x14d, 40n],
      [0x180, 8n << 60n | BigInt(ROOTS[8] / PAGE)],
    ] as const
  ) h.setCsr(csr, v);
  return cpu;
}

const whole = (cpu: RiscvCpu) => [cpu.stateBytes(), cpu.ram];
const SEED = Number(Deno.env.get("SEED") ?? 1);
const seeds = Array.from({ length: 25 }, (_, i) => SEED + i);
const repeat = (seed: number) => `to repeat: SEED=${seed} deno test -A core/cpu/laws_test.ts`;
const TOTAL = 600;

test("run: n counts in any split give the same state", () => {
  for (const seed of seeds) {
    const one = randomMachine(seed);
    runExactly(one, TOTAL);
    const split = randomMachine(seed);
    const r = new Rng(~seed);
    for (let left = TOTAL; left > 0;) {
      const n = Math.min(left, 1 + r.below(20));
      runExactly(split, n);
      left -= n;
    }
    assert.deepEqual(whole(split), whole(one), repeat(seed));
  }
});

test("loadState: a restored machine is indistinguishable from the original", () => {
  for (const seed of seeds) {
    const original = randomMachine(seed);
    const r = new Rng(~seed);
    runExactly(original, 1 + r.below(TOTAL));
    const copy = machine();
    copy.ram.set(original.ram);
    copy.loadState(original.stateBytes());
    assert.deepEqual(copy.stateBytes(), original.stateBytes());
    for (const cpu of [original, copy]) runExactly(cpu, TOTAL);
    assert.deepEqual(whole(copy), whole(original), repeat(seed));
  }
});

test("decoded pages: how many there are cannot be seen", () => {
  for (const seed of seeds) {
    const [few, many] = [randomMachine(seed, 2), randomMachine(seed)];
    for (const cpu of [few, many]) runExactly(cpu, TOTAL);
    assert.deepEqual(whole(few), whole(many), repeat(seed));
  }
});

// Directed programs.

const A0 = 10;
const A1 = 11;
const A2 = 12;

test("store: an instruction written is the instruction executed, without FENCE.I", () => {
  const cpu = machine();
  const h = cpu.hart(0);
  const target = word("addi", { rd: A0, rs1: A0, imm: 5 }).bits;
  for (const at of [0x100, 0x102, PAGE - 2]) {
    program(cpu, at, [["addi", { rd: A0, rs1: A0, imm: 1 }], ["jalr", { rd: 0, rs1: 1, imm: 0 }]]);
    program(cpu, 0x2000, [
      ["jalr", { rd: 1, rs1: A1, imm: 0 }],
      ["sw", { rs2: A2, rs1: A1, imm: 0 }],
      ["jalr", { rd: 1, rs1: A1, imm: 0 }],
    ]);
    h.start({ pc: RAM_BASE + 0x2000, a0: 0, a1: RAM_BASE + at, priv: 3 });
    h.setX(A2, BigInt(target));
    cpu.run(0, 7);
    assert.equal(h.x(A0), 6n, `at ${at.toString(16)}`);
  }
});

test("store: a page written before it ran is coherent once it has run", () => {
  const cpu = machine();
  const h = cpu.hart(0);
  const at = 0x4000;
  program(cpu, at, [["addi", { rd: A0, rs1: A0, imm: 1 }], ["jalr", { rd: 0, rs1: 1, imm: 0 }]]);
  program(cpu, 0x2000, [
    ["sw", { rs2: 0, rs1: A1, imm: 64 }], // Caches the page for stores, before it is decoded.
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
    ["sw", { rs2: A2, rs1: A1, imm: 0 }],
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
  ]);
  h.start({ pc: RAM_BASE + 0x2000, a0: 0, a1: RAM_BASE + at, priv: 3 });
  h.setX(A2, BigInt(word("addi", { rd: A0, rs1: A0, imm: 5 }).bits));
  cpu.run(0, 8);
  assert.equal(h.x(A0), 6n);
});

test("store: to the upper half of an instruction changes it", () => {
  const cpu = machine();
  const h = cpu.hart(0);
  program(cpu, 0x100, [["addi", { rd: A0, rs1: A0, imm: 1 }], ["jalr", { rd: 0, rs1: 1, imm: 0 }]]);
  program(cpu, 0x2000, [
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
    ["sh", { rs2: A2, rs1: A1, imm: 2 }],
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
  ]);
  h.start({ pc: RAM_BASE + 0x2000, a0: 0, a1: RAM_BASE + 0x100, priv: 3 });
  h.setX(A2, BigInt(word("addi", { rd: A0, rs1: A0, imm: 5 }).bits >>> 16));
  cpu.run(0, 7);
  assert.equal(h.x(A0), 6n);
});

/** Maps `va` through a leaf at `level`; tables at pages 64..66. */
function map(cpu: RiscvCpu, va: bigint, page: number, level: number): number {
  const entry = (table: number, l: number) =>
    table * PAGE + Number(va >> BigInt(12 + 9 * l) & 511n) * 8;
  for (let l = 2, table = 64; l > level; l--, table++) {
    const next = BigInt((RAM_BASE / PAGE) + table + 1);
    cpu.ramView.setBigUint64(entry(table, l), next << 10n | BigInt(PTE.V), true);
  }
  const at = entry(64 + 2 - level, level);
  const bits = BigInt(PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D);
  cpu.ramView.setBigUint64(at, BigInt(RAM_BASE / PAGE + page) << 10n | bits, true);
  return at;
}

for (const level of [0, 1]) {
  for (const byAddress of [true, false]) {
    const what = `${level ? "a superpage" : "a page"} ${
      byAddress ? "by address" : "with all others"
    }`;
    test(`sfence.vma: forgets ${what}`, () => {
      const cpu = machine();
      const h = cpu.hart(0);
      const va = 0x4000_0000n;
      const leaf = map(cpu, va, level ? 0 : 20, level);
      // Identity for the code, through a gigapage entry of its own.
      const self = BigInt(RAM_BASE / PAGE) << 10n | 0xcfn;
      cpu.ramView.setBigUint64(64 * PAGE + 2 * 8, self, true);
      const offset = BigInt(level ? 20 * PAGE : 0);
      cpu.ramView.setBigUint64(20 * PAGE, 0x1111n, true);
      const load: Line = ["ld", { rd: A0, rs1: A1, imm: 0 }];
      const sfence = INSNS.filter((i) => i.name === "sfence.vma");
      program(cpu, 0x100, [load, load]);
      const word = encode(sfence[byAddress ? 0 : 1], byAddress ? { rs1: A1, rs2: 0 } : { rs2: 0 });
      cpu.ramView.setUint32(0x108, word, true);
      program(cpu, 0x10c, [load]);
      h.start({ pc: RAM_BASE + 0x100, a0: 0, a1: va + offset, priv: 1 });
      h.setCsr(0x180, 8n << 60n | BigInt(RAM_BASE / PAGE + 64));
      cpu.run(0, 1);
      assert.equal(h.x(A0), 0x1111n);
      cpu.ramView.setBigUint64(leaf, 0n, true);
      cpu.wroteRam(leaf, 8);
      cpu.run(0, 1);
      assert.equal(h.x(A0), 0x1111n, "cached until SFENCE.VMA");
      cpu.run(0, 2);
      assert.equal(h.csr(0x342), 13n, "page fault after SFENCE.VMA");
      assert.equal(h.csr(0x343), va + offset);
    });
  }
}

test("sfence.vma: forgets a superpage by address, with another cached at the other end", () => {
  const cpu = machine();
  const h = cpu.hart(0);
  const gigapage = (index: number, v: bigint) => {
    cpu.ramView.setBigUint64(64 * PAGE + index * 8, v, true);
    cpu.wroteRam(64 * PAGE + index * 8, 8);
  };
  const leaf = BigInt(RAM_BASE / PAGE) << 10n | 0xcfn;
  for (const index of [1, 2, 511]) gigapage(index, leaf);
  program(cpu, 0x100, [
    ["ld", { rd: A0, rs1: A1, imm: 0 }],
    ["ld", { rd: A0, rs1: A2 + 1, imm: 0 }],
    ["sfence.vma", { rs1: A2, rs2: 0 }],
    ["ld", { rd: A0, rs1: A1, imm: 0 }],
  ]);
  h.start({ pc: RAM_BASE + 0x100, a0: 0, a1: 0x4000_0000, priv: 1 });
  h.setX(A2, 0x4008_0000n); // Another page of the superpage that changes.
  h.setX(A2 + 1, 0xffff_ffff_c000_5000n); // In another TLB entry.
  h.setCsr(0x180, 8n << 60n | BigInt(RAM_BASE / PAGE + 64));
  cpu.run(0, 2);
  assert.equal(h.csr(0x342), 0n);
  gigapage(1, 0n);
  cpu.run(0, 2);
  assert.deepEqual([h.csr(0x342), h.csr(0x343)], [13n, 0x4000_0000n]);
});
