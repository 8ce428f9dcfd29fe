/**
 * Reads and runs the `*_test.txt` files beside views and laws: rows in, query, rows out.
 *
 * ```text
 * view NAME                     (or law NAME)
 *
 * case what this shows
 * trace NAME                    (left out: a single trace called t)
 * table exit
 * seq  reason  device  write    (columns; the others get defaults, see traceOf)
 * 0    mmio    uart0   true
 * query SELECT …                (left out: everything in the view)
 * rows                          (the columns asked for, in order)
 * run  exits
 * t    1
 * ```
 *
 * Cells stand between blanks; `-` is null, "…" text with blanks. `rows` alone means no rows.
 * @module
 */
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import { gridOf } from "./output.ts";
import type { Value } from "./rows.ts";
import { type LooseRow, traceOf } from "./testing.ts";
import type { TableName } from "../core/trace/schema.ts";

export interface Case {
  readonly title: string;
  readonly traces: Map<string, Map<TableName, LooseRow[]>>;
  readonly query: string | null;
  /** Columns and rows expected, as text; no columns when no rows are. */
  readonly columns: string[];
  readonly rows: string[][];
}

export function parseCases(text: string): Case[] {
  return text.split(/^case /m).slice(1).map(parseCase);
}

function parseCase(text: string): Case {
  const [title = "", ...lines] = text.split("\n").map((line) => line.trim());
  const traces: Case["traces"] = new Map();
  let trace = "t";
  let query: string | null = null;
  let block: string[][] = [];
  const blocks: { table: TableName | null; trace: string; cells: string[][] }[] = [];
  for (const line of lines) {
    const [word = "", ...rest] = line.split(" ");
    if (word === "trace") {
      trace = rest.join(" ");
      traces.set(trace, new Map());
    } else if (word === "table" || word === "rows") {
      block = [];
      blocks.push({ table: word === "rows" ? null : rest[0] as TableName, trace, cells: block });
    } else if (word === "query") query = rest.join(" ");
    else if (line !== "") block.push(cellsOf(line));
  }
  let expected: string[][] = [];
  for (const { table, trace, cells } of blocks) {
    if (table === null) {
      expected = cells;
      continue;
    }
    const tables = traces.get(trace) ?? new Map<TableName, LooseRow[]>();
    traces.set(trace, tables.set(table, looseRows(cells)));
  }
  const [columns = [], ...rows] = expected.map((row) => row.map(unquote));
  return { title, traces, query, columns, rows };
}

const cellsOf = (line: string): string[] => line.match(/"[^"]*"|\S+/g) ?? [];
const unquote = (cell: string): string => cell === "-" ? "" : cell.replace(/^"(.*)"$/, "$1");

function looseRows([head = [], ...rows]: string[][]): LooseRow[] {
  return rows.map((row) => {
    if (row.length !== head.length) {
      throw new Error(`${row.length} cells under ${head.length} columns: ${row.join(" ")}`);
    }
    return Object.fromEntries(head.map((name, i) => [name, valueOf(row[i]!)]));
  });
}

function valueOf(cell: string): Value {
  if (cell === "-") return null;
  if (cell === "true" || cell === "false") return cell === "true";
  if (/^\d+$/.test(cell)) return BigInt(cell) > 2n ** 53n ? BigInt(cell) : Number(cell);
  return unquote(cell);
}

/**
 * Loads the case's traces into the emptied engine, with what its query may ask: the whole library, or
 * where it has none of its own the views `names` and what they read.
 */
export async function loadCase(
  engine: Engine,
  { traces, query }: Case,
  names: readonly string[],
): Promise<void> {
  await engine.reset();
  const named = traces.size === 0 ? new Map([["t", new Map()]]) : traces;
  const sources = [...named].map(([name, rows]) => traceOf(Object.fromEntries(rows), name));
  await load(engine, sources, query === null ? { only: names } : {});
}

/** The query's answer in the form of `columns` and `rows`; columns not expected are left out. */
export async function answer(
  engine: Engine,
  view: string,
  { query, columns }: Case,
): Promise<{ columns: string[]; rows: string[][] }> {
  const list = columns.length === 0 ? "*" : columns.map((column) => `"${column}"`).join(", ");
  const { head, rows } = gridOf(await engine.query(query ?? `SELECT ${list} FROM ${view}`));
  return {
    columns: columns.length === 0 && rows.length === 0 ? [] : [...head],
    rows: rows.map((row) => [...row]),
  };
}
