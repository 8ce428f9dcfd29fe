/** edu: the lab's values, work in virtual time, and what a hostile driver may try. @module */
import assert from "node:assert/strict";
import { edu } from "./edu.ts";
import { COMMAND, HEADER } from "./pci/declaration.ts";
import { RAM_BASE, TestMachine } from "./test_machine.ts";
import { forSeeds } from "./test_random.ts";

const FACTORIAL = 0x08,
  INCREMENT = 0x10,
  STATUS = 0x20,
  IRQ_STATUS = 0x24,
  RAISE = 0x60,
  ACK = 0x64;
const SOURCE = 0x80, DESTINATION = 0x88, COUNT = 0x90, COMMAND_REG = 0x98;
const BUFFER = 0x4_0000;
const RUN = 1, TO_RAM = 2, IRQ = 4;
const ONES = 0xffff_ffff;

class Driver extends TestMachine {
  constructor(props: Record<string, string | number | boolean> = {}) {
    super(edu, { props: { dma_mask: "0xffffffff", ...props } });
    this.dev.region("config").write(HEADER.COMMAND.at, 2, COMMAND.memory | COMMAND.busMaster);
  }
  config(at: number, size = 4): number {
    return this.dev.region("config").read(at, size);
  }
  dma(source: number, destination: number, count: number, command: number): void {
    this.write(SOURCE, source, 8);
    this.write(DESTINATION, destination, 8);
    this.write(COUNT, count, 8);
    this.write(COMMAND_REG, command | RUN, 8);
  }
  /** Rows of `request` since last asked: kind, status and bytes. */
  requests(): unknown[] {
    const rows = this.log.filter((l) => l.startsWith("request")).map((l) => JSON.parse(l.slice(8)));
    this.log.length = 0;
    return rows.map((r) => [r.kind, r.status, r.bytes]);
  }
}

Deno.test("edu: configuration space at reset is QEMU's", () => {
  const { dev } = new TestMachine(edu);
  const config = dev.region("config");
  const words = Array.from({ length: 17 }, (_, i) => config.read(4 * i, 4).toString(16));
  assert.equal(
    words.join(" "),
    "11e81234 100000 ff0010 0 0 0 0 0 0 0 0 11001af4 0 40 0 100 800005",
  );
});

Deno.test("edu: the BAR reads as the lab's dump, with or without the increment", () => {
  const zero = [0x04, 0x08, 0x20, 0x24, 0x80, 0x88, 0x90];
  for (const increment of [false, true]) {
    const m = new Driver({ increment });
    for (let at = 4; at < 0x98; at += 4) {
      const expected = zero.includes(at) || (increment && at === INCREMENT) ? 0 : ONES;
      assert.equal(m.read(at), expected, `0x${at.toString(16)}`);
    }
    assert.equal(m.read(0), 0x0100_00ed);
    assert.equal(m.read(0x1000), ONES);
    assert.equal(m.read(0, 2), 0xffff, "registers are words");
  }
});

Deno.test("edu: liveness inverts; raised causes gather until they are acknowledged", () => {
  const m = new Driver();
  const pciStatus = () => m.config(HEADER.STATUS.at, 2);
  m.write(0x04, 0x1234_5678);
  assert.equal(m.read(0x04), 0xedcb_a987);
  m.write(RAISE, 5);
  assert.deepEqual([m.read(IRQ_STATUS), m.wires[0].level, pciStatus()], [5, true, 0x18]);
  m.write(ACK, 4);
  assert.deepEqual([m.read(IRQ_STATUS), m.wires[0].level], [1, true]);
  m.write(ACK, 1);
  assert.deepEqual([m.read(IRQ_STATUS), m.wires[0].level, pciStatus()], [0, false, 0x10]);
  m.write(RAISE, 0x1234_5678);
  assert.equal(m.read(IRQ_STATUS), 0x1234_5678);
});

