import assert from "node:assert/strict";
import { Bus } from "./bus.ts";
import { RamMemory } from "./memory.ts";
import { sifiveUart } from "./sifive_uart.ts";
import { TestMachine } from "./test_machine.ts";
import { Wire } from "./wire.ts";

const uart = (name: string) => new TestMachine(sifiveUart, { name }).dev;

Deno.test("bus: an address finds the device whose region holds it, whatever the order of adding", () => {
  const bus = new Bus();
  for (const base of [0x5000, 0x1000, 0x3000]) bus.add(uart(`at${base.toString(16)}`), base);
  for (const base of [0x1000, 0x3000, 0x5000]) {
    for (const at of [0, 1, 0xfff]) {
      assert.equal(bus.find(base + at)?.dev.name, `at${base.toString(16)}`);
    }
    assert.equal(bus.find(base - 1), null);
    assert.equal(bus.find(base + 0x1000), null);
  }
  assert.deepEqual(bus.mappings.map((m) => m.base), [0x1000, 0x3000, 0x5000]);
});

Deno.test("bus: an overlap is refused and names both devices", () => {
  const bus = new Bus();
  bus.add(uart("a"), 0x1000);
  assert.throws(
    () => bus.add(uart("b"), 0x1fff),
    /^PlugError: b at 0x1fff-0x2ffe overlaps a at 0x1000-0x1fff$/,
  );
});

Deno.test("memory: only what lies wholly in RAM is ok, and writes are told", () => {
  const told: [number, number][] = [];
  const mem = new RamMemory(new Uint8Array(16), 0x100, (at, n) => told.push([at, n]));
  for (const [gpa, n] of [[0x100, 16], [0x110, 0], [0x10f, 1]]) assert.ok(mem.ok(gpa, n));
  for (const [gpa, n] of [[0xff, 1], [0x110, 1], [0x100, 17], [0, 0x200], [NaN, 1], [0x100, -1]]) {
    assert.ok(!mem.ok(gpa, n));
    assert.throws(() => mem.read(gpa, n), RangeError);
  }
  assert.ok(!mem.ok(2 ** 64, 1));
  mem.setU32(0x104, 0x80000001);
  mem.setU64(0x108, -1n);
  mem.write(0x100, Uint8Array.of(1, 2));
  assert.equal(mem.u32(0x104), 0x80000001);
  assert.equal(mem.u64(0x108), 2n ** 64n - 1n);
  assert.equal(mem.u16(0x100), 0x201);
  assert.deepEqual(told, [[4, 4], [8, 8], [0, 2]]);
  mem.read(0x100, 2)[0] = 9;
  assert.equal(mem.u8(0x100), 1, "read gives a copy");
});

Deno.test("wire: only edges leave rows; a cause while up coalesces", () => {
  const rows: string[] = [];
  const driven: boolean[] = [];
  const wire = new Wire((event) => rows.push(event), (level) => driven.push(level));
  assert.equal(wire.set(false), -1);
  wire.set(true);
  assert.equal(wire.set(true), -1);
  wire.signal();
  wire.set(false);
  wire.signal();
  assert.deepEqual(rows, ["raise", "coalesce", "lower", "raise"]);
  assert.deepEqual(driven, [true, false, true]);
});
