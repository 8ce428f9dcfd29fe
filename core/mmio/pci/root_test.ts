/** Who answers where on a PCI bus. @module */
import assert from "node:assert/strict";
import { device, type PciBar, u8s } from "../device.ts";
import { edu } from "../edu.ts";
import { forSeeds } from "../test_random.ts";
import { COMMAND } from "./declaration.ts";
import { ALL, ECAM, MEM32, MEM64, PORTS, TestBus, WINDOWS } from "./test_bus.ts";

const ONES = 0xffff_ffff;
const BAR_NAMES = ["BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"];

/** A BAR of every kind, and one space behind two of them. */
const everyKind = device("every_kind", {
  doc: "A BAR of every kind.",
  source: "this test",
  irqs: 1,
  pci: {
    vendor: 0x1234,
    device: 1,
    class: 0xff_0000,
    bars: [
      { bar: 0, kind: "io", size: 64 },
      { bar: 1, kind: "mem32", size: 1024, repeat: 64 },
      { bar: 2, kind: "mem64", size: 0x1000, space: "memory", prefetchable: true },
      { bar: 4, kind: "io", size: 16, space: "ports" },
    ],
  },
  state: { bytes: u8s(0x1000) },
}, (s) => {
  const memory = {
    read: (at: number, size: number) => {
      let v = 0;
      for (let i = size - 1; i >= 0; i--) v = v << 8 | (s.bytes[at + i] ?? 0);
      return v;
    },
    write: (at: number, size: number, v: number) => {
      for (let i = 0; i < size; i++) if (at + i < s.bytes.length) s.bytes[at + i] = v >>> 8 * i;
    },
  };
  return {
    regs: [{ at: 0, name: "R0", get: () => 0x5150 }, { at: 60, name: "R60", get: () => 60 }],
    spaces: {
      memory: { raw: memory },
      ports: { raw: { read: () => 0x77, write: () => {} } },
    },
  };
});

Deno.test("pci: where no function answers, reads give all ones and writes are lost", () => {
  const t = new TestBus([{ type: edu }]);
  for (const gpa of [ECAM + 2 * 0x8000, ECAM + 0x9000, ECAM + 0x10_0000, PORTS, MEM32, MEM64]) {
    assert.equal(t.read(gpa, 4), ONES);
    assert.equal(t.read(gpa, 2), 0xffff);
    assert.equal(t.read(gpa + 8, 8), ONES * 2 ** 32 + ONES);
    t.write(gpa, 0);
    assert.equal(t.read(gpa, 4), ONES);
    assert.equal(t.who(gpa), "pci-host0");
  }
  assert.equal(t.read(ECAM + 0x8000), 0x11e8_1234);
  assert.equal(t.read(ECAM + 0x8100), ONES, "no extended configuration space");
});

Deno.test("pci: a BAR is sized by writing ones, and says its kind", () => {
  const t = new TestBus([{ type: everyKind }]);
  const before = BAR_NAMES.map((bar) => t.config(1, bar));
  assert.deepEqual(before, [1, 0, 0xc, 0, 1, 0]);
  for (const bar of BAR_NAMES) t.setConfig(1, bar, ONES);
  const sized = BAR_NAMES.map((bar) => t.config(1, bar));
  assert.deepEqual(sized, [0xffff_ffc1, 0xffff_fc00, 0xffff_f00c, ONES, 0xffff_fff1, 0]);
});

Deno.test("pci: a BAR decodes while COMMAND lets its kind, and where it was moved to", () => {
  const t = new TestBus([{ type: everyKind }]);
  t.setConfig(1, "BAR0", 0x1000);
  t.setConfig(1, "BAR1", MEM32 + 0x10_0000);
  t.setConfig(1, "BAR2", 0);
  t.setConfig(1, "BAR3", 4);
  const reads = () => [t.read(PORTS + 0x1000), t.read(MEM32 + 0x10_0000), t.read(MEM64)];
  assert.deepEqual(reads(), [ONES, ONES, ONES]);
  t.setConfig(1, "COMMAND", COMMAND.io);
  assert.deepEqual(reads(), [0x5150, ONES, ONES]);
  t.setConfig(1, "COMMAND", COMMAND.memory);
  assert.deepEqual(reads(), [ONES, 0x5150, 0]);
  t.setConfig(1, "COMMAND", COMMAND.io | COMMAND.memory);
  t.setConfig(1, "BAR1", MEM32);
  assert.deepEqual(reads(), [0x5150, ONES, 0]);
  assert.equal(t.read(MEM32), 0x5150);
  t.write(MEM64 + 0x10, 0x1234_5678_9abc, 8);
  assert.equal(t.read(MEM64 + 0x10, 8), 0x1234_5678_9abc);
});

