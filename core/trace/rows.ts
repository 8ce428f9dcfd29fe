/**
 * TypeScript types of rows, derived from the schema: `Row` as it is given to the writer, `ReadRow` as
 * the reader hands it back.
 * @module
 */
import {
  type Column,
  type Columns,
  type COMMON,
  type EventTable,
  type TableName,
  TABLES,
} from "./schema.ts";

export type ColumnsOf<T extends TableName> = (typeof TABLES)[T]["columns"];

type Value<C> = C extends Column<infer T> ? T extends "bool" ? boolean
  : T extends "utf8" ? string
  : T extends "binary" ? Uint8Array
  : number
  : never;

/** Columns that the writer fills in from its clock. */
type Filled<T extends TableName> = T extends EventTable ? keyof typeof COMMON : never;
type Given<T extends TableName> = Exclude<keyof ColumnsOf<T>, Filled<T>> & string;
type Nullable<T extends TableName> = {
  [K in Given<T>]: ColumnsOf<T>[K] extends Column<infer _T, true> ? K : never;
}[Given<T>];
type Wide<T extends TableName> = {
  [K in Given<T>]: ColumnsOf<T>[K] extends Column<"wide", infer _N> ? K : never;
}[Given<T>];

/**
 * A row for the writer. Nullable columns may be left out; `exit_seq` left out means the current exit.
 * `NAME_hi` is the upper 32-bit lane of a wide column, 0 when left out. Event rows may carry a `seq`
 * taken before. Give the properties of a table in one order everywhere: it keeps the writer fast.
 */
export type Row<T extends TableName> =
  & { [K in Exclude<Given<T>, Nullable<T>>]: Value<ColumnsOf<T>[K]> }
  & { [K in Nullable<T>]?: Value<ColumnsOf<T>[K]> | null }
  & { [K in Wide<T> as `${K}_hi`]?: number }
  & (T extends EventTable ? { seq?: number } : unknown);

type ReadValue<C> = C extends Column<"wide", infer N> ? bigint | (N extends true ? null : never)
  : C extends Column<infer _T, infer N> ? Value<C> | (N extends true ? null : never)
  : never;

/** A row from the reader: codes as numbers, `u64` as numbers, `wide` as bigints, null where null. */
export type ReadRow<T extends TableName> = {
  -readonly [K in keyof ColumnsOf<T>]: ReadValue<ColumnsOf<T>[K]>;
};

/** The columns of any table, untyped: for code that is generic over tables. */
export function columnsOf(table: TableName, which: Columns = "all"): [string, Column][] {
  const columns: [string, Column][] = Object.entries(TABLES[table].columns);
  return which === "all" ? columns : columns.filter(([, c]) => !c.ofHosts);
}
