import assert from "node:assert/strict";
import { plic } from "./plic.ts";
import { TestMachine } from "./test_machine.ts";

const priority = (id: number) => 4 * id;
const pending = (word: number) => 0x1000 + 4 * word;
const enable = (context: number, word = 0) => 0x2000 + 0x80 * context + 4 * word;
const threshold = (context: number) => 0x20_0000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;
const S = 1; // supervisor context of hart 0

/** External interrupt pending at a hart: bit 9 for supervisor mode, 11 for machine mode. */
function eip(m: TestMachine, context: number): boolean {
  const bit = context & 1 ? 9 : 11;
  const last = m.log.findLast((l) => l.startsWith(`hart ${context >> 1} ${bit} `));
  return last?.endsWith("true") ?? false;
}

function ready(harts = 1): TestMachine {
  const m = new TestMachine(plic, { props: { harts } });
  for (let id = 1; id < 32; id++) m.write(priority(id), 1);
  m.write(enable(S), 0xffff_fffe);
  return m;
}

Deno.test("plic: an interrupt goes from line to claim to completion, once per assertion", () => {
  const m = ready();
  m.dev.line(10, true);
  assert.equal(m.read(pending(0)), 1 << 10);
  assert.ok(eip(m, S));
  assert.equal(m.read(claim(S)), 10);
  assert.equal(m.read(pending(0)), 0);
  assert.ok(!eip(m, S));
  assert.equal(m.read(claim(S)), 0, "the gateway waits for completion (§ 1.2)");
  m.write(claim(S), 10);
  assert.equal(m.read(claim(S)), 10, "the line is still up");
  m.dev.line(10, false);
  m.write(claim(S), 10);
  assert.equal(m.read(claim(S)), 0);
  const rows = m.log.filter((l) => l.startsWith("irq")).map((l) => JSON.parse(l.slice(4)));
  assert.deepEqual(rows.map((r) => `${r.event} ${r.line} ${r.path}`), [
    "acknowledge 10 plic",
    "complete 10 plic",
    "acknowledge 10 plic",
    "complete 10 plic",
  ]);
});

Deno.test("plic: a request once forwarded is not retracted when the line falls (§ 1.2)", () => {
  const m = ready();
  m.dev.line(3, true);
  m.dev.line(3, false);
  assert.equal(m.read(claim(S)), 3);
  m.write(claim(S), 3);
  assert.equal(m.read(claim(S)), 0);
});

Deno.test("plic: the highest priority wins, the lowest id among equals (§ 4)", () => {
  const m = ready();
  m.write(priority(20), 7);
  for (const id of [5, 20, 9]) m.dev.line(id, true);
  assert.deepEqual([m.read(claim(S)), m.read(claim(S)), m.read(claim(S))], [20, 5, 9]);
});

Deno.test("plic: priority 0 never interrupts and is never claimed", () => {
  const m = ready();
  m.write(priority(4), 0);
  m.dev.line(4, true);
  assert.ok(!eip(m, S));
  assert.equal(m.read(claim(S)), 0);
});

Deno.test("plic: the threshold masks the notification but not the claim (§ 7, § 8)", () => {
  const m = ready();
  m.write(threshold(S), 1);
  m.dev.line(4, true);
  assert.ok(!eip(m, S), "priority must be strictly greater");
  assert.equal(m.read(claim(S)), 4);
  m.write(claim(S), 4);
  m.write(threshold(S), 0);
  assert.ok(eip(m, S));
});

Deno.test("plic: completing what is not enabled for the context is ignored (§ 9)", () => {
  const m = ready();
  m.dev.line(6, true);
  m.read(claim(S));
  for (const [context, id] of [[0, 6], [S, 7], [S, 0], [S, 96], [S, 0xffff_ffff]]) {
    m.write(claim(context), id);
  }
  assert.equal(m.read(claim(S)), 0);
  m.write(claim(S), 6);
  assert.equal(m.read(claim(S)), 6);
});

Deno.test("plic: contexts are two a hart, each with its own enables and threshold", () => {
  const m = ready(2);
  m.write(priority(64), 3);
  for (const context of [0, 3]) m.write(enable(context, 2), 1);
  m.dev.line(64, true);
  assert.deepEqual([0, 1, 2, 3].map((c) => eip(m, c)), [true, false, false, true]);
  assert.equal(m.read(claim(3)), 64);
  assert.ok(!eip(m, 0), "one context's claim takes it from the others");
  m.write(claim(3), 64);
  assert.ok(eip(m, 0));
});

Deno.test("plic: what does not exist reads as zero and cannot be set", () => {
  const m = ready();
  m.write(priority(0), 7);
  m.write(priority(1), 0xff);
  m.write(enable(0), 0xffff_ffff);
  m.write(enable(0, 3), 0xffff_ffff);
  m.write(threshold(0), 0xff);
  assert.deepEqual(
    [priority(0), priority(1), enable(0), enable(0, 3), threshold(0)].map((at) => m.read(at)),
    [0, 7, 0xffff_fffe, 0, 7],
  );
  assert.throws(() => m.dev.line(96, true), /line 96, expected 1 to 95/);
});
