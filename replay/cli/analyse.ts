/** `query`, `compare`, `inspect`, `import` and `export`: parsed options handed to the analysis. @module */
import { existsSync } from "node:fs";
import type { EngineChoice } from "../../analysis/engine.ts";
import { VERSION } from "../version.ts";
import { splitWords } from "./query_words.ts";

export interface QueryArguments {
  readonly command: "query";
  readonly words: readonly string[];
  readonly format: "table" | "csv" | "json" | "arrow";
  readonly file?: string;
  readonly engine: EngineChoice;
}

export interface CompareArguments {
  readonly command: "compare";
  readonly traces: readonly string[];
  readonly format: "table" | "markdown" | "json";
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
  const { runQuery } = await import("../../analysis/query.ts");
  const { traces, sql } = splitWords(a.words, existsSync);
  return await runQuery({ traces, sql, file: a.file ?? null, format: a.format, choice: a.engine });
}

async function compare(a: CompareArguments): Promise<number> {
  const { runCompare } = await import("../../analysis/compare.ts");
  return await runCompare({ traces: a.traces, format: a.format, choice: a.engine });
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
  const { traces, to, output, tables, host, engine: choice } = a;
  return await runExport({ traces, to, output, tables, partitionHost: host, choice });
}

type Arguments =
  | QueryArguments
  | CompareArguments
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
    case "inspect":
      return await inspect(a);
    case "import":
      return await importFiles(a);
    case "export":
      return await exportTraces(a);
  }
}
