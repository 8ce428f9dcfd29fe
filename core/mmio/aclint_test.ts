import assert from "node:assert/strict";
import { aclint } from "./aclint.ts";
import { TestMachine } from "./test_machine.ts";

const mtimecmp = (hart: number) => 0x4000 + 8 * hart;
const MTIME = 0xbff8;
const TICK_NS = 100;

function level(m: TestMachine, hart: number, bit: number): boolean {
  return m.log.findLast((l) => l.startsWith(`hart ${hart} ${bit} `))?.endsWith("true") ?? false;
}
const mtip = (m: TestMachine, hart: number) => level(m, hart, 7);

Deno.test("aclint: MTIME counts virtual time and ignores writes", () => {
  const m = new TestMachine(aclint);
  m.advance(12_345);
  assert.equal(m.read(MTIME, 8), 123);
  m.write(MTIME, 7, 8);
  assert.equal(m.read(MTIME, 4), 123);
  assert.equal(m.read(MTIME + 4, 4), 0);
});

Deno.test("aclint: MTIP rises exactly when MTIME reaches MTIMECMP and falls when it is set later", () => {
  const m = new TestMachine(aclint);
  m.advance(50);
  m.write(mtimecmp(0), 10, 8);
  m.advance(10 * TICK_NS - 50 - 1);
  assert.ok(!mtip(m, 0));
  m.advance(1);
  assert.ok(mtip(m, 0));
  assert.equal(m.read(MTIME, 8), 10);
  m.write(mtimecmp(0), 20, 8);
  assert.ok(!mtip(m, 0));
  m.write(mtimecmp(0), 10, 8);
  assert.ok(mtip(m, 0), "a time in the past is due at once");
});

Deno.test("aclint: each hart has its own timer, and a moved one fires once", () => {
  const m = new TestMachine(aclint, { props: { harts: 3 } });
  m.write(mtimecmp(1), 10, 8);
  m.write(mtimecmp(2), 5, 8);
  m.write(mtimecmp(1), 7, 8);
  assert.equal(m.advance(100 * TICK_NS), 2);
  assert.deepEqual([0, 1, 2].map((h) => mtip(m, h)), [false, true, true]);
});

Deno.test("aclint: MTIMECMP can be written in halves, compares unsigned, and may never come", () => {
  const m = new TestMachine(aclint);
  m.write(mtimecmp(0) + 4, 0xffff_ffff, 4);
  m.write(mtimecmp(0), 3, 4);
  assert.equal(m.dev.peek(mtimecmp(0), 8), 0xffff_ffff_0000_0003n);
  assert.equal(m.pending.length, 0);
  m.write(mtimecmp(0) + 4, 0, 4);
  assert.equal(m.pending[0].atNs, 300);
  m.write(mtimecmp(0), 2 ** 52, 8);
  assert.equal(m.pending.length, 0, "beyond what virtual time can reach");
});

Deno.test("aclint: MSIP has one bit a hart", () => {
  const m = new TestMachine(aclint, { props: { harts: 2 } });
  m.write(4, 0xffff_ffff);
  assert.equal(m.read(4), 1);
  assert.ok(level(m, 1, 3));
  assert.ok(!level(m, 0, 3));
  m.write(4, 0);
  assert.ok(!level(m, 1, 3));
  m.write(8, 1);
  assert.equal(m.read(8), 0, "there is no third hart");
});

Deno.test("aclint: more harts than there is room for are refused", () => {
  assert.throws(
    () => new TestMachine(aclint, { props: { harts: 33 } }),
    /aclint cannot serve 33 harts/,
  );
});
