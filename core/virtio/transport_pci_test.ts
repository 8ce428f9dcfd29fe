import assert from "node:assert/strict";
import { HEADER } from "../mmio/pci/declaration.ts";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { virtioBlkPci } from "./blk.ts";
import { virtioConsolePci } from "./console.ts";
import { virtioRngPci } from "./rng.ts";
import { virtioScsiPci } from "./scsi.ts";
import { ReferenceDriver } from "./test_driver.ts";
import { legacy, modern, NOTIFY, pci, setCommand } from "./test_faces.ts";

const RX = 0, TX = 1;
const NEEDS_RESET = 64;
const NO_VECTOR = 0xffff;
const MSIX_CAP = 0x98, CFG_CAP = 0x84;

const machine = (props = {}) => new TestMachine(virtioConsolePci, { props, ramBytes: 1 << 20 });
const config = (m: TestMachine) => m.dev.region("config");

function queueOne(d: ReferenceDriver, text: string): void {
  const gpa = d.ram.alloc(text.length);
  d.ram.write(gpa, new TextEncoder().encode(text));
  d.queues[TX].add([{ gpa, length: text.length, write: false }]);
}

Deno.test("virtio-pci: ids and revision say which interfaces there are (§4.1.2)", () => {
  const types = [
    { type: virtioBlkPci, id: 2, transitional: 0x1001 },
    { type: virtioConsolePci, id: 3, transitional: 0x1003 },
    { type: virtioRngPci, id: 4, transitional: 0x1005 },
    { type: virtioScsiPci, id: 8, transitional: 0x1004 },
  ];
  for (const { type, id, transitional } of types) {
    for (const disable_legacy of [false, true]) {
      const m = new TestMachine(type, { props: { disable_legacy } });
      const get = (name: string) => config(m).read(HEADER[name].at, HEADER[name].size);
      assert.equal(get("VENDOR_ID"), 0x1af4);
      assert.equal(get("DEVICE_ID"), disable_legacy ? 0x1040 + id : transitional);
      assert.equal(get("REVISION_ID"), disable_legacy ? 1 : 0);
      assert.equal(get("SUBSYSTEM_ID"), disable_legacy ? 0x1100 : id);
      const names = m.dev.regions.map((r) => r.name);
      assert.equal(names.includes("legacy"), !disable_legacy);
    }
    const m = new TestMachine(type, { props: { disable_modern: true, vectors: 0 } });
    assert.deepEqual(m.dev.regions.map((r) => r.name), ["regs", "legacy", "config"]);
    const neither = { disable_legacy: true, disable_modern: true };
    assert.throws(() => new TestMachine(type, { props: neither }), /neither interface/);
  }
});

Deno.test("virtio-pci: FEATURES_OK is refused without VERSION_1, and for what was not offered", () => {
  for (const [low, high] of [[0, 0], [1 << 5, 1], [0, 3], [1 << 27, 1]]) {
    const m = machine();
    const face = pci(false);
    for (const status of [1, 3]) face.setStatus(m, status);
    face.accept(m, 0, low);
    face.accept(m, 1, high);
    face.setStatus(m, 11);
    assert.equal(face.status(m), 3, `features ${high}:${low}`);
  }
});

Deno.test("virtio-pci: queue_enable takes 1 and nothing else, before DRIVER_OK", () => {
  const m = machine();
  const d = new ReferenceDriver(m, pci(false)).init(1);
  modern.set(m, "queue_select", RX);
  for (const v of [0, 2, 0xffff]) modern.set(m, "queue_enable", v);
  assert.equal(modern.get(m, "queue_enable"), 1);
  modern.set(m, "queue_select", TX);
  const before = m.dev.save();
  d.face.scribble(m, 1);
  assert.deepEqual(m.dev.save(), before, "a queue was set up after DRIVER_OK");
});

Deno.test("virtio-pci: a queue that does not exist shows zeros, and takes nothing", () => {
  const m = machine();
  for (const queue of [2, 0x8000, 0xffff]) {
    modern.set(m, "queue_select", queue);
    const before = m.dev.save();
    pci(false).scribble(m, 1);
    for (const name of ["queue_size", "queue_enable", "queue_desc_low"] as const) {
      assert.equal(modern.get(m, name), 0);
    }
    assert.equal(modern.get(m, "queue_msix_vector"), NO_VECTOR);
    assert.deepEqual(m.dev.save(), before);
  }
});

