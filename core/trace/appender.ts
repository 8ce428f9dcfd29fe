/**
 * Takers: per layout of records, a function generated from the schema that stores its rows into column
 * buffers. Generated code names every column's array in a local, so that a row costs its stores.
 * @module
 */
import { ColumnBuffer } from "./columns.ts";
import { type Constants, hasBytes, type Layout, NONE } from "./log.ts";
import { columnsOf } from "./rows.ts";
import type { Column, Columns, TableName } from "./schema.ts";

const FIRST_CAPACITY = 1024;

/**
 * Stores a table's row of the record that begins at lane `at`; `constants` are what its template says
 * of the table's columns, in their order.
 */
export type Take = (
  lanes: Uint32Array,
  bytes: Uint8Array,
  at: number,
  constants: Float64Array,
) => void;

/** The rows of one table since the last flush. */
export class TableBuffer {
  readonly columns: ColumnBuffer[];
  readonly #declared: [string, Column][];
  /** Rows held; the generated takers count in it. */
  readonly state = { rows: 0, capacity: FIRST_CAPACITY };

  constructor(readonly table: TableName, columns: Columns) {
    this.#declared = columnsOf(table, columns);
    this.columns = this.#declared.map(([, c]) => ColumnBuffer.make(c, FIRST_CAPACITY));
  }

  /** A function for records of `layout`; what it has no field for comes from the constants. */
  taker(layout: Layout): Take {
    const source = takerSource(this.table, this.#declared, layout);
    return new Function("columns", "state", "grow", source)(
      this.columns,
      this.state,
      () => this.#grow(),
    );
  }

  /** What a taker is handed for a template: NaN for nulls, and 0 for what is no constant. */
  constants(constants: Constants): Float64Array {
    return Float64Array.from(this.#declared, ([name]) => {
      const value = constants[name];
      return value === null ? NaN : value ?? 0;
    });
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

/** Source of expressions for a column's value. */
interface Value {
  /** Its lower lane, or the value itself. */
  readonly lo: string;
  readonly hi: string;
  /** When it is null; empty when it cannot be. */
  readonly isNull: string;
}

const HIGH = "2.3283064365386963e-10"; // 2^-32: the store keeps the upper lane.

/** The stores of a value as row `n` of column `i`. */
function stores(i: number, type: Column["type"], { lo, hi }: Pick<Value, "lo" | "hi">): string {
  switch (type) {
    case "bool":
      return `if (${lo} !== 0) c${i}[n >> 3] |= bit;`;
    case "utf8":
    case "binary":
      return `c${i}.put(n, bytes.subarray(tail * 4, tail * 4 + ${lo})); ` +
        `tail += (${lo} + 3) >>> 2;`;
    case "wide":
    case "u64":
      return `c${i}[m] = ${lo}; c${i}[m + 1] = ${hi};`;
    default:
      return `c${i}[n] = ${lo};`;
  }
}

/** Stores a null; values are 0 already but for what an earlier batch left. */
function storeNull(i: number, column: Column): string {
  const clear = column.type === "bool"
    ? ""
    : hasBytes(column)
    ? `c${i}.put(n, null);`
    : stores(i, column.type, { lo: "0", hi: "0" });
  return `v${i}[n >> 3] &= ~bit; ${clear}`;
}

function storeColumn(i: number, column: Column, value: Value): string {
  const store = stores(i, column.type, value);
  return column.nullable && value.isNull !== ""
    ? `if (${value.isNull}) { ${storeNull(i, column)} } else { ${store} }`
    : store;
}

/** Where a column's value stands: in the record, beside that of the table before, or in its template. */
function valueOf(i: number, name: string, table: TableName, layout: Layout): Value {
  if (layout.tables.indexOf(table) > 0) {
    if (name === "exit_seq") return { lo: "w[at + 1]", hi: "w[at + 2]", isNull: "" };
    if (name === "seq") {
      return {
        lo: "(w[at + 1] + 1)",
        hi: "w[at + 2] + (w[at + 1] === 0xffffffff ? 1 : 0)",
        isNull: "",
      };
    }
  }
  const field = layout.fields.find((f) => f.name === name);
  if (field === undefined) {
    return { lo: `k[${i}]`, hi: `k[${i}] * ${HIGH}`, isNull: `k[${i}] !== k[${i}]` };
  }
  const [lo, hi] = [`w[at + ${field.at}]`, `w[at + ${field.at + 1}]`];
  const { type } = field.column;
  const isNull = field.presentAt !== null
    ? `w[at + ${field.presentAt}] === 0`
    : type === "u32" || type === "i32" || type === "wide"
    ? ""
    : `${type === "u64" ? hi : lo} === ${NONE}`;
  return { lo, hi, isNull };
}

function takerSource(table: TableName, columns: [string, Column][], layout: Layout): string {
  const locals = columns.map((_, i) => `c${i}, v${i}`).join(", ");
  const loads = columns.map(([, c], i) =>
    `c${i} = columns[${i}]${hasBytes(c) ? "" : ".values"}; v${i} = columns[${i}].valid;`
  );
  const stored = columns.map(([name, column], i) =>
    storeColumn(i, column, valueOf(i, name, table, layout))
  );
  return `"use strict";
let ${locals}, capacity = 0;
function load() { capacity = state.capacity; ${loads.join("\n")} }
return function take(w, bytes, at, k) {
  const n = state.rows;
  if (n === state.capacity) grow();
  if (capacity !== state.capacity) load();
  const m = n << 1, bit = 1 << (n & 7);
  let tail = at + ${layout.lanes};
  ${stored.join("\n  ")}
  state.rows = n + 1;
};`;
}
