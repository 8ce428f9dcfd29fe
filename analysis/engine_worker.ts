/**
 * The worker that holds DuckDB. It takes one {@link Task} at a time and answers each with a
 * {@link Reply}; errors travel as text.
 * @module
 */
import * as duckdb from "@duckdb/duckdb-wasm/blocking";
import { fileURLToPath } from "node:url";
import { type Reply, type Task, type TaskResult, transferable } from "./engine_messages.ts";
import type { Value } from "./rows.ts";

/** Autoloading would try the network and hang without it. */
const SETTINGS = [
  "SET autoload_known_extensions = false",
  "SET autoinstall_known_extensions = false",
];

let bindings: duckdb.DuckDBBindings;
let connection: number;
const known = new Set<string>();

async function open(): Promise<void> {
  const mainModule = fileURLToPath(import.meta.resolve("@duckdb/duckdb-wasm/dist/duckdb-eh.wasm"));
  const bundle = { mainModule, mainWorker: "" };
  const logger = new duckdb.VoidLogger();
  const runtime = duckdb.NODE_RUNTIME;
  bindings = await duckdb.createDuckDB({ mvp: bundle, eh: bundle }, logger, runtime);
  await bindings.instantiate(() => {});
  connect();
}

function connect(): void {
  bindings.open({ path: ":memory:", query: { castBigIntToDouble: false } });
  connection = bindings.connect().useUnsafe((_, id) => id);
  for (const setting of SETTINGS) bindings.runQuery(connection, setting);
}

function run(sql: string, params: readonly Value[]): Uint8Array {
  if (params.length === 0) return bindings.runQuery(connection, sql);
  const statement = bindings.createPrepared(connection, sql);
  try {
    return bindings.runPrepared(connection, statement, params.map(asParameter));
  } finally {
    bindings.closePrepared(connection, statement);
  }
}

/** Parameters travel as JSON, which has no 64-bit integers. */
function asParameter(value: Value): Value {
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function insert(schema: string, table: string, stream: Uint8Array): void {
  const key = `${schema}.${table}`;
  bindings.insertArrowFromIPCStream(connection, stream, {
    schema,
    name: table,
    create: !known.has(key),
  });
  known.add(key);
}

async function perform(task: Task): Promise<TaskResult> {
  switch (task.kind) {
    case "open":
      await open();
      return null;
    case "run":
      return run(task.sql, task.params);
    case "insert":
      insert(task.schema, task.table, task.stream);
      return null;
    case "reset":
      known.clear();
      bindings.disconnect(connection);
      bindings.reset();
      connect();
      return null;
  }
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ id: number; task: Task }>) => void;
  postMessage(reply: Reply, transfer: Transferable[]): void;
};

scope.onmessage = async ({ data: { id, task } }) => {
  const reply: Reply = { id, value: null, error: null, opening: task.kind === "open" };
  try {
    reply.value = await perform(task);
  } catch (error) {
    reply.error = error instanceof Error ? error.message : String(error);
  }
  scope.postMessage(reply, reply.value === null ? [] : transferable(reply.value));
};
