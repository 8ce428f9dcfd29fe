/**
 * Compiled code against the interpreter: random programs in any split of their budget, with interrupts,
 * DMA into code, and pages that move; and directed laws of what compiling must not change.
 * `SEED=7 PROGRAMS=1 deno test -A core/cpu/compiler/compiler_test.ts` repeats one program.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { RAM_BASE, RAM_BYTES, Rng } from "../random_streams.ts";
import { EAGER, type Line, machine, program } from "../testing.ts";
import { type CpuMode, RiscvCpu, Stop } from "../mod.ts";
import { FS_MASK } from "../mstatus.ts";
import {
  ALIAS,
  leafFor,
  leafOf,
  PLACES,
  type RandomProgram,
  randomProgram,
} from "./random_programs.ts";

const PAGE = 4096;
const POLICY = { ...EAGER, slice: 50 };
const SPARE_PAGES = [24, 25, 26, 27];

function build(p: RandomProgram, mode: CpuMode): RiscvCpu {
  const cpu = new RiscvCpu({
    ...{ harts: 1, ramBase: RAM_BASE, ramBytes: RAM_BYTES, nsPerInsn: 100, timebaseHz: 10_000_000 },
    ...{ sbi: false, mode, policy: POLICY },
  });
  cpu.stage2.fill(1);
  cpu.ram.set(p.ram);
  cpu.wroteRam(0, RAM_BYTES);
  const h = cpu.hart(0);
  h.start({ pc: (p.paged ? ALIAS : RAM_BASE) + p.start, a0: 0, a1: 0, priv: p.paged ? 1 : 3 });
  for (const [i, v] of p.registers) h.setX(i, v);
  h.setCsr(0x300, h.csr(0x300) | FS_MASK);
  h.setCsr(0x305, BigInt(RAM_BASE + PLACES.handler * PAGE));
  if (p.paged) h.setCsr(0x180, 8n << 60n | BigInt(RAM_BASE / PAGE + PLACES.tables));
  return cpu;
}

/** Exactly `counts`, whatever stops it served by rules that depend on the guest alone. */
function runExactly(cpu: RiscvCpu, counts: number): void {
  const h = cpu.hart(0);
  const end = h.icount + counts;
  while (h.icount < end) {
    const stop = cpu.run(0, end - h.icount);
    if (stop === Stop.Load) h.completeLoad(h.access.gpa >>> 0, h.icount >>> 0);
    if (stop === Stop.Store) h.completeStore();
  }
}

function compare(a: RiscvCpu, b: RiscvCpu): void {
  const hart = ({ pc, icount }: { pc: bigint; icount: number }) =>
    `${pc.toString(16)} at ${icount}`;
  if (Buffer.compare(a.stateBytes(), b.stateBytes()) !== 0) {
    const differ = Array.from({ length: 32 }, (_, i) => i).filter((i) =>
      a.hart(0).x(i) !== b.hart(0).x(i)
    );
    assert.fail(`registers ${differ}: pc ${hart(a.hart(0))}, expected ${hart(b.hart(0))}`);
  }
  if (Buffer.compare(a.ram, b.ram) !== 0) {
    const at = a.ram.findIndex((v, i) => v !== b.ram[i]);
    assert.fail(`RAM differs at ${(RAM_BASE + at).toString(16)}, pc ${hart(a.hart(0))}`);
  }
}

/** Something from outside, alike for all. */
function disturb(r: Rng, p: RandomProgram, cpus: readonly RiscvCpu[]): void {
  const what = r.below(4);
  const bit = r.pick([3, 7, 11] as const);
  const level = r.chance(50);
  const imm = r.below(1000);
  const page = r.below(PLACES.codePages);
  const to = r.pick(SPARE_PAGES);
  const bytes = cpus[0].ram.slice(p.physical[page] * PAGE, (p.physical[page] + 1) * PAGE);
  for (const cpu of cpus) {
    if (what === 0) {
      cpu.hart(0).setIrq(bit, level);
      cpu.hart(0).setCsr(0x304, 0xaaan);
    } else if (what === 1) {
      cpu.ramView.setUint32(p.slot, 0x28293 | imm << 20, true); // addi x5, x5, imm
      cpu.wroteRam(p.slot, 4);
    } else if (what === 2 && p.paged) {
      cpu.ram.set(bytes, to * PAGE);
      cpu.wroteRam(to * PAGE, PAGE);
      cpu.ramView.setBigUint64(leafOf(page), leafFor(to), true);
      cpu.wroteRam(leafOf(page), 8);
      cpu.flushTlb(0);
    }
  }
  if (what === 2 && p.paged && p.slot >> 12 !== p.physical[page]) p.physical[page] = to;
}

