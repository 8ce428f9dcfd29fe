/**
 * `query`: one SQL statement over one or more traces, printed in the form asked for; without SQL a
 * tour of what there is to ask, and on a terminal a prompt.
 * @module
 */
import { type Engine, type EngineChoice, openEngine } from "./engine.ts";
import { AnalysisError, refusal } from "./errors.ts";
import { openTraces, type Session } from "./open.ts";
import {
  gridOf,
  type Output,
  renderCsv,
  renderJson,
  renderMarkdown,
  renderTable,
  standardOutput,
} from "./output.ts";
import { decode, type Result } from "./rows.ts";
import { renderSchema } from "./schema_doc.ts";
import type { Between } from "./between.ts";
import { oneStatement, type Params, setParam, withParams } from "./statement.ts";
import { tour } from "./tour.ts";
import { missingTables } from "./unrecorded.ts";
import { libraryTypes } from "./view_types.ts";
import { whileWaiting } from "./waiting.ts";

export type QueryFormat = "table" | "csv" | "json" | "markdown" | "arrow";

export interface QueryOptions {
  /** Trace directories; several are told apart by the column `run`. */
  readonly traces: readonly string[];
  /** A statement, or the bare name of a table or view; null for the tour, or with `file`. */
  readonly sql: string | null;
  /** A file to read the statement from instead. */
  readonly file?: string | null;
  /** What `$name` in the statement stands for. */
  readonly params?: Params;
  /** Only what lies between two marks. */
  readonly between?: Between | null;
  /** Give a prompt instead of one answer, perhaps after the tour. */
  readonly prompt?: "at once" | "after the tour" | null;
  readonly format?: QueryFormat;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  readonly engine?: Promise<Engine>;
  /** Which to start when none was; by default by size. */
  readonly choice?: EngineChoice;
}

/** More rows than this are left to the formats that machines read. */
const TABLE_ROWS = 1000;
const NO_PARAMS: Params = new Map();

/**
 * Returns the exit code: 0, or 2 when a statement read from a pipe failed. Throws {@link AnalysisError}
 * for bad traces and bad SQL.
 */
export async function runQuery(
  options: QueryOptions,
  output: Output = standardOutput(),
): Promise<number> {
  const { params = NO_PARAMS, format = "table", between, engine, choice } = options;
  const sql = statement(options);
  const session = await openTraces(options.traces, output, { engine, between, choice });
  try {
    for (const [name, value] of params) await session.engine.query(setParam(name, value));
    if (sql !== null) {
      await answer(session, sql, params, format, output);
      return 0;
    }
    if (options.prompt !== "at once") output.write(await tour(session, output.width));
    if (!options.prompt) return 0;
    const { runPrompt } = await import("./prompt.ts");
    const { standardLines } = await import("./prompt_lines.ts");
    const lines = standardLines();
    const fine = await runPrompt({ session, output, lines, format, params });
    return fine || Deno.stdin.isTerminal() ? 0 : 2;
  } finally {
    session.close();
  }
}

/** Asks one statement and prints the answer; what its traces lack for it is remarked. */
export async function answer(
  session: Pick<Session, "engine" | "names" | "readers">,
  sql: string,
  params: Params,
  format: QueryFormat,
  output: Output,
): Promise<void> {
  const asked = withParams(sql, params);
  const remarks = await missingTables(session, asked);
  const stream = await whileWaiting(output, "Asking", session.engine.arrow(asked));
  for (const remark of remarks) output.note(remark);
  if (format === "arrow") output.write(stream);
  else output.write(render(decode(stream), format, output));
}

/** Prints the documented schema; no trace is needed. Returns the exit code, 0. */
export async function runExplainSchema(
  format: QueryFormat,
  output: Output = standardOutput(),
): Promise<number> {
  if (format !== "table" && format !== "markdown" && format !== "json") {
    throw new AnalysisError(
      `The schema is not printed as ${format}.`,
      "Give --format table, markdown or json.",
    );
  }
  const engine = await openEngine();
  try {
    output.write(renderSchema(format, output.width, await libraryTypes(engine)));
    return 0;
  } finally {
    engine.close();
  }
}

function statement(options: QueryOptions): string | null {
  if (options.file && options.sql !== null) {
    throw new AnalysisError(
      "The query is given twice, as text and as a file.",
      "Give one of them.",
    );
  }
  const sql = options.file ? readFile(options.file) : options.sql;
  if (sql !== null && options.prompt) {
    throw new AnalysisError("A query is given, and a prompt is asked for.", "Give one of them.");
  }
  return sql === null ? null : oneStatement(sql);
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new AnalysisError(
      `Cannot read the query from ${path}: ${refusal(error)}.`,
      "Check the path after --file.",
    );
  }
}

function render(result: Result, format: Exclude<QueryFormat, "arrow">, output: Output): string {
  if (format === "csv") return renderCsv(result);
  if (format === "json") return renderJson(result);
  if (format === "markdown") return renderMarkdown(gridOf(result));
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
