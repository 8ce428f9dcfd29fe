/**
 * The other end of the row log: makes columns of records, batches of columns, and hands those to a
 * `TraceSink`. Deterministic: what reaches the sink depends on the log alone, not on its pieces.
 * @module
 */
import { BatchEncoder, END_OF_STREAM, schemaMessage } from "./arrow_stream.ts";
import { ColumnMemory, TableColumns } from "./columns.ts";
import {
  CLOSE,
  COMMIT,
  COMMON_LANES,
  JSON_LANES,
  lanesOf,
  layoutOf,
  NONE,
  RECORD_NAMES,
  SYNC,
  SYNC_LANES,
  TEMPLATE,
  type Template,
} from "./log.ts";
import { type Columns, EVENT_TABLES, TABLE_NAMES, type TableName } from "./schema.ts";
import { Taker } from "./taker.ts";
import type { CommitState, TraceEnd, TraceSink } from "./trace.ts";

const IS_EVENT: ReadonlySet<TableName> = new Set(EVENT_TABLES);
const COMMON_AT = layoutOf("exit").at;

export class LogReader {
  /** Bytes handed to the sink. */
  bytes = 0;
  /** Rows of event tables in them. */
  rows = 0;
  /** True once the log has ended. */
  closed = false;
  readonly #sink: TraceSink;
  /** Of the log, whole. */
  readonly #lanes: Uint32Array;
  readonly #tables: ReadonlyMap<TableName, TableColumns>;
  readonly #taker: Taker;
  readonly #encoder = new BatchEncoder();
  readonly #rows = Object.fromEntries(TABLE_NAMES.map((t) => [t, 0])) as Record<TableName, number>;
  #dirty = false;
  #state: CommitState | null = null;

  /** `log` is where pieces lie. Rows of tables that are not `kept` go no further. */
  constructor(
    sink: TraceSink,
    log: WebAssembly.Memory,
    kept: ReadonlySet<TableName>,
    columns: Columns,
  ) {
    this.#sink = sink;
    this.#lanes = new Uint32Array(log.buffer);
    for (const table of TABLE_NAMES) this.#write(table, [schemaMessage(table, columns)]);
    const memory = new ColumnMemory();
    this.#tables = new Map([...kept].map((t) => [t, new TableColumns(memory, t, columns)]));
    this.#taker = new Taker(memory, log, this.#tables);
    for (const record of RECORD_NAMES) this.#taker.add({ record, constants: null });
    for (const _control of [COMMIT, SYNC, CLOSE, TEMPLATE]) this.#taker.add(null);
  }

  /** Deals with the first `length` lanes of the piece that begins at lane `first` of the log. */
  take(first: number, length: number): void {
    const end = (first + length) * 4;
    for (let at = first * 4; at < end;) {
      at = this.#taker.take(at, end, this.#lanes);
      if (at < end) at += this.#takeControl(at >>> 2) * 4;
    }
  }

  /** Returns the lanes of the record at lane `at`. */
  #takeControl(at: number): number {
    const lanes = this.#lanes;
    const kind = lanes[at];
    if (kind === COMMIT) {
      this.#state = stateAt(lanes, at, this.#rows);
      this.#commit();
      return COMMON_LANES;
    }
    if (kind === SYNC) {
      this.#writeRows("input");
      this.#sink.sync("input");
      return SYNC_LANES;
    }
    const length = lanes[at + 1];
    const json = new Uint8Array(lanes.buffer, (at + JSON_LANES) * 4, length).slice();
    const value = JSON.parse(new TextDecoder().decode(json));
    if (kind === CLOSE) this.#close(value);
    else this.#taker.add(value as Template);
    return JSON_LANES + lanesOf(length);
  }

  #commit(): void {
    for (const table of TABLE_NAMES) this.#writeRows(table);
    if (this.#dirty) this.#sink.commit({ ...this.#state!, rows: { ...this.#rows } });
    this.#dirty = false;
  }

  #close(end: TraceEnd | null): void {
    for (const table of TABLE_NAMES) this.#write(table, [END_OF_STREAM]);
    this.#commit();
    this.#sink.close(end);
    this.closed = true;
  }

  #writeRows(name: TableName): void {
    const table = this.#tables.get(name);
    if (table === undefined || table.rows === 0) return;
    const { rows } = table;
    this.#write(name, this.#encoder.batch(table.data(), rows));
    this.#rows[name] += rows;
    if (IS_EVENT.has(name)) this.rows += rows;
    table.reset();
  }

  #write(table: TableName, message: readonly Uint8Array[]): void {
    this.#sink.write(table, message);
    for (const part of message) this.bytes += part.length;
    this.#dirty = true;
  }
}

/** Where the trace stands at a COMMIT, which is laid out as the beginning of an event. */
function stateAt(lanes: Uint32Array, at: number, rows: CommitState["rows"]): CommitState {
  const u64 = (name: "seq" | "time_ns" | "icount") =>
    lanes[at + COMMON_AT[name]] + lanes[at + COMMON_AT[name] + 1] * 2 ** 32;
  return {
    seq: u64("seq"),
    time_ns: u64("time_ns"),
    icount: lanes[at + COMMON_AT.icount + 1] === NONE ? null : u64("icount"),
    vcpu: lanes[at + COMMON_AT.vcpu],
    rows,
  };
}
