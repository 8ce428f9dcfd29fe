/**
 * Takers: per kind of record, a function generated from the schema that stores its rows into column
 * buffers. Generated code names every column's array in a local, so that a row costs its stores.
 * @module
 */
import { ColumnBuffer } from "./columns.ts";
import { hasBytes, type Layout } from "./log.ts";
import { columnsOf } from "./rows.ts";
import type { Column, TableName } from "./schema.ts";

const FIRST_CAPACITY = 1024;

/** The rows of one table since the last flush. */
export class TableBuffer {
  readonly columns: ColumnBuffer[];
  /** Rows held; the generated takers count in it. */
  readonly state = { rows: 0, capacity: FIRST_CAPACITY };

  constructor(readonly table: TableName) {
    this.columns = columnsOf(table).map(([, c]) => ColumnBuffer.make(c, FIRST_CAPACITY));
  }

  /** A function that stores this table's row of a record of `layout`, which begins at word `at`. */
  taker(layout: Layout): (words: Float64Array, bytes: Uint8Array, at: number) => void {
    const source = takerSource(this.table, layout);
    return new Function("columns", "state", "grow", source)(
      this.columns,
      this.state,
      () => this.#grow(),
    );
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
      return `if (${v} !== 0) c${i}[n >> 3] |= bit;`;
    case "utf8":
    case "binary":
      return `c${i}.put(n, bytes.subarray(tail * 8, tail * 8 + ${v})); tail += (${v} + 7) >>> 3;`;
    case "wide":
      return `c${i}[m] = ${v}; c${i}[m + 1] = ${hi};`;
    case "u64":
      return `c${i}[m] = ${v}; c${i}[m + 1] = ${v} * ${HI};`;
    default:
      return `c${i}[n] = ${v};`;
  }
}

/** Stores a null, NaN in the log; values are 0 already but for what an earlier batch left. */
function storeNull(i: number, column: Column): string {
  const clear = column.type === "bool"
    ? ""
    : hasBytes(column)
    ? `c${i}.put(n, null);`
    : stores(i, column.type, "0", "0");
  return `v${i}[n >> 3] &= ~bit; ${clear}`;
}

function storeColumn(
  i: number,
  column: Column,
  value: string,
  hi: string,
): string {
  const store = stores(i, column.type, "v", hi);
  return column.nullable
    ? `{ const v = ${value}; if (v !== v) { ${storeNull(i, column)} } else { ${store} } }`
    : `{ const v = ${value}; ${store} }`;
}

/** Where a column's value stands: in a field of the record, or beside that of the table before. */
function valueOf(name: string, table: TableName, layout: Layout): string {
  const second = layout.tables.indexOf(table) > 0;
  if (second && name === "exit_seq") return "w[at + 1]";
  if (second && name === "seq") return "w[at + 1] + 1";
  return `w[at + ${layout.fields.find((f) => f.name === name)!.at}]`;
}

function takerSource(table: TableName, layout: Layout): string {
  const columns = columnsOf(table);
  const locals = columns.map((_, i) => `c${i}, v${i}`).join(", ");
  const loads = columns.map(([, c], i) =>
    `c${i} = columns[${i}]${hasBytes(c) ? "" : ".values"}; v${i} = columns[${i}].valid;`
  );
  const stored = columns.map(([name, column], i) => {
    const at = layout.fields.find((f) => f.name === name)?.at ?? 0;
    return storeColumn(i, column, valueOf(name, table, layout), `w[at + ${at + 1}]`);
  });
  return `"use strict";
let ${locals}, capacity = 0;
function load() { capacity = state.capacity; ${loads.join("\n")} }
return function take(w, bytes, at) {
  const n = state.rows;
  if (n === state.capacity) grow();
  if (capacity !== state.capacity) load();
  const m = n << 1, bit = 1 << (n & 7);
  let tail = at + ${layout.words};
  ${stored.join("\n  ")}
  state.rows = n + 1;
};`;
}
