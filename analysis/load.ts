/**
 * Brings traces into an engine and lays the SQL surface over them.
 *
 * Each trace's tables are kept as they are, in a schema of their own (`run0`, `run1`, …). Over them
 * stand, for every table of the trace schema, a view `raw.TABLE` with the codes and a view `TABLE`
 * with their names; both begin with the column `run`, the trace's name. Codes are looked up in
 * constant lists rather than joined, so that a column nobody asks for costs nothing. A name costs
 * ten times what its code does: what counts millions of rows counts `raw.TABLE` and names the codes
 * of its few answers, by the macros `KIND_name(run, code)`.
 * @module
 */
import {
  type Column,
  type ColumnType,
  EVENT_TABLES,
  TABLE_NAMES,
  type TableName,
  TABLES,
} from "../core/trace/schema.ts";
import type { Engine } from "./engine.ts";
import { macros, views } from "./library.ts";
import { textLiteral } from "./literal.ts";
import { records } from "./rows.ts";
import type { Between } from "./between.ts";
import { condition, type Scope, scopesOf } from "./scope.ts";

/** A trace as the engine takes it. */
export interface TraceSource {
  /** How the column `run` calls it. */
  readonly name: string;
  /** Self-contained Arrow IPC streams of 8 to 32 MB that make up the table; none when it is empty. */
  chunks(table: TableName): Iterable<Uint8Array>;
}

const SQL_TYPES: Record<ColumnType, string> = {
  u8: "UTINYINT",
  u16: "USMALLINT",
  u32: "UINTEGER",
  u64: "UBIGINT",
  wide: "UBIGINT",
  i32: "INTEGER",
  bool: "BOOLEAN",
  utf8: "VARCHAR",
  binary: "BLOB",
};

export interface LoadOptions {
  /** Called after each slice with the bytes loaded so far. */
  progress?(bytes: number): void;
  /** Event tables, and with them everything, hold only what lies between two marks. */
  between?: Between | null;
  /** Only these views and what they read are created, and no table macros: tests load often. */
  only?: readonly string[];
}

/** Loads `sources` in order into an empty engine and creates every view and macro. */
export async function load(
  engine: Engine,
  sources: readonly TraceSource[],
  options: LoadOptions = {},
): Promise<void> {
  let bytes = 0;
  for (const [run, source] of sources.entries()) {
    await engine.query(`CREATE SCHEMA run${run}`);
    const missing: string[] = [];
    for (const table of TABLE_NAMES) {
      let empty = true;
      for (const chunk of source.chunks(table)) {
        bytes += chunk.byteLength;
        empty = false;
        await engine.insert(`run${run}`, table, chunk);
        options.progress?.(bytes);
      }
      if (empty) missing.push(createTable(run, table));
    }
    if (missing.length > 0) await engine.query(missing.join(";"));
  }
  await createSurface(engine, sources.map((source) => source.name), options);
}

function createTable(run: number, table: TableName): string {
  const columns = columnsOf(table).map(([name, column]) => `"${name}" ${SQL_TYPES[column.type]}`);
  return `CREATE TABLE run${run}."${table}" (${columns.join(", ")})`;
}

function columnsOf(table: TableName): [string, Column][] {
  return Object.entries(TABLES[table].columns as Readonly<Record<string, Column>>);
}

/** Lays views and macros over the loaded traces; again, where only `between` has changed. */
export async function createSurface(
  engine: Engine,
  names: readonly string[],
  { between = null, only }: Pick<LoadOptions, "between" | "only">,
): Promise<void> {
  const present = await presentColumns(engine);
  const codes = await Promise.all(names.map((_, run) => codeLists(engine, run)));
  const scopes = between === null ? null : await scopesOf(engine, names, between);
  const script = ["CREATE SCHEMA IF NOT EXISTS raw"];
  for (const table of TABLE_NAMES) {
    const branches = (expression: (run: number, name: string, column: Column) => string) =>
      names.map((name, run) => {
        const columns = columnsOf(table).map(([column, declared]) => {
          const there = present.has(`run${run}.${table}.${column}`);
          const value = there ? expression(run, column, declared) : absent(declared);
          return `${value} AS "${column}"`;
        });
        return `SELECT ${textLiteral(name)} AS run, ${
          columns.join(", ")
        } FROM run${run}."${table}"${
          scopes === null ? "" : where(table, scopes[run]!, codes[run]!)
        }`;
      }).join(" UNION ALL ");
    script.push(
      `CREATE OR REPLACE VIEW raw."${table}" AS ${branches((_, column) => `"${column}"`)}`,
    );
    script.push(
      `CREATE OR REPLACE VIEW "${table}" AS ${
        branches((run, column, declared) => decoded(codes[run]!, column, declared))
      }`,
    );
  }
  script.push(...nameMacros(names, codes));
  await engine.query(script.join(";\n"));
  await createLibrary(engine, only);
}

