/**
 * Both engines behind one interface: whatever is asked, the answers are the same. Native DuckDB comes
 * from npm when it is first opened.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Engine, openEngine } from "../analysis/engine.ts";
import { runImport } from "../analysis/import/import.ts";
import { views } from "../analysis/library.ts";
import { openTraces } from "../analysis/open.ts";
import { textOutput } from "../analysis/output.ts";
import type { Result, Value } from "../analysis/rows.ts";
import { writeSynthetic } from "../analysis/synthetic.ts";
import { TABLE_NAMES } from "../core/trace/schema.ts";
import { CHILD_ENV, DENO_RUN } from "./cli.ts";
import { needsThat } from "./needs.ts";
import { recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

async function openNative(): Promise<Engine | null> {
  try {
    return await openEngine("native");
  } catch {
    return null;
  }
}

const engines = { wasm: openEngine(), native: openNative() };
const native = needsThat("native DuckDB", await engines.native !== null, {
  command: "deno task query TRACE --engine native, with a network",
});
Deno.test.afterAll(async () => {
  (await engines.wasm).close();
  (await engines.native)?.close();
});

/** A recorded trace, one made up by hand, and two imported ones. */
async function traces(folder: string): Promise<string[]> {
  const { directory: recorded } = await recordInto(folder, serialSpec());
  const synthetic = `${folder}/synthetic.trace`;
  writeSynthetic(synthetic, {
    serial: "virtio",
    regions: [{ label: "echo", bytes: 4096, chunk: 64 }],
  });
  const imported = ["perf_vmx", "qemu_log"].map((name) => {
    const output = `${folder}/${name}.trace`;
    const file = fileURLToPath(new URL(`../fixtures/host_traces/${name}.txt`, import.meta.url));
    runImport({ files: [file], output, version: "test" }, textOutput());
    return output;
  });
  return [recorded, synthetic, ...imported];
}

/** Sums of floats depend on their order, which threads do not keep. */
function shown(value: Value): string {
  if (typeof value === "number" && !Number.isInteger(value)) return value.toPrecision(12);
  return value instanceof Uint8Array ? value.toString() : String(value);
}

function comparable({ columns, rows }: Result) {
  return {
    columns: columns.map(({ name, numeric }) => `${name} ${numeric}`),
    rows: rows.map((row) => row.map(shown).join(" | ")).sort(),
  };
}

native.test("engines: every table and view is the same on wasm and native", () =>
  withFolder(async (folder) => {
    const paths = await traces(folder);
    const answers = [];
    for (const engine of [engines.wasm, engines.native as Promise<Engine>]) {
      const session = await openTraces(paths, textOutput(), { engine });
      const results = new Map<string, ReturnType<typeof comparable>>();
      for (const name of [...TABLE_NAMES, ...views().map((view) => view.name)]) {
        results.set(name, comparable(await session.engine.query(`FROM "${name}"`)));
      }
      answers.push(results);
    }
    const [wasm, native] = answers;
    for (const [name, answer] of wasm) assert.deepEqual(native.get(name), answer, name);
    assert.ok(wasm.get("exit")!.rows.length > 1000);
  }));

const QUESTIONS = [
  "SELECT 1::TINYINT, 300::SMALLINT, 70000, 5000000000, 255::UTINYINT, 18446744073709551615::UBIGINT",
  "SELECT sum(i), avg(i), 2::HUGEINT ** 70, -(2::HUGEINT ** 90)::HUGEINT FROM range(10) t(i)",
  "SELECT 1.25::DECIMAL(9, 2), -7.5::DECIMAL(30, 3), 0.1::FLOAT, 1e300, true, NULL",
  "SELECT 'é 中 😀', '', 'a\\x00b'::BLOB, DATE '2024-02-29', TIMESTAMP '2024-02-29 12:34:56'",
  "SELECT [1, NULL, 3], {'a': 1, 'b': 'x'}, [{'k': [1::UBIGINT]}], []::INTEGER[]",
  "SELECT * FROM range(5000) t(i) WHERE i % 3 = 0",
  "SELECT 1 AS x, 2 AS x WHERE false",
];

native.test("engines: values of every type arrive alike", async () => {
  const [wasm, native] = [await engines.wasm, (await engines.native)!];
  for (const sql of QUESTIONS) {
    const [expected, got] = [await wasm.query(sql), await native.query(sql)];
    // What a column without a name is called is the version's affair.
    const numeric = ({ columns }: Result) => columns.map((column) => column.numeric);
    assert.deepEqual(numeric(got), numeric(expected), sql);
    assert.deepEqual(comparable(got).rows, comparable(expected).rows, sql);
  }
  const params: Value[] = [7, "x'y", 2n ** 40n, null, 1.5, true];
  const sql = "SELECT ? + 1, ? || 'z', ?::BIGINT + 1, ? IS NULL, ?::DOUBLE * 2, NOT ?";
  const [expected, got] = [await wasm.query(sql, params), await native.query(sql, params)];
  assert.deepEqual(got.rows.map((r) => r.map(shown)), expected.rows.map((r) => r.map(shown)));
});

native.test("engines: errors say the same, and a reset forgets everything", async () => {
  for (const engine of [await engines.wasm, (await engines.native)!]) {
    await engine.query("CREATE TABLE kept AS SELECT 1 AS x");
    await assert.rejects(engine.query("SELECT nothing FROM kept"), {
      name: "AnalysisError",
      message: /Binder Error.*nothing[^]*LINE 1/,
    });
    await engine.reset();
    await assert.rejects(engine.query("FROM kept"), /kept does not exist/);
  }
});

native.test("engines: an interrupted session leaves nothing in the temporary folder", () =>
  withFolder(async (folder) => {
    writeSynthetic(`${folder}/a.trace`, { serial: "virtio", regions: [] });
    const temporary = `${folder}/tmp`;
    Deno.mkdirSync(temporary);
    const child = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, "query", `${folder}/a.trace`, "--engine", "native", "-i"],
      env: { ...CHILD_ENV, TMPDIR: temporary },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    // Its answer says that it is at the prompt, its folder made.
    const asked = child.stdin.getWriter();
    await asked.write(new TextEncoder().encode("SELECT 42 AS answer;\n"));
    const answers = child.stdout.getReader();
    let text = "";
    while (!text.includes("42")) {
      const { done, value } = await answers.read();
      assert.ok(!done, `it ended, having said: ${text}`);
      text += new TextDecoder().decode(value);
    }
    const left = () => [...Deno.readDirSync(temporary)].map((entry) => entry.name);
    assert.match(left().join(), /^exitscope-duckdb-\w+$/);
    child.kill("SIGINT");
    assert.equal((await child.status).code, 130);
    assert.deepEqual(left(), []);
    await asked.abort().catch(() => {});
    await answers.cancel();
  }));
