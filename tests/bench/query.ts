/**
 * What asking takes: a recorded trace loaded and asked; and every view of the library over ten million
 * exits, with events of the other tables in proportion.
 * @module
 */
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { type Engine, openEngine } from "../../analysis/engine.ts";
import { views } from "../../analysis/library.ts";
import { load } from "../../analysis/load.ts";
import { openTraces } from "../../analysis/open.ts";
import { standardOutput } from "../../analysis/output.ts";
import { traceOf } from "../../analysis/testing.ts";
import { spread, table } from "./measure.ts";
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { timed } from "./runs.ts";
import { JOBS } from "./tracing.ts";

const EXITS = 10_000_000;
/** Of each view; the least is the figure, as other programs only ever add. */
const TURNS = 3;

export async function query(folder: string): Promise<string> {
  return `${await recorded(folder)}\n\n${await library()}`;
}

async function recorded(folder: string): Promise<string> {
  const path = `${folder}/query.trace`;
  const { result } = await timed(JOBS[0].spec, path);
  const rows: string[][] = [];
  const step = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const value = await act();
    rows.push([name, (performance.now() - start).toFixed(0)]);
    return value;
  };
  const engine = await step("start DuckDB", () => openEngine());
  const output = { ...standardOutput(), progress: () => {} };
  const session = await step(
    "load the trace",
    () => openTraces([path], output, { engine: Promise.resolve(engine) }),
  );
  session.close();
  engine.close();
  const millions = (result.rows / 1e6).toFixed(1);
  const megabytes = (result.bytes / 1e6).toFixed(0);
  return `Asking a trace of ${millions} million rows, ${megabytes} MB\n` + table(["", "ms"], rows);
}

/** Rows in the proportion of a disk under load: of ten exits six are register accesses, one is a kick. */
const FILL: readonly string[] = [
  `INSERT INTO run0.exit SELECT i * 4, i * 50, i * 50, 0, i % 4, i % 3, i % 2, 2, 1,
    2149580800 + (i * 7919 % 300) * 4, 268435456 + (i % 100), 4,
    CASE WHEN i % 4 = 0 THEN i % 3 = 0 END, i, CASE WHEN i % 4 = 0 THEN i % 3 END,
    CASE WHEN i % 4 = 0 THEN i % 5 END, 50, 0, NULL FROM range(N) t(i)`,
  `INSERT INTO run0.access SELECT i * 4 + 1, i * 50, i * 50, 0, 0, i % 3, i % 5, 4 * (i % 5), 4,
    i % 3 = 0, i, i * 4 FROM range(N) t(i) WHERE i % 10 < 6`,
  `INSERT INTO run0.vring SELECT i * 4 + k, i * 50 + 5 * k, i * 50, 0,
    k - 2, 2, 0, i % 256, NULL, NULL, 512, 0,
    i % 65536, i % 65536, CASE WHEN k > 2 THEN i // 10 END, i * 4
    FROM range(N) t(i), range(2, 4) u(k) WHERE i % 10 = 0`,
  `INSERT INTO run0.vring SELECT i * 4 + 8, i * 50 + 300, i * 50, 0, 3, 2, 0, i % 256, NULL, NULL, 512,
    0, i % 65536, i % 65536, i // 10, NULL FROM range(N) t(i) WHERE i % 10 = 0`,
  `INSERT INTO run0.dma SELECT i * 4 + 7, i * 50 + 200, i * 50, 0, 2, 2181038080, 4096, true, false,
    i // 10, NULL FROM range(N) t(i) WHERE i % 10 = 0`,
  `INSERT INTO run0.irq SELECT i * 4 + 9 + k, i * 50 + 310 + k, i * 50, 0, [0, 3, 4, 5, 1][k + 1],
    CASE WHEN k IN (0, 4) THEN 2 END, CASE WHEN k = 1 THEN 9 ELSE 8 END,
    CASE WHEN k IN (0, 4) THEN 0 ELSE 1 END, NULL
    FROM range(N) t(i), range(5) u(k) WHERE i % 10 = 0`,
  `INSERT INTO run0.request SELECT i * 4 + 10, i * 50 + 310, i * 50, 0, i // 10, 2, 0, 4096, i * 50,
    i * 50, i * 50 + 300, 0, i * 4, i * 4 + 9 FROM range(N) t(i) WHERE i % 10 = 0`,
];

