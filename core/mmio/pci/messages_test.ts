/** MSI and MSI-X: what a driver sees of them, and what reaches memory. @module */
import assert from "node:assert/strict";
import { device, flag, u8 } from "../device.ts";
import { testLaws } from "../test_laws.ts";
import { RAM_BASE, TestMachine } from "../test_machine.ts";
import { COMMAND, HEADER } from "./declaration.ts";

const FILE = "core/mmio/pci/messages_test.ts";
const ABOUT = { vendor: 0x1234, device: 1, class: 0xff_0000 };

/** Writing N to SEND sends message N; LEVEL is the line. */
const sender = (name: string, messages: object) =>
  device(name, {
    doc: "Sends messages.",
    source: "this test",
    irqs: 1,
    pci: { ...ABOUT, ...messages },
    state: { level: flag(), last: u8() },
  }, (s, port) => ({
    regs: [
      { at: 0, name: "SEND", set: (v) => void port.message(s.last = v & 15) },
      { at: 4, name: "LEVEL", get: () => +s.level, set: (v) => s.level = v !== 0 },
      { at: 8, name: "CAUSE", set: () => s.level = port.signal() >= 0 },
    ],
    settle: () => void port.irq(s.level),
  }));

const MAIN = { bar: 0, kind: "mem32", size: 16 } as const;
const msi = sender("msi4", { bars: [MAIN], msi: { vectors: 4, maskable: true } });
const msix = sender("msix3", {
  bars: [MAIN, { bar: 1, kind: "mem32", size: 256, space: "msix" }],
  msix: { vectors: 3, bar: 1 },
});

for (const type of [msi, msix]) testLaws(type, FILE);

class Driver extends TestMachine {
  config(at: number, size = 4): number {
    return this.dev.region("config").read(at, size);
  }
  setConfig(at: number, v: number, size = 4): void {
    this.dev.region("config").write(at, size, v);
  }
  master(): this {
    this.setConfig(HEADER.COMMAND.at, COMMAND.memory | COMMAND.busMaster, 2);
    return this;
  }
  messages(): unknown[] {
    const sent = this.log.filter((l) => l.startsWith("irq") && l.includes("message"));
    this.log.length = 0;
    return sent.map((l) => JSON.parse(l.slice(4)).line);
  }
  word(gpa: number): number {
    return new DataView(this.ram.buffer, this.ram.byteOffset).getUint32(gpa - RAM_BASE, true);
  }
}

function msiDriver(): Driver {
  const d = new Driver(msi).master();
  d.setConfig(0x44, RAM_BASE + 0x100);
  d.setConfig(0x4c, 0xbeef, 2);
  return d;
}

Deno.test("msi: the capability is as §6.8.1 lays it out", () => {
  const d = new Driver(msi);
  assert.equal(d.config(HEADER.CAPABILITIES.at, 1), 0x40);
  assert.equal(d.config(HEADER.STATUS.at, 2) & 0x10, 0x10);
  // 4 vectors (log2 is 2), 64 bits, maskable.
  assert.equal(d.config(0x40), 0x0184_0005);
  for (let at = 0x40; at < 0x58; at += 4) d.setConfig(at, 0xffff_ffff);
  const after = Array.from({ length: 6 }, (_, i) => d.config(0x40 + 4 * i));
  assert.deepEqual(after, [0x01f5_0005, 0xffff_fffc, 0xffff_ffff, 0xffff, 0xf, 0]);
});

Deno.test("msi: a message is a write of the data with the vector in its last bits", () => {
  const d = msiDriver();
  d.write(0, 2);
  assert.deepEqual(d.messages(), [], "not enabled");
  d.setConfig(0x42, 1 | 2 << 4, 2);
  d.write(0, 2);
  assert.deepEqual(d.messages(), [2]);
  assert.equal(d.word(RAM_BASE + 0x100), 0xbeee);
  d.setConfig(0x42, 1, 2);
  d.write(0, 3);
  assert.deepEqual(d.messages(), [0], "one message allowed: all share it");
  assert.equal(d.word(RAM_BASE + 0x100), 0xbeef);
});

Deno.test("msi: a masked message waits, and is sent when its mask goes", () => {
  const d = msiDriver();
  d.setConfig(0x42, 1 | 2 << 4, 2);
  d.setConfig(0x50, 0b0100);
  d.write(0, 2);
  d.write(0, 2);
  assert.deepEqual(d.messages(), []);
  assert.equal(d.config(0x54), 0b0100);
  d.setConfig(0x50, 0);
  assert.deepEqual(d.messages(), [2]);
  assert.equal(d.config(0x54), 0);
});

