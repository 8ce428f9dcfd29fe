/**
 * Several harts: a guest whose counters, messages and fences come out exact on 1, 2, 4 and 8 of them,
 * the same whichever way a run is cut into slices, bit for bit the same when recorded twice, and equal
 * to the oracle under the machine's own scheduler, as is a bundled guest at its devices.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Board, buildBoard } from "../core/board/build.ts";
import { DEFAULT_SPEC, type FileRef, type MachineSpec } from "../core/board/spec.ts";
import { RAM_BASE, TIMEBASE_HZ } from "../core/board/virt.ts";
import type { RiscvCpu } from "../core/cpu/mod.ts";
import { Trace } from "../core/trace/trace.ts";
import { readInput } from "../replay/files.ts";
import { company, companyList } from "./harts/company.ts";
import { expected, KERNEL, type Litmus, litmus, results } from "./harts/litmus.ts";
import { shadow } from "./lockstep/shadow.ts";
import { fileDigests, recordInto } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const HARTS = [1, 2, 4, 8];
/** The shortest still lets an LR/SC loop end. */
const QUANTA = [19, 250, 1000, 40_000];
const MEMORY_BYTES = 8 * 1024 * 1024;
const WORK = { increments: 61, rounds: 7 };
/** After so many instructions a guest that does not end is given up. */
const PATIENCE = 20_000_000;

const FILE: FileRef = { path: "litmus", sha256: "", bytes: 0 };

function specOf(harts: number, change: Partial<MachineSpec> = {}, file = FILE): MachineSpec {
  const loads = [{ file, addr: KERNEL }];
  return { ...DEFAULT_SPEC, memoryBytes: MEMORY_BYTES, harts, loads, ...change };
}

interface Run {
  board: Board;
  printed: number[];
}

const start = (o: Litmus, spec: MachineSpec): Run => startWith(litmus(o), spec);
function startWith(image: Uint8Array<ArrayBuffer>, spec: MachineSpec): Run {
  const printed: number[] = [];
  const host = { out: (_device: string, bytes: Uint8Array) => void printed.push(...bytes) };
  const files = new Map([[FILE.path, image]]);
  const board = buildBoard(spec, files, new Map(), new Trace(null), host);
  return { board, printed };
}

/** Runs to the end in slices of these lengths, over and over. */
function finish({ board, printed }: Run, slices: readonly number[] = [PATIENCE]): Uint8Array {
  const { machine } = board;
  for (let i = 0; machine.executed < PATIENCE; i++) {
    const executed = machine.executed + slices[i % slices.length];
    const { why } = machine.run({ executed, idle: "jump" });
    if (why === "guest") return new Uint8Array(printed);
    assert.notEqual(why, "idle", "every hart waits for ever");
  }
  return assert.fail(`no end after ${PATIENCE} instructions`);
}

function digest({ board: { machine } }: Run): string {
  const hash = createHash("sha256").update(machine.cpu.ram).update(machine.cpu.stateBytes());
  return `${machine.executed} ${hash.digest("hex")}`;
}

for (const harts of HARTS) {
  const o = { harts, ...WORK };

  Deno.test(`harts: ${harts} count, lock, send and fence exactly, whatever the quantum`, () => {
    for (const quantumInsns of QUANTA) {
      for (const hypervisor of ["kvm-riscv", "none"] as const) {
        const printed = finish(start(o, specOf(harts, { quantumInsns, hypervisor })));
        assert.deepEqual(results(printed), expected(o), `quantum ${quantumInsns}, ${hypervisor}`);
      }
    }
  });

  Deno.test(`harts: ${harts} do the same however the run is sliced`, () => {
    const whole = start(o, specOf(harts));
    const printed = finish(whole);
    for (const slices of [[1], [997], [3, 1, 4, 1, 5, 926], [50_000, 1]]) {
      const cut = start(o, specOf(harts));
      assert.deepEqual(finish(cut, slices), printed);
      assert.equal(digest(cut), digest(whole), `slices of ${slices}`);
    }
  });

  Deno.test(`harts: ${harts} under the machine's scheduler equal the oracle`, () => {
    const small = { harts, increments: 9, rounds: 3 };
    const run = start(small, specOf(harts, { quantumInsns: 101 }));
    const done = shadow(run.board.machine.cpu, {
      ...{ harts, ramBase: RAM_BASE, sbi: true },
      ...{ nsPerInsn: DEFAULT_SPEC.nsPerInsn, timebaseHz: TIMEBASE_HZ },
    });
    assert.deepEqual(results(finish(run)), expected(small));
    assert.equal(done.instructions + done.left, run.board.machine.executed);
  });
}

