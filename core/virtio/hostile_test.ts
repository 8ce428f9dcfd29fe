/**
 * What broke well-known implementations must not break ours: each test is named after the input and
 * where it is known from. In all of them the machine goes on, the event is in the trace, a second
 * run leaves the same trace, and a reset brings the device back.
 * @module
 */
import assert from "node:assert/strict";
import type { DeviceType } from "../mmio/device.ts";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { virtioConsole, virtioConsolePci } from "./console.ts";
import { type DriverQueue, ReferenceDriver, REG } from "./test_driver.ts";
import { type Face, FACES, mmio } from "./test_faces.ts";
import { AVAIL, DESC, DESC_F, USED } from "./ring_layout.ts";
import { watched } from "./test_memory.ts";

const RX = 0, TX = 1, SIZE = 8;
const NEEDS_RESET = 64;
const OWN_REGISTERS = 0x1000_1000;

interface Scene {
  m: TestMachine;
  d: ReferenceDriver;
  tx: DriverQueue;
  rx: DriverQueue;
}

const typeOf = (face: Face) => face.bus === "pci" ? virtioConsolePci : virtioConsole;

function scene(face: Face, type: DeviceType = typeOf(face)): Scene {
  const m = new TestMachine(type, { props: face.props, ramBytes: 4 << 20 });
  const d = new ReferenceDriver(m, face, SIZE).init();
  return { m, d, tx: d.queues[TX], rx: d.queues[RX] };
}

function assertStillWorks({ m, d }: Scene): void {
  m.outBytes.length = 0;
  d.init();
  const gpa = d.ram.alloc(2);
  d.ram.write(gpa, Uint8Array.of(0x6f, 0x6b));
  d.queues[TX].add([{ gpa, length: 2, write: false }]);
  d.queues[TX].kick();
  m.advance(10_000);
  assert.equal(m.outText, "ok");
  assert.equal(d.queues[TX].reap().length, 1);
}

const errors = (m: TestMachine) => m.log.filter((l) => l.startsWith('vring {"event":"error"'));

/** Part of the fault, null for none; it may depend on how many entries the queue has. */
type Fault = string | null | ((size: number) => string);

/** Runs the attack on every interface, twice each. */
function attack(name: string, fault: Fault, act: (s: Scene) => void): void {
  for (const face of FACES) {
    Deno.test(`virtqueue ${face.name}: ${name}`, () => {
      const run = () => {
        const s = scene(face);
        act(s);
        s.m.advance(100_000);
        return s;
      };
      const s = run();
      assert.deepEqual(run().m.log, s.m.log, "a second run left another trace");
      const error = typeof fault === "function" ? fault(s.tx.size) : fault;
      assert.equal(errors(s.m).length, error === null ? 0 : 1);
      const needsReset = error !== null && !face.legacy ? NEEDS_RESET : 0;
      assert.equal(face.status(s.m) & NEEDS_RESET, needsReset);
      if (error !== null) {
        const state = new TextDecoder().decode(s.m.dev.save());
        assert.ok(state.includes(error), `expected the fault "${error}"`);
        if (needsReset) {
          assert.equal(s.d.interrupt() & 2, 2, "no configuration change notification");
        }
      }
      assertStillWorks(s);
    });
  }
}

const readable = (gpa: number, length: number) => ({ gpa, length, write: false });
const NEXT = DESC_F.NEXT;

function start(q: DriverQueue, head = 0): void {
  q.publish(head);
  q.notify();
}

attack("a descriptor of length 0 moves nothing and ends (CVE-2016-6490)", null, ({ m, tx, rx }) => {
  for (let i = 0; i < tx.size; i++) tx.writeDesc(tx.desc, i, readable(RAM_BASE, 0), 0, 0);
  for (let i = 0; i < tx.size; i++) tx.publish(i);
  tx.notify();
  for (let i = 0; i < rx.size; i++) {
    rx.writeDesc(rx.desc, i, { gpa: RAM_BASE, length: 0, write: true }, 0, 0);
    rx.publish(i);
  }
  rx.notify();
  m.dev.input("rx", Uint8Array.of(1));
  assert.equal(rx.ram.u16(rx.used + USED.idx), rx.size);
});

