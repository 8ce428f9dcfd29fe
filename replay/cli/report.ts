/**
 * `report`: traces, or a suite that is recorded first, in one file.
 * @module
 */
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Between } from "../../analysis/between.ts";
import type { Engine, EngineChoice } from "../../analysis/engine.ts";
import type { Asked } from "../../analysis/report/collect.ts";
import { shellWord } from "../../analysis/report/escape.ts";
import type { ReportFormat } from "../../analysis/report/report.ts";
import { VERSION } from "../version.ts";
import type { Medium } from "../../core/mmio/medium.ts";
import type { RecordHost } from "../record.ts";
import { arrival } from "./arrival.ts";
import { failure, quietTerminal, type Recorded } from "./demonstration.ts";
import { EXIT, UserError } from "./errors.ts";
import type { RecordArguments } from "./machine_spec.ts";
import { freeNames, writeNew } from "./output_directory.ts";
import { recipeFor } from "./recipe.ts";
import { recordInto, TRACES } from "./recording.ts";
import type { SuiteName } from "./suite_names.ts";
import { type Question, SUITES } from "./suites.ts";
import { withTerminal } from "./terminal.ts";

export interface ReportArguments {
  readonly command: "report";
  readonly traces: readonly string[];
  readonly output: string;
  readonly format?: ReportFormat;
  readonly title?: string;
  readonly suite?: SuiteName;
  readonly between?: Between;
  readonly engine: EngineChoice;
  readonly force: boolean;
}

/** Parses words of `record`'s command line. */
export type ParseRecord = (words: readonly string[]) => RecordArguments;

const ENDINGS: Readonly<Record<string, ReportFormat>> = {
  html: "html",
  htm: "html",
  md: "md",
  markdown: "md",
  json: "json",
  csv: "csv",
};

function formatOf(a: ReportArguments): ReportFormat {
  const ending = /\.([^./\\]+)$/.exec(a.output)?.[1]?.toLowerCase() ?? "";
  const format = a.format ?? ENDINGS[ending];
  if (format !== undefined) return format;
  throw new UserError(
    `${a.output}: no format goes by this ending`,
    "End it in .html, .md, .json or .csv, or say --format.",
  );
}

/** Said before anything is recorded or loaded. */
function check(a: ReportArguments): void {
  if (a.suite === undefined && a.traces.length === 0) {
    throw new UserError(
      "Name a trace to report on",
      "Or record a suite of them: --suite standard.",
    );
  }
  if (a.suite !== undefined && a.traces.length > 0) {
    throw new UserError(
      "--suite records its own traces",
      "Leave out the traces, or leave out --suite.",
    );
  }
  if (a.suite !== undefined && a.between !== undefined) {
    throw new UserError(
      "--suite reports on whole runs, and --between on a part of them",
      "Leave out --between, or report on the suite's traces by their names.",
    );
  }
  if (!existsSync(dirname(a.output))) {
    throw new UserError(
      `${a.output}: its folder does not exist`,
      "Make the folder, or choose another.",
    );
  }
  if (existsSync(a.output) && !a.force) {
    throw new UserError(
      `${a.output} exists already`,
      "Give another name with -o, or replace it with --force.",
    );
  }
}

async function recordSide(
  words: readonly string[],
  path: string,
  force: boolean,
  parse: ParseRecord,
) {
  const a = { ...parse(words), force };
  const parts: Uint8Array[] = [];
  const terminal = quietTerminal((bytes) => parts.push(bytes.slice()));
  let disks: readonly Medium[] = [];
  const host: RecordHost = Object.assign(terminal, {
    disks: (found: ReadonlyMap<string, Medium>) => disks = [...found.values()],
  });
  const recipe = await recipeFor(a);
  const result = await withTerminal(
    terminal,
    async () => await recordInto(path, a, recipe, host),
  );
  const recorded: Recorded = { path, result, output: Buffer.concat(parts), disks };
  return { recorded, code: terminal.signalled ?? failure(recorded) };
}