/** What the guest does to set a mark is no part of what the marks bound. */
const MARKER = "marker";

function where(table: TableName, scope: Scope, codes: ReadonlyMap<string, readonly string[]>) {
  if (!(EVENT_TABLES as readonly TableName[]).includes(table)) return "";
  const marker = (codes.get("device") ?? []).indexOf(textLiteral(MARKER));
  const others = marker >= 0 && (table === "exit" || table === "access")
    ? ` AND device IS DISTINCT FROM ${marker}`
    : "";
  return ` WHERE ${condition(scope, table === "mark")}${others}`;
}

/** `KIND_name(run, code)` for every kind of code that a column has. */
function nameMacros(
  names: readonly string[],
  codes: readonly ReadonlyMap<string, readonly string[]>[],
): string[] {
  const kinds = TABLE_NAMES.flatMap((table) =>
    columnsOf(table).flatMap(([, { codes }]) => codes === null ? [] : [codes])
  );
  return [...new Set(kinds)].sort().map((kind) => {
    const lists = Map.groupBy(names.keys(), (run) => listOf(codes[run]!.get(kind) ?? []));
    const name = (list: string) => `list_extract(${list}, code_::INTEGER + 1)`;
    const cases = [...lists].map(([list, runs]) =>
      `WHEN run_ IN (${runs.map((run) => textLiteral(names[run]!)).join(", ")}) THEN ${name(list)}`
    );
    const body = lists.size === 1 ? name([...lists.keys()][0]!) : `CASE ${cases.join(" ")} END`;
    return `CREATE OR REPLACE MACRO ${kind}_name(run_, code_) AS ${body}`;
  });
}

const listOf = (names: readonly string[]): string => `[${names.join(", ")}]::VARCHAR[]`;

/** In one go; where that fails, one by one, so that the culprit names itself. */
async function createLibrary(engine: Engine, only?: readonly string[]): Promise<void> {
  const [tables, scalars] = [macros().filter((m) => m.isTable), macros().filter((m) => !m.isTable)];
  const library = [...scalars, ...views(only), ...(only === undefined ? tables : [])];
  try {
    await engine.query(library.map((entry) => entry.sql).join("\n"));
  } catch {
    for (const entry of library) await createEntry(engine, entry);
  }
}

/** A library statement that DuckDB refuses is our bug, and names itself. */
export async function createEntry(engine: Engine, entry: { name: string; sql: string }) {
  try {
    await engine.query(entry.sql);
  } catch (error) {
    throw new Error(`analysis library, ${entry.name}: ${(error as Error).message}`);
  }
}

/** A trace written before the column was added has none. */
const absent = (column: Column): string => `NULL::${SQL_TYPES[column.type]}`;

async function presentColumns(engine: Engine): Promise<Set<string>> {
  const result = await engine.query(
    "SELECT schema_name || '.' || table_name || '.' || column_name AS path FROM duckdb_columns()",
  );
  return new Set(result.rows.map(([path]) => path as string));
}

/** Per kind of code, SQL literals of the names by code. */
async function codeLists(engine: Engine, run: number): Promise<Map<string, string[]>> {
  const rows = records(await engine.query(`SELECT kind, code, name FROM run${run}.name`));
  const kinds = new Map<string, string[]>();
  for (const { kind, code, name } of rows) {
    const list = kinds.get(kind as string) ?? [];
    list[Number(code)] = textLiteral(name as string);
    kinds.set(kind as string, list);
  }
  return new Map(
    [...kinds].map(([kind, list]) => [kind, Array.from(list, (item) => item ?? "NULL")]),
  );
}

function decoded(
  codes: ReadonlyMap<string, readonly string[]>,
  name: string,
  column: Column,
): string {
  if (column.codes === null) return `"${name}"`;
  const list = codes.get(column.codes);
  if (list === undefined) return "NULL::VARCHAR";
  return `list_extract(${listOf(list)}, "${name}"::INTEGER + 1)`;
}
