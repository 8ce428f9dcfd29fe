/**
 * Rows that are alike: those of one table that differ in a few columns only, their cells. What they
 * have in common is a template of the row log; a function is generated that stores the rest, which it
 * takes as numbers, one by one: an object for each row would be garbage at once.
 * @module
 */
import { type Constants, HIGH, type Layout, needsAllBits, NONE, type RecordField } from "./log.ts";
import { type ColumnsOf, columnsOf, type Row } from "./rows.ts";
import { type Column, COMMON, type EventTable, TABLES } from "./schema.ts";

/** Tables whose rows hold no texts. */
export type AlikeTable = Exclude<EventTable, "input" | "mark">;

type Own<T extends AlikeTable> = Exclude<
  keyof ColumnsOf<T> & string,
  keyof typeof COMMON | "exit_seq"
>;
type Wide<T extends AlikeTable> = {
  [K in Own<T>]: ColumnsOf<T>[K] extends Column<"wide", infer _N> ? K : never;
}[Own<T>];

/** A column, or the upper lane of a wide one, which is 0 when it is no cell. */
export type Cell<T extends AlikeTable> = Own<T> | `${Wide<T>}_hi`;

/**
 * Appends a row with these values and returns its seq. -1 is null where a column can be, but for one of
 * 32 bits and the lanes of a wide one: of those it is the value with all bits set.
 */
export type AppendCells<C extends readonly string[]> = (
  ...values: { readonly [K in keyof C]: number }
) => number;

/**
 * All that rows of `table` have in common: what is neither said nor a cell is null. Throws for a column
 * that cannot be.
 */
export function constantsOf(
  table: AlikeTable,
  said: Constants,
  cells: readonly string[],
): Constants {
  const constants: Record<string, number | null> = {};
  for (const [name, { nullable, type }] of columnsOf(table)) {
    if (name in COMMON || name === "exit_seq") continue;
    if (cells.includes(name)) {
      if (!(name in said)) continue;
      throw new Error(`${table}.${name} is both a constant and a cell`);
    }
    const value = said[name] ?? null;
    if (value === null && !nullable) throw new Error(`${table}.${name} cannot be null`);
    if (type === "wide" && value !== null) throw new Error(`${table}.${name} is no constant`);
    constants[name] = value;
  }
  return constants;
}

/** The same row as an object. */
export function rowOf<T extends AlikeTable>(
  table: T,
  constants: Constants,
  cells: readonly string[],
  values: readonly number[],
): Row<T> {
  const columns: Readonly<Record<string, Column>> = TABLES[table].columns;
  const row: Record<string, unknown> = {};
  const put = (name: string, value: number | null) => {
    const column = columns[name];
    if (column === undefined || needsAllBits(column)) {
      row[name] = value === null ? null : value >>> 0;
    } else if (value === null || column.nullable && value === -1) row[name] = null;
    else row[name] = column.type === "bool" ? value !== 0 : value;
  };
  for (const [name, value] of Object.entries(constants)) put(name, value);
  cells.forEach((name, i) => put(name, values[i]));
  return row as Row<T>;
}

function store({ name, column, at }: RecordField, cells: readonly string[]): string {
  const value = name === "exit_seq" ? "context.exitSeq" : name;
  const lower = `w[at + ${at}] = ${value};`;
  if (column.type === "wide") {
    const upper = cells.includes(`${name}_hi`) ? `${name}_hi` : "0";
    return `${lower} w[at + ${at + 1}] = ${upper};`;
  }
  // The store of -1 is NONE.
  if (column.type !== "u64") return lower;
  const upper = `${value} * ${HIGH}`;
  return `${lower} w[at + ${at + 1}] = ${
    column.nullable ? `${value} < 0 ? ${NONE} : ${upper}` : upper
  };`;
}

/** Source of a function that makes such functions, given the kind of a template with `layout`. */
export function alikeSource(layout: Layout, rows: number, cells: readonly string[]): string {
  const own = layout.fields.filter((f) => !(f.name in COMMON));
  return `"use strict";
return (kind) => function append(${cells}) {
  const seq = context.seq++;
  const at = log.open(kind, ${layout.lanes}, ${rows}, seq);
  const w = log.lanes;
  ${own.map((f) => store(f, cells)).join("\n  ")}
  return seq;
};`;
}
