/**
 * Traces made of rows written down in tests: any rows, sound or broken, through the same Arrow streams
 * and the same loader as recorded ones.
 * @module
 */
import {
  Binary,
  Bool,
  type DataType,
  Field,
  Int32,
  Schema,
  Table as ArrowTable,
  tableToIPC,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import {
  CODES,
  type Column,
  type ColumnType,
  TABLE_NAMES,
  type TableName,
  TABLES,
} from "../core/trace/schema.ts";
import type { TraceSource } from "./load.ts";
import type { Value } from "./rows.ts";

/** A row as a test gives it: codes by name, numbers of any kind; what is left out has a default. */
export type LooseRow = Readonly<Record<string, Value>>;
export type LooseTrace = Readonly<Partial<Record<TableName, readonly LooseRow[]>>>;

const ARROW_TYPES: Record<ColumnType, () => DataType> = {
  u8: () => new Uint8(),
  u16: () => new Uint16(),
  u32: () => new Uint32(),
  u64: () => new Uint64(),
  wide: () => new Uint64(),
  i32: () => new Int32(),
  bool: () => new Bool(),
  utf8: () => new Utf8(),
  binary: () => new Binary(),
};

/** Gives every name of an enumeration a code: the shared ones theirs, a machine's in order of use. */
class Codebook {
  readonly kinds = new Map<string, string[]>(
    Object.entries(CODES).map(([kind, codes]) => [kind, codes.map((code) => code.name)]),
  );

  code(kind: string, name: string): number {
    const names = this.kinds.get(kind) ?? [];
    this.kinds.set(kind, names);
    const at = names.indexOf(name);
    if (at >= 0) return at;
    if (kind in CODES) throw new Error(`${kind} has no code "${name}": ${names.join(", ")}`);
    return names.push(name) - 1;
  }

  rows(): LooseRow[] {
    return [...this.kinds].flatMap(([kind, names]) =>
      names.map((name, code) => ({ kind, code, name, spec: "" }))
    );
  }
}

/**
 * A loadable trace of `rows`. Defaults: `seq` counts on over the tables in schema order, `time_ns`
 * and `icount` equal it, nullable columns are null, numbers 0, text empty.
 */
export function traceOf(rows: LooseTrace, name = "t"): TraceSource {
  const book = new Codebook();
  const streams = new Map<TableName, Uint8Array>();
  let seq = 0;
  for (const table of TABLE_NAMES) {
    if (table === "name") continue;
    const given = rows[table] ?? [];
    const filled = given.map((row) => {
      const at = Number(row.seq ?? seq);
      seq = at + 1;
      return { seq: at, time_ns: at, icount: at, ...row } as LooseRow;
    });
    if (filled.length > 0) streams.set(table, stream(table, filled, book));
  }
  streams.set("name", stream("name", rows.name ?? book.rows(), book));
  return {
    name,
    chunks: (table) => streams.has(table) ? [streams.get(table)!.slice()] : [],
  };
}

function stream(table: TableName, rows: readonly LooseRow[], book: Codebook): Uint8Array {
  const columns = Object.entries(TABLES[table].columns as Record<string, Column>);
  for (const key of rows.flatMap((row) => Object.keys(row))) {
    const common = ["seq", "time_ns", "icount"].includes(key);
    if (!common && !columns.some(([name]) => name === key)) {
      throw new Error(`${table} has no column "${key}"`);
    }
  }
  const vectors = columns.map(([name, column]) => {
    const values = rows.map((row) => cell(row[name], column, book));
    return vectorFromArray(values, ARROW_TYPES[column.type]());
  });
  const schema = new Schema(
    columns.map(([name, column]) => new Field(name, ARROW_TYPES[column.type](), column.nullable)),
  );
  const children = Object.fromEntries(columns.map(([name], i) => [name, vectors[i]!]));
  return tableToIPC(new ArrowTable(schema, children), "stream");
}

function cell(value: Value | undefined, column: Column, book: Codebook): Value {
  if (value === null || value === undefined) {
    if (column.nullable) return null;
    if (column.type === "bool") return false;
    if (column.type === "utf8") return "";
    if (column.type === "binary") return new Uint8Array(0);
    value = 0;
  }
  if (column.codes !== null && typeof value === "string") return book.code(column.codes, value);
  if (column.type === "u64" || column.type === "wide") return BigInt(value as number | bigint);
  return value;
}
