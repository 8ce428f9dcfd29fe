/**
 * A budget: what traces may cost at most, as a JSON file of rules.
 *
 * ```json
 * { "rules": [
 *   { "name": "kicks per request", "metric": "kicks_per_request",
 *     "where": { "device": "virtio-blk0" }, "max": 1.1 },
 *   { "name": "no read-backs", "sql": "SELECT run, count(*) AS value FROM exit GROUP BY run",
 *     "max": 20000 } ] }
 * ```
 *
 * A rule has `name`; `metric` (see metrics.ts) with `where`, or `sql` whose answer has a column `value`
 * and perhaps `run`; `max`, `min` or both; and perhaps `runs`, a pattern of the traces' names that it
 * holds for (`*` for any characters). A run without a value breaks the rule, and so does a pattern that
 * fits no trace.
 * @module
 */
import { AnalysisError, refusal } from "./errors.ts";
import { METRICS, metricSql, type Where } from "./metrics.ts";

export interface Rule {
  readonly name: string;
  /** The query whose `value` is held to the bounds. */
  readonly sql: string;
  readonly unit: string;
  readonly min: number | null;
  readonly max: number | null;
  /** The runs that it holds for, as the file says it. */
  readonly pattern: string;
  readonly runs: RegExp;
}

const KEYS = ["name", "metric", "where", "sql", "max", "min", "runs"];
const FIX = "Write rules as analysis/README.md shows them.";

/** Reads and checks a budget; throws AnalysisError that names the rule at fault. */
export function readBudget(path: string): Rule[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new AnalysisError(
      `Cannot read the budget ${path}: ${refusal(error)}.`,
      "Check the path after --file.",
    );
  }
  return parseBudget(text, path);
}

export function parseBudget(text: string, path: string): Rule[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AnalysisError(`${path} is no JSON: ${(error as Error).message}.`, FIX);
  }
  const rules = (value as { rules?: unknown } | null)?.rules;
  if (!Array.isArray(rules) || rules.length === 0) {
    throw new AnalysisError(`${path} has no list "rules", or an empty one.`, FIX);
  }
  const parsed = rules.map((rule, i) => parseRule(rule, `${path}, rule ${i + 1}`));
  const names = parsed.map((rule) => rule.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new AnalysisError(`${path} has two rules "${twice}".`, FIX);
  return parsed;
}

type Fields = Readonly<Record<string, unknown>>;

function parseRule(rule: unknown, place: string): Rule {
  const refuse = (what: string, fix = FIX): never => {
    throw new AnalysisError(`${place}: ${what}.`, fix);
  };
  if (typeof rule !== "object" || rule === null) return refuse("is no object");
  const fields = rule as Fields;
  const unknown = Object.keys(fields).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    return refuse(`has an unknown "${unknown}"`, `A rule has ${KEYS.join(", ")}.`);
  }
  const { name, max = null, min = null, runs = "*" } = fields;
  if (typeof name !== "string" || name === "") return refuse("has no name");
  const at = `"${name}"`;
  for (const [key, bound] of Object.entries({ max, min })) {
    if (bound !== null && typeof bound !== "number") refuse(`${at}: ${key} is no number`);
  }
  if (max === null && min === null) refuse(`${at} has neither max nor min`);
  if (typeof runs !== "string") return refuse(`${at}: runs is no text`);
  return {
    name,
    ...question(fields, (what, fix) => refuse(`${at}${what}`, fix)),
    max: max as number | null,
    min: min as number | null,
    pattern: runs,
    runs: asRegExp(runs),
  };
}

function question(
  { metric, where = {}, sql }: Fields,
  refuse: (what: string, fix?: string) => never,
): { sql: string; unit: string } {
  if ((metric === undefined) === (sql === undefined)) {
    return refuse(" must have one of metric and sql");
  }
  if (sql !== undefined) {
    if (typeof sql !== "string") return refuse(": sql is no text");
    if (Object.keys(where as object).length > 0) return refuse(": where goes with metric only");
    return { sql, unit: "" };
  }
  const known = METRICS[metric as string];
  if (known === undefined) {
    return refuse(
      `: there is no metric "${metric}"`,
      `There are: ${Object.keys(METRICS).join(", ")}.`,
    );
  }
  if (typeof where !== "object" || where === null) return refuse(": where is no object");
  for (const [key, wanted] of Object.entries(where)) {
    if (!known.keys.includes(key)) {
      return refuse(`: ${metric} has no "${key}"`, `It has ${known.keys.join(", ")}.`);
    }
    if (wanted !== null && !["string", "number"].includes(typeof wanted)) {
      return refuse(`: where.${key} is neither text nor number nor null`);
    }
  }
  return { sql: metricSql(metric as string, where as Where), unit: known.unit };
}

const asRegExp = (text: string): RegExp =>
  new RegExp(`^${text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