Deno.test("virtio-pci: reading the ISR status lowers the line; a debugger's peek does not", () => {
  const m = machine({ latency: 0 });
  const d = new ReferenceDriver(m, pci(false)).init();
  queueOne(d, "x");
  d.queues[TX].kick();
  assert.equal(m.wires[0].level, true);
  assert.equal(m.dev.region("modern").peek(0x1000, 1), 1n);
  assert.equal(m.wires[0].level, true);
  assert.equal(modern.get(m, "isr_status"), 1);
  assert.equal(m.wires[0].level, false);
  assert.equal(modern.get(m, "isr_status"), 0);
});

Deno.test("virtio-pci: the interface that is written to first is the driver's until it resets", () => {
  const m = machine({ latency: 0 });
  const d = new ReferenceDriver(m, pci(false)).init();
  const before = m.dev.save();
  legacy.set(m, "QueueSelect", RX);
  legacy.set(m, "DriverFeatures", 0);
  legacy.set(m, "QueueAddress", 1);
  legacy.set(m, "QueueNotify", TX);
  legacy.set(m, "DeviceStatus", 128);
  assert.deepEqual(m.dev.save(), before);
  queueOne(d, "modern");
  d.queues[TX].kick();
  assert.equal(m.outText, "modern");
  legacy.set(m, "DeviceStatus", 0);
  assert.equal(modern.get(m, "device_status"), 0);
  const old = new ReferenceDriver(m, pci(true)).init();
  m.dev.region("modern").write(NOTIFY + 4 * TX, 2, TX);
  modern.set(m, "device_status", 128);
  queueOne(old, " legacy");
  old.queues[TX].kick();
  assert.equal(m.outText, "modern legacy");
  assert.equal(legacy.get(m, "DeviceStatus"), 7);
});

/** Enables MSI-X with a message for each vector: its number, written to a place of its own. */
function enableMessages(m: TestMachine, vectors: number): number[] {
  const places = Array.from({ length: vectors }, (_, i) => RAM_BASE + 0x8_0000 + 4 * i);
  places.forEach((gpa, i) => {
    const table = m.dev.region("msix");
    table.write(16 * i, 4, gpa);
    table.write(16 * i + 8, 4, 0x100 + i);
    table.write(16 * i + 12, 4, 0);
  });
  config(m).write(MSIX_CAP + 2, 2, 0x8000);
  return places;
}

Deno.test("virtio-pci: with MSI-X each queue has the vector that the driver chose (§4.1.5.1)", () => {
  const m = machine({ latency: 0, event_idx: false });
  const places = enableMessages(m, 2);
  const face = pci(false);
  const d = new ReferenceDriver(m, face).init();
  const heard = () => places.map((gpa) => d.ram.u32(gpa));
  const send = () => {
    places.forEach((gpa) => d.ram.setU32(gpa, 0));
    queueOne(d, "x");
    d.queues[TX].kick();
    assert.equal(m.wires[0].level, false, "the line is silent");
    return heard();
  };
  assert.deepEqual(send(), [0, 0], "no vector was chosen");
  modern.set(m, "queue_select", TX);
  for (
    const [chosen, kept, told] of [[1, 1, [0, 0x101]], [0, 0, [0x100, 0]], [2, NO_VECTOR, [0, 0]]]
  ) {
    modern.set(m, "queue_msix_vector", chosen as number);
    assert.equal(modern.get(m, "queue_msix_vector"), kept);
    assert.deepEqual(send(), told);
    assert.equal(modern.get(m, "isr_status"), 0, "no bit for a queue's message");
  }
  modern.set(m, "config_msix_vector", 1);
  m.dev.input("resize", Uint8Array.of(100, 0, 40, 0));
  assert.equal(d.ram.u32(places[1]), 0x101);
  assert.equal(modern.get(m, "isr_status"), 2);
});