Deno.test("edu: a factorial ends at its moment, and ignores what comes meanwhile", () => {
  const m = new Driver({ latency: 700 });
  m.write(STATUS, 0x80);
  m.write(FACTORIAL, 10);
  m.write(FACTORIAL, 3);
  m.advance(699);
  assert.deepEqual([m.read(STATUS), m.read(FACTORIAL), m.wires[0].level], [0x81, 10, false]);
  m.advance(1);
  assert.deepEqual([m.read(STATUS), m.read(FACTORIAL), m.wires[0].level], [0x80, 0x375f00, true]);
  assert.equal(m.read(IRQ_STATUS), 1);
  assert.deepEqual(m.requests(), [["factorial", "ok", 4]]);
});

Deno.test("edu: a factorial is modulo 2^32, of any number, at once without latency", () => {
  const m = new Driver({ latency: 0 });
  let exact = 1n;
  for (let v = 0n; v <= 40n; v++) {
    if (v > 0n) exact *= v;
    m.write(FACTORIAL, Number(v));
    assert.equal(m.read(FACTORIAL), Number(BigInt.asUintN(32, exact)), `${v}!`);
  }
  m.write(FACTORIAL, ONES);
  assert.equal(m.read(FACTORIAL), 0);
});

Deno.test("edu: the increment is the lab's: a becomes b, interrupt status 2", () => {
  const m = new Driver({ increment: true });
  m.write(STATUS, 0x40);
  m.write(INCREMENT, 0xa);
  m.write(INCREMENT, 0x77);
  assert.equal(m.read(STATUS), 0x42);
  m.advance(1000);
  assert.deepEqual([m.read(INCREMENT), m.read(IRQ_STATUS), m.read(STATUS)], [0xb, 2, 0x40]);
  const without = new Driver();
  without.write(STATUS, 0xff);
  without.write(INCREMENT, 0xa);
  without.advance(1000);
  assert.deepEqual([without.read(INCREMENT), without.read(STATUS)], [ONES, 0x80]);
});

Deno.test("edu: DMA there and back, with the command's run bit gone and cause 100", () => {
  const m = new Driver();
  const data = Uint8Array.from({ length: 200 }, (_, i) => i * 7);
  m.ram.set(data, 0x1000);
  m.dma(RAM_BASE + 0x1000, BUFFER + 100, 200, IRQ);
  m.write(COUNT, 1, 8);
  assert.equal(m.read(COUNT), 200, "fixed while it runs");
  m.advance(1000);
  assert.deepEqual([m.read(IRQ_STATUS), m.read(COMMAND_REG)], [0x100, IRQ]);
  m.write(ACK, 0x100);
  m.dma(BUFFER + 100, RAM_BASE + 0x2000, 200, TO_RAM);
  m.advance(1000);
  assert.deepEqual([m.read(IRQ_STATUS), m.read(COMMAND_REG)], [0, TO_RAM]);
  assert.deepEqual(m.ram.slice(0x2000, 0x20c8), data);
  assert.deepEqual(m.requests(), [["dma_copy", "ok", 200], ["dma_copy", "ok", 200]]);
});

Deno.test("edu: four bytes replace a DMA register whole; its upper half alone is no register", () => {
  const m = new Driver();
  m.write(SOURCE, 0x1_2345_6789, 8);
  m.write(SOURCE + 4, 7);
  assert.equal(m.read(SOURCE, 8), 0x2345_6789);
  assert.equal(m.dev.hi, 1);
  assert.equal(m.read(SOURCE + 4), ONES);
  m.write(SOURCE, 5);
  assert.deepEqual([m.read(SOURCE, 8), m.dev.hi], [5, 0]);
});

Deno.test("edu: the mask clips a bus address", () => {
  const m = new Driver({ dma_mask: "0x80000fff" });
  m.ram[5] = 0x5a;
  m.dma(RAM_BASE + 0x7000 + 5, BUFFER, 1, 0);
  m.advance(1000);
  m.dma(BUFFER, RAM_BASE + 0x10, 1, TO_RAM);
  m.advance(1000);
  assert.equal(m.ram[0x10], 0x5a);
  assert.throws(() => new Driver({ dma_mask: "wide" }), /dma_mask=wide is no mask/);
});