Deno.test("harts: one that was alone shares its turn as if it had been stopped at each quantum's end", () => {
  const rounds = 60;
  for (const quantumInsns of [5, 16, 29, 100]) {
    const lists = [[PATIENCE], [1], [7, 64]].map((slices) => {
      const run = startWith(company(rounds), specOf(2, { quantumInsns }));
      finish(run, slices);
      return companyList(run.board.machine.cpu.ram, RAM_BASE, rounds);
    });
    const changes = lists[0].filter((hart, i) => i > 0 && hart !== lists[0][i - 1]).length;
    assert.ok(changes > rounds, `the harts took turns ${changes} times only`);
    for (const other of lists.slice(1)) assert.deepEqual(other, lists[0]);
  }
});

const BROKEN: Record<string, (cpu: RiscvCpu) => void> = {
  "reservations that outlive a turn": (cpu) => cpu.clearReservation = () => {},
  "remote fences that do nothing": (cpu) => cpu.flushTlb = () => {},
};
for (const [what, breakIt] of Object.entries(BROKEN)) {
  Deno.test(`harts: ${what} would show`, () => {
    const o = { harts: 4, ...WORK };
    const run = start(o, specOf(4, { quantumInsns: QUANTA[0] }));
    breakIt(run.board.machine.cpu);
    assert.notDeepEqual(results(finish(run)), expected(o));
  });
}

Deno.test("harts: two recordings of eight are the same, bit for bit", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "litmus.bin");
    Deno.writeFileSync(path, litmus({ harts: 8, ...WORK }));
    const spec = specOf(8, {}, readInput(path, "file").ref);
    const first = await recordInto(folder, spec);
    const second = await recordInto(folder, spec, { batchRows: 100 });
    assert.equal(first.result.end.kind, "poweroff");
    assert.equal(second.text, first.text);
    assert.equal(second.result.icount, first.result.icount);
    const again = await recordInto(folder, spec);
    assert.deepEqual(fileDigests(again.directory), fileDigests(first.directory));
  });
});

/** A driver's device accesses, interrupts and DMA: the last part of its run, as the oracle is slow. */
const SHADOWED = 60_000;

for (const serial of ["virtio", "sifive"] as const) {
  Deno.test(`harts: a bundled guest at its ${serial} console equals the oracle`, () => {
    const { ref, bytes } = readInput("bundled:serial", "kernel");
    const spec: MachineSpec = {
      ...{ ...DEFAULT_SPEC, memoryBytes: 2 * MEMORY_BYTES, kernel: ref },
      ...{ append: "bytes=64", serial },
    };
    const run = (): Run => {
      const printed: number[] = [];
      const host = { out: (_device: string, out: Uint8Array) => void printed.push(...out) };
      const files = new Map([[ref.path, bytes]]);
      return { board: buildBoard(spec, files, new Map(), new Trace(null), host), printed };
    };
    const alone = run();
    const printed = finish(alone);
    const total = alone.board.machine.executed;

    const beside = run();
    const { machine } = beside.board;
    assert.equal(machine.run({ executed: total - SHADOWED, idle: "jump" }).why, "executed");
    const done = shadow(machine.cpu, {
      ...{ harts: 1, ramBase: RAM_BASE, sbi: true },
      ...{ nsPerInsn: spec.nsPerInsn, timebaseHz: TIMEBASE_HZ },
    });
    assert.deepEqual(finish(beside), printed);
    assert.equal(done.instructions + done.left, SHADOWED);
    assert.ok(done.left > 50, "the guest hardly used its devices");
  });
}
