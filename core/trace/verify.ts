/**
 * A sink that writes nothing and compares: what a replay produces against what was recorded, as it
 * goes. Bytes are compared first; where they differ (another batch size, or a real difference) that
 * table's rows are compared from there on, column by column.
 * @module
 */
import { Buffer } from "node:buffer";
import type { RecordBatch } from "apache-arrow";
import { END_OF_STREAM, schemaMessage } from "./arrow_stream.ts";
import { decode, type TraceReader } from "./reader.ts";
import { columnsOf } from "./rows.ts";
import { EVENT_TABLES, REFERENCE_TABLES, type TableName } from "./schema.ts";
import { concatenate, rowsInBatch, type TableFile } from "./table_file.ts";
import type { CommitState, TraceEnd, TraceSink } from "./trace.ts";

export interface Difference {
  table: TableName;
  /** Row of the table, from 0. */
  row: number;
  /** seq of that row where the two runs part; null in tables without one. */
  seq: number | null;
  /** Column that differs; null when one side has no such row. */
  column: string | null;
  /** What was recorded: the column's value, or the whole row; null when there is no such row. */
  expected: unknown;
  got: unknown;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function equalValues(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return equalBytes(a, b);
  return a === b;
}

type AnyRow = Record<string, unknown>;

interface RowPlace {
  batch: RecordBatch;
  index: number;
}

function rowAt(table: TableName, batch: RecordBatch, index: number): AnyRow {
  return Object.fromEntries(
    columnsOf(table).map(([name]) => [name, batch.getChild(name)?.get(index) ?? null]),
  );
}

/** Compares one table with its recorded file. */
class TableVerifier {
  /** Rows found equal. */
  rows = 0;
  /** Recorded rows that count: the committed ones, and the inputs made durable after them. */
  readonly expectedRows: number;
  #file: TableFile | null;
  /** Bytes of the file that count. */
  readonly #end: number;
  #at = 0;
  #schema: Uint8Array;
  /** Of what is written here, null before it comes. */
  #written: Uint8Array | null = null;
  /** Recorded rows not compared yet, once bytes have differed. */
  #recorded: Generator<RowPlace> | null = null;

