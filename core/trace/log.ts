/**
 * The row log: how rows travel from the machine to whoever makes columns of them, which may be another
 * thread. A record is a run of 64-bit floats: its kind, then a word per column (two for a `wide` one),
 * NaN for a null. Of a text or of bytes the word is the length; the bytes follow behind the last
 * column, padded to whole words. Storing words in order is the least that a row can cost the machine.
 * @module
 */
import { type ColumnsOf, columnsOf } from "./rows.ts";
import { type Column, TABLE_NAMES, type TableName } from "./schema.ts";

/** What is written for each table by its own name, and two rows in one: an exit and its access. */
const RECORDS = {
  ...(Object.fromEntries(TABLE_NAMES.map((t) => [t, [t]])) as { [T in TableName]: [T] }),
  access_exit: ["exit", "access"],
} as const;

export type RecordName = keyof typeof RECORDS;
export const RECORD_NAMES = Object.keys(RECORDS) as RecordName[];

/** Kinds of records that are no rows. */
export const COMMIT = RECORD_NAMES.length;
export const SYNC = COMMIT + 1;
export const CLOSE = COMMIT + 2;

/** seq, time_ns, icount and vcpu of a `COMMIT`, behind its kind: all tables stand together there. */
export const COMMIT_WORDS = 5;
/** The inputs before a `SYNC` must be durable before what follows it is looked at. */
export const SYNC_WORDS = 1;
/** A `CLOSE` holds the length of a TraceEnd as JSON, then its bytes. */
export const CLOSE_WORDS = 2;

export interface RecordField {
  readonly name: string;
  readonly column: Column;
  /** Word in the record. */
  readonly at: number;
}

type Names<T extends TableName> = T extends TableName ? keyof ColumnsOf<T> & string : never;
type WideNames<T extends TableName> = T extends TableName ?
    & {
      [K in keyof ColumnsOf<T>]: ColumnsOf<T>[K] extends Column<"wide"> ? K : never;
    }[keyof ColumnsOf<T>]
    & string
  : never;
type Words<T extends TableName> = Names<T> | `${WideNames<T>}_hi`;

/** Where the columns of a record lie. */
export interface Layout<T extends TableName = TableName> {
  readonly kind: number;
  /** Whose rows it stands for. Columns of one name are one field. */
  readonly tables: readonly T[];
  /** Words without the bytes of texts. */
  readonly words: number;
  readonly fields: readonly RecordField[];
  /** Word of each column, and of `NAME_hi` for the upper half of a wide one. */
  readonly at: Readonly<Record<Words<T>, number>>;
}

export const hasBytes = (column: Column) => column.type === "utf8" || column.type === "binary";

/**
 * In a record of two tables, seq is the first one's; the second's is one more and its exit_seq the
 * first's, so neither is a field.
 */
function fieldsOf(tables: readonly TableName[]): RecordField[] {
  const fields: RecordField[] = [];
  let at = 1;
  for (const [name, column] of tables.flatMap(columnsOf)) {
    if (fields.some((f) => f.name === name)) continue;
    if (tables.length > 1 && name === "exit_seq") continue;
    fields.push({ name, column, at });
    at += column.type === "wide" ? 2 : 1;
  }
  return fields;
}

export function layoutOf<R extends RecordName>(record: R): Layout<(typeof RECORDS)[R][number]> {
  const tables: readonly TableName[] = RECORDS[record];
  const fields = fieldsOf(tables);
  const words = fields.flatMap(({ name, column, at }) =>
    column.type === "wide" ? [[name, at], [`${name}_hi`, at + 1]] : [[name, at]]
  );
  return {
    kind: RECORD_NAMES.indexOf(record),
    tables: tables as (typeof RECORDS)[R][number][],
    words: words.length + 1,
    fields,
    at: Object.fromEntries(words),
  };
}

/** Words that so many bytes take. */
export const wordsOf = (bytes: number) => (bytes + 7) >>> 3;

/** Words of a piece of the log that is handed over at once. No record is longer. */
export const CHUNK_WORDS = 32 * 1024;

/** Takes the log, piece by piece. Its errors come back at any call after what caused them. */
export interface LogSink {
  /** Event tables whose rows are kept, besides `input`, `name` and `cost`. Returns the first piece. */
  open(tables: ReadonlySet<TableName>): Float64Array;
  /**
   * Takes the first `words` of the piece given last, and gives the next. With `later` it may be left
   * lying until there are more.
   */
  next(words: number, later?: boolean): Float64Array;
  /** Comes back when all that was handed over has been dealt with. */
  drain(): void;
  /** Bytes written to tables; exact after `drain`. */
  readonly bytes: number;
}
