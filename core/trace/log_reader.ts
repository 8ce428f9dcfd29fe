/**
 * The other end of the row log: makes columns of records, batches of columns, and hands those to a
 * `TraceSink`. Deterministic: what reaches the sink depends on the log alone, not on its pieces.
 * @module
 */
import { TableBuffer, type Take } from "./appender.ts";
import { BatchEncoder, END_OF_STREAM, schemaMessage } from "./arrow_stream.ts";
import {
  CLOSE,
  COMMIT,
  COMMON_LANES,
  type Constants,
  hasBytes,
  JSON_LANES,
  lanesOf,
  layoutOf,
  NONE,
  RECORD_NAMES,
  type RecordName,
  SYNC,
  SYNC_LANES,
  TEMPLATE,
  type Template,
} from "./log.ts";
import { type Columns, EVENT_TABLES, TABLE_NAMES, type TableName } from "./schema.ts";
import type { CommitState, TraceEnd, TraceSink } from "./trace.ts";

interface Stream {
  readonly buffer: TableBuffer;
  readonly encoder: BatchEncoder;
}

/** What to do with one kind of record. */
interface Kind {
  readonly lanes: number;
  /** Lanes that hold lengths of bytes behind the record. */
  readonly lengths: readonly number[];
  readonly takers: readonly Take[];
  /** For each taker. */
  readonly constants: readonly Float64Array[];
}

/** What is done with all records that have the same columns in the same lanes. */
type Shape = Omit<Kind, "constants"> & { readonly buffers: readonly TableBuffer[] };

const NO_KIND: Kind = { lanes: 0, lengths: [], takers: [], constants: [] };
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
  readonly #streams = new Map<TableName, Stream>();
  readonly #rows = Object.fromEntries(TABLE_NAMES.map((t) => [t, 0])) as Record<TableName, number>;
  readonly #kept: ReadonlySet<TableName>;
  readonly #shapes = new Map<string, Shape>();
  /** By kind; control records have none. */
  readonly #kinds: Kind[] = [];
  #dirty = false;
  #state: CommitState | null = null;

  /** Rows of tables that are not `kept` go no further. */
  constructor(sink: TraceSink, kept: ReadonlySet<TableName>, columns: Columns) {
    this.#sink = sink;
    this.#kept = kept;
    for (const table of TABLE_NAMES) {
      const buffer = new TableBuffer(table, columns);
      this.#streams.set(table, { buffer, encoder: new BatchEncoder() });
      this.#write(table, schemaMessage(table, columns));
    }
    RECORD_NAMES.forEach((name, kind) => this.#kinds[kind] = this.#kind(name, null));
    for (const control of [COMMIT, SYNC, CLOSE, TEMPLATE]) this.#kinds[control] = NO_KIND;
  }

  #kind(record: RecordName, constants: Constants | null): Kind {
    const key = `${record} ${Object.keys(constants ?? {}).sort()}`;
    let shape = this.#shapes.get(key);
    if (shape === undefined) this.#shapes.set(key, shape = this.#shape(record, constants));
    return { ...shape, constants: shape.buffers.map((b) => b.constants(constants ?? {})) };
  }

  #shape(record: RecordName, constants: Constants | null): Shape {
    const layout = layoutOf(record, constants);
    const kept = layout.tables.filter((t) => this.#kept.has(t));
    const buffers = kept.map((t) => this.#streams.get(t)!.buffer);
    return {
      lanes: layout.lanes,
      lengths: layout.fields.filter((f) => hasBytes(f.column)).map((f) => f.at),
      buffers,
      takers: buffers.map((b) => b.taker(layout)),
    };
  }

  /** Deals with the first `length` lanes of a piece of the log. */
  take(lanes: Uint32Array, bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length;) {
      const kind = lanes[at];
      at += kind < COMMIT || kind > TEMPLATE
        ? this.#takeRow(this.#kinds[kind], lanes, bytes, at)
        : this.#takeControl(kind, lanes, bytes, at);
    }
  }

  #takeRow(kind: Kind, into: Uint32Array, bytes: Uint8Array, at: number): number {
    const { takers, constants, lengths } = kind;
    for (let i = 0; i < takers.length; i++) takers[i](into, bytes, at, constants[i]);
    let taken = kind.lanes;
    for (let i = 0; i < lengths.length; i++) {
      const length = into[at + lengths[i]];
      if (length !== NONE) taken += lanesOf(length);
    }
    return taken;
  }

  #takeControl(kind: number, lanes: Uint32Array, bytes: Uint8Array, at: number): number {
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
    const start = (at + JSON_LANES) * 4;
    const value = JSON.parse(new TextDecoder().decode(bytes.slice(start, start + length)));
    if (kind === CLOSE) this.#close(value);
    else this.#addTemplate(value);
    return JSON_LANES + lanesOf(length);
  }

  #addTemplate({ record, constants }: Template): void {
    this.#kinds.push(this.#kind(record, constants));
  }

  #commit(): void {
    for (const table of this.#streams.keys()) this.#writeRows(table);
    if (this.#dirty) this.#sink.commit({ ...this.#state!, rows: { ...this.#rows } });
    this.#dirty = false;
  }

  #close(end: TraceEnd | null): void {
    for (const table of this.#streams.keys()) this.#write(table, END_OF_STREAM);
    this.#commit();
    this.#sink.close(end);
    this.closed = true;
  }

  #writeRows(table: TableName): void {
    const { buffer, encoder } = this.#streams.get(table)!;
    const rows = buffer.state.rows;
    if (rows === 0) return;
    this.#write(table, encoder.batch(buffer.columns, rows));
    this.#rows[table] += rows;
    if (IS_EVENT.has(table)) this.rows += rows;
    buffer.reset();
  }

  #write(table: TableName, bytes: Uint8Array): void {
    this.#sink.write(table, bytes);
    this.bytes += bytes.length;
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
