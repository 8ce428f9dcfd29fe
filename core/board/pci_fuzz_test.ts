/**
 * A hostile guest at the PCI bus of a whole board: random accesses to configuration space, ports and
 * windows, BARs wherever it likes, DMA and messages at anything, while time passes.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { forSeeds, Random } from "../mmio/test_random.ts";
import { Trace } from "../trace/trace.ts";
import { buildBoard } from "./build.ts";
import { DEFAULT_SPEC } from "./spec.ts";

const NAME = "a hostile guest at the PCI bus is survived, and ends the same again";
const FILE = "core/board/pci_fuzz_test.ts";
const STEPS = 3000;
const RAM = 0x8000_0000, ECAM = 0x3000_0000;
const WINDOWS = [0x0300_0000, 0x4000_0000, 0x4010_0000, 0x7ff0_0000, 0x4_0000_0000];
/** Places that a BAR, a DMA or a message may be aimed at: RAM, windows, other devices, nothing. */
const AIMS = [
  0,
  RAM,
  RAM + 0x1000,
  0x4000_0000,
  0x4010_0000,
  ECAM,
  0x0c00_0000,
  0x1000_0000,
  0xffff_f000,
];
const INTERESTING = [0x04, 0x10, 0x14, 0x3c, 0x40, 0x42, 0x44, 0x48, 0x4c];
const EDU = [0x04, 0x08, 0x10, 0x20, 0x60, 0x64, 0x80, 0x88, 0x90, 0x98];

function makeBoard() {
  const edu = (props: Record<string, string>) => ({
    use: "edu",
    file: null,
    addr: null,
    irq: null,
    slot: null,
    props,
  });
  const spec = {
    ...DEFAULT_SPEC,
    memoryBytes: 16 * 1024 * 1024,
    loads: [{ file: { path: "nop", sha256: "", bytes: 4 }, addr: 0x8020_0000 }],
    devices: [
      edu({ dma_mask: "0xffffffffffffffff", increment: "on" }),
      edu({ latency: "0", dma_mask: "0xffffffff" }),
    ],
  };
  const files = new Map([["nop", new Uint8Array(4)]]);
  return buildBoard(spec, files, new Map(), new Trace(null), { out: () => {} });
}

function value(rng: Random): number {
  const dice = rng.below(5);
  if (dice === 0) return rng.pick(AIMS) + rng.below(64);
  if (dice === 1) return rng.pick([1, 3, 5, 7, 0x40000, 0x407, 0xffff_ffff]);
  return dice === 2 ? rng.below(256) : rng.u32();
}

function place(rng: Random): number {
  if (rng.chance(0.4)) {
    const slot = rng.pick([0, 1, 1, 2, 2, 3]);
    const at = rng.chance(0.8) ? rng.pick(INTERESTING) : rng.below(0x1000);
    return ECAM + slot * 0x8000 + at;
  }
  const at = rng.chance(0.8) ? rng.pick(EDU) : rng.below(0x1000);
  return rng.pick(WINDOWS) + at;
}

/** Everything of the machine that the guest could have touched. */
function attack(rng: Random, step: (n: number) => void): string {
  const { bus, machine, devices } = makeBoard();
  let seen = 0;
  for (let i = 0; i < STEPS; i++) {
    step(i);
    const size = rng.pick([1, 2, 4, 4, 4, 8]);
    const addr = place(rng);
    const gpa = addr - addr % size;
    const m = bus.find(gpa)!;
    if (rng.chance(0.4)) seen = Math.imul(seen, 31) + m.region.read(gpa - m.base, size) | 0;
    else m.region.write(gpa - m.base, size, value(rng) >>> 0, rng.chance(0.8) ? 0 : rng.u32());
    if (rng.chance(0.05)) machine.run({ executed: machine.executed + 2000, idle: "return" });
    if (i % 100 !== 0) continue;
    const ranges = bus.mappings;
    assert.ok(ranges.every((r, k) => r.start < r.end && (k === 0 || ranges[k - 1].end <= r.start)));
  }
  const states = ["pcie", "edu0", "edu1"].map((name) => {
    const saved = devices.get(name)!.save();
    devices.get(name)!.load(saved);
    assert.deepEqual(devices.get(name)!.save(), saved);
    return saved.join();
  });
  const ram = createHash("sha256").update(machine.cpu.ram).digest("hex");
  return `${seen} ${ram} ${states.join(" ")}`;
}

Deno.test(NAME, () => {
  forSeeds(6, FILE, NAME, (rng, step) => {
    const first = attack(rng, step);
    assert.equal(attack(new Random(rng.seed), step), first);
  });
});
