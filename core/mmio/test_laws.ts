/**
 * Laws that every device holds: those of DEVICES by laws_test.ts, a device of your own by a test of one
 * line, `testLaws(myDevice, "my_device_test.ts")`.
 * @module
 */
import assert from "node:assert/strict";
import { decodeFdt, encodeFdt } from "../board/fdt.ts";
import type { DeviceInstance, DeviceType } from "./device.ts";
import type { Region } from "./region.ts";
import { RAM_BASE, TestMachine } from "./test_machine.ts";
import { forSeeds, type Random } from "./test_random.ts";

const SEEDS = 6;
const STEPS = 300;
/** Most that one access may write to the trace or ask of its port, and events that one may lead to. */
const MAX_ROWS = 4096;
const MAX_EVENTS = 1000;
const MAX_SAVED_BYTES = 256 * 1024;

/** Something that happens to a device, as data: the same can happen to another. */
type Op =
  | { do: "read"; region: number; at: number; size: number }
  | { do: "write"; region: number; at: number; size: number; lo: number; hi: number }
  | { do: "input"; channel: string; data: Uint8Array }
  | { do: "line"; line: number; level: boolean }
  | { do: "advance"; ns: number }
  | { do: "dma"; at: number; data: Uint8Array };

/** Values that mean something to devices: bits, small counts, addresses in and around RAM. */
export function value(rng: Random): number {
  switch (rng.below(5)) {
    case 0:
      return 1 << rng.below(32) >>> 0;
    case 1:
      return rng.below(20);
    case 2:
      return RAM_BASE + rng.below(0x11) * 0x1000;
    case 3:
      return rng.pick([0, 0xffff_ffff, 0x7fff_ffff, 0x8000_0000]);
    default:
      return rng.u32();
  }
}

/** Something with a name in the region, as often as not; else any offset. */
export function place(rng: Random, region: Region): { at: number; size: number } {
  const size = rng.pick([1, 2, 4, 8]);
  const dice = rng.chance(0.9);
  if (dice && region.registers.length > 0) {
    const reg = rng.pick(region.registers);
    const part = rng.chance(0.9) ? rng.pick(reg.sizes) : size;
    const start = reg.at + rng.below(Math.min(reg.count, 4)) * reg.stride;
    const within = rng.below(reg.size / Math.min(part, reg.size)) * part;
    return { at: start + within, size: part };
  }
  if (dice && region.names.length > 0) {
    const named = rng.pick(region.names);
    return { at: named.at, size: rng.chance(0.7) && named.size !== 3 ? named.size : size };
  }
  return { at: rng.below(region.sizeBytes), size };
}

function access(rng: Random, dev: DeviceInstance): Op {
  const region = rng.below(dev.regions.length);
  const { at, size } = place(rng, dev.regions[region]);
  if (rng.chance(0.5)) return { do: "read", region, at, size };
  return { do: "write", region, at, size, lo: value(rng), hi: rng.chance(0.5) ? 0 : value(rng) };
}

function randomOp(rng: Random, dev: DeviceInstance): Op {
  const dice = rng.below(100);
  if (dice < 8 && dev.inputs.length > 0) {
    return {
      do: "input",
      channel: rng.pick(dev.inputs),
      data: rng.bytes(rng.pick([1, 4, rng.below(40)])),
    };
  }
  if (dice < 25 && dev.takesLines) {
    return { do: "line", line: 1 + rng.below(12), level: rng.chance(0.5) };
  }
  if (dice < 33) {
    return { do: "advance", ns: rng.chance(0.5) ? rng.below(1000) : rng.below(10_000_000) };
  }
  if (dice < 37) return { do: "dma", at: rng.below(0x10000 - 64), data: rng.bytes(rng.below(64)) };
  return access(rng, dev);
}

function perform(m: TestMachine, op: Op): unknown {
  switch (op.do) {
    case "read": {
      const region = m.dev.regions[op.region];
      const lo = region.read(op.at, op.size);
      return [lo, region.hi, region.reg];
    }
    case "write": {
      const region = m.dev.regions[op.region];
      return region.write(op.at, op.size, op.lo, op.hi), region.reg;
    }
    case "input": {
      const fits = m.dev.canInput(op.channel);
      try {
        m.dev.input(op.channel, op.data);
      } catch (e) {
        // Half a message is the host's mistake, told by an exception.
        if (!/takes \d+ bytes, got/.test(String(e))) throw e;
        return String(e);
      }
      return fits;
    }
    case "line":
      return m.dev.line(op.line, op.level);
    case "advance": {
      const served = m.advance(op.ns, MAX_EVENTS);
      assert.ok(
        served < MAX_EVENTS,
        `${served} events fell due in ${op.ns} ns: work is not bounded`,
      );
      return served;
    }
    case "dma":
      return m.ram.set(op.data, op.at);
  }
}

/** Both machines must answer alike, say the same to the outside and end in the same state. */
function alike(a: TestMachine, b: TestMachine, op: Op): void {
  a.log.length = b.log.length = 0;
  const what = JSON.stringify(op);
  assert.deepEqual(perform(a, op), perform(b, op), what);
  assert.deepEqual(a.log, b.log, what);
  assert.deepEqual(a.save(), b.save(), what);
}

type Law = (name: string, body: (rng: Random, step: (n: number) => void) => void) => void;

