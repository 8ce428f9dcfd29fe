/**
 * Native DuckDB behind the engine interface, for traces that are too large for the WebAssembly one, or
 * when it is asked for. Its packages are installed when this engine is first opened (packages.ts).
 *
 * Statements run in DuckDB's own threads. Above {@link IN_MEMORY_BYTES} tables live, compressed, in a
 * database in the host's temporary folder, which is removed when the engine closes.
 * @module
 */
import type { Engine } from "../engine.ts";
import { AnalysisError, sqlError } from "../errors.ts";
import { decode, type Result, type Value } from "../rows.ts";
import { Inserter } from "./insert.ts";
import type { Connection, Instance } from "./node_api.ts";
import { nativePackages, type Packages } from "./packages.ts";
import { toArrow } from "./to_arrow.ts";

/** More than this goes to a file: tables in memory are not compressed. */
const IN_MEMORY_BYTES = 4 * 2 ** 30;

const SETTINGS = [
  "SET autoload_known_extensions = false",
  "SET autoinstall_known_extensions = false",
];

/**
 * Of the host's memory, and of what of it is free, DuckDB may take these parts, and goes on to the disk
 * beyond: the rest is for what it does not count, and for others.
 */
const MEMORY_SHARE = 0.6;
const FREE_SHARE = 0.75;

/** `bytes` is about how much will be loaded. Rejects with AnalysisError when the package cannot be had. */
export async function openNativeEngine(bytes = 0): Promise<Engine> {
  const engine = new NativeEngine(await nativePackages(), bytes > IN_MEMORY_BYTES);
  await engine.open();
  return engine;
}

class NativeEngine implements Engine {
  #instance!: Instance;
  #connection!: Connection;
  #inserter!: Inserter;
  readonly #folder: string;
  /** Statements follow each other. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Statements that were given and have not ended. */
  #waiting = 0;
  #databases = 0;

  /** Gigabytes may lie in the folder: what ends the process takes them away. */
  readonly #interrupted = () => this.#endBy(130);
  readonly #terminated = () => this.#endBy(143);

  constructor(readonly packages: Packages, readonly onDisk: boolean) {
    this.#folder = Deno.makeTempDirSync({ prefix: "exitscope-duckdb-" });
    Deno.addSignalListener("SIGINT", this.#interrupted);
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", this.#terminated);
  }

  #endBy(code: number): never {
    Deno.removeSync(this.#folder, { recursive: true });
    Deno.exit(code);
  }

  async open(): Promise<void> {
    const { DuckDBInstance } = this.packages.api;
    const path = this.onDisk ? `${this.#folder}/${++this.#databases}.duckdb` : ":memory:";
    this.#instance = await DuckDBInstance.create(path);
    this.#connection = await this.#instance.connect();
    const spill = `SET temp_directory = '${this.#folder.replaceAll("'", "''")}'`;
    const { total, available } = Deno.systemMemoryInfo();
    const mib = Math.floor(Math.min(total * MEMORY_SHARE, available * FREE_SHARE) / 2 ** 20);
    await this.#connection.run([...SETTINGS, spill, `SET memory_limit = '${mib}MiB'`].join(";"));
    this.#inserter = new Inserter(this.packages, this.#instance, this.#connection);
  }

  async query(sql: string, params?: readonly Value[]): Promise<Result> {
    return decode(await this.arrow(sql, params));
  }

  arrow(sql: string, params: readonly Value[] = []): Promise<Uint8Array> {
    return this.#next(async () => {
      await this.#inserter.settle();
      const values = params.map((value) => this.#parameter(value));
      const result = await this.#connection.run(sql, values.length > 0 ? values : undefined);
      return toArrow(result.columnNames(), result.columnTypes(), await result.fetchAllChunks());
    });
  }

  insert(schema: string, table: string, stream: Uint8Array): Promise<void> {
    return this.#next(() => this.#inserter.insert(schema, table, stream));
  }

  reset(): Promise<void> {
    return this.#next(async () => {
      await this.#inserter.settle().catch(() => {}); // Rows that nobody will ask for.
      this.#disconnect();
      await this.open();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A statement that runs holds the connection, which is let go when that has ended; else at once, as
    // the process may be about to end, and must not while DuckDB is at work.
    if (this.#waiting === 0 && !this.#inserter.busy) this.#letGo();
    else this.#last.then(() => this.#inserter.settle()).catch(() => {}).then(() => this.#letGo());
  }

  #letGo(): void {
    this.#disconnect();
    Deno.removeSync(this.#folder, { recursive: true });
    Deno.removeSignalListener("SIGINT", this.#interrupted);
    if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGTERM", this.#terminated);
  }

  #disconnect(): void {
    this.#inserter.close();
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  #parameter(value: Value) {
    const { DuckDBBlobValue } = this.packages.api;
    if (value instanceof Uint8Array) return new DuckDBBlobValue(value);
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  }

  #next<T>(act: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      return Promise.reject(new AnalysisError("The SQL engine is closed.", "Open a new one."));
    }
    this.#waiting++;
    const answer = this.#last.then(act).catch((error) => {
      throw error instanceof AnalysisError ? error : sqlError((error as Error).message, "native");
    }).finally(() => this.#waiting--);
    this.#last = answer.catch(() => {});
    return answer;
  }
}