Deno.test("pci: a space may repeat itself over its BAR", () => {
  const t = new TestBus([{ type: everyKind }]);
  t.setConfig(1, "BAR1", MEM32);
  t.setConfig(1, "COMMAND", COMMAND.memory);
  for (let at = 0; at < 1024; at += 64) assert.equal(t.read(MEM32 + at + 60), 60);
  assert.equal(t.read(MEM32 + 1024), ONES);
});

Deno.test("pci: a port's entry in the array is its own, the last of the BAR as the first", () => {
  const t = new TestBus([{ type: everyKind }, { type: everyKind }]);
  t.setConfig(1, "BAR0", 0xffc0);
  t.setConfig(2, "BAR0", 0xff80);
  for (const slot of [1, 2]) t.setConfig(slot, "COMMAND", COMMAND.io);
  assert.equal(t.who(PORTS + 0xff7f), "pci-host0");
  assert.equal(t.who(PORTS + 0xff80), "every_kind1");
  assert.equal(t.who(PORTS + 0xffbf), "every_kind1");
  assert.equal(t.who(PORTS + 0xffc0), "every_kind0");
  assert.equal(t.who(PORTS + 0xffff), "every_kind0");
});

Deno.test("pci: a BAR over RAM, over ECAM or half out of a window is seen in the window alone", () => {
  const t = new TestBus([{ type: edu }]);
  t.setConfig(1, "COMMAND", ALL);
  for (const addr of [0x8000_0000, ECAM, 0x0c00_0000, 0, 0xfff0_0000]) {
    t.setConfig(1, "BAR0", addr);
    assert.ok(t.bus.mappings.every((m) => m.region.name !== "regs"), addr.toString(16));
  }
  t.setConfig(1, "BAR0", 0x7ff0_0000);
  assert.equal(t.read(0x7fff_fffc), ONES, "the last register's place, in edu's own space");
  assert.equal(t.who(0x7fff_fffc), "edu0");
  assert.equal(t.bus.find(0x8000_0000), null);
});

Deno.test("pci: where BARs overlap the lowest slot's answers, then the lowest BAR", () => {
  const t = new TestBus([{ type: everyKind }, { type: everyKind }]);
  for (const slot of [1, 2]) {
    t.setConfig(slot, "BAR1", MEM32);
    t.setConfig(slot, "BAR2", MEM32);
    t.setConfig(slot, "BAR3", 0);
    t.setConfig(slot, "COMMAND", COMMAND.memory);
  }
  assert.equal(t.who(MEM32 + 0x400), "every_kind0");
  assert.equal(t.read(MEM32), 0x5150, "BAR1 before BAR2");
  t.write(MEM32 + 0x400, 0xaa, 1);
  t.setConfig(1, "COMMAND", 0);
  assert.equal(t.who(MEM32 + 0x400), "every_kind1");
  assert.equal(t.read(MEM32 + 0x400), 0);
});

