import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { createSurface, load } from "./load.ts";
import { parseBetween } from "./between.ts";
import { traceOf } from "./testing.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

const mmio = (seq: number, device = "uart0") => ({ seq, reason: "mmio", device });
const TRACE = {
  exit: [mmio(1), mmio(3), mmio(4, "marker"), mmio(6), mmio(8), mmio(12), mmio(20)],
  irq: [{ seq: 9, event: "raise", device: "uart0", path: "wire" }],
  mark: [
    { seq: 2, label: "w begin", number: 64n },
    { seq: 5, label: "w end", number: 64n },
    { seq: 7, label: "boot", number: 0n },
    { seq: 10, label: "ready", number: 0n },
    { seq: 11, label: "begin w", number: 64n },
    { seq: 13, label: "end w", number: 64n },
  ],
};

async function exitsBetween(text: string): Promise<string> {
  const between = parseBetween(text);
  await createSurface(await engine, ["t"], { between });
  const { rows } = await (await engine).query("SELECT seq FROM exit ORDER BY seq");
  return rows.join(" ");
}

Deno.test("between: every table and view holds what lies between the marks, without the marker", async () => {
  await (await engine).reset();
  await load(await engine, [traceOf(TRACE)]);
  assert.equal(await exitsBetween("w"), "3 12");
  const ask = async (sql: string) =>
    (await (await engine).query(sql)).rows.map((row) => row.join(" "));
  assert.deepEqual(await ask("SELECT device, exits FROM exits_by_device"), ["uart0 2"]);
  assert.deepEqual(await ask("SELECT label, nth, begin_seq FROM region"), ["w 1 2", "w 2 11"]);
  assert.deepEqual(await ask("SELECT count(*) FROM raw.irq"), ["0"]);
  assert.equal(await exitsBetween("boot..ready"), "8");
  assert.deepEqual(await ask("SELECT count(*) FROM irq"), ["1"]);
  assert.deepEqual(await ask("SELECT count(*) FROM name WHERE kind = 'reason'"), [
    String((await ask("SELECT count(*) FROM run0.name WHERE kind = 'reason'"))[0]),
  ]);
});

Deno.test("between: marks that are not there are refused with those that are", async () => {
  await (await engine).reset();
  await load(await engine, [traceOf(TRACE)]);
  await assert.rejects(exitsBetween("ready..boot"), (error: Error & { fix?: string }) => {
    assert.match(error.message, /nothing between the marks "ready" and "boot"/);
    assert.match(error.fix ?? "", /boot, ready/);
    return true;
  });
  assert.equal(parseBetween(""), null);
  assert.equal(parseBetween("a.."), null);
  assert.equal(parseBetween("a..b..c"), null);
});