  constructor(
    readonly table: TableName,
    reader: TraceReader,
  ) {
    this.#file = reader.openTable(table);
    this.#schema = schemaMessage(table);
    const late = table === "input" ? reader.lateInputs() : null;
    this.expectedRows = reader.rowCount(table) + (late?.rows.length ?? 0);
    this.#end = late?.end ?? this.#file?.committed ?? 0;
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  /** Takes what was written, and returns the first row that differs, if any. */
  write(bytes: Uint8Array): Difference | null {
    if (this.#file === null || equalBytes(bytes, END_OF_STREAM)) return null;
    if (this.#written === null) return this.#open(bytes);
    if (this.#recorded === null && this.#sameBytes(this.#file, bytes)) {
      this.rows += rowsInBatch(bytes);
      return null;
    }
    this.#recorded ??= this.#rows(this.#file, this.#at);
    for (const batch of decode(concatenate(this.#written, bytes))) {
      const difference = this.#compare(batch, this.#recorded);
      if (difference !== null) return difference;
    }
    return null;
  }

  /** The first recorded row that was not produced, if any. */
  missing(): Difference | null {
    if (this.#file === null || this.rows >= this.expectedRows) return null;
    this.#recorded ??= this.#rows(this.#file, this.#at);
    const next = this.#recorded.next().value;
    return next === undefined
      ? null
      : this.#difference(null, rowAt(this.table, next.batch, next.index), null);
  }

  /** Skips the recorded schema: sentences in it may change between versions, columns are compared. */
  #open(written: Uint8Array): null {
    this.#written = written.slice();
    for (const message of this.#file!.messages(0, this.#end)) {
      if (!message.isSchema) break;
      this.#schema = this.#file!.read(message.at, message.bytes);
      this.#at = message.bytes;
      break;
    }
    return null;
  }

  #sameBytes(file: TableFile, bytes: Uint8Array): boolean {
    if (this.#at + bytes.length > this.#end) return false;
    if (!equalBytes(file.read(this.#at, bytes.length), bytes)) return false;
    this.#at += bytes.length;
    return true;
  }

  *#rows(file: TableFile, from: number): Generator<RowPlace> {
    for (const message of file.messages(from, this.#end)) {
      const bytes = file.read(message.at, message.bytes);
      for (const batch of decode(concatenate(this.#schema, bytes))) {
        for (let index = 0; index < batch.numRows; index++) yield { batch, index };
      }
    }
  }

  #compare(batch: RecordBatch, recorded: Iterator<RowPlace>): Difference | null {
    for (let i = 0; i < batch.numRows; i++) {
      const next = recorded.next();
      if (next.done) return this.#difference(null, null, rowAt(this.table, batch, i));
      for (const [name] of columnsOf(this.table)) {
        const column = next.value.batch.getChild(name);
        if (column === null) continue; // Recorded before the schema had this column.
        const expected = column.get(next.value.index);
        const got = batch.getChild(name)?.get(i) ?? null;
        if (equalValues(expected, got)) continue;
        const rows = [next.value, { batch, index: i }].map((r) =>
          rowAt(this.table, r.batch, r.index)
        );
        return { ...this.#difference(name, rows[0], rows[1]), expected, got };
      }
      this.rows++;
    }
    return null;
  }

  #difference(column: string | null, expected: AnyRow | null, got: AnyRow | null): Difference {
    const seqs = [expected?.seq, got?.seq].filter((seq) => typeof seq === "bigint").map(Number);
    const seq = seqs.length === 0 ? null : Math.min(...seqs);
    return { table: this.table, row: this.rows, seq, column, expected, got };
  }
}

export class VerifySink implements TraceSink {
  readonly #tables: Map<TableName, TableVerifier>;
  readonly #cleanEnd: boolean;
  #found: Difference[] = [];
  #difference: Difference | null = null;

  /** Compares with the tables that the trace recorded; what is written to others is not looked at. */
  constructor(reader: TraceReader) {
    const { clean_end, event_tables = EVENT_TABLES } = reader.manifest;
    this.#cleanEnd = clean_end;
    const tables = new Set<TableName>([...event_tables, "input", ...REFERENCE_TABLES]);
    this.#tables = new Map([...tables].map((t) => [t, new TableVerifier(t, reader)]));
  }

  /** The earliest difference, known at the commit after it; null while there is none. */
  get difference(): Difference | null {
    return this.#difference;
  }

  /** True when every recorded row has been matched: a killed recording need not be replayed further. */
  get complete(): boolean {
    return [...this.#tables.values()].every((t) => t.rows >= t.expectedRows);
  }

  /** Rows found equal, over all tables. */
  get rows(): number {
    return [...this.#tables.values()].reduce((sum, t) => sum + t.rows, 0);
  }

  write(table: TableName, message: readonly Uint8Array[]): void {
    if (this.#difference !== null || this.#found.some((d) => d.table === table)) return;
    const difference = this.#tables.get(table)?.write(concatenate(...message)) ?? null;
    if (difference === null) return;
    // What a replay does beyond the end of a killed recording has nothing to be compared with.
    const isSurplus = difference.column === null && difference.expected === null;
    if (!isSurplus || this.#cleanEnd) this.#found.push(difference);
  }

  sync(_table: TableName): void {}

  commit(_state: CommitState): void {
    const at = (d: Difference) => d.seq ?? -1;
    this.#difference ??= this.#found.sort((a, b) => at(a) - at(b))[0] ?? null;
  }

  close(_end: TraceEnd | null): void {
    for (const t of this.#tables.values()) {
      const missing = this.#difference === null ? t.missing() : null;
      if (missing !== null) this.#found.push(missing);
    }
    this.commit({} as CommitState);
    this.abandon();
  }

  /** Lets go of the recorded files. */
  abandon(): void {
    for (const t of this.#tables.values()) t.close();
  }
}
