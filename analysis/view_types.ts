/**
 * Types of the views' columns: nowhere declared, but what DuckDB makes of the library, over whatever
 * traces are loaded; names of types are those of the trace schema.
 * @module
 */
import type { Engine } from "./engine.ts";
import { load, type TraceSource } from "./load.ts";
import { records } from "./rows.ts";

/** By `TABLE.COLUMN`, tables included. */
export type ColumnTypes = ReadonlyMap<string, string>;

const NAMES: Readonly<Record<string, string>> = {
  UTINYINT: "u8",
  USMALLINT: "u16",
  UINTEGER: "u32",
  UBIGINT: "u64",
  TINYINT: "i8",
  SMALLINT: "i16",
  INTEGER: "i32",
  BIGINT: "i64",
  HUGEINT: "i128",
  DOUBLE: "f64",
  BOOLEAN: "bool",
  VARCHAR: "text",
  BLOB: "bytes",
};

const NO_ROWS: TraceSource = { name: "none", chunks: () => [] };

/** Of the library over a trace without rows; empties the engine. */
export async function libraryTypes(engine: Engine): Promise<ColumnTypes> {
  await engine.reset();
  await load(engine, [NO_ROWS]);
  return await loadedTypes(engine);
}

/** Of what is loaded. */
export async function loadedTypes(engine: Engine): Promise<ColumnTypes> {
  const rows = records(
    await engine.query(
      `SELECT table_name || '.' || column_name AS path, data_type FROM duckdb_columns()
WHERE schema_name = 'main' AND NOT internal`,
    ),
  );
  return new Map(
    rows.map(({ path, data_type }) => [path as string, typeName(data_type as string)]),
  );
}

function typeName(type: string): string {
  if (type.endsWith("[]")) return `${typeName(type.slice(0, -2))}[]`;
  const name = NAMES[type];
  if (name === undefined) throw new Error(`a column of the library is ${type}, which has no name`);
  return name;
}
