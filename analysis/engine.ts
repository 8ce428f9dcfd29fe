/**
 * One interface to a SQL engine, and the engine behind it: DuckDB compiled to WebAssembly, run by its
 * blocking API in a worker so that the caller stays free to show progress.
 *
 * Nothing is fetched when it runs: the module is read from the installed package, extensions are
 * neither loaded nor installed, and no database file is ever kept.
 * @module
 */
import { type Reply, type Task, type TaskResult, transferable } from "./engine_messages.ts";
import { AnalysisError, sqlError } from "./errors.ts";
import { decode, type Result, type Value } from "./rows.ts";

export interface Engine {
  /** Runs SQL; `params` fill its `?` or `$1` places. */
  query(sql: string, params?: readonly Value[]): Promise<Result>;
  /** Runs SQL and gives the result as one Arrow IPC stream. */
  arrow(sql: string, params?: readonly Value[]): Promise<Uint8Array>;
  /**
   * Appends a self-contained Arrow IPC stream to `schema.table`, which is created from the stream
   * where it does not exist. The bytes may be handed over: do not use them afterwards.
   */
  insert(schema: string, table: string, stream: Uint8Array): Promise<void>;
  /** Forgets every table and view. */
  reset(): Promise<void>;
  close(): void;
}

interface Waiting {
  resolve(value: TaskResult): void;
  reject(reason: AnalysisError): void;
}

/** Which engine: the WebAssembly one, native DuckDB, or by how much there is to load. */
export type EngineChoice = "wasm" | "native" | "auto";

/** From here on `auto` takes the native engine: the other has room for about twice as much. */
const NATIVE_BYTES = 1.5 * 2 ** 30;

/**
 * Starts the engine. It takes most of a second, in its own thread: start it before it is needed.
 * `bytes` is about how much will be loaded. Rejects with an {@link AnalysisError} when the package is not
 * installed.
 */
export async function openEngine(choice: EngineChoice = "wasm", bytes = 0): Promise<Engine> {
  if (choice === "native" || choice === "auto" && bytes >= NATIVE_BYTES) {
    const { openNativeEngine } = await import("./native/engine.ts");
    return await openNativeEngine(bytes);
  }
  const engine = new WasmEngine();
  try {
    await engine.ready;
  } catch (error) {
    engine.close();
    throw error;
  }
  return engine;
}

class WasmEngine implements Engine {
  readonly ready: Promise<unknown>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #closed = false;

  constructor() {
    this.#worker = new Worker(new URL("./engine_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<Reply>) => this.#settle(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#failAll(new AnalysisError(`The SQL engine stopped: ${event.message}`, REINSTALL));
    };
    this.ready = this.#ask({ kind: "open" });
  }

  async query(sql: string, params?: readonly Value[]): Promise<Result> {
    return decode(await this.arrow(sql, params));
  }

  async arrow(sql: string, params: readonly Value[] = []): Promise<Uint8Array> {
    const bytes = await this.#ask({ kind: "run", sql, params });
    return bytes as Uint8Array;
  }

  async insert(schema: string, table: string, stream: Uint8Array): Promise<void> {
    await this.#ask({ kind: "insert", schema, table, stream });
  }

  async reset(): Promise<void> {
    await this.#ask({ kind: "reset" });
  }

  close(): void {
    this.#closed = true;
    this.#worker.terminate();
    this.#failAll(new AnalysisError("The SQL engine was closed.", "Open a new one."));
  }

  #ask(task: Task): Promise<TaskResult> {
    if (this.#closed) {
      return Promise.reject(new AnalysisError("The SQL engine is closed.", "Open a new one."));
    }
    const id = ++this.#lastId;
    const answer = new Promise<TaskResult>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#worker.postMessage({ id, task }, task.kind === "insert" ? transferable(task.stream) : []);
    return answer;
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.error === null) waiting?.resolve(reply.value);
    else if (reply.opening) waiting?.reject(new AnalysisError(reply.error, REINSTALL));
    else waiting?.reject(sqlError(reply.error, "wasm"));
  }

  #failAll(reason: AnalysisError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(reason);
    this.#waiting.clear();
  }
}

const REINSTALL = "Run `deno install` in the project's folder to fetch its packages again.";
