import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { textOutput } from "./output.ts";
import { runQuery } from "./query.ts";
import { writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

async function withTraces(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    for (const serial of ["sifive", "virtio"] as const) {
      writeSynthetic(`${directory}/${serial}.trace`, {
        serial,
        regions: [{ label: "write-16", bytes: 1024, chunk: 16 }],
      });
    }
    await test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("query: two traces on disk answer together, told apart by run", () =>
  withTraces(async (directory) => {
    const traces = [`${directory}/sifive.trace`, `${directory}/virtio.trace`];
    const sql =
      "SELECT run, count(*) AS writes FROM access WHERE register IN ('txdata', 'QueueNotify') GROUP BY 1 ORDER BY 1";
    const output = textOutput();
    assert.equal(await runQuery({ traces, sql, format: "csv", engine }, output), 0);
    assert.equal(output.text, "run,writes\nsifive,1024\nvirtio,64\n");
    const json = textOutput();
    await runQuery({ traces: [traces[1]!], sql: "region", format: "json", engine }, json);
    assert.equal(JSON.parse(json.text)[0].bytes, 1024);
    const tour = textOutput(80);
    await runQuery({ traces, sql: null, engine }, tour);
    assert(tour.text.split("\n").every((line) => line.length <= 100), tour.text);
  }));
