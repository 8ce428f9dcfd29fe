/** The commands that analyse: parsed options handed to the analysis. @module */
import { existsSync } from "node:fs";
import type { Between } from "../../analysis/between.ts";
import type { EngineChoice } from "../../analysis/engine.ts";
import { VERSION } from "../version.ts";
import { splitWords } from "./query_words.ts";
import type { Parameter } from "./values.ts";

export interface QueryArguments {
  readonly command: "query";
  readonly words: readonly string[];
  readonly format: "table" | "csv" | "json" | "markdown" | "arrow";
  readonly file?: string;
  readonly param: readonly Parameter[];
  readonly between?: Between;
  readonly interactive: boolean;
  readonly explainSchema: boolean;
  readonly engine: EngineChoice;
}

export interface CompareArguments {
  readonly command: "compare";
  readonly traces: readonly string[];
  readonly format: "table" | "markdown" | "json";
  readonly by?: string;
  readonly between?: Between;
  readonly engine: EngineChoice;
}

export interface BudgetArguments {
  readonly command: "budget";
  readonly traces: readonly string[];
  readonly file: string;
  readonly format: "table" | "junit" | "github";
  readonly between?: Between;
  readonly engine: EngineChoice;
}

export interface InspectArguments {
  readonly command: "inspect";
  readonly trace: string;
}

export interface ImportArguments {
  readonly command: "import";
  readonly files: readonly string[];
  readonly output: string;
  readonly format?: "kvm" | "qemu" | "simpletrace";
  readonly force: boolean;
}

export interface ExportArguments {
  readonly command: "export";
  readonly traces: readonly string[];
  readonly to: "perfetto" | "parquet" | "csv" | "arrow";
  readonly output: string;
  readonly tables?: readonly string[];
  readonly host?: string;
  readonly engine: EngineChoice;
}

async function query(a: QueryArguments): Promise<number> {
  const { runExplainSchema, runQuery } = await import("../../analysis/query.ts");
  if (a.explainSchema) return await runExplainSchema(a.format);
  const { tracePaths } = await import("../../analysis/trace_paths.ts");
  const { traces, sql } = splitWords(a.words, existsSync);
  const file = a.file ?? null;
  const asked = sql !== null || file !== null;
  const terminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  return await runQuery({
    traces: tracePaths(traces),
    sql,
    file,
    format: a.format,
    params: new Map(a.param.map(({ name, value }) => [name, value])),
    between: a.between,
    prompt: a.interactive ? "at once" : terminal && !asked ? "after the tour" : null,
    choice: a.engine,
  });
}

async function compare(a: CompareArguments): Promise<number> {
  const { runCompare } = await import("../../analysis/compare.ts");
  const { tracePaths } = await import("../../analysis/trace_paths.ts");
  const { format, by, between, engine: choice } = a;
  return await runCompare({ traces: tracePaths(a.traces), format, by, between, choice });
}

async function budget(a: BudgetArguments): Promise<number> {
  const { runBudget } = await import("../../analysis/budget.ts");
  const { tracePaths } = await import("../../analysis/trace_paths.ts");
  const { file, format, between, engine: choice } = a;
  return await runBudget({ traces: tracePaths(a.traces), file, format, between, choice });
}

async function inspect(a: InspectArguments): Promise<number> {
  const { runInspect } = await import("../../analysis/inspect.ts");
  return await runInspect({ trace: a.trace });
}

async function importFiles({ files, output, format, force }: ImportArguments): Promise<number> {
  const { runImport } = await import("../../analysis/import/import.ts");
  return runImport({ files, output, format: format ?? null, force, version: VERSION });
}

async function exportTraces(a: ExportArguments): Promise<number> {
  const { runExport } = await import("../../analysis/export/export.ts");
  const { tracePaths } = await import("../../analysis/trace_paths.ts");
  const { to, output, tables, host, engine: choice } = a;
  const traces = tracePaths(a.traces);
  return await runExport({ traces, to, output, tables, partitionHost: host, choice });
}

type Arguments =
  | QueryArguments
  | CompareArguments
  | BudgetArguments
  | InspectArguments
  | ImportArguments
  | ExportArguments;

/** Runs one of them and returns its exit code. */
export async function runAnalysis(a: Arguments): Promise<number> {
  switch (a.command) {
    case "query":
      return await query(a);
    case "compare":
      return await compare(a);
    case "budget":
      return await budget(a);
    case "inspect":
      return await inspect(a);
    case "import":
      return await importFiles(a);
    case "export":
      return await exportTraces(a);
  }
}