Deno.test("virtio-pci: vectors=0 has no MSI-X, and no vector can be chosen", () => {
  const m = machine({ vectors: 0 });
  assert.ok(!m.dev.regions.some((r) => r.name === "msix"));
  modern.set(m, "config_msix_vector", 0);
  assert.equal(modern.get(m, "config_msix_vector"), NO_VECTOR);
});

Deno.test("virtio-pci: the legacy configuration moves behind two vectors while MSI-X is enabled", () => {
  const m = machine({ cols: 132 });
  const bar = m.dev.region("legacy");
  assert.deepEqual([bar.read(20, 2), bar.read(24, 2)], [132, 0]);
  config(m).write(MSIX_CAP + 2, 2, 0x8000);
  assert.deepEqual([bar.read(20, 2), bar.read(24, 2)], [NO_VECTOR, 132]);
  bar.write(32, 4, 0x41); // emerg_wr
  assert.equal(m.outText, "A");
});

Deno.test("virtio-pci: without bus mastering nothing is reached, and the driver is told", () => {
  for (const when of ["at the kick", "amid the request"]) {
    const m = machine();
    const d = new ReferenceDriver(m, pci(false)).init();
    queueOne(d, "lost");
    if (when === "at the kick") setCommand(m, 3);
    d.queues[TX].notify();
    setCommand(m, 3);
    const ram = m.ram.slice();
    m.advance(10_000);
    assert.equal(m.outText, "", when);
    assert.ok(m.ram.every((v, i) => v === ram[i]), when);
    assert.equal(modern.get(m, "device_status") & NEEDS_RESET, NEEDS_RESET, when);
    const again = new ReferenceDriver(m, pci(false)).init();
    queueOne(again, "ok");
    again.queues[TX].kick();
    m.advance(10_000);
    assert.equal(m.outText, "ok", when);
  }
});

/** An access through pci_cfg_data. */
function through(m: TestMachine, bar: number, offset: number, length: number, v?: number): number {
  config(m).write(CFG_CAP + 4, 1, bar);
  config(m).write(CFG_CAP + 8, 4, offset);
  config(m).write(CFG_CAP + 12, 4, length);
  if (v === undefined) return config(m).read(CFG_CAP + 16, 4);
  config(m).write(CFG_CAP + 16, 4, v);
  return v;
}

Deno.test("virtio-pci: pci_cfg_data is a window to the BARs, with every effect (§4.1.4.9)", () => {
  const m = machine({ latency: 0 });
  const d = new ReferenceDriver(m, pci(false)).init();
  assert.equal(through(m, 4, 0x12, 2), 2, "num_queues");
  assert.equal(through(m, 4, 0x14, 1), 15, "device_status");
  queueOne(d, "by configuration space");
  through(m, 4, NOTIFY + 4 * TX, 2, TX);
  assert.equal(m.outText, "by configuration space");
  assert.equal(m.wires[0].level, true);
  config(m).write(CFG_CAP + 8, 4, 0x1000); // isr_status
  config(m).write(CFG_CAP + 12, 4, 1);
  assert.equal(config(m).peek(CFG_CAP + 16, 4), 1n);
  assert.equal(m.wires[0].level, true, "a peek acknowledged");
  assert.equal(config(m).read(CFG_CAP + 16, 4), 1);
  assert.equal(m.wires[0].level, false);
});

Deno.test("virtio-pci: pci_cfg_data that leads nowhere reads 0 and writes nothing", () => {
  const m = machine();
  new ReferenceDriver(m, pci(false)).init();
  const nowhere = [[1, 0, 4], [5, 0, 4], [4, 0x3fff, 2], [4, 0x4000, 4], [4, 0xffff_fffc, 4]]
    .concat(
      [[4, 2, 4], [4, 0x14, 3], [4, 0x14, 0], [0, 64, 1], [255, 0, 1]],
    );
  for (const [bar, offset, length] of nowhere) {
    assert.equal(through(m, bar, offset, length), 0);
    const before = m.dev.save();
    through(m, bar, offset, length, 0);
    assert.deepEqual(m.dev.save(), before);
  }
  through(m, 4, 0x14, 1, 0);
  assert.equal(modern.get(m, "device_status"), 0, "a reset through the window");
});
