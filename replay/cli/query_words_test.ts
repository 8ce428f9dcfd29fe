import assert from "node:assert/strict";
import { splitWords } from "./query_words.ts";

const split = (...words: string[]) => splitWords(words, (path) => path === "mine");

Deno.test("query's words: the last is SQL when it cannot be a trace", () => {
  assert.deepEqual(split("a.trace", "SELECT 1"), { traces: ["a.trace"], sql: "SELECT 1" });
  assert.deepEqual(split("a.trace", "exits_by_reason"), {
    traces: ["a.trace"],
    sql: "exits_by_reason",
  });
  assert.deepEqual(split("a.trace", "SELECT 1/2"), { traces: ["a.trace"], sql: "SELECT 1/2" });
});

Deno.test("query's words: traces stay traces, missing ones too", () => {
  assert.deepEqual(split("a.trace", "b.trace"), { traces: ["a.trace", "b.trace"], sql: null });
  assert.deepEqual(split("a.trace", "mine"), { traces: ["a.trace", "mine"], sql: null });
  assert.deepEqual(split("a.trace", "traces/b"), { traces: ["a.trace", "traces/b"], sql: null });
  assert.deepEqual(split("SELECT 1"), { traces: ["SELECT 1"], sql: null });
});
