/**
 * Both engines behind one interface: whatever is asked, the answers are the same. Native DuckDB comes
 * from npm when it is first opened.
 * @module
 */
import * as arrow from "apache-arrow";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Engine, openEngine } from "../analysis/engine.ts";
import { runImport } from "../analysis/import/import.ts";
import { views } from "../analysis/library.ts";
import { load } from "../analysis/load.ts";
import { openNativeEngine } from "../analysis/native/engine.ts";
import { openTraces } from "../analysis/open.ts";
import { textOutput } from "../analysis/output.ts";
import type { Result, Value } from "../analysis/rows.ts";
import { writeSynthetic } from "../analysis/synthetic.ts";
import { traceOf } from "../analysis/testing.ts";
import { missingTables } from "../analysis/unrecorded.ts";
import { Random, seeds } from "../core/mmio/test_random.ts";
import type { TraceReader } from "../core/trace/reader.ts";
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

/** So much is loaded into a file. */
const ON_DISK = 5 * 2 ** 30;
/** Rows of the batches of a stream: within a vector, of some, of some row groups. */
const SIZES = [0, 1, 2047, 2048, 2049, 5000, 130_000];

/** Streams of one table, whose first column counts its rows. */
function randomStreams(r: Random): { streams: Uint8Array[]; rows: number } {
  let rows = 0;
  const some =
    (chance: number, type: arrow.DataType, value: (i: number) => unknown) => (n: number) =>
      arrow.vectorFromArray(
        Array.from({ length: n }, (_, i) => r.chance(chance) ? null : value(i)),
        type,
      );
  const columns: Record<string, (n: number) => arrow.Vector> = {
    n: some(0, new arrow.Uint32(), () => rows++),
    wide: some(0, new arrow.Uint64(), (i) => (1n << 63n) + BigInt(i)),
    narrow: some(0.3, new arrow.Uint16(), (i) => i & 0xffff),
    flag: some(0.2, new arrow.Bool(), (i) => i % 3 === 0),
    words: some(0.1, new arrow.Utf8(), (i) => "é".repeat(i % 9)),
    bytes: some(0.1, new arrow.Binary(), (i) => new Uint8Array(i % 20).fill(i)),
  };
  const schema = new arrow.Schema(
    Object.entries(columns).map(([name, make]) => new arrow.Field(name, make(0).type, true)),
  );
  const type = new arrow.Struct(schema.fields);
  const streams = Array.from({ length: 5 }, () => {
    const batches = Array.from({ length: 1 + r.below(3) }, () => {
      const length = SIZES[r.below(SIZES.length)]!;
      const children = Object.values(columns).map((make) => make(length).data[0]!);
      const data = arrow.makeData({ type, length, nullCount: 0, children });
      return new arrow.RecordBatch(schema, data);
    });
    return arrow.tableToIPC(new arrow.Table(schema, batches), "stream");
  });
  return { streams, rows };
}

/** A digest of each piece of the table, in the order in which it stands. */
const PIECES = `
  SELECT rowid // 1000 AS piece, min(n), max(n), count(*), md5(string_agg(concat_ws('|', n, wide, narrow,
    coalesce(flag::VARCHAR, '-'), coalesce(words, '-'), coalesce(hex(bytes), '-')), ';' ORDER BY rowid))
  FROM made.t GROUP BY piece ORDER BY piece`;

native.test("engines: rows stand in the order in which they were inserted", async () => {
  for (const seed of seeds(1)) {
    const made = randomStreams(new Random(seed));
    const disk = await openNativeEngine(ON_DISK);
    const answers = [];
    try {
      for (const engine of [await engines.wasm, (await engines.native)!, disk]) {
        await engine.reset();
        await engine.query("CREATE SCHEMA made");
        for (const stream of made.streams) await engine.insert("made", "t", stream.slice());
        answers.push(comparable(await engine.query(PIECES)).rows);
        const { rows: [[first, last]] } = await engine.query(
          "SELECT count(*), count(*) FILTER (n = rowid) FROM made.t",
        );
        assert.deepEqual([first, last], [BigInt(made.rows), BigInt(made.rows)], `SEED=${seed}`);
      }
    } finally {
      disk.close();
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0], `SEED=${seed}`);
  }
});

native.test("engines: rows that a table cannot take are an error, and the next query is answered", async () => {
  const stream = (columns: Record<string, Uint8Array>) =>
    arrow.tableToIPC(arrow.tableFromArrays(columns), "stream");
  const engine = (await engines.native)!;
  await engine.reset();
  await engine.query("CREATE SCHEMA made");
  await engine.insert("made", "t", stream({ a: new Uint8Array(5000) }));
  await assert.rejects(async () => {
    await engine.insert("made", "t", stream({ a: new Uint8Array(9), b: new Uint8Array(9) }));
    for (let i = 0; i < 9; i++) await engine.insert("made", "t", stream({ a: new Uint8Array(9) }));
    await engine.query("FROM made.t");
  }, { name: "AnalysisError", message: /2 values were supplied/ });
  const { rows } = await engine.query("SELECT count(*) FROM made.t");
  assert.deepEqual(rows, [[5000n]]);
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

native.test("engines: both name the tables that a query reads and a trace lacks", async () => {
  const manifest = (machine: unknown, event_tables?: string[]) => ({
    manifest: { machine, event_tables },
  });
  const readers = [
    manifest({}),
    manifest({}, ["exit", "input"]),
    manifest({ imported: { format: "perf_script" } }, ["exit", "mark"]),
  ] as unknown as TraceReader[];
  const names = ["whole", "part", "host"];
  for (const engine of [await engines.wasm, (await engines.native)!]) {
    await engine.reset();
    await load(engine, names.map((name) => traceOf({ mark: [{ label: "x begin" }] }, name)));
    const told = async (sql: string) =>
      (await missingTables({ engine, names, readers }, sql)).map((line) =>
        line.split(", which")[0]
      );
    assert.deepEqual(await told("FROM exits_by_reason"), []);
    assert.deepEqual(await told("SELECT reason AS request FROM exit"), []);
    assert.deepEqual(await told("FROM no_such_view"), []);
    const both = ["part was recorded without access", "host has no rows of access"];
    assert.deepEqual(await told("SELECT count(*) FROM access"), both);
    assert.deepEqual(await told("SELECT 1 WHERE EXISTS (FROM raw.access)"), both);
    assert.deepEqual(await told("FROM accesses_to('uart0')"), both);
    assert.deepEqual(await told("FROM region"), ["part was recorded without mark"]);
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