const HOSTILE: Readonly<Record<string, [source: number, destination: number, count: number]>> = {
  "from before the buffer": [BUFFER - 1, RAM_BASE, 4],
  "past the end of the buffer": [BUFFER + 4095, RAM_BASE, 2],
  "from far outside the buffer": [0, RAM_BASE, 4096],
  "of nothing": [BUFFER, RAM_BASE, 0],
  "of a count that wraps": [BUFFER, RAM_BASE, Number.MAX_SAFE_INTEGER],
  "to before RAM": [BUFFER, RAM_BASE - 1, 4],
  "to the end of RAM and past it": [BUFFER, RAM_BASE + 0xfffe, 4],
  "to its own registers": [BUFFER, 0x4000_0000 + RAISE, 4],
  "to its own configuration space": [BUFFER, 0x3000_8004, 4],
};

for (const [what, [source, destination, count]] of Object.entries(HOSTILE)) {
  Deno.test(`edu: DMA ${what} moves nothing, says so in its row, and the device goes on`, () => {
    const m = new Driver();
    m.dma(source, destination, count, TO_RAM | IRQ);
    m.advance(1000);
    assert.deepEqual(m.requests(), [["dma_copy", "error", 0]]);
    assert.ok(m.guarded && m.ram.every((b) => b === 0));
    assert.equal(m.read(IRQ_STATUS), 0x100, "a driver that waits is told");
    m.dma(BUFFER, RAM_BASE + 8, 4, TO_RAM);
    m.advance(1000);
    assert.deepEqual(m.requests(), [["dma_copy", "ok", 4]]);
  });
}

Deno.test("edu: a DMA in flight needs bus mastering at the moment it is made", () => {
  const m = new Driver();
  m.ram.fill(0x11);
  const config = m.dev.region("config");
  m.dma(BUFFER, RAM_BASE, 64, TO_RAM);
  config.write(HEADER.COMMAND.at, 2, COMMAND.memory);
  m.advance(1000);
  assert.deepEqual(m.requests(), [["dma_copy", "error", 0]]);
  assert.ok(m.ram.every((b) => b === 0x11));
});

Deno.test("edu: a BAR that moves while work is in flight changes nothing of the work", () => {
  const m = new Driver();
  m.write(FACTORIAL, 5);
  m.dev.region("config").write(HEADER.BAR0.at, 4, 0x5000_0000);
  m.advance(1000);
  assert.equal(m.read(FACTORIAL), 120);
});

Deno.test("edu: a reset forgets work in flight", () => {
  const m = new Driver();
  m.write(FACTORIAL, 5);
  m.reset();
  m.advance(10_000);
  assert.deepEqual([m.read(FACTORIAL), m.read(STATUS), m.requests()], [0, 0, []]);
});

const NAME = "edu: random work, saved and loaded at any moment, gives what was asked for";
Deno.test(NAME, () => {
  forSeeds(10, "core/mmio/edu_test.ts", NAME, (rng, step) => {
    let m = new Driver({ latency: 100 });
    const buffer = new Uint8Array(4096);
    m.ram.set(rng.bytes(m.ram.length));
    const ram = m.ram.slice();
    for (let i = 0; i < 60; i++) {
      step(i);
      const bytes = 1 + rng.below(300);
      const at = rng.below(4096 - bytes + 1);
      const gpa = rng.below(ram.length - bytes + 1);
      const toRam = rng.chance(0.5);
      const [from, to] = [RAM_BASE + gpa, BUFFER + at];
      m.dma(toRam ? to : from, toRam ? from : to, bytes, toRam ? TO_RAM : 0);
      if (toRam) ram.set(buffer.subarray(at, at + bytes), gpa);
      else buffer.set(ram.subarray(gpa, gpa + bytes), at);
      if (rng.chance(0.3)) {
        m.advance(rng.below(100));
        const copy = new Driver({ latency: 100 });
        copy.load(m.save());
        m = copy;
      }
      m.advance(100);
      assert.deepEqual(m.ram, ram);
    }
  });
});