function randomRun(seed: number): void {
  const r = new Rng(seed);
  const p = randomProgram(r);
  const [interpreted, compiled] = [build(p, "interpreter"), build(p, "compiled")];
  for (let chunk = 0; chunk < 60; chunk++) {
    const counts = 1 + r.below(r.chance(50) ? 20 : 2000);
    runExactly(interpreted, counts);
    // The same count in other pieces.
    for (let left = counts; left > 0;) {
      const n = Math.min(left, r.chance(50) ? left : 1 + r.below(100));
      runExactly(compiled, n);
      left -= n;
    }
    try {
      compare(compiled, interpreted);
    } catch (e) {
      const repeat = `SEED=${seed} PROGRAMS=1 deno test -A core/cpu/compiler/compiler_test.ts`;
      throw new Error(`at chunk ${chunk} of ${counts}; to repeat: ${repeat}`, { cause: e });
    }
    if (r.chance(20)) disturb(r, p, [interpreted, compiled]);
  }
  const { executed } = compiled.compilation!;
  share.compiled += executed;
  share.all += compiled.hart(0).icount;
}
const share = { compiled: 0, all: 0 };

const SEED = Number(Deno.env.get("SEED") ?? 1);
const PROGRAMS = Number(Deno.env.get("PROGRAMS") ?? 100);
/** From so many on a mean says something. */
const MANY = 30;

Deno.test("compiled: random programs run as interpreted, in any pieces", () => {
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) randomRun(seed);
  if (PROGRAMS < MANY) return;
  assert.ok(share.compiled > share.all / 3, `only ${share.compiled} of ${share.all} were compiled`);
});

// Directed programs.

const [A0, A1, A2, A3, A4] = [10, 11, 12, 13, 14];
const add = (rd: number, rs1: number, imm: number): Line => ["addi", { rd, rs1, imm }];

/** A machine that runs `lines` from the start of RAM, in a mode. */
function running(mode: CpuMode, lines: Line[], policy = POLICY): RiscvCpu {
  const cpu = machine({ mode, policy });
  program(cpu, 0, lines);
  cpu.hart(0).start({ pc: RAM_BASE, a0: 0, a1: RAM_BASE + 0x8000, priv: 3 });
  return cpu;
}

Deno.test("budget: every small one ends at the same instruction, compiled or not", () => {
  const lines: Line[] = [
    add(A0, A0, 1),
    ["sd", { rs2: A0, rs1: A1, imm: 0 }],
    ["andi", { rd: A2, rs1: A0, imm: 3 }],
    ["bne", { rs1: A2, rs2: 0, imm: 8 }],
    add(A3, A3, 5),
    ["ld", { rd: A4, rs1: A1, imm: 0 }],
    ["jal", { rd: 0, imm: -24 }],
  ];
  for (let budget = 1; budget <= 24; budget++) {
    const [a, b] = [running("interpreter", lines), running("compiled", lines)];
    b.run(0, 1000); // Compiled by now.
    a.run(0, 1000);
    for (let i = 0; i < 60; i++) {
      for (const cpu of [a, b]) assert.equal(cpu.run(0, budget), Stop.Budget);
      compare(b, a);
    }
    assert.ok(b.compilation!.executed > 500);
  }
});

Deno.test("data beside code: stores to a page leave its compiled code alone", () => {
  const lines: Line[] = [
    ["auipc", { rd: A1, imm: 0 }],
    add(A0, A0, 1),
    ["sd", { rs2: A0, rs1: A1, imm: 64 }],
    ["jal", { rd: 0, imm: -8 }],
  ];
  const cpu = running("compiled", lines);
  cpu.run(0, 10_000);
  const { dropped, executed } = cpu.compilation!;
  assert.equal(dropped, 0);
  assert.ok(executed > 8000, `${executed} compiled`);
  assert.equal(cpu.ramView.getBigUint64(64, true), cpu.hart(0).x(A0));
});

Deno.test("code that changes all the time: executed as it is, in bounded memory", () => {
  const most = 20;
  const loop: Line[] = [add(A2, A2, 1), add(A0, A0, 1), ["jal", { rd: 0, imm: -8 }]];
  const cpu = running("compiled", loop, { ...POLICY, slice: 8, most });
  const reference = running("interpreter", loop);
  for (let i = 0; i < 300; i++) {
    for (const c of [cpu, reference]) {
      program(c, 4, [add(A0, A0, i)]);
      c.run(0, 61);
    }
    compare(cpu, reference);
  }
  const { regions, dropped, flushes } = cpu.compilation!;
  assert.ok(regions > 3 * most && flushes >= 3 && dropped >= regions - most, `${regions} regions`);
});

