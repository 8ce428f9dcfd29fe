/**
 * `query`: one SQL statement over one or more traces, printed in the form asked for; without SQL a
 * tour of what there is to ask.
 * @module
 */
import type { Engine, EngineChoice } from "./engine.ts";
import { AnalysisError } from "./errors.ts";
import { openTraces } from "./open.ts";
import {
  gridOf,
  type Output,
  renderCsv,
  renderJson,
  renderTable,
  standardOutput,
} from "./output.ts";
import { decode, type Result, type Value } from "./rows.ts";
import { tour } from "./tour.ts";

export type QueryFormat = "table" | "csv" | "json" | "arrow";

export interface QueryOptions {
  /** Trace directories; several are told apart by the column `run`. */
  readonly traces: readonly string[];
  /** A statement, or the bare name of a table or view; null for the tour, or with `file`. */
  readonly sql: string | null;
  /** A file to read the statement from instead. */
  readonly file?: string | null;
  /** Fill the statement's `?` places. */
  readonly params?: readonly Value[];
  readonly format?: QueryFormat;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  readonly engine?: Promise<Engine>;
  /** Which to start when none was; by default by size. */
  readonly choice?: EngineChoice;
}

/** More rows than this are left to the formats that machines read. */
const TABLE_ROWS = 1000;

/** Returns the exit code, 0; throws {@link AnalysisError} for bad traces and bad SQL. */
export async function runQuery(
  options: QueryOptions,
  output: Output = standardOutput(),
): Promise<number> {
  const sql = statement(options);
  const session = await openTraces(options.traces, output, {
    engine: options.engine,
    choice: options.choice,
  });
  try {
    if (sql === null) {
      output.write(await tour(session, output.width));
    } else {
      const stream = await session.engine.arrow(sql, options.params);
      if (options.format === "arrow") output.write(stream);
      else output.write(render(decode(stream), options.format ?? "table", output));
    }
    return 0;
  } finally {
    session.close();
  }
}

/** Text, quoted names and comments, in which a semicolon ends nothing. */
const NOT_CODE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[^]*?\*\/|\$\$[^]*?\$\$/g;

function statement(options: QueryOptions): string | null {
  if (options.file && options.sql !== null) {
    throw new AnalysisError(
      "The query is given twice, as text and as a file.",
      "Give one of them.",
    );
  }
  const sql = options.file ? readFile(options.file) : options.sql;
  if (sql === null) return null;
  if (/;\s*\S/.test(sql.replace(NOT_CODE, " "))) {
    throw new AnalysisError(
      "The query has several statements, and one is answered at a time.",
      "Call query once for each.",
    );
  }
  const name = /^\s*([a-z_]\w*)\s*;?\s*$/i.exec(sql)?.[1];
  return name === undefined ? sql : `FROM "${name}"`;
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new AnalysisError(
      `Cannot read the query from ${path}: ${(error as Error).message}.`,
      "Check the path after --file.",
    );
  }
}

function render(result: Result, format: Exclude<QueryFormat, "arrow">, output: Output): string {
  if (format === "csv") return renderCsv(result);
  if (format === "json") return renderJson(result);
  if (result.columns[0]?.name === "explain_key") {
    return result.rows.map(([, plan]) => `${plan}\n`).join("");
  }
  const shown = { ...result, rows: result.rows.slice(0, TABLE_ROWS) };
  const more = result.rows.length - shown.rows.length;
  if (more > 0) {
    output.note(
      `${more.toLocaleString("en")} more rows are not shown; --format csv gives them all.`,
    );
  }
  return renderTable(gridOf(shown), output.width);
}
