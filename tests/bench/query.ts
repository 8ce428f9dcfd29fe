/**
 * What asking takes: a recorded trace loaded and asked; and every view of the library over ten million
 * exits and a hundred thousand requests.
 * @module
 */
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { cpuUsage } from "node:process";
import { type Engine, openEngine } from "../../analysis/engine.ts";
import { views } from "../../analysis/library.ts";
import { load } from "../../analysis/load.ts";
import { openTraces } from "../../analysis/open.ts";
import { standardOutput } from "../../analysis/output.ts";
import { traceOf } from "../../analysis/testing.ts";
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { spread, table } from "./measure.ts";
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
  const engine = await step("start DuckDB", openEngine);
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

/**
 * Of a hundred exits sixty access a register and one is a kick, whose request is popped, moved, pushed and
 * announced.
 */
const FILL: Readonly<Record<string, readonly string[]>> = {
  exit: [`SELECT i * 4 AS seq, i * 50 AS time_ns, i * 50 AS icount, 0 AS vcpu, i % 4 AS reason,
    i % 3 AS hw_reason, i % 2 AS handler, 2 AS transitions, 1 AS cpu_mode,
    2149580800 + (i * 7919 % 300) * 4 AS pc, 268435456 + (i % 100) AS gpa, 4 AS size,
    CASE WHEN i % 4 = 0 THEN i % 3 = 0 END AS write, i AS value,
    CASE WHEN i % 4 = 0 THEN i % 3 END AS device, CASE WHEN i % 4 = 0 THEN i % 5 END AS register,
    50 AS insns, 0 AS cost_ns`],
  access: [`SELECT i * 4 + 1 AS seq, i * 50 AS time_ns, i * 50 AS icount, 0 AS vcpu, 0 AS space,
    i % 3 AS device, i % 5 AS register, 4 * (i % 5) AS "offset", 4 AS size, i % 3 = 0 AS write,
    i AS value, i * 4 AS exit_seq WHERE i % 10 < 6`],
  vring: [0, 1, 3].map((event) =>
    `SELECT i * 4 + 2 + 2 * ${event} AS seq, i * 50 + 100 * ${event} AS time_ns, i * 50 AS icount,
    0 AS vcpu, ${event} AS event, 2 AS device, 0 AS queue, i % 256 AS head, 512 AS length,
    i % 65536 AS avail_idx, CASE WHEN ${event} > 0 THEN i // 100 END AS request, i * 4 AS exit_seq
    WHERE i % 100 = 0`
  ),
  dma: [`SELECT i * 4 + 7 AS seq, i * 50 + 200 AS time_ns, i * 50 AS icount, 0 AS vcpu, 2 AS device,
    2181038080 AS gpa, 4096 AS bytes, true AS write, false AS framing, i // 100 AS request
    WHERE i % 100 = 0`],
  irq: [0, 3, 4, 1, 5].map((event, step) =>
    `SELECT i * 4 + 9 + ${step} AS seq, i * 50 + 310 + ${step} AS time_ns, i * 50 AS icount, 0 AS vcpu,
    ${event} AS event, ${event < 2 ? 2 : "NULL"} AS device, ${event === 3 ? 9 : 8} AS line,
    ${event < 2 ? 0 : 1} AS path WHERE i % 100 = 0`
  ),
  request: [`SELECT i * 4 + 14 AS seq, i * 50 + 310 AS time_ns, i * 50 AS icount, 0 AS vcpu,
    i // 100 AS id, 2 AS device, 0 AS kind, 4096 AS bytes, i * 50 AS submit_ns, i * 50 AS submit_icount,
    i * 50 + 300 AS complete_ns, 0 AS status, i * 4 AS kick_exit_seq, i * 4 + 9 AS irq_seq
    WHERE i % 100 = 0`],
};

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
  for (const [name, queries] of Object.entries(FILL)) {
    for (const sql of queries) {
      const [columns, filter = "true"] = sql.split(" WHERE ");
      const from = `FROM range(${EXITS}) t(i) WHERE ${filter}`;
      await engine.query(`INSERT INTO run0.${name} BY NAME ${columns} ${from}`);
    }
  }
  await engine.query(
    `UPDATE run0.mark SET seq = CASE label WHEN 'w begin' THEN 400 ELSE ${3.6 * EXITS} END`,
  );
}

/** The exits of a chunk that a trace's file holds, in twelve columns. */
function chunk(rows: number): Uint8Array {
  // An array each: of neighbours that share one, the writer makes one piece.
  const u64 = () => BigUint64Array.from({ length: rows }, (_, i) => BigInt(i) * 50n);
  const u16 = () => Uint16Array.from({ length: rows }, (_, i) => i % 300);
  const u8 = () => Uint8Array.from({ length: rows }, (_, i) => i % 5);
  const wide = ["seq", "time_ns", "icount", "pc", "gpa"].map((n) => [n, u64()] as const);
  const narrow = ["vcpu", "reason", "handler", "size", "device"].map((n) => [n, u8()] as const);
  const codes = ["hw_reason", "register"].map((n) => [n, u16()] as const);
  const columns = Object.fromEntries([...wide, ...narrow, ...codes]);
  return tableToIPC(tableFromArrays(columns), "stream");
}