function lawsOfState(type: DeviceType, law: Law): void {
  law("a restored device is indistinguishable from the original", (rng, step) => {
    const a = new TestMachine(type);
    for (let i = 0; i < STEPS; i++) {
      step(i);
      perform(a, randomOp(rng, a.dev));
      if (i % 10 !== 0) continue;
      const b = new TestMachine(type);
      b.load(a.save());
      assert.deepEqual(b.save(), a.save());
      for (let k = 0; k < 10; k++) alike(a, b, randomOp(rng, a.dev));
    }
  });

  law("a reset device is as a new one", (rng, step) => {
    const a = new TestMachine(type);
    for (let i = 0; i < STEPS; i++) perform(a, randomOp(rng, a.dev));
    a.reset();
    const b = new TestMachine(type);
    b.continueFrom(a);
    assert.deepEqual(b.save(), a.save());
    for (let i = 0; i < STEPS; i++) {
      step(i);
      alike(a, b, randomOp(rng, a.dev));
    }
  });

  law("a peek has no effect and tells what a read would", (rng, step) => {
    const a = new TestMachine(type);
    const b = new TestMachine(type);
    for (let i = 0; i < STEPS; i++) {
      step(i);
      const op = randomOp(rng, a.dev);
      if (op.do === "read") {
        const before = a.log.length;
        const region = a.dev.regions[op.region];
        const peeked = region.peek(op.at, op.size) ?? 0n;
        assert.equal(a.log.length, before, "a peek said something to the outside");
        const saved = a.save();
        const lo = region.read(op.at, op.size);
        assert.equal(peeked, BigInt(region.hi) << 32n | BigInt(lo), JSON.stringify(op));
        a.load(saved);
      }
      alike(a, b, op);
    }
  });

  law("the same accesses leave the same rows", (rng, step) => {
    const a = new TestMachine(type);
    const b = new TestMachine(type);
    for (let i = 0; i < STEPS; i++) {
      step(i);
      alike(a, b, randomOp(rng, a.dev));
    }
  });
}

function lawsOfAccess(type: DeviceType, law: Law): void {
  law(
    "any access at any offset and size is answered, in bounded work, inside RAM",
    (rng, step) => {
      const m = new TestMachine(type);
      for (let i = 0; i < 3 * STEPS; i++) {
        step(i);
        m.log.length = 0;
        const wild = rng.chance(0.3);
        const region = rng.below(m.dev.regions.length);
        const op: Op = wild
          ? {
            do: "write",
            region,
            at: rng.below(m.dev.regions[region].sizeBytes),
            size: rng.pick([1, 2, 4, 8]),
            lo: value(rng),
            hi: 0,
          }
          : randomOp(rng, m.dev);
        perform(m, op);
        if (op.do === "write") m.dev.regions[op.region].read(op.at, op.size);
        assert.ok(m.log.length <= MAX_ROWS, `${m.log.length} rows by ${JSON.stringify(op)}`);
      }
      assert.ok(m.guarded, "memory around RAM was written");
      assert.ok(m.dev.save().length <= MAX_SAVED_BYTES, "state grew beyond bounds");
      assert.ok(m.pending.length <= 1024, "events pile up");
    },
  );

  law("a register is found at its own offset in each of its sizes", () => {
    const { dev } = new TestMachine(type);
    const found = new Set<string>();
    for (const region of dev.regions) {
      for (const reg of region.registers) {
        for (const size of reg.sizes) {
          for (const write of [false, true]) {
            const last = reg.at + (reg.count - 1) * reg.stride;
            for (const at of [reg.at, last]) found.add(dev.regs[region.regAt(at, size, write)]);
          }
        }
      }
    }
    // Banked registers are found by their device's own tests.
    const offsets = new Set(dev.registers.map((r) => r.at));
    assert.ok(found.size >= offsets.size);
  });
}

function lawsOfDeclaration(type: DeviceType, law: Law): void {
  law("says what it is, and names each register once", () => {
    assert.ok(type.doc.endsWith("."), `doc is a sentence: ${type.doc}`);
    assert.ok(type.source.length > 0);
    for (const [name, spec] of Object.entries(type.props)) assert.ok(spec.doc.endsWith("."), name);
    const { dev } = new TestMachine(type);
    assert.equal(new Set(dev.regs).size, dev.regs.length);
  });

  law("its node in the device tree can be encoded", () => {
    const irqs = Array.from({ length: type.irqs }, (_, i) => 10 + i);
    const context = {
      name: `${type.name}0`,
      addr: 0x1000_0000,
      sizeBytes: type.size,
      irqs,
      phandle: 7,
      plic: 3,
      harts: 2,
      bridge: { windows: [], lines: [32, 33, 34, 35] },
      cpuIntc: (hart: number) => 1 + hart,
    };
    const node = type.node(context);
    const children = [...(node === null ? [] : [node]), ...type.rootNodes(context)];
    const tree = decodeFdt(encodeFdt({ name: "", props: {}, children }));
    assert.equal(tree.children.length, children.length);
    if (node === null) return;
    assert.match(node.name, /^[a-z][a-z0-9,._+-]*@10000000$/);
    assert.equal("interrupts" in node.props, type.irqs > 0);
  });
}

export interface NamedLaw {
  readonly name: string;
  /** Throws when the law is broken, with the command that shows it again. */
  check(): void;
}

/** The laws of `type`; `file` is the test file, for the command that repeats a failure. */
export function lawsOf(type: DeviceType, file: string): NamedLaw[] {
  const laws: NamedLaw[] = [];
  const law: Law = (law, body) => {
    const name = `${type.name}: ${law}`;
    laws.push({ name, check: () => forSeeds(SEEDS, file, name, body) });
  };
  lawsOfState(type, law);
  lawsOfAccess(type, law);
  lawsOfDeclaration(type, law);
  return laws;
}

/** Registers a test for each law. */
export function testLaws(type: DeviceType, file: string): void {
  for (const { name, check } of lawsOf(type, file)) Deno.test(name, check);
}
