/** A meter is told of page walks, all are counted, and the guest cannot tell. @module */
import assert from "node:assert/strict";
import { type Meter, WALK, WALKS_PER_TOLD, type WalkStep } from "./meter.ts";
import { RiscvCpu, Stop } from "./mod.ts";
import { RAM_BASE } from "./random_streams.ts";
import { type Execution, type Line, MODES, program } from "./testing.ts";

const PAGE = 4096;
const PAGES = 700;
const [ADDR, LEFT, STRIDE, VALUE] = [5, 6, 7, 8];

class Told implements Meter {
  readonly steps: WalkStep[] = [];
  enter(): void {}
  leave(): void {}
  walk(step: WalkStep): void {
    this.steps.push(step);
  }
}

function cpuWith(mode: Execution, meter?: Meter): RiscvCpu {
  const cpu = new RiscvCpu({
    ...{ harts: 1, ramBase: RAM_BASE, ramBytes: (PAGES + 1) * PAGE, nsPerInsn: 1 },
    ...{ timebaseHz: 10_000_000, sbi: false, meter, ...mode },
  });
  cpu.stage2.fill(1);
  return cpu;
}

/** Loads once from each of PAGES addresses, so many bytes apart, in M-mode. */
function loads(cpu: RiscvCpu, stride: number): void {
  const loop: Line[] = [
    ["ld", { rd: VALUE, rs1: ADDR, imm: 0 }],
    ["add", { rd: ADDR, rs1: ADDR, rs2: STRIDE }],
    ["addi", { rd: LEFT, rs1: LEFT, imm: -1 }],
    ["bne", { rs1: LEFT, rs2: 0, imm: -12 }],
  ];
  program(cpu, 0, loop);
  const h = cpu.hart(0);
  h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 3 });
  h.setX(ADDR, BigInt(RAM_BASE + PAGE));
  h.setX(LEFT, BigInt(PAGES));
  h.setX(STRIDE, BigInt(stride));
  assert.equal(cpu.run(0, loop.length * PAGES), Stop.Budget);
  assert.equal(h.x(LEFT), 0n);
}

for (const [name, mode] of Object.entries(MODES)) {
  Deno.test(`meter: each page takes one walk, however often it is loaded from (${name})`, () => {
    for (const [stride, pages] of [[PAGE, PAGES], [0, 1], [64, Math.ceil(PAGES / 64)]]) {
      const told = new Told();
      const cpu = cpuWith(mode, told);
      loads(cpu, stride);
      const walks = pages + 1; // The page with the code.
      assert.equal(cpu.walks, walks, `stride ${stride}`);
      const steps = [WALK.begins, WALK.ended, WALK.told];
      const expected = Array(Math.ceil(walks / WALKS_PER_TOLD)).fill(steps).flat();
      assert.deepEqual(told.steps, expected);
    }
  });

  Deno.test(`meter: state and memory are the same with and without (${name})`, () => {
    const [plain, metered] = [cpuWith(mode), cpuWith(mode, new Told())];
    for (const cpu of [plain, metered]) loads(cpu, PAGE);
    assert.deepEqual(metered.stateBytes(), plain.stateBytes());
    assert.equal(plain.walks, 0);
  });
}
