import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { SqlError } from "./errors.ts";
import { textLiteral } from "./literal.ts";
import { load } from "./load.ts";
import { traceOf } from "./testing.ts";

const engine = await openEngine();
Deno.test.afterAll(() => engine.close());

Deno.test("engine: a trace's tables answer with names, raw ones with codes", async () => {
  await load(engine, [
    traceOf({
      exit: [
        { reason: "mmio", device: "uart0", register: "TXDATA", value: 2n ** 64n - 1n },
        { reason: "wfi" },
      ],
    }),
  ]);
  const named = await engine.query("SELECT run, reason, device, register, value FROM exit");
  assert.deepEqual(named.rows, [
    ["t", "mmio", "uart0", "TXDATA", 18446744073709551615n],
    ["t", "wfi", null, null, null],
  ]);
  const raw = await engine.query("SELECT reason, device FROM raw.exit");
  assert.deepEqual(raw.rows, [[0, 0], [4, null]]);
  const none = await engine.query("SELECT count(*) FROM vring");
  assert.deepEqual(none.rows, [[0n]]);
});

Deno.test("engine: a name is whatever an imported file says, with quotes and NUL too", async () => {
  const names = ["o'clock", "notif\0", "\0", "a\0'\0b", "中 😀", "$1 -- /*"];
  await engine.reset();
  await load(engine, [traceOf({ exit: names.map((device) => ({ reason: "mmio", device })) })]);
  const { rows } = await engine.query("SELECT device FROM exit ORDER BY seq");
  assert.deepEqual(rows.flat(), names);
  for (const name of names) {
    const same = `SELECT count(*) FROM exit WHERE device = ${textLiteral(name)}`;
    assert.deepEqual((await engine.query(same)).rows, [[1n]], JSON.stringify(name));
  }
});

Deno.test("engine: bad SQL is one message with line and caret", async () => {
  await assert.rejects(engine.query("SELECT 1,\n  nope FROM (SELECT 1 AS x)"), (error) => {
    assert(error instanceof SqlError);
    assert.match(error.message, /^Binder Error: .*nope/);
    assert.match(error.message, /\n\nLINE 2:.*\n\s+\^$/);
    return true;
  });
  const answer = await engine.query("SELECT ?::INTEGER + 1 AS x", [41]);
  assert.deepEqual(answer.rows, [[42]]);
});