Deno.test("compiled: a loop that another region only holds a copy of is compiled where it is called", () => {
  const [rounds, count, address] = [A0, A2, A3];
  const [padding, callee] = [30, 256];
  const lines: Line[] = [
    ["auipc", { rd: address, imm: 0 }],
    add(rounds, 0, 2000),
    ...Array.from({ length: padding }, () => add(A4, A4, 1)),
    add(count, 0, 1), // Short calls, copied into this loop.
    ["jal", { rd: 1, imm: callee - (padding + 3) * 4 }],
    add(rounds, rounds, -1),
    ["bne", { rs1: rounds, rs2: 0, imm: -(padding + 3) * 4 }],
    add(count, 0, 2047), // Long calls through a register.
    ["jalr", { rd: 1, rs1: address, imm: callee }],
    ["jal", { rd: 0, imm: -8 }],
  ];
  const cpu = running("compiled", lines, { ...POLICY, samples: 4, jumps: 4096, slice: 1000 });
  program(cpu, callee, [
    add(count, count, -1),
    ["bne", { rs1: count, rs2: 0, imm: -4 }],
    ["jalr", { rd: 0, rs1: 1, imm: 0 }],
  ]);
  cpu.run(0, 100_000);
  const before = cpu.compilation!.executed;
  cpu.run(0, 1_000_000);
  const { executed } = cpu.compilation!;
  assert.ok(executed - before > 900_000, `${executed - before} compiled`);
});

Deno.test("compiled: what a call through a register often reaches is part of the region that calls", () => {
  const [rounds, target, which] = [A0, A1, A2];
  const [callees, step] = [PAGE + 0x100, PAGE]; // Alike but for their pages.
  const lines: Line[] = [
    ["andi", { rd: which, rs1: rounds, imm: 3 }],
    ["slli", { rd: which, rs1: which, shamt: 12 }],
    ["auipc", { rd: target, imm: PAGE }],
    ["add", { rd: target, rs1: target, rs2: which }],
    ["jalr", { rd: 1, rs1: target, imm: callees - PAGE - 8 }],
    add(rounds, rounds, 1),
    ["jal", { rd: 0, imm: -24 }],
  ];
  const callee = (v: number): Line[] => [
    add(A3, A3, v),
    ["jalr", { rd: 0, rs1: 1, imm: 0 }],
  ];
  const policy = { ...POLICY, samples: 4, jumps: 64, often: 8, slice: 1000 };
  const [cpu, reference] = [running("compiled", lines, policy), running("interpreter", lines)];
  const both = (act: (c: RiscvCpu) => void) => [cpu, reference].forEach(act);
  both((c) => {
    for (let i = 0; i < 4; i++) program(c, callees + i * step, callee(1 << i));
    c.run(0, 50_000);
  });
  compare(cpu, reference);
  assert.equal(cpu.compilation!.regions, 1);
  // One of them changes, and one leads elsewhere than it was called from.
  both((c) => {
    program(c, callees + step, callee(100));
    program(c, callees + 2 * step, [add(1, 1, 4), ["jalr", { rd: 0, rs1: 1, imm: 0 }]]);
    program(c, 24, [["jal", { rd: 0, imm: 4 }], ["jal", { rd: 0, imm: -28 }]]);
    c.run(0, 50_001);
  });
  compare(cpu, reference);
});

Deno.test("compiled: a loop behind a call that is not followed, in a callee that is copied", () => {
  const [count, large, kept] = [A2, A3, 5];
  const lines: Line[] = [
    ["auipc", { rd: large, imm: 0 }],
    ["jal", { rd: 1, imm: 12 }],
    add(A0, A0, 1),
    ["jal", { rd: 0, imm: -12 }],
    add(kept, 1, 0),
    ["jalr", { rd: 1, rs1: large, imm: 0x100 }],
    add(count, count, -1), // The loop is the first thing behind the call.
    ["bne", { rs1: count, rs2: 0, imm: -4 }],
    add(count, 0, 3),
    ["jalr", { rd: 0, rs1: kept, imm: 0 }],
  ];
  const [cpu, reference] = [
    running("compiled", lines, { ...POLICY, slice: 1000 }),
    running("interpreter", lines),
  ];
  for (const c of [cpu, reference]) {
    const body = Array.from({ length: 40 }, () => add(A4, A4, 1));
    program(c, 0x100, [...body, ["jalr", { rd: 0, rs1: 1, imm: 0 }]]);
    c.hart(0).setX(count, 1n);
    c.run(0, 10_000);
  }
  compare(cpu, reference);
  const { executed } = cpu.compilation!;
  assert.ok(executed > 8000, `${executed} compiled`);
});

Deno.test("compiled: what runs once or twice is not compiled", () => {
  const cpu = machine({ mode: "compiled", policy: undefined });
  program(cpu, 0, [add(A0, 0, 1000), add(A0, A0, -1), ["bne", { rs1: A0, rs2: 0, imm: -4 }]]);
  cpu.hart(0).start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 3 });
  cpu.run(0, 2000);
  assert.equal(cpu.compilation!.regions, 0);
});