attack("a huge descriptor length (CVE-2016-7422)", "outside RAM", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(RAM_BASE, 1), NEXT, 1);
  tx.writeDesc(tx.desc, 1, readable(RAM_BASE, 0xffff_ffff - (2 << 20)), 0, 0);
  start(tx);
});

attack("more payload than a request may carry", "chain carries over", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(RAM_BASE, 1 << 20), NEXT, 1);
  tx.writeDesc(tx.desc, 1, readable(RAM_BASE, 1), 0, 0);
  start(tx);
});

attack(
  "requests submitted without ever waiting stay within the queue size (CVE-2016-5403)",
  "in flight already",
  ({ m, tx }) => {
    let most = 0;
    for (let i = 0; i < 10 * tx.size; i++) {
      tx.writeDesc(tx.desc, i % tx.size, readable(RAM_BASE, 64), 0, 0);
      start(tx, i % tx.size);
      most = Math.max(most, m.dev.save().length);
      assert.ok(m.pending.length <= 1);
    }
    assert.ok(most < 2048 + 256 * tx.size, `state grew to ${most} bytes`);
  },
);

attack("a notification with a huge or negative number (CVE-2011-2512)", null, ({ m, d }) => {
  for (const n of [2, 0xffff, 0x7fff_ffff, 0x8000_0002, 0xffff_ffff]) d.face.notify(m, n);
  assert.equal(m.log.filter((l) => l.includes('"kick"')).length, 0);
});

attack("a descriptor chain with a cycle", "longer than the queue", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(RAM_BASE, 1), NEXT, 1);
  tx.writeDesc(tx.desc, 1, readable(RAM_BASE, 1), NEXT, 0);
  start(tx);
});

attack("a descriptor that is its own next", "longer than the queue", ({ tx }) => {
  tx.writeDesc(tx.desc, 3, readable(RAM_BASE, 0), NEXT, 3);
  start(tx, 3);
});

attack("next outside the table", (n) => `next ${n} outside table of ${n}`, ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(RAM_BASE, 1), NEXT, tx.size);
  start(tx);
});

attack(
  "a head outside the queue",
  (n) => `head 65535 outside queue of ${n}`,
  ({ tx }) => start(tx, 0xffff),
);

function indirect(tx: DriverQueue, entries: number, bytes = DESC.bytes * entries, flags = 0) {
  const table = tx.ram.alloc(DESC.bytes * entries);
  tx.writeDesc(tx.desc, 0, readable(table, bytes), DESC_F.INDIRECT | flags, 0);
  return table;
}

attack("an indirect chain longer than the queue", "longer than the queue", ({ tx }) => {
  const table = indirect(tx, tx.size + 1);
  for (let i = 0; i <= tx.size; i++) {
    tx.writeDesc(table, i, readable(RAM_BASE, 1), i < tx.size ? NEXT : 0, i + 1);
  }
  start(tx);
});

attack("a cycle inside an indirect table", "longer than the queue", ({ tx }) => {
  tx.writeDesc(indirect(tx, 1), 0, readable(RAM_BASE, 1), NEXT, 0);
  start(tx);
});

attack("next outside an indirect table", "next 2 outside table of 2", ({ tx }) => {
  tx.writeDesc(indirect(tx, 2), 0, readable(RAM_BASE, 1), NEXT, 2);
  start(tx);
});

attack("indirect inside indirect", "inside an indirect table", ({ tx }) => {
  const table = indirect(tx, 1);
  tx.writeDesc(table, 0, readable(table, DESC.bytes), DESC_F.INDIRECT, 0);
  start(tx);
});

attack("an indirect table of a length that is no multiple of 16", "whole number", ({ tx }) => {
  indirect(tx, 2, 17);
  start(tx);
});

attack("an indirect table of length 0", "whole number", ({ tx }) => {
  indirect(tx, 1, 0);
  start(tx);
});

