import { strict as assert } from "node:assert";
import { runCompare } from "./compare.ts";
import { openEngine } from "./engine.ts";
import { time } from "./format.ts";
import { textOutput } from "./output.ts";
import { showSpread, spread } from "./spread.ts";
import { sweepName, sweepPoint } from "./sweep_names.ts";
import { writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

Deno.test("spread: median and range; a range of nothing is left out, what is missing is no 0", () => {
  assert.deepEqual(spread([3, 1, null, 2]), { runs: 3, median: 2, min: 1, max: 3 });
  assert.equal(spread([4, 1])!.median, 2.5);
  assert.equal(spread([null, undefined]), null);
  const show = (n: number) => n.toFixed(0);
  assert.equal(showSpread(spread([1, 2, 3]), show), "2 (1–3)");
  assert.equal(showSpread(spread([1000, 2000, 9000]), time), "2.00 µs (1.00–9.00 µs)");
  assert.equal(showSpread(spread([900, 2000, 9000]), time), "2.00 µs (900 ns–9.00 µs)");
  assert.equal(showSpread(spread([2, 2]), show), "2");
  assert.equal(showSpread(null, show), "—");
});

Deno.test("sweep names: what is written is read again, and other names are none", () => {
  const point = new Map([["latency", "20us"], ["seed", "-3"]]);
  assert.equal(sweepName(point), "latency=20us,seed=-3");
  assert.deepEqual(sweepPoint("latency=20us,seed=-3"), point);
  assert.deepEqual(sweepPoint("seed=1#2"), new Map([["seed", "1"]]));
  assert.equal(sweepName(new Map([["drive", "a/b c"]])), "drive=a_b_c");
  assert.equal(sweepPoint("serial-virtio"), null);
});

/** Three groups too wide for 80 columns: medians, and below them ranges, in blocks. */
const GOLDEN = new URL("./spread_golden.txt", import.meta.url);

Deno.test("compare: runs of a sweep are grouped by a name or by folder, with median and range", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const traces: string[] = [];
    for (const serial of ["sifive", "virtio"] as const) {
      for (const [i, chunk] of [16, 32, 64].entries()) {
        const path = `${folder}/serial=${serial},seed=${i}.trace`;
        const machine = { serial, chunk };
        writeSynthetic(path, { serial, regions: [{ label: "w", bytes: 1024, chunk }] }, machine);
        traces.push(path);
      }
    }
    const table = textOutput(120);
    await runCompare({ traces, by: "serial", engine }, table);
    assert.match(table.text, /^serial=sifive: 3 runs, swept: serial, seed\n/);
    assert.match(table.text, /Differs inside groups: chunk\./);
    assert.match(table.text, /Differs between groups: serial \(serial=sifive: sifive, /);
    // 64, 32 and 16 requests, of six exits each.
    assert.match(table.text, /exits per KiB +1,536 +192 \(96\.0–384\) +8\.0 ×\n/);
    const narrow = textOutput(80);
    await runCompare({ traces, by: "seed", engine }, narrow);
    const tables = narrow.text.slice(narrow.text.indexOf("  median"));
    if (Deno.env.get("ACCEPT") === "1") Deno.writeTextFileSync(GOLDEN, tables);
    const fix = "to accept it: ACCEPT=1 deno task test analysis/spread_test.ts";
    assert.equal(tables, Deno.readTextFileSync(GOLDEN), fix);
    assert(narrow.text.split("\n").every((line) => line.length <= 80));
    const one = textOutput(120);
    await runCompare({ traces, format: "json", engine }, one);
    const { groups, figures } = JSON.parse(one.text);
    assert.deepEqual(
      groups.map((g: { label: string; runs: string[] }) => [g.label, g.runs.length]),
      [
        [folder, 6],
      ],
    );
    assert.equal(figures[0].spreads[0].runs, 6);
    await assert.rejects(
      runCompare({ traces, by: "latency", engine }, textOutput()),
      (error: Error & { fix?: string }) => /one of serial, seed/.test(error.fix ?? ""),
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
