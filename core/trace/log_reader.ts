/**
 * The other end of the row log: makes columns of records, batches of columns, and hands those to a
 * `TraceSink`. Deterministic: what reaches the sink depends on the log alone, not on its pieces.
 * @module
 */
import { TableBuffer } from "./appender.ts";
import { END_OF_STREAM, StreamEncoder } from "./arrow_stream.ts";
import {
  CLOSE,
  CLOSE_WORDS,
  COMMIT,
  COMMIT_WORDS,
  hasBytes,
  type Layout,
  layoutOf,
  RECORD_NAMES,
  SYNC,
  SYNC_WORDS,
  wordsOf,
} from "./log.ts";
import { TABLE_NAMES, type TableName } from "./schema.ts";
import type { CommitState, TraceEnd, TraceSink } from "./trace.ts";

interface Stream {
  readonly buffer: TableBuffer;
  readonly encoder: StreamEncoder;
}

type Take = (words: Float64Array, bytes: Uint8Array, at: number) => void;

/** What to do with one kind of record. */
interface Kind {
  readonly words: number;
  /** Words that hold lengths of bytes behind the record. */
  readonly lengths: readonly number[];
  readonly takers: readonly Take[];
}

export class LogReader {
  /** Bytes handed to the sink. */
  bytes = 0;
  /** True once the log has ended. */
  closed = false;
  readonly #sink: TraceSink;
  readonly #streams = new Map<TableName, Stream>();
  readonly #rows = Object.fromEntries(TABLE_NAMES.map((t) => [t, 0])) as Record<TableName, number>;
  readonly #kinds: readonly Kind[];
  #dirty = false;
  #state: CommitState | null = null;

  /** Rows of tables that are not `kept` go no further. */
  constructor(sink: TraceSink, kept: ReadonlySet<TableName>) {
    this.#sink = sink;
    for (const table of TABLE_NAMES) {
      const encoder = new StreamEncoder(table);
      this.#streams.set(table, { encoder, buffer: new TableBuffer(table) });
      this.#write(table, encoder.open());
    }
    this.#kinds = RECORD_NAMES.map((name) => this.#kind(layoutOf(name), kept));
  }

  #kind(layout: Layout, kept: ReadonlySet<TableName>): Kind {
    return {
      words: layout.words,
      lengths: layout.fields.filter((f) => hasBytes(f.column)).map((f) => f.at),
      takers: layout.tables.filter((t) => kept.has(t)).map((t) =>
        this.#streams.get(t)!.buffer.taker(layout)
      ),
    };
  }

  /** Deals with the first `length` words of a piece of the log. */
  take(words: Float64Array, bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length;) {
      const kind = words[at];
      at += kind < COMMIT
        ? this.#takeRow(this.#kinds[kind], words, bytes, at)
        : this.#takeControl(kind, words, bytes, at);
    }
  }

  #takeRow(kind: Kind, words: Float64Array, bytes: Uint8Array, at: number): number {
    const { takers, lengths } = kind;
    for (let i = 0; i < takers.length; i++) takers[i](words, bytes, at);
    let taken = kind.words;
    for (let i = 0; i < lengths.length; i++) {
      const length = words[at + lengths[i]];
      if (length > 0) taken += wordsOf(length);
    }
    return taken;
  }

  #takeControl(kind: number, words: Float64Array, bytes: Uint8Array, at: number): number {
    if (kind === COMMIT) {
      const [seq, time_ns, icount, vcpu] = words.subarray(at + 1, at + COMMIT_WORDS);
      this.#state = {
        seq,
        time_ns,
        icount: isNaN(icount) ? null : icount,
        vcpu,
        rows: this.#rows,
      };
      this.#commit();
      return COMMIT_WORDS;
    }
    if (kind === SYNC) {
      this.#writeRows("input");
      this.#sink.sync("input");
      return SYNC_WORDS;
    }
    if (kind !== CLOSE) throw new Error(`the row log holds a record of kind ${kind}`);
    const start = (at + CLOSE_WORDS) * 8;
    const json = new TextDecoder().decode(bytes.slice(start, start + words[at + 1]));
    this.#close(JSON.parse(json));
    return CLOSE_WORDS + wordsOf(words[at + 1]);
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
    buffer.reset();
  }

  #write(table: TableName, bytes: Uint8Array): void {
    this.#sink.write(table, bytes);
    this.bytes += bytes.length;
    this.#dirty = true;
  }
}