/** A loaded trace of this many exits, made by SQL. */
async function fill(engine: Engine): Promise<void> {
  const exit = ["uart0 txdata", "plic claim", "disk QueueNotify", "disk Status", "disk ACK"]
    .map((names) => names.split(" ")).map(([device, register]) => ({ device, register }));
  const mark = ["w begin", "w end"].map((label) => ({ label, number: 2 ** 20 }));
  const cost = [{ profile: "p", reason: "*", handler: "*", ns: 1000, source: "made up" }];
  const symbol = Array.from({ length: 300 }, (_, i) => ({
    address: 2149580800 + 4 * i,
    size: 4,
    name: `function_${i}`,
    source: "elf",
  }));
  const hw_reason = ["LOAD_GUEST_PAGE_FAULT", "STORE_GUEST_PAGE_FAULT", "S_EXT"];
  const rows = [...exit, ...hw_reason.map((name) => ({ hw_reason: name }))];
  await load(engine, [traceOf({ exit: rows, mark, cost, symbol }, "big")]);
  await engine.query("DELETE FROM run0.exit");
  for (const sql of FILL) await engine.query(sql.replaceAll("(N)", `(${EXITS})`));
  await engine.query(
    `UPDATE run0.mark SET seq = CASE label WHEN 'w begin' THEN 400 ELSE ${3.6 * EXITS} END`,
  );
}

/** The exits of a chunk that a trace's file holds, in twelve columns. */
function chunk(rows: number): Uint8Array {
  const u64 = BigUint64Array.from({ length: rows }, (_, i) => BigInt(i) * 50n);
  const u16 = Uint16Array.from({ length: rows }, (_, i) => i % 300);
  const u8 = Uint8Array.from({ length: rows }, (_, i) => i % 5);
  const wide = ["seq", "time_ns", "icount", "pc", "gpa"].map((name) => [name, u64] as const);
  const narrow = ["vcpu", "reason", "handler", "size", "device"].map((name) => [name, u8] as const);
  const codes = ["hw_reason", "register"].map((name) => [name, u16] as const);
  const columns = Object.fromEntries([...wide, ...narrow, ...codes]);
  return tableToIPC(tableFromArrays(columns), "stream");
}

const CHUNK_ROWS = 122_880;

/** ms to load as many exits as this from Arrow. */
async function loading(engine: Engine): Promise<number> {
  await engine.query("CREATE SCHEMA loaded");
  const bytes = chunk(CHUNK_ROWS);
  const start = performance.now();
  for (let rows = 0; rows < EXITS; rows += CHUNK_ROWS) {
    await engine.insert("loaded", "exit", bytes.slice());
  }
  await engine.query("SELECT count(*) FROM loaded.exit");
  const ms = performance.now() - start;
  await engine.query("DROP SCHEMA loaded CASCADE");
  return ms;
}

interface Figures {
  readonly load: number;
  readonly rows: number;
  /** Per view: ms, and rows of the answer. */
  readonly views: ReadonlyMap<string, { ms: number; answers: bigint }>;
}

async function measure(choice: "wasm" | "native"): Promise<Figures> {
  // An engine of its own: WebAssembly gives no memory back.
  const first = await openEngine(choice);
  const load = await loading(first).finally(() => first.close());
  const engine = await openEngine(choice);
  try {
    await fill(engine);
    const counts = await engine.query(
      `SELECT ${EVENT_TABLES.map((name) => `(SELECT count(*) FROM raw.${name})`).join(", ")}`,
    );
    const rows = counts.rows[0]!.reduce((sum: number, n) => sum + Number(n), 0);
    const figures = new Map<string, { ms: number; answers: bigint }>();
    for (const { name } of views()) {
      const times: number[] = [];
      let answers = 0n;
      for (let turn = 0; turn < TURNS; turn++) {
        const start = performance.now();
        await engine.query(`CREATE OR REPLACE TEMP TABLE answer AS FROM ${name}`);
        times.push(performance.now() - start);
        answers = (await engine.query("SELECT count(*) FROM answer")).rows[0]![0] as bigint;
      }
      figures.set(name, { ms: spread(times).min, answers });
    }
    return { load, rows, views: figures };
  } finally {
    engine.close();
  }
}

async function library(): Promise<string> {
  const wasm = await measure("wasm");
  const native = await measure("native").catch((error) => String(error.message));
  const beside = (ms: (figures: Figures) => number) =>
    typeof native === "string" ? "—" : ms(native).toFixed(0);
  const names = [...wasm.views.keys()].sort((a, b) =>
    wasm.views.get(b)!.ms - wasm.views.get(a)!.ms
  );
  return `Every view over ${(EXITS / 1e6).toFixed(0)} million exits, ${
    (wasm.rows / 1e6).toFixed(1)
  } million rows in all; ms${typeof native === "string" ? ` (${native})` : ""}\n` +
    table(["", "wasm", "native", "rows"], [
      ["load the exits, 12 columns", wasm.load.toFixed(0), beside(({ load }) => load), ""],
      ...names.map((name) => [
        name,
        wasm.views.get(name)!.ms.toFixed(0),
        beside(({ views }) => views.get(name)!.ms),
        wasm.views.get(name)!.answers.toLocaleString("en"),
      ]),
    ]);
}