const CHUNK_ROWS = 122_880;

interface Loaded {
  readonly ms: number;
  /** Of all threads. */
  readonly cpuMs: number;
}

/** Loads as many exits as this from Arrow. */
async function loading(engine: Engine): Promise<Loaded> {
  await engine.query("CREATE SCHEMA loaded");
  const bytes = chunk(CHUNK_ROWS);
  const [start, before] = [performance.now(), cpuUsage()];
  for (let rows = 0; rows < EXITS; rows += CHUNK_ROWS) {
    await engine.insert("loaded", "exit", new Uint8Array(bytes)); // A Buffer's slice is no copy.
  }
  await engine.query("SELECT count(*) FROM loaded.exit");
  const [ms, used] = [performance.now() - start, cpuUsage(before)];
  await engine.query("DROP SCHEMA loaded CASCADE");
  return { ms, cpuMs: (used.user + used.system) / 1000 };
}

interface View {
  readonly ms: number;
  /** Of all threads. */
  readonly cpuMs: number;
  readonly answers: bigint;
}

interface Figures {
  readonly load: Loaded;
  readonly rows: number;
  readonly views: ReadonlyMap<string, View>;
}

async function timeView(engine: Engine, name: string): Promise<View> {
  const times: number[] = [];
  const busy: number[] = [];
  let answers = 0n;
  for (let turn = 0; turn < TURNS; turn++) {
    const [start, before] = [performance.now(), cpuUsage()];
    await engine.query(`CREATE OR REPLACE TEMP TABLE answer AS FROM ${name}`);
    times.push(performance.now() - start);
    const used = cpuUsage(before);
    busy.push((used.user + used.system) / 1000);
    answers = (await engine.query("SELECT count(*) FROM answer")).rows[0]![0] as bigint;
  }
  return { ms: spread(times).min, cpuMs: spread(busy).min, answers };
}

async function measure(choice: "wasm" | "native"): Promise<Figures> {
  // What the views' tables took is given back by then.
  const asked = await measureViews(choice);
  return { ...asked, load: await loadingAlone(choice) };
}

async function measureViews(choice: "wasm" | "native"): Promise<Omit<Figures, "load">> {
  const engine = await openEngine(choice);
  try {
    await fill(engine);
    const counts = await engine.query(
      `SELECT ${EVENT_TABLES.map((name) => `(SELECT count(*) FROM raw.${name})`).join(", ")}`,
    );
    const rows = counts.rows[0]!.reduce((sum: number, n) => sum + Number(n), 0);
    const figures = new Map<string, View>();
    for (const { name } of views()) figures.set(name, await timeView(engine, name));
    return { rows, views: figures };
  } finally {
    engine.close();
  }
}

/** Each time in an engine of its own: WebAssembly gives no memory back. */
async function loadingAlone(choice: "wasm" | "native"): Promise<Loaded> {
  const turns: Loaded[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const engine = await openEngine(choice);
    try {
      turns.push(await loading(engine));
    } finally {
      engine.close();
    }
  }
  return turns.reduce((least, turn) => turn.ms < least.ms ? turn : least);
}

export async function library(): Promise<string> {
  const wasm = await measure("wasm");
  const native = await measure("native").catch((error) => String(error.message));
  const beside = (ms: (figures: Figures) => number) =>
    typeof native === "string" ? "—" : ms(native).toFixed(0);
  const ranked = [...wasm.views].sort(([, a], [, b]) => b.ms - a.ms);
  return `Every view over ${(EXITS / 1e6).toFixed(0)} million exits, ${
    (wasm.rows / 1e6).toFixed(1)
  } million rows in all${typeof native === "string" ? ` (${native})` : ""}\n` +
    table(["", "wasm ms", "CPU", "native ms", "CPU", "rows"], [
      [
        "load the exits, 12 columns",
        wasm.load.ms.toFixed(0),
        wasm.load.cpuMs.toFixed(0),
        beside(({ load }) => load.ms),
        beside(({ load }) => load.cpuMs),
        "",
      ],
      ...ranked.map(([name, { ms, cpuMs, answers }]) => [
        name,
        ms.toFixed(0),
        cpuMs.toFixed(0),
        beside(({ views }) => views.get(name)!.ms),
        beside(({ views }) => views.get(name)!.cpuMs),
        answers.toLocaleString("en"),
      ]),
    ]);
}
