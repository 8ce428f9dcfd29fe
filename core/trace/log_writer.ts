/**
 * The machine's end of the row log: templates for what is written so often that even an object to hold
 * a row's values would cost too much, and for the rest appenders that are generated from the schema.
 * @module
 */
import { alikeSource, type AlikeTable, type AppendCells } from "./alike.ts";
import {
  CHUNK_LANES,
  CLOSE,
  COMMIT,
  COMMON_LANES,
  type Constants,
  FIRST_TEMPLATE,
  hasBytes,
  HIGH,
  JSON_LANES,
  lanesOf,
  type Layout,
  layoutOf,
  type LogSink,
  NONE,
  RECORD_NAMES,
  type RecordField,
  type RecordName,
  SYNC,
  SYNC_LANES,
  TEMPLATE,
} from "./log.ts";
import type { Row } from "./rows.ts";
import { type Columns, COMMON, EVENT_TABLES, type TableName } from "./schema.ts";

/** Makes a function for the rows of a kind of template. */
type MakeAppend = (kind: number) => AppendCells<readonly string[]>;

export type Append<T extends TableName> = (row: Row<T>) => number;

/** What rows take from their trace. */
export interface RowContext {
  /** Next sequence number. */
  seq: number;
  /** seq of the exit being served, -1 between exits. */
  readonly exitSeq: number;
  /** time_ns, icount (NaN when there is none) and vcpu. */
  readonly clock: Float64Array;
}

export class LogWriter {
  /** The piece of the log where `open` made room: another one after every `open`. */
  lanes: Uint32Array;
  /** Rows since the last commit, those of tables that are not kept left out. */
  pending = 0;
  #at = 0;
  /** Address of the piece in `memory`. */
  #base: number;
  #templates = 0;
  readonly #alike = new Map<string, MakeAppend>();
  readonly #sink: LogSink;
  readonly #kept: ReadonlySet<TableName>;
  readonly #context: RowContext;
  /** Of the rows to come, as in RowContext. */
  readonly clock: Float64Array;

  readonly memory: WebAssembly.Memory;

  constructor(
    sink: LogSink,
    kept: ReadonlySet<TableName>,
    context: RowContext,
    columns: Columns,
  ) {
    this.#sink = sink;
    this.#kept = kept;
    this.#context = context;
    this.clock = context.clock;
    this.memory = sink.memory;
    this.lanes = sink.open(kept, columns);
    this.#base = this.lanes.byteOffset;
  }

  /** Bytes written to tables at the last `drain`, or later. */
  get bytes(): number {
    return this.#sink.bytes;
  }

  /** Rows of event tables in them. */
  get written(): number {
    return this.#sink.rows;
  }

  /** Rows of `layout` that are kept: what a record of it adds to `pending`. */
  rows(layout: Layout): number {
    return layout.tables.filter((t) => this.#kept.has(t)).length;
  }

  /** A generated function for rows of a template, which take `cells`; they are what is no constant. */
  alike(
    table: AlikeTable,
    constants: Constants,
    cells: readonly string[],
  ): AppendCells<readonly string[]> {
    const key = `${table} ${cells}`;
    let make = this.#alike.get(key);
    if (make === undefined) {
      const layout = layoutOf(table, constants);
      const source = alikeSource(layout, this.rows(layout), cells);
      make = new Function("log", "context", source)(this, this.#context) as MakeAppend;
      this.#alike.set(key, make);
    }
    return make(this.template(table, constants));
  }

  /** Tells the reader of a template; returns the kind of its records. */
  template(record: RecordName, constants: Constants): number {
    this.#json(TEMPLATE, { record, constants });
    return FIRST_TEMPLATE + this.#templates++;
  }

  /**
   * Makes room for an event of so many lanes that stands for `rows` rows, stores its kind and its common
   * columns, and returns the lane where it begins; the caller stores every other field.
   */
  open(kind: number, lanes: number, rows: number, seq: number): number {
    const at = this.reserve(lanes, rows);
    const into = this.lanes;
    const { clock } = this;
    const timeNs = clock[0];
    const icount = clock[1];
    into[at] = kind;
    // In the order of the schema's COMMON.
    into[at + 1] = seq;
    into[at + 2] = seq * HIGH;
    into[at + 3] = timeNs;
    into[at + 4] = timeNs * HIGH;
    into[at + 5] = icount;
    into[at + 6] = icount !== icount ? NONE : icount * HIGH;
    into[at + 7] = clock[2];
    return at;
  }

  /** The piece is full: the record begins the next. */
  #turn(lanes: number): number {
    if (lanes > CHUNK_LANES) throw new Error(`a row of ${lanes} lanes, at most ${CHUNK_LANES}`);
    this.#handOver(true);
    return 0;
  }

  /** As `open`, but all is left to the caller, kind and common columns too. */
  reserve(lanes: number, rows: number): number {
    this.pending += rows;
    return this.#room(lanes);
  }

  /** Of the lane `at` in `memory`. */
  address(at: number): number {
    return this.#base + at * 4;
  }

  #room(lanes: number): number {
    const at = this.#at + lanes > CHUNK_LANES ? this.#turn(lanes) : this.#at;
    this.#at = at + lanes;
    return at;
  }

