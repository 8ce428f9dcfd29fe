/**
 * What analysis throws when the host, the trace or the SQL is at fault: one sentence that says what
 * failed and one that says what to do. The caller prints both, without a stack, and exits with 2.
 * @module
 */

export class AnalysisError extends Error {
  override readonly name = "AnalysisError";

  constructor(message: string, readonly fix: string) {
    super(message);
  }
}

/** The SQL at fault: the message carries DuckDB's line and caret. */
export class SqlError extends AnalysisError {}

/**
 * DuckDB's message without repetitions: the first paragraph says what is wrong, the `LINE n:`
 * paragraph with its caret says where.
 */
export function sqlError(text: string, engine: "wasm" | "native"): AnalysisError {
  const message = tidy(text);
  if (/^Out of Memory/i.test(message)) {
    return engine === "wasm"
      ? new AnalysisError(
        "The query needs more memory than the WebAssembly engine has (about 3 GiB).",
        "Give --engine native, which goes on to the disk, or filter earlier.",
      )
      : new AnalysisError(
        "The query needs more memory than this machine can give DuckDB.",
        "Aggregate or filter earlier, or load fewer traces at once.",
      );
  }
  return new SqlError(message, fixFor(message));
}

function tidy(text: string): string {
  const [head = "", ...rest] = text.replace(/^Error: /, "").trim().split(/\n\s*\n/);
  const where = rest.find((paragraph) => /^LINE \d+:/.test(paragraph));
  return where === undefined ? head : `${head}\n\n${where}`;
}

function fixFor(message: string): string {
  if (/^(Catalog|Binder) Error/.test(message)) {
    return "Run the query command without SQL to see every table, view and column.";
  }
  if (/extension/.test(message)) {
    return "Only DuckDB's built-in functions are available here; extensions are never loaded.";
  }
  if (/at or near "(from|where|offset|,)"/i.test(message)) {
    return 'Check the words before the caret: the column "offset" needs its quotes.';
  }
  return "Correct the SQL; DuckDB's dialect is described at https://duckdb.org/docs/sql.";
}

/** Why the host refused a path, in words: the system's own name its calls. */
export function refusal(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "it may not be read";
  return (error as Error).message;
}
