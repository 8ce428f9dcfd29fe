/** PCI functions on the board: their slots, lines and DMA. @module */
import assert from "node:assert/strict";
import { Trace } from "../trace/trace.ts";
import { buildBoard } from "./build.ts";
import { DEFAULT_SPEC, type DeviceSpec, type MachineSpec } from "./spec.ts";
import { BoardError, placeDevices } from "./virt.ts";

const ECAM = 0x3000_0000, MEM = 0x4000_0000, PLIC_PENDING = 0x0c00_1004;
const BAR0 = 0x10, COMMAND = 0x04, RAISE = 0x60, ACK = 0x64;

const plug = (use: string, o: Partial<DeviceSpec> = {}): DeviceSpec => ({
  use,
  file: null,
  addr: null,
  irq: null,
  slot: null,
  props: {},
  ...o,
});
const withDevices = (...devices: DeviceSpec[]): MachineSpec => ({
  ...DEFAULT_SPEC,
  memoryBytes: 16 * 1024 * 1024,
  loads: [{ file: { path: "nop", sha256: "", bytes: 4 }, addr: 0x8020_0000 }],
  devices,
});

/** A board whose devices we access as a hart would. */
function board(...devices: DeviceSpec[]) {
  const files = new Map([["nop", new Uint8Array(4)]]);
  const { bus } = buildBoard(withDevices(...devices), files, new Map(), new Trace(null), {
    out: () => {},
  });
  const at = (gpa: number) => bus.find(gpa)!;
  return {
    bus,
    read: (gpa: number, size = 4) => at(gpa).region.read(gpa - at(gpa).base, size),
    write: (gpa: number, v: number, size = 4) => at(gpa).region.write(gpa - at(gpa).base, size, v),
  };
}

Deno.test("slots are filled in order around those asked for, and decide the line", () => {
  const spec = withDevices(plug("edu"), plug("edu", { slot: 2 }), plug("edu"), plug("edu"));
  const placed = placeDevices(spec, new Map()).filter((p) => p.slot !== undefined);
  assert.deepEqual(placed.map((p) => [p.name, p.slot, p.irqs]), [
    ["pcie", 0, []],
    ["edu0", 1, [33]],
    ["edu1", 2, [34]],
    ["edu2", 3, [35]],
    ["edu3", 4, [32]],
  ]);
});

Deno.test("a slot that is taken or none, an address for a PCI device, a slot for another are refused", () => {
  const refused: [DeviceSpec[], RegExp][] = [
    [[plug("edu", { slot: 0 })], /slot 0 of the PCI bus is taken/],
    [[plug("edu", { slot: 32 })], /not one of 1 to 31/],
    [[plug("edu", { slot: 3 }), plug("edu", { slot: 3 })], /slot 3 .* taken/],
    [[plug("edu", { addr: 0x4000_0000 })], /the guest gives it its addresses/],
    [[plug("edu", { irq: 40 })], /its slot decides its line/],
    [[plug("uart16550", { slot: 3 })], /is no PCI device/],
    [[plug("uart16550", { irq: 33 })], /source 33 is taken/],
  ];
  for (const [devices, message] of refused) {
    const fails = (e: unknown) => e instanceof BoardError && message.test(e.message);
    assert.throws(() => placeDevices(withDevices(...devices), new Map()), fails);
  }
  assert.throws(() => board(plug("uart16550", { addr: 0x4000_0000 })), /overlaps pcie/);
});

Deno.test("a line that two slots share is up while either holds it up", () => {
  const b = board(plug("edu", { slot: 1 }), plug("edu", { slot: 5 }));
  [1, 5].forEach((slot, i) => {
    b.write(ECAM + slot * 0x8000 + BAR0, MEM + i * 0x10_0000);
    b.write(ECAM + slot * 0x8000 + COMMAND, 2, 2);
  });
  const [first, second] = [MEM, MEM + 0x10_0000];
  /** Claims and completes whatever is pending; the line alone decides what is pending again. */
  const claim = 0x0c20_1004;
  b.write(0x0c00_0000 + 4 * 33, 1);
  b.write(0x0c00_2080 + 4, 1 << 1);
  const pending = () => {
    const was = b.read(PLIC_PENDING) >>> 1 & 1;
    const id = b.read(claim);
    if (id !== 0) b.write(claim, id);
    return was;
  };
  assert.equal(pending(), 0);
  b.write(first + RAISE, 1);
  b.write(second + RAISE, 1);
  assert.equal(pending(), 1);
  b.write(first + ACK, 1);
  assert.equal(pending(), 1, "the second holds it up");
  b.write(second + ACK, 1);
  pending(); // Asserted again before the line fell.
  assert.equal(pending(), 0);
});

Deno.test("the machine's map shows BARs where they are", () => {
  const b = board(plug("edu"));
  const edu = () => b.bus.mappings.filter((m) => m.dev.name === "edu0").map((m) => m.start);
  assert.deepEqual(edu(), [ECAM + 0x8000]);
  b.write(ECAM + 0x8000 + BAR0, MEM);
  b.write(ECAM + 0x8000 + COMMAND, 2, 2);
  assert.deepEqual(edu(), [ECAM + 0x8000, MEM]);
});
