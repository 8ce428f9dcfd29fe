import assert from "node:assert/strict";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { virtioConsole } from "./console.ts";
import { ReferenceDriver, REG } from "./test_driver.ts";
import { mmio } from "./test_faces.ts";
import { virtioMmioEmpty } from "./transport_mmio.ts";

const ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64, FAILED = 128;
const TX = 1;

const machine = (props = {}) => new TestMachine(virtioConsole, { props, ramBytes: 1 << 20 });

function accept(m: TestMachine, low: number, high: number): void {
  m.write(REG.DriverFeaturesSel, 0);
  m.write(REG.DriverFeatures, low);
  m.write(REG.DriverFeaturesSel, 1);
  m.write(REG.DriverFeatures, high);
}

function queueOne(d: ReferenceDriver, text: string): void {
  const gpa = d.ram.alloc(text.length);
  d.ram.write(gpa, new TextEncoder().encode(text));
  d.queues[TX].add([{ gpa, length: text.length, write: false }]);
}

Deno.test("virtio-mmio: FEATURES_OK is refused for a bit that was not offered", () => {
  const m = machine({ event_idx: false });
  m.write(REG.Status, ACKNOWLEDGE | DRIVER);
  for (const [low, high] of [[1 << 29, 1], [1 << 5, 1], [0, 3]]) {
    accept(m, low, high);
    m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert.equal(m.read(REG.Status), ACKNOWLEDGE | DRIVER, `features ${high}:${low}`);
  }
  accept(m, 1, 1);
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  assert.equal(m.read(REG.Status), ACKNOWLEDGE | DRIVER | FEATURES_OK);
});

Deno.test("virtio-mmio: a driver that knows one word of features, without VERSION_1, is taken", () => {
  const m = machine();
  m.write(REG.Status, ACKNOWLEDGE | DRIVER);
  m.write(REG.DriverFeatures, 0);
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  assert.equal(m.read(REG.Status), ACKNOWLEDGE | DRIVER | FEATURES_OK);
});

Deno.test("virtio-mmio: features are settled once FEATURES_OK is set", () => {
  const m = machine();
  accept(m, 0, 1);
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  const before = m.dev.save();
  m.write(REG.DriverFeatures, 0);
  assert.deepEqual(m.dev.save(), before);
});

Deno.test("virtio-mmio: DRIVER_OK needs FEATURES_OK", () => {
  const m = machine();
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | DRIVER_OK);
  assert.equal(m.read(REG.Status), ACKNOWLEDGE | DRIVER);
});

Deno.test("virtio-mmio: a driver clears status bits by reset only and cannot set NEEDS_RESET", () => {
  const m = machine();
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | NEEDS_RESET);
  m.write(REG.Status, FAILED);
  assert.equal(m.read(REG.Status), ACKNOWLEDGE | DRIVER | FAILED);
  m.write(REG.Status, 0);
  assert.equal(m.read(REG.Status), 0);
});

for (const legacy of [false, true]) {
  const kind = legacy ? "legacy" : "modern";
  Deno.test(`virtio-mmio ${kind}: a reset amid requests leaves a device like new`, () => {
    const m = machine({ legacy });
    // It outlives a reset: Linux writes it once, before it resets the device.
    if (legacy) m.write(REG.GuestPageSize, 4096);
    const fresh = m.dev.save();
    const d = new ReferenceDriver(m, mmio(legacy)).init();
    queueOne(d, "lost");
    d.queues[TX].kick();
    assert.equal(m.pending.length, 1);
    m.write(REG.Status, 0);
    assert.deepEqual(m.dev.save(), fresh);
    assert.equal(m.pending.length, 0);
    m.advance(10_000);
    assert.equal(m.outText, "");
    assert.equal(m.wires[0].level, false);
  });

  Deno.test(`virtio-mmio ${kind}: a reset lowers the interrupt line`, () => {
    const m = machine({ legacy, latency: 0 });
    const d = new ReferenceDriver(m, mmio(legacy)).init();
    queueOne(d, "x");
    d.queues[TX].kick();
    assert.equal(m.wires[0].level, true);
    m.write(REG.Status, 0);
    assert.equal(m.wires[0].level, false);
    assert.equal(m.read(REG.InterruptStatus), 0);
  });

  Deno.test(`virtio-mmio ${kind}: a queue that does not exist has size 0 and takes no writes`, () => {
    const m = machine({ legacy });
    for (const queue of [2, 0x8000_0000, 0xffff_ffff]) {
      m.write(REG.QueueSel, queue);
      const before = m.dev.save();
      assert.equal(m.read(REG.QueueNumMax), 0);
      for (let at = REG.QueueNum; at <= REG.QueueReady; at += 4) m.write(at, 1);
      assert.deepEqual(m.dev.save(), before);
    }
  });

  Deno.test(`virtio-mmio ${kind}: stopping a queue drops what it had in flight`, () => {
    const m = machine({ legacy });
    const d = new ReferenceDriver(m, mmio(legacy)).init();
    queueOne(d, "lost");
    d.queues[TX].kick();
    m.write(REG.QueueSel, TX);
    m.write(legacy ? REG.QueuePFN : REG.QueueReady, 0);
    assert.equal(m.read(legacy ? REG.QueuePFN : REG.QueueReady), 0);
    d.queues[TX].notify();
    m.advance(10_000);
    assert.equal(m.outText, "");
  });
}

