/**
 * `budget`: holds traces to the rules of a file, and names what breaks them: found against allowed. For
 * people, for GitHub's annotations, for what reads JUnit.
 * @module
 */
import type { Between } from "./between.ts";
import { readBudget, type Rule } from "./budget_file.ts";
import type { Engine, EngineChoice } from "./engine.ts";
import { AnalysisError } from "./errors.ts";
import { openTraces, type Session } from "./open.ts";
import { type Output, renderTable, standardOutput } from "./output.ts";
import { records } from "./rows.ts";
import { oneStatement } from "./statement.ts";
import { missingTables } from "./unrecorded.ts";
import { whileWaiting } from "./waiting.ts";

export interface BudgetOptions {
  readonly traces: readonly string[];
  readonly file: string;
  readonly format?: "table" | "junit" | "github";
  /** Only what lies between two marks. */
  readonly between?: Between | null;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  readonly engine?: Promise<Engine>;
  /** Which to start when none was; by default by size. */
  readonly choice?: EngineChoice;
}

/** One rule on one run. */
interface Verdict {
  readonly rule: Rule;
  /** The rule's pattern where no trace fits it; null for an answer over all traces together. */
  readonly run: string | null;
  /** False where no trace fits the rule's pattern. */
  readonly isThere: boolean;
  /** Null when the trace does not tell it. */
  readonly found: number | null;
  readonly holds: boolean;
}

const DEFAULT_WIDTH = 100;

/** Returns the exit code: 0 when every rule holds, else 1. */
export async function runBudget(
  options: BudgetOptions,
  output: Output = standardOutput(),
): Promise<number> {
  const rules = readBudget(options.file);
  const { engine, choice, between, format = "table" } = options;
  const session = await openTraces(options.traces, output, { engine, choice, between });
  try {
    const verdicts: Verdict[] = [];
    for (const rule of rules) {
      verdicts.push(...await whileWaiting(output, rule.name, judge(session, rule)));
    }
    const text = { table: asTable, junit: asJunit, github: asGithub }[format];
    output.write(
      text(verdicts, options, Number.isFinite(output.width) ? output.width : DEFAULT_WIDTH),
    );
    const broken = verdicts.filter(({ holds }) => !holds);
    const remarks = new Set<string>();
    for (const { sql } of new Set(broken.map(({ rule }) => rule))) {
      for (const remark of await missingTables(session, oneStatement(sql))) remarks.add(remark);
    }
    for (const remark of remarks) output.note(remark);
    for (const verdict of broken) {
      if (format !== "github") output.note(`budget: ${sentence(verdict)}`);
    }
    return broken.length === 0 ? 0 : 1;
  } finally {
    session.close();
  }
}

async function judge({ engine, names }: Session, rule: Rule): Promise<Verdict[]> {
  const result = await ask(engine, rule);
  const columns = result.columns.map((column) => column.name);
  if (!columns.includes("value")) {
    throw new AnalysisError(
      `The rule "${rule.name}" answers ${columns.join(", ")}, and no value.`,
      "Name the figure: SELECT run, … AS value.",
    );
  }
  const rows = records(result);
  const verdict = (run: string | null, value: unknown): Verdict => {
    const found = value === null || value === undefined ? null : Number(value);
    const holds = found !== null && found <= (rule.max ?? Infinity) &&
      found >= (rule.min ?? -Infinity);
    return { rule, run, isThere: true, found, holds };
  };
  if (!columns.includes("run")) {
    return rows.length === 0
      ? [verdict(null, null)]
      : rows.map(({ value }) => verdict(null, value));
  }
  const runs = names.filter((name) => rule.runs.test(name));
  if (runs.length === 0) return [{ ...verdict(rule.pattern, null), isThere: false }];
  return runs.flatMap((run) => {
    const own = rows.filter((row) => row.run === run);
    return own.length === 0 ? [verdict(run, null)] : own.map(({ value }) => verdict(run, value));
  });
}

async function ask(engine: Engine, rule: Rule) {
  try {
    return await engine.query(oneStatement(rule.sql));
  } catch (error) {
    const { message, fix } = error as AnalysisError;
    throw new AnalysisError(`The rule "${rule.name}" cannot be asked: ${message}`, fix);
  }
}

function show(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001) return value.toPrecision(3);
  return value.toLocaleString("en", { maximumFractionDigits: 3 });
}

const withUnit = (value: number, { unit }: Rule): string =>
  unit === "" ? show(value) : `${show(value)} ${unit}`;

function allowed(rule: Rule): string {
  const { min, max } = rule;
  if (min === null) return `at most ${withUnit(max!, rule)}`;
  if (max === null) return `at least ${withUnit(min, rule)}`;
  return `${show(min)} to ${withUnit(max, rule)}`;
}

const foundText = ({ found, rule, isThere }: Verdict): string =>
  !isThere ? "no such trace" : found === null ? "no value" : withUnit(found, rule);

/** "kicks per request in virtio: found 1.5, allowed at most 1.1". */
const sentence = (verdict: Verdict): string =>
  `${verdict.rule.name}${verdict.run === null ? "" : ` in ${verdict.run}`}: found ${
    foundText(verdict)
  }, allowed ${allowed(verdict.rule)}`;

function asTable(verdicts: readonly Verdict[], _: BudgetOptions, width: number): string {
  return renderTable({
    head: ["rule", "run", "found", "allowed", ""],
    right: [false, false, true, true, false],
    rows: verdicts.map((v) => [
      v.rule.name,
      v.run ?? "all",
      foundText(v),
      allowed(v.rule),
      v.holds ? "holds" : "BROKEN",
    ]),
  }, width);
}

/** https://github.com/testmoapp/junitxml: a test suite, a case per rule and run. */
function asJunit(verdicts: readonly Verdict[], { file }: BudgetOptions): string {
  const failures = verdicts.filter(({ holds }) => !holds).length;
  const cases = verdicts.map((v) => {
    const name = `<testcase classname="${xml(v.run ?? "all")}" name="${xml(v.rule.name)}"`;
    return v.holds
      ? `  ${name}/>\n`
      : `  ${name}>\n    <failure message="${xml(sentence(v))}"/>\n  </testcase>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="${
    xml(file)
  }" tests="${verdicts.length}" failures="${failures}">\n${cases.join("")}</testsuite>\n`;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const xml = (text: string): string =>
  // deno-lint-ignore no-control-regex
  text.replace(/[&<>"]/g, (c) => ENTITIES[c]!).replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, "\ufffd");

/** Workflow commands: an error for each broken rule, a notice when all hold. */
function asGithub(verdicts: readonly Verdict[], { file }: BudgetOptions): string {
  const data = (text: string) =>
    text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (text: string) => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
  const broken = verdicts.filter(({ holds }) => !holds);
  if (broken.length === 0) {
    return `::notice file=${property(file)}::${verdicts.length} rules of the budget hold\n`;
  }
  return broken.map((v) =>
    `::error file=${property(file)},title=${property(v.rule.name)}::${data(sentence(v))}\n`
  ).join("");
}