Deno.test("msi: enabled, it silences the line, and a cause becomes message 0", () => {
  const d = msiDriver();
  d.write(4, 1);
  assert.equal(d.wires[0].level, true);
  d.setConfig(0x42, 1, 2);
  assert.equal(d.wires[0].level, false);
  d.write(8, 1);
  assert.deepEqual(d.messages(), [0]);
  d.setConfig(0x42, 0, 2);
  assert.equal(d.wires[0].level, true);
});

Deno.test("pci: the line follows COMMAND's interrupt disable; STATUS tells of it all the same", () => {
  const d = new Driver(msi).master();
  d.write(4, 1);
  const { intxDisable, busMaster } = COMMAND;
  d.setConfig(HEADER.COMMAND.at, intxDisable | busMaster, 2);
  assert.equal(d.wires[0].level, false);
  assert.equal(d.config(HEADER.STATUS.at, 2) & 8, 8);
  d.setConfig(HEADER.COMMAND.at, busMaster, 2);
  assert.equal(d.wires[0].level, true);
  d.write(4, 0);
  assert.equal(d.config(HEADER.STATUS.at, 2) & 8, 0);
});

Deno.test("msi: no message without bus mastering, none lost to an address that nobody claims", () => {
  const d = msiDriver();
  d.setConfig(0x42, 1, 2);
  d.setConfig(HEADER.COMMAND.at, COMMAND.memory, 2);
  d.write(0, 0);
  assert.deepEqual(d.messages(), []);
  d.master();
  for (const [low, high] of [[0x4000_0000, 0], [RAM_BASE, 1], [0xffff_fffc, 0xffff_ffff]]) {
    d.setConfig(0x44, low);
    d.setConfig(0x48, high);
    d.write(0, 0);
    assert.deepEqual(d.messages(), [0]);
    assert.ok(d.guarded && d.ram.every((b) => b === 0));
  }
});

const VECTOR = 16, CONTROL = 12, PBA = 128;

function msixDriver(): { d: Driver; table: (at: number, v: number) => void } {
  const d = new Driver(msix).master();
  const table = (at: number, v: number) => d.dev.region("msix").write(at, 4, v);
  for (let i = 0; i < 3; i++) {
    table(i * VECTOR, RAM_BASE + 0x200 + 4 * i);
    table(i * VECTOR + 8, 0x70 + i);
  }
  return { d, table };
}

Deno.test("msix: the capability names its tables; each vector is masked at reset", () => {
  const { d } = msixDriver();
  assert.deepEqual([0x40, 0x44, 0x48].map((at) => d.config(at)), [0x0002_0011, 1, PBA | 1]);
  const region = d.dev.region("msix");
  for (let i = 0; i < 3; i++) assert.equal(region.read(i * VECTOR + CONTROL, 4), 1);
  assert.equal(region.read(3 * VECTOR + CONTROL, 4), 0, "behind the table");
});

Deno.test("msix: a message waits for both masks to go, once however often it was due", () => {
  const { d, table } = msixDriver();
  d.setConfig(0x42, 0xc000, 2); // Enabled, function masked.
  table(VECTOR + CONTROL, 0);
  d.write(0, 1);
  d.write(0, 1);
  assert.deepEqual(d.messages(), []);
  assert.equal(d.dev.region("msix").read(PBA, 4), 2);
  d.setConfig(0x42, 0x8000, 2);
  assert.deepEqual(d.messages(), [1]);
  assert.equal(d.word(RAM_BASE + 0x204), 0x71);
  d.write(0, 2);
  assert.deepEqual(d.messages(), []);
  table(2 * VECTOR + CONTROL, 0);
  assert.deepEqual(d.messages(), [2]);
  d.write(0, 7);
  assert.deepEqual(d.messages(), [], "no such vector");
});

Deno.test("msix: pending bits cannot be written, and what a driver reads has their names", () => {
  const { d } = msixDriver();
  const region = d.dev.region("msix");
  region.write(PBA, 4, 7);
  assert.equal(region.read(PBA, 4), 0);
  assert.equal(d.dev.regs[region.reg], "MSIX_PENDING");
  region.read(VECTOR + CONTROL, 4);
  assert.equal(d.dev.regs[region.reg], "MSIX_VECTOR_CONTROL");
});