attack("an indirect table of nearly 4 GiB", "table lies outside RAM", ({ tx }) => {
  indirect(tx, 1, 0xffff_fff0);
  start(tx);
});

attack("a descriptor both indirect and chained", "both INDIRECT and NEXT", ({ tx }) => {
  indirect(tx, 1, DESC.bytes, NEXT);
  start(tx);
});

attack("a readable descriptor after a writable one", "after a device-writable", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, { gpa: RAM_BASE, length: 1, write: true }, NEXT, 1);
  tx.writeDesc(tx.desc, 1, readable(RAM_BASE, 1), 0, 0);
  start(tx);
});

attack("avail.idx jumps by more than the queue size", (n) => `ran ${n + 1} ahead`, ({ tx }) => {
  tx.ram.setU16(tx.avail + AVAIL.idx, tx.size + 1);
  tx.notify();
});

attack("avail.idx goes backwards", "ran 65535 ahead", ({ tx }) => {
  tx.ram.setU16(tx.avail + AVAIL.idx, 0xffff);
  tx.notify();
});

attack(
  "queue registers changed after the queue went live (CVE-2026-5747)",
  null,
  ({ m, d, tx }) => {
    d.face.select(m, TX);
    const before = m.dev.save();
    for (const v of [1, 3, 0x7fff, 0xffff_fff0]) d.face.scribble(m, v);
    assert.deepEqual(m.dev.save(), before);
    const gpa = tx.ram.alloc(4);
    tx.add([readable(gpa, 4)]);
    tx.notify();
    m.advance(1000);
    assert.equal(m.outBytes.length, 4);
  },
);

attack("two chains in flight with one head (CVE-2026-45782)", "head 5 is in flight", ({ tx }) => {
  tx.writeDesc(tx.desc, 5, readable(RAM_BASE, 1), 0, 0);
  tx.publish(5);
  start(tx, 5);
});

attack("a buffer at the device's own registers (CVE-2024-3446)", "outside RAM", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(OWN_REGISTERS, 4), 0, 0);
  start(tx);
});

attack("a receive buffer outside RAM (CVE-2021-3748)", "outside RAM", ({ m, rx }) => {
  rx.writeDesc(rx.desc, 0, { gpa: OWN_REGISTERS, length: 4, write: true }, 0, 0);
  start(rx);
  m.dev.input("rx", Uint8Array.of(REG.QueueNotify));
});

attack("a buffer that wraps around the address space", "outside RAM", ({ tx }) => {
  tx.writeDesc(tx.desc, 0, readable(2 ** 64 - 2 ** 12, 0x2000), 0, 0);
  start(tx);
});

attack("used rings laid over available rings end", null, ({ m, rx }) => {
  const over = { gpa: rx.avail, length: 6, write: true };
  rx.writeDesc(rx.desc, 0, over, 0, 0);
  start(rx);
  m.dev.input("rx", Uint8Array.of(0, 0, 2, 0, 0, 0)); // The payload makes one more chain available.
  m.dev.input("rx", Uint8Array.of(0, 0, 3, 0, 0, 0));
  assert.equal(rx.ram.u16(rx.used + USED.idx), 2);
});

Deno.test("virtqueue: a fault found while polling forgets the chains in flight", () => {
  const m = new TestMachine(virtioConsole, { props: { suppress: true }, ramBytes: 1 << 20 });
  const d = new ReferenceDriver(m, mmio(false), SIZE).init();
  const tx = d.queues[TX];
  for (const head of [0, 1]) tx.writeDesc(tx.desc, head, readable(RAM_BASE, 1), 0, 0);
  tx.publish(0);
  start(tx, 1);
  tx.publish(0xffff);
  m.advance(100_000);
  assert.equal(m.outBytes.length, 1);
  assert.equal(errors(m).length, 1);
  assertStillWorks({ m, d, tx, rx: d.queues[RX] });
});

const MODERN = FACES.filter((f) => !f.legacy);