/** What a function's BARs decode, told from its registers alone, in order. */
function answers(t: TestBus, gpa: number): string {
  const bars = (everyKindBars as PciBar[]).flatMap((b) => [1, 2, 3].map((slot) => ({ slot, b })));
  bars.sort((x, y) => x.slot - y.slot || x.b.bar - y.b.bar);
  for (const { slot, b } of bars) {
    const io = b.kind === "io";
    if ((t.config(slot, "COMMAND") & (io ? COMMAND.io : COMMAND.memory)) === 0) continue;
    const low = t.config(slot, BAR_NAMES[b.bar]);
    const high = b.kind === "mem64" ? t.config(slot, BAR_NAMES[b.bar + 1]) : 0;
    const addr = (low - low % (io ? 4 : 16)) + high * 2 ** 32;
    const window = WINDOWS.find((w) => gpa >= w.addr && gpa < w.addr + w.sizeBytes)!;
    if ((window.kind === "io") !== io) continue;
    const pci = gpa - window.addr + window.pciAddr;
    if (pci >= addr && pci < addr + b.size) return `every_kind${slot - 1}.${b.space ?? "regs"}`;
  }
  return "pci-host0.regs";
}
const everyKindBars = [
  { bar: 0, kind: "io", size: 64 },
  { bar: 1, kind: "mem32", size: 1024 },
  { bar: 2, kind: "mem64", size: 0x1000, space: "memory" },
  { bar: 4, kind: "io", size: 16, space: "ports" },
];

const NAME = "pci: random BARs decode as their registers say, in any order of writes";
Deno.test(NAME, () => {
  forSeeds(20, "core/mmio/pci/root_test.ts", NAME, (rng, step) => {
    const t = new TestBus([{ type: everyKind }, { type: everyKind }, { type: everyKind }]);
    const near = () => rng.pick([MEM32, MEM64, MEM32 + 0x3fff_f000]) + 64 * rng.below(80) - 0x800;
    for (let i = 0; i < 300; i++) {
      step(i);
      const slot = 1 + rng.below(3);
      const bar = rng.pick(BAR_NAMES);
      const dice = rng.below(10);
      if (dice < 3) t.setConfig(slot, "COMMAND", rng.below(8));
      else if (bar === "BAR3") t.setConfig(slot, bar, rng.pick([0, 4, 4, 7, ONES]));
      else if (dice < 5) t.setConfig(slot, bar, rng.pick([0, ONES, rng.below(256) * 16]));
      else t.setConfig(slot, bar, near() >>> 0);
      if (rng.chance(0.1)) {
        const m = t.machines[slot - 1];
        if (rng.chance(0.3)) m.reset();
        else m.load(m.save());
      }
      for (let k = 0; k < 8; k++) {
        const gpa = rng.chance(0.4) ? PORTS + rng.below(0x1000) : near();
        const window = WINDOWS.find((w) => gpa >= w.addr && gpa < w.addr + w.sizeBytes);
        if (window === undefined) continue;
        const m = t.bus.find(gpa)!;
        assert.equal(`${m.dev.name}.${m.region.name}`, answers(t, gpa), gpa.toString(16));
      }
    }
  });
});

Deno.test("pci: a declaration that cannot be is refused where it stands", () => {
  const wrong: [object, RegExp][] = [
    [{ bars: [{ bar: 0, kind: "io", size: 512 }] }, /BAR0 has size 512, expected a power of two/],
    [{ bars: [{ bar: 5, kind: "mem64", size: 16 }] }, /there is no BAR6/],
    [
      { bars: [{ bar: 0, kind: "mem64", size: 16 }, { bar: 1, kind: "io", size: 4 }] },
      /BAR1 .*twice/,
    ],
    [{ bars: [{ bar: 0, kind: "io", size: 4, space: "gone" }] }, /space "gone", .*not declared/],
    [{ vendor: 0x1_0000 }, /vendor is 65536/],
    [{ msi: { vectors: 3 } }, /msi has 3 vectors/],
    [{ msix: { vectors: 1, bar: 0 } }, /BAR0, whose space is not "msix"/],
    [{ caps: [{ id: 9, name: "A", bytes: [], at: 0x3c }] }, /does not fit/],
    [{ caps: [{ id: 9, name: "A", bytes: [] }, { id: 9, name: "B", bytes: [], at: 0x40 }] }, /two/],
    [{ header: { NOTHING: 1 } }, /no register NOTHING/],
  ];
  for (const [part, message] of wrong) {
    const pci = { vendor: 1, device: 2, class: 0, ...part };
    const declare = () =>
      device("wrong", { doc: "Wrong.", source: "here", pci, state: {} }, () => ({ regs: [] }))
        .check();
    assert.throws(declare, message);
  }
});
