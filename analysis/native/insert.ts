/**
 * Rows into native DuckDB's tables, on several cores and in the order in which they are given.
 *
 * Each stream is a transaction of its own, `INSERT INTO table FROM arriving_rows(stream)`, where the
 * function's rows are copied from Arrow as DuckDB asks for them (fill.ts). A few such statements run at a
 * time, each on a connection of its own, and commit in order: a table takes whole row groups over from a
 * transaction without copying them, so that the order of commits is the order of rows. An appender puts
 * the rows aside first, inserts them in pieces that it then copies together, and keeps this thread waiting.
 * @module
 */
import { tableFromIPC } from "apache-arrow";
import { Rows, sqlType } from "./fill.ts";
import type { Connection, Instance, NativeType } from "./node_api.ts";
import type { Packages } from "./packages.ts";

const SOURCE = "arriving_rows";
/** Statements at a time: this thread copies for all of them. */
const MOST_LANES = 4;

interface Lane {
  readonly connection: Connection;
  /** Its last rows are committed; rejects when they could not be. */
  free: Promise<void>;
}

interface Arriving {
  readonly columns: readonly { readonly name: string; readonly type: NativeType }[];
  readonly rows: Rows;
}

export class Inserter {
  readonly #arriving = new Map<number, Arriving>();
  readonly #lanes: Lane[] = [];
  readonly #created = new Set<string>();
  #streams = 0;
  /** All rows given so far are committed; null where none are on their way. */
  #committed: Promise<void> | null = null;

  constructor(
    readonly packages: Packages,
    readonly instance: Instance,
    /** For what is no row. */
    readonly connection: Connection,
  ) {
    const { DuckDBTableFunction, INTEGER } = packages.api;
    connection.registerTableFunction(DuckDBTableFunction.create({
      name: SOURCE,
      parameterTypes: [INTEGER as NativeType],
      bindFunction: (info) => {
        const { columns, rows } = this.#arriving.get(info.getParameter(0) as number)!;
        for (const { name, type } of columns) info.addResultColumn(name, type);
        info.setBindData(rows);
      },
      initFunction: (info) => info.setMaxThreads(1),
      mainFunction: (info, output) => (info.getBindData() as Rows).fill(output),
    }));
  }

  /**
   * Returns when the rows are on their way. They are not to be seen before {@link settle}; what goes wrong
   * with them is thrown there, or by a later call.
   */
  async insert(schema: string, table: string, stream: Uint8Array): Promise<void> {
    const { schema: { fields }, batches } = tableFromIPC(stream);
    const columns = fields.map(({ name, type }) => ({ name, type: sqlType(type) }));
    const target = `${schema}."${table}"`;
    if (!this.#created.has(target)) {
      const list = columns.map(({ name, type }) => `"${name}" ${type}`).join(", ");
      await this.connection.run(`CREATE TABLE IF NOT EXISTS ${target} (${list})`);
      this.#created.add(target);
    }
    const rows = new Rows(this.packages.bindings, batches);
    if (rows.isEmpty) return;
    const lane = await this.#lane(this.#streams);
    const id = this.#streams++;
    const { api } = this.packages;
    this.#arriving.set(id, {
      columns: columns.map(({ name, type }) => ({ name, type: api[type] as NativeType })),
      rows,
    });
    lane.free = this.#append(lane.connection, target, id, this.#committed);
    lane.free.catch(() => {}); // Told by who waits for it.
    this.#committed = lane.free;
  }

  /** True while rows are on their way. */
  get busy(): boolean {
    return this.#committed !== null;
  }

  /** Waits until all rows are in their tables. */
  async settle(): Promise<void> {
    this.#created.clear(); // They may be dropped now.
    if (this.#committed === null) return;
    try {
      await this.#committed;
    } finally {
      await Promise.allSettled(this.#lanes.map((lane) => lane.free));
      for (const lane of this.#lanes) lane.free = Promise.resolve();
      this.#committed = null;
      await this.connection.run("RESET threads");
    }
  }

  /** Only where nothing is on its way. */
  close(): void {
    for (const { connection } of this.#lanes) connection.closeSync();
    this.#lanes.length = 0;
  }

  /** Where the stream of this number goes, when it may. */
  async #lane(stream: number): Promise<Lane> {
    // Each statement keeps the thread that it is started on; more would only look on.
    if (this.#committed === null) await this.connection.run("SET threads = 1");
    const index = stream % Math.min(MOST_LANES, navigator.hardwareConcurrency);
    const connection = this.#lanes[index]?.connection ?? await this.instance.connect();
    const lane = this.#lanes[index] ??= { connection, free: Promise.resolve() };
    try {
      await lane.free;
    } catch (error) {
      await this.settle().catch(() => {}); // Told once.
      throw error;
    }
    return lane;
  }

  async #append(
    connection: Connection,
    target: string,
    id: number,
    before: Promise<void> | null,
  ): Promise<void> {
    try {
      await connection.run("BEGIN");
      await connection.run(`INSERT INTO ${target} FROM ${SOURCE}(${id})`);
      await before;
      await connection.run("COMMIT");
    } catch (error) {
      await connection.run("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      this.#arriving.delete(id);
    }
  }
}