for (const areas of ["unaligned", "outside RAM", "of no size", "of size 3", "over the maximum"]) {
  for (const face of MODERN) {
    // A function on PCI begins with the largest size, and 0 chooses none.
    if (areas === "of no size" && face.bus === "pci") continue;
    Deno.test(`virtqueue ${face.name}: a queue ${areas} is refused with NEEDS_RESET`, () => {
      const m = new TestMachine(typeOf(face), { ramBytes: 1 << 20 });
      const d = new ReferenceDriver(m, face, SIZE);
      settleFeatures(m, face);
      face.select(m, TX);
      face.setSize(m, { "of no size": 0, "of size 3": 3, "over the maximum": 128 }[areas] ?? 8);
      const at = areas === "unaligned" ? RAM_BASE + 1 : areas === "outside RAM" ? 0 : RAM_BASE;
      face.enable(m, { desc: at, avail: at, used: at });
      assert.equal(face.enabled(m), false);
      assert.equal(face.status(m) & NEEDS_RESET, NEEDS_RESET);
      assertStillWorks({ m, d, tx: d.queues[TX], rx: d.queues[RX] });
    });
  }
}

/** The driver as far as it comes before it sets up queues. */
function settleFeatures(m: TestMachine, face: Face): void {
  face.prepare(m);
  for (const status of [0, 1, 3]) face.setStatus(m, status);
  face.accept(m, 0, 0);
  face.accept(m, 1, 1);
  face.setStatus(m, 11);
}

Deno.test("virtqueue legacy: page sizes and alignments that are no powers of two are refused", () => {
  for (const [page, align] of [[0, 4096], [4095, 4096], [4096, 0], [4096, 3], [2 ** 31, 2 ** 31]]) {
    const m = new TestMachine(virtioConsole, { props: { legacy: true }, ramBytes: 1 << 20 });
    m.write(REG.GuestPageSize, page);
    m.write(REG.QueueNum, 8);
    m.write(REG.QueueAlign, align);
    m.write(REG.QueuePFN, 0xffff_ffff);
    assert.equal(errors(m).length, 1, `page size ${page}, alignment ${align}`);
  }
});

for (const face of FACES) {
  Deno.test(`virtqueue ${face.name}: no byte is read twice for one request (CVE-2015-8550)`, () => {
    const reads = new Map<number, number>();
    const s = scene(
      face,
      watched(typeOf(face), {
        read(gpa, n) {
          for (let i = 0; i < n; i++) reads.set(gpa + i, (reads.get(gpa + i) ?? 0) + 1);
        },
      }),
    );
    const gpa = s.tx.ram.alloc(64);
    s.tx.add([readable(gpa, 16), readable(gpa + 16, 16), readable(gpa + 32, 32)], 2);
    reads.clear();
    s.tx.notify();
    s.m.advance(1000);
    assert.equal(s.m.outBytes.length, 64);
    const idx = s.tx.avail + AVAIL.idx; // Read again to learn that no more chains follow.
    const twice = [...reads].filter(([at, n]) => n > 1 && at !== idx && at !== idx + 1);
    assert.deepEqual(twice, []);
  });

  Deno.test(`virtqueue ${face.name}: what the guest changes after each read does not count`, () => {
    let armed = false;
    const s: Scene = scene(
      face,
      watched(typeOf(face), {
        read(gpa, n) {
          if (armed && gpa >= s.tx.desc && gpa < s.tx.desc + DESC.bytes * s.tx.size) {
            s.m.ram.fill(0xff, gpa - RAM_BASE, gpa - RAM_BASE + n);
          }
        },
      }),
    );
    const gpa = s.tx.ram.alloc(5);
    s.tx.ram.write(gpa, new TextEncoder().encode("fetch"));
    s.tx.add([readable(gpa, 2), readable(gpa + 2, 3)]);
    armed = true;
    s.tx.notify();
    s.m.advance(1000);
    assert.equal(s.m.outText, "fetch");
    armed = false;
    assertStillWorks(s);
  });
}
