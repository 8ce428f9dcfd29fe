import assert from "node:assert/strict";
import { TestMachine } from "../mmio/test_machine.ts";
import { virtioConsole } from "./console.ts";
import { type Buffer, type DriverQueue, ReferenceDriver, REG } from "./test_driver.ts";
import { mmio } from "./test_faces.ts";

const RX = 0, TX = 1;
const encode = (s: string) => new TextEncoder().encode(s);

function setup(props: Record<string, string | number | boolean> = {}, queueSize = 8) {
  const m = new TestMachine(virtioConsole, { props, ramBytes: 1 << 20 });
  const d = new ReferenceDriver(m, mmio(props.legacy === true), queueSize).init();
  return { m, d, rx: d.queues[RX], tx: d.queues[TX] };
}

function send(q: DriverQueue, text: string): number {
  const data = encode(text);
  const gpa = q.ram.alloc(data.length);
  q.ram.write(gpa, data);
  return q.add([{ gpa, length: data.length, write: false }]);
}

function lend(q: DriverQueue, length: number): Buffer {
  const b = { gpa: q.ram.alloc(length), length, write: true };
  q.add([b]);
  return b;
}

for (const legacy of [false, true]) {
  const kind = legacy ? "legacy" : "modern";
  Deno.test(`virtio-console ${kind}: what the driver sends comes out after the latency`, () => {
    const { m, d, tx } = setup({ legacy });
    const head = send(tx, "hello");
    assert.ok(tx.kick());
    m.advance(999);
    assert.equal(m.outText, "");
    m.advance(1);
    assert.equal(m.outText, "hello");
    assert.equal(d.interrupt(), 1);
    assert.equal(m.wires[0].level, false);
    assert.deepEqual(tx.reap(), [{ head, written: 0 }]);
  });

  Deno.test(`virtio-console ${kind}: input fills the buffers lent, in order`, () => {
    const { m, d, rx } = setup({ legacy });
    const a = lend(rx, 3), b = lend(rx, 8);
    rx.kick();
    m.dev.input("rx", encode("abcde"));
    assert.equal(d.interrupt(), 1);
    assert.deepEqual(rx.reap().map((r) => r.written), [3, 2]);
    assert.deepEqual(rx.ram.read(a.gpa, 3), encode("abc"));
    assert.deepEqual(rx.ram.read(b.gpa, 3), encode("de\0"));
  });
}

Deno.test("virtio-console: latency 0 serves a request within the exit", () => {
  const { m, tx } = setup({ latency: 0 });
  send(tx, "now");
  tx.kick();
  assert.equal(m.outText, "now");
  assert.equal(tx.reap().length, 1);
  assert.equal(m.pending.length, 0);
});

Deno.test("virtio-console: requests are served one after the other", () => {
  const { m, d, tx } = setup();
  send(tx, "a");
  send(tx, "b");
  tx.kick();
  m.advance(1000);
  assert.equal(m.outText, "a");
  m.advance(999);
  assert.equal(m.outText, "a");
  m.advance(1);
  assert.equal(m.outText, "ab");
  assert.equal(d.interrupt(), 1);
  assert.equal(tx.reap().length, 2);
});

Deno.test("virtio-console: input waits outside until buffers can come, and none is lost", () => {
  const m = new TestMachine(virtioConsole, { ramBytes: 1 << 20 });
  assert.equal(m.dev.canInput("rx"), 0);
  const d = new ReferenceDriver(m, mmio(false)).init();
  assert.ok(m.log.includes("inputSpace"));
  const room = m.dev.canInput("rx");
  assert.ok(room > 0);
  const sent = Uint8Array.from({ length: room }, (_, i) => i * 7);
  m.dev.input("rx", sent);
  assert.equal(m.dev.canInput("rx"), 0);
  const got: number[] = [];
  const rx = d.queues[RX];
  while (got.length < room) {
    const b = lend(rx, 500);
    rx.kick();
    for (const { written } of rx.reap()) got.push(...rx.ram.read(b.gpa, written));
  }
  assert.deepEqual(Uint8Array.from(got), sent);
  assert.equal(m.dev.canInput("rx"), room);
});

Deno.test("virtio-console: input beyond the room that it announced is dropped", () => {
  const { m } = setup();
  m.dev.input("rx", new Uint8Array(m.dev.canInput("rx") + 1000));
  assert.equal(m.dev.canInput("rx"), 0);
});

Deno.test("virtio-console: size and emergency write are in the configuration space", () => {
  const m = new TestMachine(virtioConsole, { props: { cols: 132 } });
  assert.equal(m.read(REG.Config, 2), 132);
  assert.equal(m.read(REG.Config + 2, 2), 25);
  assert.equal(m.read(REG.Config + 2, 1), 25);
  assert.equal(m.read(REG.Config, 4), 132 | 25 << 16);
  m.write(REG.Config + 8, 0x41);
  assert.equal(m.outText, "A");
});

Deno.test("virtio-console: withheld features are not offered and their fields are gone", () => {
  const props = { size: false, emerg_write: false, event_idx: false, indirect: false };
  const m = new TestMachine(virtioConsole, { props });
  assert.equal(m.read(REG.DeviceFeatures), 0);
  m.write(REG.DeviceFeaturesSel, 1);
  assert.equal(m.read(REG.DeviceFeatures), 1);
  assert.equal(m.read(REG.Config, 2), 0);
  m.write(REG.Config + 8, 0x41);
  assert.equal(m.outText, "");
});

Deno.test("virtio-console: a resize changes the generation and interrupts", () => {
  const { m, d } = setup();
  const generation = m.read(REG.ConfigGeneration);
  m.dev.input("resize", Uint8Array.of(100, 0, 40, 0));
  assert.notEqual(m.read(REG.ConfigGeneration), generation);
  assert.equal(d.interrupt(), 2);
  assert.equal(m.read(REG.Config, 2), 100);
  assert.equal(m.read(REG.Config + 2, 2), 40);
});

Deno.test("virtio-console: a resize does not interrupt a driver that did not ask for sizes", () => {
  const { m, d } = setup({ size: false });
  m.dev.input("resize", Uint8Array.of(100, 0, 40, 0));
  assert.equal(d.interrupt(), 0);
});

Deno.test("virtio-console: a request row names its times, kick and interrupt", () => {
  const { m, tx } = setup();
  m.advance(50);
  send(tx, "hey");
  tx.kick();
  m.advance(1000);
  const rows = m.log.filter((l) => l.startsWith("request ")).map((l) => JSON.parse(l.slice(8)));
  const irqRow = m.log.filter((l) => /^[a-z]+ \{/.test(l)).findIndex((l) => l.startsWith("irq "));
  assert.deepEqual(rows, [{
    id: 1,
    kind: "console_write",
    bytes: 3,
    submit_ns: 50,
    submit_icount: 0,
    complete_ns: 1050,
    status: "ok",
    kick_exit_seq: null,
    irq_seq: irqRow,
  }]);
});

Deno.test("virtio-console: the trace tells each step of a request in order", () => {
  const { m, tx } = setup();
  send(tx, "hey");
  m.log.length = 0;
  tx.kick();
  m.advance(1000);
  const steps = m.log.filter((l) => /^(vring|dma|irq|request) /.test(l)).map((l) => {
    const [table, json] = [l.slice(0, l.indexOf(" ")), l.slice(l.indexOf(" ") + 1)];
    return JSON.parse(json).event ?? table;
  });
  assert.deepEqual(steps, [
    "kick",
    "pop",
    "descriptor",
    "notify_enabled",
    "dma",
    "push",
    "interrupt",
    "raise",
    "request",
  ]);
});
