/**
 * The machine's end of the row log: `open` for what is written so often that even an object to hold a
 * row's values would cost too much, and for the rest appenders that are generated from the schema.
 * @module
 */
import {
  CHUNK_WORDS,
  CLOSE,
  CLOSE_WORDS,
  COMMIT,
  COMMIT_WORDS,
  hasBytes,
  type Layout,
  layoutOf,
  type LogSink,
  type RecordField,
  SYNC,
  SYNC_WORDS,
  wordsOf,
} from "./log.ts";
import type { Row } from "./rows.ts";
import { COMMON, EVENT_TABLES, type TableName } from "./schema.ts";

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
  words: Float64Array;
  /** Rows since the last commit, those of tables that are not kept left out. */
  pending = 0;
  #at = 0;
  readonly #sink: LogSink;
  readonly #kept: ReadonlySet<TableName>;
  readonly #context: RowContext;
  readonly #clock: Float64Array;

  constructor(sink: LogSink, kept: ReadonlySet<TableName>, context: RowContext) {
    this.#sink = sink;
    this.#kept = kept;
    this.#context = context;
    this.#clock = context.clock;
    this.words = sink.open(kept);
  }

  /** Bytes written to tables at the last `drain`, or later. */
  get bytes(): number {
    return this.#sink.bytes;
  }

  /** Rows of `layout` that are kept: what a record of it adds to `pending`. */
  rows(layout: Layout): number {
    return layout.tables.filter((t) => this.#kept.has(t)).length;
  }

  /**
   * Makes room for an event that stands for `rows` rows, stores its common columns, and returns the word
   * where it begins; the caller stores every other field.
   */
  open(layout: Layout, seq: number, rows: number): number {
    const at = this.#room(layout.words);
    const words = this.words;
    const clock = this.#clock;
    words[at] = layout.kind;
    words[at + 1] = seq;
    words[at + 2] = clock[0];
    words[at + 3] = clock[1];
    words[at + 4] = clock[2];
    this.pending += rows;
    return at;
  }

  #room(words: number): number {
    let at = this.#at;
    if (at + words > CHUNK_WORDS) {
      if (words > CHUNK_WORDS) throw new Error(`a row of ${words} words, at most ${CHUNK_WORDS}`);
      this.words = this.#sink.next(at, true);
      at = 0;
    }
    this.#at = at + words;
    return at;
  }

  /** A generated function that logs a row of `table` and returns its seq, or -1 where there is none. */
  appender<T extends TableName>(table: T): Append<T> {
    const layout = layoutOf(table);
    if (layout.fields.some((f) => hasBytes(f.column))) {
      return (row) => this.#appendBytes(layout, row as Record<string, unknown>);
    }
    const source = appenderSource(layout, this.rows(layout));
    return new Function("log", "layout", "context", source)(this, layout, this.#context);
  }

  /** The rare rows that hold texts. */
  #appendBytes(layout: Layout, row: Record<string, unknown>): number {
    const isEvent = (EVENT_TABLES as readonly TableName[]).includes(layout.tables[0]);
    const own = layout.fields.filter((f) => !isEvent || !(f.name in COMMON));
    const tails = own.filter((f) => hasBytes(f.column)).map((f) => toBytes(row[f.name]));
    const tailWords = tails.reduce((sum, t) => sum + wordsOf(t?.length ?? 0), 0);
    const seq = isEvent ? (row.seq as number | undefined) ?? this.#context.seq++ : -1;
    const wide = { ...layout, words: layout.words + tailWords };
    const at = isEvent ? this.open(wide, seq, 1) : this.#plain(wide);
    let tail = at + layout.words;
    for (const { name, column, at: field } of own) {
      if (hasBytes(column)) tail = this.#put(at + field, tail, tails.shift()!);
      else this.words[at + field] = this.#value(name, row[name]);
      if (column.type === "wide") this.words[at + field + 1] = Number(row[`${name}_hi`] ?? 0);
    }
    return seq;
  }

  #plain(layout: Layout): number {
    const at = this.#room(layout.words);
    this.words[at] = layout.kind;
    this.pending++;
    return at;
  }

  #value(name: string, given: unknown): number {
    if (name === "exit_seq" && given === undefined) {
      return this.#context.exitSeq < 0 ? NaN : this.#context.exitSeq;
    }
    return given === undefined || given === null ? NaN : Number(given);
  }

  /** Stores a text's length at `field` and its bytes at `tail`; returns the word behind them. */
  #put(field: number, tail: number, bytes: Uint8Array | null): number {
    const { words } = this;
    words[field] = bytes === null ? NaN : bytes.length;
    if (bytes === null) return tail;
    const end = tail + wordsOf(bytes.length);
    words.fill(0, tail, end);
    new Uint8Array(words.buffer, words.byteOffset + tail * 8, bytes.length).set(bytes);
    return end;
  }

  /** Everything so far stands together. `seq` is the next one. */
  commit(seq: number): void {
    const at = this.#room(COMMIT_WORDS);
    this.words[at] = COMMIT;
    this.words[at + 1] = seq;
    this.words.set(this.#clock, at + 2);
    this.pending = 0;
    this.#handOver();
  }

  /** Comes back when the inputs so far are durable. */
  sync(): void {
    this.words[this.#room(SYNC_WORDS)] = SYNC;
    this.#handOver();
    this.drain();
  }

  /** Comes back when all tables are complete. */
  close(end: unknown): void {
    const json = toBytes(JSON.stringify(end))!;
    const at = this.#room(CLOSE_WORDS + wordsOf(json.length));
    this.words[at] = CLOSE;
    this.#put(at + 1, at + CLOSE_WORDS, json);
    this.#handOver();
    this.drain();
  }

  drain(): void {
    this.#sink.drain();
  }

  #handOver(): void {
    this.words = this.#sink.next(this.#at);
    this.#at = 0;
  }
}

const UTF8 = new TextEncoder();

function toBytes(value: unknown): Uint8Array | null {
  if (typeof value === "string") return UTF8.encode(value);
  return (value as Uint8Array | null | undefined) ?? null;
}

function storeField({ name, column, at }: RecordField): string {
  const value = name === "exit_seq"
    ? "v === undefined ? context.exitSeq < 0 ? NaN : context.exitSeq : v === null ? NaN : v"
    : column.nullable
    ? "v === undefined || v === null ? NaN : +v"
    : "+v";
  const hi = column.type === "wide"
    ? ` { const v = row.${name}_hi; w[at + ${at + 1}] = v === undefined ? 0 : v; }`
    : "";
  return `{ const v = row.${name}; w[at + ${at}] = ${value}; }${hi}`;
}

function appenderSource(layout: Layout, rows: number): string {
  return `"use strict";
return function append(row) {
  const seq = row.seq === undefined ? context.seq++ : row.seq;
  const at = log.open(layout, seq, ${rows});
  const w = log.words;
  ${layout.fields.filter((f) => !(f.name in COMMON)).map(storeField).join("\n  ")}
  return seq;
};`;
}
