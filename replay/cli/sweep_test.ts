import assert from "node:assert/strict";
import { argsAt, checkNames, parseSweep } from "./sweep.ts";

const sweep = (...args: string[]) => parseSweep(["record", ...args]);
const names = (s: ReturnType<typeof parseSweep>) => s.points.map((p) => [...p.values()].join(" "));

Deno.test("sweep: ranges and lists, every combination, the last name fastest", () => {
  assert.deepEqual(names(sweep("--sweep", "a=1..3,b=x,y")), [
    "1 x",
    "1 y",
    "2 x",
    "2 y",
    "3 x",
    "3 y",
  ]);
  assert.deepEqual(names(sweep("--sweep=a=-1..1")), ["-1", "0", "1"]);
  assert.deepEqual(names(sweep("--sweep", "a=1", "--sweep", "b=2")), ["1 2"]);
});

Deno.test("sweep: a value takes the place of {name}, else it is an option of its own", () => {
  const s = sweep(
    "--serial",
    "virtio,latency={latency}",
    "-o",
    "out",
    "--sweep",
    "latency=9,harts=2",
  );
  assert.deepEqual(argsAt(s, s.points[0]!), [
    ...["record", "--serial", "virtio,latency=9", "--harts", "2"],
    ...["-o", "out/latency=9,harts=2.trace"],
  ]);
  assert.equal(sweep("--sweep", "a=1").folder, "traces/sweep");
});

Deno.test("sweep: what is none is refused in one line", () => {
  for (const text of ["", "a", "a=", "1..3", "a=1,a=2", "a=3..1", "a=1..1001"]) {
    assert.throws(() => sweep("--sweep", text), /--sweep/, text);
  }
  assert.throws(() => sweep("--sweep", "a=1..100", "--sweep", "b=1..100"), /10000 recordings/);
});

Deno.test("sweep: a name that stands nowhere and is no option is refused", () => {
  checkNames(sweep("--append", "seed={seed}", "--sweep", "seed=1..2,harts=1,2"));
  assert.throws(
    () => checkNames(sweep("--sweep", "harts=1,2,seed=1..2")),
    /--sweep seed=…: no option contains \{seed\}, and none is called --seed/,
  );
});
