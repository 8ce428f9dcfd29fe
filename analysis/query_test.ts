import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { textOutput } from "./output.ts";
import { type QueryOptions, runQuery } from "./query.ts";
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
    const table = textOutput(60);
    await runQuery({ traces, sql: "SELECT * FROM exit LIMIT 60", engine }, table);
    assert.match(table.text, /^— row 1 —\nrun +sifive\n/);
    assert.match(table.text, /— 10 more rows; .* —\n$/);
    const explained = textOutput();
    await runQuery({ traces, sql: "EXPLAIN SELECT 1", engine }, explained);
    assert.match(explained.text, /PROJECTION/);
    const markdown = textOutput();
    const params = new Map([["device", "uart0"]]);
    const asked = "SELECT DISTINCT run FROM accesses_to($device)";
    await runQuery({ traces, sql: asked, params, format: "markdown", engine }, markdown);
    assert.equal(markdown.text, "| run |\n| --- |\n| sifive |\n");
    const tour = textOutput(80);
    await runQuery({ traces, sql: null, engine }, tour);
    assert(tour.text.split("\n").every((line) => line.length <= 80), tour.text);
  }));

Deno.test("query: what cannot be answered is an error with a fix", () =>
  withTraces(async (directory) => {
    const trace = `${directory}/virtio.trace`;
    const refuses = (options: Partial<QueryOptions>, message: RegExp, fix: RegExp) =>
      assert.rejects(
        runQuery({ traces: [trace], sql: null, engine, ...options }, textOutput()),
        (error: Error & { fix?: string }) => {
          assert.match(error.message, message);
          assert.match(error.fix ?? "", fix);
          return true;
        },
      );
    await refuses({ traces: [] }, /No trace/, /Name a trace/);
    await refuses({ traces: [`${directory}/none.trace`] }, /does not exist/, /record/);
    await refuses({ sql: "SELEC 1" }, /^Parser Error: .*SELEC/, /Correct the SQL/);
    await refuses({ sql: "SELECT offset FROM access" }, /LINE 1/, /"offset"/);
    await refuses({ sql: "FROM exits" }, /Catalog Error: .*exits/, /without SQL/);
    await refuses({ sql: "SELECT 1; SELECT 2" }, /several statements/, /once for each/);
    const one = "SELECT ';' AS \"a;b\" -- one; two\n /* ; */;\n";
    assert.equal(await runQuery({ traces: [trace], sql: one, engine }, textOutput()), 0);
    await refuses({ sql: "SELECT 1", file: "q.sql" }, /twice/, /one of them/);
    await refuses({ sql: "SELECT 1", prompt: "at once" }, /a prompt is asked for/, /one of them/);
    await refuses({ sql: "SELECT $x" }, /asks for \$x/, /--param x=VALUE/);
    const between = { from: "a", to: "b", text: "a..b" };
    await refuses({ sql: "SELECT 1", between }, /"a" and "b"/, /write-16 begin/);
    await refuses({ file: `${directory}/none.sql` }, /Cannot read the query/, /--file/);
    Deno.truncateSync(`${trace}/exit.arrow`, 1000);
    await refuses({}, /cut off/, /Copy the whole/);
  }));