Deno.test("virtio-mmio modern: a queue stopped amid its work starts again as a new one", () => {
  for (const suppress of [false, true]) {
    const m = machine({ suppress });
    const d = new ReferenceDriver(m, mmio(false)).init();
    m.write(REG.QueueSel, TX);
    m.write(REG.QueueReady, 0);
    const stopped = m.dev.save();
    m.write(REG.QueueReady, 1);
    for (const text of ["done", "lost"]) queueOne(d, text);
    d.queues[TX].notify();
    m.advance(1000);
    assert.equal(m.outText, "done");
    d.interrupt();
    m.write(REG.QueueReady, 0);
    assert.deepEqual(m.dev.save(), stopped);
  }
});

Deno.test("virtio-mmio modern: nothing is served before DRIVER_OK, all of it then", () => {
  const m = machine({ latency: 0 });
  const d = new ReferenceDriver(m, mmio(false)).init(0);
  m.write(REG.Status, 0);
  accept(m, 0, 1);
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  d.setupQueue(TX);
  queueOne(d, "early");
  d.queues[TX].notify();
  assert.equal(m.outText, "");
  m.write(REG.Status, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  assert.equal(m.outText, "early");
});

Deno.test("virtio-mmio legacy: GuestPageSize outlives a reset (Linux writes it before)", () => {
  const m = machine({ legacy: true });
  m.write(REG.GuestPageSize, 4096);
  m.write(REG.Status, 0);
  m.write(REG.QueueNum, 8);
  m.write(REG.QueueAlign, 4096);
  m.write(REG.QueuePFN, RAM_BASE / 4096);
  assert.equal(m.read(REG.QueuePFN), RAM_BASE / 4096);
  assert.ok(!m.log.some((row) => row.includes('"error"')));
});

Deno.test("virtio-mmio legacy: a kick before DRIVER_OK is served (§3.1.2)", () => {
  const m = machine({ latency: 0, legacy: true });
  const d = new ReferenceDriver(m, mmio(true));
  d.setupQueue(TX);
  queueOne(d, "early");
  d.queues[TX].notify();
  assert.equal(m.outText, "early");
});

Deno.test("virtio-mmio legacy: one word of features, of the legacy interface", () => {
  const m = machine({ legacy: true });
  assert.equal(m.read(REG.DeviceFeatures) >>> 0, 0x3800_0005);
  m.write(REG.DeviceFeaturesSel, 1);
  assert.equal(m.read(REG.DeviceFeatures), 0);
});

Deno.test("virtio-mmio: an empty slot has DeviceID 0, and reads 0 elsewhere", () => {
  for (const legacy of [false, true]) {
    const m = new TestMachine(virtioMmioEmpty, { props: { legacy } });
    assert.equal(m.read(REG.MagicValue), 0x74726976);
    assert.equal(m.read(REG.Version), legacy ? 1 : 2);
    for (let at = 0x010; at < 0x200; at += 4) {
      m.write(at, 0xffff_ffff);
      assert.equal(m.read(at), 0);
    }
    assert.equal(m.read(REG.DeviceID), 0);
  }
});

Deno.test("virtio-mmio: registers have the names of the specification", () => {
  const names = (props: Record<string, boolean>) => {
    const { dev } = new TestMachine(virtioConsole, { props });
    const at = (offset: number, write: boolean) => dev.regs[dev.regAt(offset, 4, write)];
    return [at(0x10, false), at(0x14, true), at(0x20, true), at(0x24, true), at(0x50, true)];
  };
  assert.deepEqual(names({ legacy: false }), [
    "DeviceFeatures",
    "DeviceFeaturesSel",
    "DriverFeatures",
    "DriverFeaturesSel",
    "QueueNotify",
  ]);
  assert.deepEqual(names({ legacy: true }), [
    "HostFeatures",
    "HostFeaturesSel",
    "GuestFeatures",
    "GuestFeaturesSel",
    "QueueNotify",
  ]);
});

Deno.test("virtio-mmio: the queue's areas may lie at the very end of RAM, not past it", () => {
  for (const past of [0, 4]) {
    const m = machine();
    new ReferenceDriver(m, mmio(false), 8).init(0);
    m.write(REG.QueueNum, 8);
    m.write(REG.QueueDescLow, RAM_BASE);
    m.write(REG.QueueDriverLow, RAM_BASE + 0x100);
    m.write(REG.QueueDeviceLow, RAM_BASE + (1 << 20) - 72 + past); // 6 + 8 * 8 bytes, aligned to 4
    m.write(REG.QueueReady, 1);
    assert.equal(m.read(REG.QueueReady), past === 0 ? 1 : 0);
  }
});
