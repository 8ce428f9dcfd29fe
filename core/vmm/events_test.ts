import assert from "node:assert/strict";
import { EventQueue } from "./events.ts";

Deno.test("events: the earliest comes first, equals in the order of asking", () => {
  const q = new EventQueue();
  q.set("a", "x", 20);
  q.set("b", "x", 10);
  q.set("c", "x", 10);
  assert.equal(q.nextNs, 10);
  assert.deepEqual([q.take(), q.take(), q.take()].map((e) => e.device), ["b", "c", "a"]);
  assert.equal(q.nextNs, Infinity);
});

Deno.test("events: asking again moves the event, null cancels it", () => {
  const q = new EventQueue();
  q.set("a", "x", 20);
  q.set("a", "x", 5);
  q.set("a", "x", 7, 1);
  assert.deepEqual(q.all.map((e) => [e.atNs, e.arg]), [[5, 0], [7, 1]]);
  q.set("a", "x", null);
  assert.deepEqual(q.all.map((e) => e.arg), [1]);
  q.set("nobody", "x", null);
  assert.equal(q.nextNs, 7);
});
