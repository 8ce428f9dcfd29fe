import assert from "node:assert/strict";
import { finisher } from "./finisher.ts";
import { marker } from "./marker.ts";
import { TestMachine } from "./test_machine.ts";

Deno.test("finisher: pass, fail with a code and reset end the run; other values do nothing", () => {
  const m = new TestMachine(finisher);
  for (const v of [0x5555, 0x0007_3333, 0x7777, 0, 0x1234]) m.write(0, v);
  m.write(0, 0x5555, 2);
  m.write(0, 0x5555, 1);
  assert.deepEqual(m.log, ["stop poweroff 0", "stop fail 7", "stop reboot 0", "stop poweroff 0"]);
});

const word = (text: string) =>
  [...new TextEncoder().encode(text)].reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);

Deno.test("marker: label and number become one row and are cleared", () => {
  const m = new TestMachine(marker);
  assert.equal(m.read(0), word("MARK"));
  for (const part of ["writ", "e-16", " beg", "in"]) m.write(4, word(part));
  m.write(8, 0x8000_0001);
  m.write(0xc, 2);
  assert.deepEqual([m.read(8), m.read(0xc)], [0x8000_0001, 2]);
  m.write(0x10, 1);
  m.write(0x10, 1);
  assert.deepEqual(m.log, [
    'mark {"label":"write-16 begin","number":2147483649,"number_hi":2}',
    'mark {"label":"","number":0,"number_hi":0}',
  ]);
});

Deno.test("marker: a label holds 64 bytes, whatever they are", () => {
  const m = new TestMachine(marker);
  for (let i = 0; i < 20; i++) m.write(4, 0xffff_4141);
  m.write(0x10, 1);
  const { label } = JSON.parse(m.log[0].slice(5));
  assert.equal(label, "AA��".repeat(16));
});