/** Records what answers the question; the exit code of a side that failed. */
async function recordQuestion(
  { sides, check }: Question,
  paths: readonly string[],
  force: boolean,
  parse: ParseRecord,
): Promise<number | null> {
  const done: Recorded[] = [];
  for (const [i, { words }] of sides.entries()) {
    const { recorded, code } = await recordSide(words, paths[i], force, parse);
    if (code !== null) return code;
    console.error(`exitscope: recorded ${paths[i]}`);
    done.push(recorded);
  }
  console.error(`exitscope: ${arrival(check, done)}`);
  return null;
}

/** Records a suite; the questions with their traces, or the exit code of the recording that failed. */
async function recordSuite(
  name: SuiteName,
  force: boolean,
  parse: ParseRecord,
): Promise<Asked[] | number> {
  const questions = SUITES[name];
  const names = questions.flatMap(({ sides }) => sides.map((side) => side.name));
  const paths = freeNames(TRACES, names, force);
  const asked: Asked[] = [];
  for (const question of questions) {
    const own = paths.splice(0, question.sides.length);
    const code = await recordQuestion(question, own, force, parse);
    if (code !== null) return code;
    const commands = question.sides.map(({ words }, i) =>
      `deno task record ${[...words, "-o", own[i]].map(shellWord).join(" ")}`
    );
    const { id, remark } = question;
    asked.push({ id, question: question.question, remark, paths: own, commands });
  }
  return asked;
}

const SUITE_TITLE = "What device designs cost in VM exits";

/** The command line that makes the same report; recordings included, where it recorded. */
function commandOf(a: ReportArguments): string {
  const words = [
    ...(a.suite === undefined ? a.traces : ["--suite", a.suite]),
    ...(a.between === undefined ? [] : ["--between", a.between.text]),
    ...(a.title === undefined ? [] : ["--title", a.title]),
    ...(a.format === undefined ? [] : ["--format", a.format]),
    "-o",
    a.output,
  ];
  return `deno task report ${words.map(shellWord).join(" ")}`;
}

/** Records the suite, if one is asked for, and makes the report; or the exit code of what failed. */
async function written(
  a: ReportArguments,
  format: ReportFormat,
  parse: ParseRecord,
  early: Promise<Engine> | undefined,
): Promise<string | number> {
  const chapters = a.suite === undefined
    ? [await chapterOf(a)]
    : await recordSuite(a.suite, a.force, parse);
  if (typeof chapters === "number") return chapters;
  const { makeReport } = await import("../../analysis/report/report.ts");
  const { standardOutput } = await import("../../analysis/output.ts");
  return await makeReport({
    title: a.title ?? (a.suite === undefined ? chapters[0].question : SUITE_TITLE),
    version: VERSION,
    command: commandOf(a),
    chapters,
    format,
    engine: early,
    choice: a.engine,
    between: a.between,
  }, standardOutput());
}

/** Writes the report and returns the exit code. */
export async function runReport(a: ReportArguments, parse: ParseRecord): Promise<number> {
  const format = formatOf(a);
  check(a);
  const { openEngine } = await import("../../analysis/engine.ts");
  // DuckDB starts in its worker while guests run; which one, is known: a suite's traces are small.
  const early = a.suite === undefined ? undefined : openEngine(a.engine);
  early?.catch(() => {});
  try {
    const text = await written(a, format, parse, early);
    if (typeof text === "number") return text;
    const bytes = new TextEncoder().encode(text);
    writeNew(a.output, bytes, a.force);
    console.error(`exitscope: wrote ${a.output} (${(bytes.length / 1e3).toFixed(0)} kB)`);
    return EXIT.ok;
  } finally {
    await early?.then((e) => e.close(), () => {});
  }
}

const NAMES_IN_TITLE = 3;

async function chapterOf(a: ReportArguments): Promise<Asked> {
  const { tracePaths } = await import("../../analysis/trace_paths.ts");
  const { runNames } = await import("../../analysis/open.ts");
  const paths = tracePaths(a.traces);
  const names = runNames(paths);
  const more = names.length - NAMES_IN_TITLE;
  const listed = names.slice(0, NAMES_IN_TITLE).join(" against ");
  const question = more > 0 ? `${listed} and ${more} more` : listed;
  const remark = a.between === undefined
    ? null
    : `Only what lies between the marks “${a.between.from}” and “${a.between.to}” is counted.`;
  return { id: "traces", question, remark, paths, commands: [] };
}