  /** A generated function that logs a row of `table` and returns its seq, or -1 where there is none. */
  appender<T extends TableName>(table: T): Append<T> {
    const layout = layoutOf(table);
    const kind = RECORD_NAMES.indexOf(table);
    if (layout.fields.some((f) => hasBytes(f.column))) {
      return (row) => this.#appendBytes(kind, layout, row as Record<string, unknown>);
    }
    const source = appenderSource(kind, layout, this.rows(layout));
    return new Function("log", "context", "NONE", source)(this, this.#context, NONE);
  }

  /** The rare rows that hold texts. */
  #appendBytes(kind: number, layout: Layout, row: Record<string, unknown>): number {
    const isEvent = (EVENT_TABLES as readonly TableName[]).includes(layout.tables[0]);
    const own = layout.fields.filter((f) => !isEvent || !(f.name in COMMON));
    const tails = own.filter((f) => hasBytes(f.column)).map((f) => toBytes(row[f.name]));
    const lanes = tails.reduce((sum, t) => sum + lanesOf(t?.length ?? 0), layout.lanes);
    const seq = isEvent ? (row.seq as number | undefined) ?? this.#context.seq++ : -1;
    const at = isEvent ? this.open(kind, lanes, 1, seq) : this.#plain(kind, lanes);
    let tail = at + layout.lanes;
    for (const field of own) {
      if (hasBytes(field.column)) tail = this.#put(at + field.at, tail, tails.shift()!);
      else this.#store(at, field, row);
    }
    return seq;
  }

  #plain(kind: number, lanes: number): number {
    const at = this.#room(lanes);
    this.lanes[at] = kind;
    this.pending++;
    return at;
  }

  #store(at: number, { name, column, at: field, presentAt }: RecordField, row: object): void {
    const cells = row as Record<string, unknown>;
    const current = this.#context.exitSeq < 0 ? null : this.#context.exitSeq;
    const given = name === "exit_seq" && cells[name] === undefined ? current : cells[name];
    const isNull = given === undefined || given === null;
    const value = isNull ? 0 : Number(given);
    const into = this.lanes;
    into[at + field] = value;
    if (column.type === "u64") into[at + field + 1] = isNull ? NONE : value * HIGH;
    else if (column.type === "wide") into[at + field + 1] = Number(cells[`${name}_hi`] ?? 0);
    else if (isNull && presentAt === null) into[at + field] = NONE;
    if (presentAt !== null) into[at + presentAt] = isNull ? 0 : 1;
  }

  /** Stores a text's length at `field` and its bytes at `tail`; returns the lane behind them. */
  #put(field: number, tail: number, bytes: Uint8Array | null): number {
    const { lanes } = this;
    lanes[field] = bytes === null ? NONE : bytes.length;
    if (bytes === null) return tail;
    const end = tail + lanesOf(bytes.length);
    lanes.fill(0, tail, end);
    new Uint8Array(lanes.buffer, lanes.byteOffset + tail * 4, bytes.length).set(bytes);
    return end;
  }

  #json(kind: number, value: unknown): void {
    const json = toBytes(JSON.stringify(value))!;
    const at = this.#room(JSON_LANES + lanesOf(json.length));
    this.lanes[at] = kind;
    this.#put(at + 1, at + JSON_LANES, json);
  }

  /** Everything so far stands together. `seq` is the next one. */
  commit(seq: number): void {
    this.open(COMMIT, COMMON_LANES, 0, seq);
    this.pending = 0;
    this.#handOver();
  }

  /** Comes back when the inputs so far are durable. */
  sync(): void {
    this.lanes[this.#room(SYNC_LANES)] = SYNC;
    this.#handOver();
    this.drain();
  }

  /** Comes back when all tables are complete. */
  close(end: unknown): void {
    this.#json(CLOSE, end);
    this.#handOver();
    this.drain();
  }

  drain(): void {
    this.#sink.drain();
  }

  #handOver(later = false): void {
    this.lanes = this.#sink.next(this.#at, later);
    this.#base = this.lanes.byteOffset;
    this.#at = 0;
  }
}

const UTF8 = new TextEncoder();

function toBytes(value: unknown): Uint8Array | null {
  if (typeof value === "string") return UTF8.encode(value);
  return (value as Uint8Array | null | undefined) ?? null;
}

function storeField({ name, column, at, presentAt }: RecordField): string {
  const given = name === "exit_seq"
    ? "row.exit_seq === undefined ? context.exitSeq < 0 ? null : context.exitSeq : row.exit_seq"
    : `row.${name}`;
  const lane = (i: number) => `w[at + ${i}]`;
  const upper = column.type === "u64"
    ? `${lane(at + 1)} = v * ${HIGH};`
    : column.type === "wide"
    ? `{ const hi = row.${name}_hi; ${lane(at + 1)} = hi === undefined ? 0 : hi; }`
    : "";
  const value = `${lane(at)} = +v; ${upper}`;
  if (!column.nullable) return `{ const v = ${given}; ${value} }`;
  const none = presentAt !== null
    ? `${lane(presentAt)} = 0;`
    : `${lane(column.type === "u64" ? at + 1 : at)} = NONE;`;
  const present = presentAt !== null ? `${lane(presentAt)} = 1;` : "";
  return `{ const v = ${given};
    if (v === undefined || v === null) { ${none} } else { ${value} ${present} } }`;
}

function appenderSource(kind: number, layout: Layout, rows: number): string {
  return `"use strict";
return function append(row) {
  const seq = row.seq === undefined ? context.seq++ : row.seq;
  const at = log.open(${kind}, ${layout.lanes}, ${rows}, seq);
  const w = log.lanes;
  ${layout.fields.filter((f) => !(f.name in COMMON)).map(storeField).join("\n  ")}
  return seq;
};`;
}
