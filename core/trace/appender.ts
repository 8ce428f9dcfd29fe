/**
 * Appenders: per table, a function generated from the schema that stores one row into column buffers.
 * Generated code names every column's array in a local, so that a row costs its stores and no more.
 * @module
 */
import { ColumnBuffer } from "./columns.ts";
import { columnsOf, type Row } from "./rows.ts";
import { type Column, COMMON, type TableName } from "./schema.ts";

const FIRST_CAPACITY = 1024;

/** What an appender takes from its trace besides the row. */
export interface RowContext {
  /** Next sequence number. */
  seq: number;
  /** seq of the exit being served, -1 between exits. */
  exitSeq: number;
  /** Rows appended since the last flush, over all tables. */
  pending: number;
  /** time_ns and icount as low and high lane, vcpu, 1 when icount is known. */
  readonly clock: Uint32Array;
}

export type Append<T extends TableName> = (row: Row<T>) => number;

/** The rows of one table since the last flush. */
export class TableBuffer<T extends TableName = TableName> {
  /** Stores a row and returns its seq, or -1 for a table that has none. */
  readonly append: Append<T>;
  readonly columns: ColumnBuffer[];
  /** Rows held; the generated appender counts in it. */
  readonly state = { rows: 0, capacity: FIRST_CAPACITY };

  constructor(readonly table: T, context: RowContext) {
    this.columns = columnsOf(table).map(([, c]) => ColumnBuffer.make(c, FIRST_CAPACITY));
    const make = new Function("columns", "state", "context", "grow", appenderSource(table));
    this.append = make(this.columns, this.state, context, () => this.#grow());
  }

  reset(): void {
    for (const column of this.columns) column.reset(this.state.rows);
    this.state.rows = 0;
  }

  #grow(): void {
    this.state.capacity *= 2;
    for (const column of this.columns) column.grow(this.state.capacity);
  }
}

const HI = "2.3283064365386963e-10"; // 2^-32: the store truncates to the upper lane.

/** The stores of value expression `v` (and `hi`) as row `n` of column `i`. */
function stores(i: number, type: Column["type"], v: string, hi: string): string {
  switch (type) {
    case "bool":
      return `if (${v}) c${i}[n >> 3] |= bit;`;
    case "utf8":
    case "binary":
      return `c${i}.put(n, ${v});`;
    case "wide":
      return `c${i}[m] = ${v}; c${i}[m + 1] = ${hi};`;
    case "u64":
      return `c${i}[m] = ${v}; c${i}[m + 1] = ${v} * ${HI};`;
    default:
      return `c${i}[n] = ${v};`;
  }
}

function storeNullable(i: number, type: Column["type"], v: string, hi: string): string {
  const nothing = type === "binary" || type === "utf8" ? "null" : "0";
  const clear = type === "bool" ? "" : stores(i, type, nothing, "0");
  return `if (${v} == null) { v${i}[n >> 3] &= ~bit; ${clear} } else { ${stores(i, type, v, hi)} }`;
}

/** Where the columns that every event table has come from. */
const FROM_CONTEXT: Record<keyof typeof COMMON, (i: number) => string> = {
  seq: (i) => stores(i, "u64", "seq", ""),
  time_ns: (i) => stores(i, "wide", "clock[0]", "clock[1]"),
  icount: (i) =>
    `if (clock[5] === 0) v${i}[n >> 3] &= ~bit; ${stores(i, "wide", "clock[2]", "clock[3]")}`,
  vcpu: (i) => stores(i, "u8", "clock[4]", ""),
};

function storeColumn(i: number, name: string, column: Column): string {
  if (name in COMMON) return FROM_CONTEXT[name as keyof typeof COMMON](i);
  const hi = `row.${name}_hi`;
  if (!column.nullable) return `{ const v = row.${name}; ${stores(i, column.type, "v", hi)} }`;
  const value = name === "exit_seq"
    ? "let v = row.exit_seq; if (v === undefined) v = context.exitSeq < 0 ? null : context.exitSeq;"
    : `const v = row.${name};`;
  return `{ ${value} ${storeNullable(i, column.type, "v", hi)} }`;
}

function appenderSource(table: TableName): string {
  const columns = columnsOf(table);
  const isBytes = (c: Column) => c.type === "utf8" || c.type === "binary";
  const locals = columns.map((_, i) => `c${i}, v${i}`).join(", ");
  const loads = columns.map(([, c], i) =>
    `c${i} = columns[${i}]${isBytes(c) ? "" : ".values"}; v${i} = columns[${i}].valid;`
  );
  const hasSeq = columns[0][0] === "seq";
  return `"use strict";
const clock = context.clock;
let ${locals};
function load() { ${loads.join("\n")} }
load();
return function append(row) {
  const n = state.rows;
  if (n === state.capacity) { grow(); load(); }
  const m = n << 1, bit = 1 << (n & 7);
  ${hasSeq ? "const seq = row.seq === undefined ? context.seq++ : row.seq;" : ""}
  ${columns.map(([name, c], i) => storeColumn(i, name, c)).join("\n  ")}
  state.rows = n + 1;
  context.pending++;
  return ${hasSeq ? "seq" : "-1"};
};`;
}
