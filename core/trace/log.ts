/**
 * The row log: how rows travel from the machine to whoever makes columns of them, which may be another
 * thread. A record is a run of 32-bit lanes: its kind, then the lanes of each column; of a text or of
 * bytes the length, and the bytes themselves behind the last column, padded to whole lanes.
 *
 * What is written most often differs in a few values only: a load of one register comes from one device,
 * has one size, one reason, one handler. Such a record is made from a template, which holds the values
 * that stay the same and is told to the reader once. Storing few lanes in order is the least that a row
 * can cost the machine.
 * @module
 */
import { type ColumnsOf, columnsOf } from "./rows.ts";
import { type Column, type Columns, TABLE_NAMES, type TableName } from "./schema.ts";

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
export const TEMPLATE = COMMIT + 3;
/** Kinds from here on are templates, in the order in which the log told of them. */
export const FIRST_TEMPLATE = COMMIT + 4;

/** The kind and the common columns of an event: a `COMMIT` is such a record without more. */
export const COMMON_LANES = 8;
/** The inputs before a `SYNC` must be durable before what follows it is looked at. */
export const SYNC_LANES = 1;
/** A `CLOSE` holds the length of a TraceEnd as JSON, then its bytes; a `TEMPLATE` likewise. */
export const JSON_LANES = 2;

/**
 * A null: in the only lane of a narrow value, in the upper one of a `u64`, whose values end at 2^53, or
 * as the length of a text. What needs all bits of its lanes has one more, 0 for a null.
 */
export const NONE = 0xffff_ffff;

/** 2^-32: a store keeps 32 bits of a number, so that v × HIGH stores its upper half. */
export const HIGH = 2 ** -32;

/** Values that the records of a template have in common, by column; nulls too. */
export type Constants = Readonly<Record<string, number | null>>;

/** Of the columns that are no constants, none whose type has no room for `NONE` is null. */
export interface Template<R extends RecordName = RecordName> {
  readonly record: R;
  readonly constants: Constants;
}

export interface RecordField {
  readonly name: string;
  readonly column: Column;
  /** Lane in the record. */
  readonly at: number;
  /** Lane that tells a null from a value, where there is one. */
  readonly presentAt: number | null;
}

type Names<T extends TableName> = T extends TableName ? keyof ColumnsOf<T> & string : never;

/** Where the columns of a record lie. */
export interface Layout<T extends TableName = TableName> {
  /** Whose rows it stands for. Columns of one name are one field. */
  readonly tables: readonly T[];
  /** Lanes without the bytes of texts. */
  readonly lanes: number;
  readonly fields: readonly RecordField[];
  /** First lane of each column; a 64-bit value's upper half is the next. */
  readonly at: Readonly<Record<Names<T>, number>>;
}

export const hasBytes = (column: Column) => column.type === "utf8" || column.type === "binary";
export const hasTwoLanes = (column: Column) => column.type === "u64" || column.type === "wide";

/** Has no room for `NONE`. */
export const needsAllBits = ({ type }: Column) =>
  type === "u32" || type === "i32" || type === "wide";

/**
 * In a record of two tables, seq is the first one's; the second's is one more and its exit_seq the
 * first's, so neither is a field.
 */
function fieldsOf(tables: readonly TableName[], constants: Constants | null): RecordField[] {
  const fields: RecordField[] = [];
  let at = 1;
  for (const [name, column] of tables.flatMap((t) => columnsOf(t))) {
    if (fields.some((f) => f.name === name)) continue;
    if (tables.length > 1 && name === "exit_seq") continue;
    if (constants !== null && name in constants) continue;
    const lanes = hasTwoLanes(column) ? 2 : 1;
    const marked = constants === null && column.nullable && needsAllBits(column);
    fields.push({ name, column, at, presentAt: marked ? at + lanes : null });
    at += marked ? lanes + 1 : lanes;
  }
  return fields;
}

/** Of records by name, or with the constants of a template left out. */
export function layoutOf<R extends RecordName>(
  record: R,
  constants: Constants | null = null,
): Layout<(typeof RECORDS)[R][number]> {
  const tables: readonly TableName[] = RECORDS[record];
  const fields = fieldsOf(tables, constants);
  const last = fields.at(-1)!;
  return {
    tables: tables as (typeof RECORDS)[R][number][],
    lanes: last.presentAt !== null
      ? last.presentAt + 1
      : last.at + (hasTwoLanes(last.column) ? 2 : 1),
    fields,
    at: Object.fromEntries(fields.map(({ name, at }) => [name, at])) as Record<
      Names<(typeof RECORDS)[R][number]>,
      number
    >,
  };
}

/** Lanes that so many bytes take. */
export const lanesOf = (bytes: number) => (bytes + 3) >>> 2;

/** Lanes of a piece of the log that is handed over at once. No record is longer. */
export const CHUNK_LANES = 64 * 1024;

/** Memory for so many pieces. */
export function logMemory(pieces: number): WebAssembly.Memory {
  const pages = pieces * CHUNK_LANES * 4 / 65536;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Takes the log, piece by piece. Its errors come back at any call after what caused them. */
export interface LogSink {
  /** Pieces lie in it; threads share it. */
  readonly memory: WebAssembly.Memory;
  /** Tables whose rows are kept, with which columns. Returns the first piece. */
  open(tables: ReadonlySet<TableName>, columns: Columns): Uint32Array;
  /**
   * Takes the first `lanes` of the piece given last, and gives the next. With `later` it may be left
   * lying until there are more.
   */
  next(lanes: number, later?: boolean): Uint32Array;
  /** Comes back when all that was handed over has been dealt with. */
  drain(): void;
  /** Bytes written to tables; exact after `drain`. */
  readonly bytes: number;
  /** Rows in batches of event tables; exact after `drain`. */
  readonly rows: number;
}
