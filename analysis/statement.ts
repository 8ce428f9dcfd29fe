/**
 * SQL as users type it: one statement or the bare name of a table, with `$name` for parameters.
 *
 * A parameter is a DuckDB variable: `$name` becomes `getvariable('name')`, so that it stands wherever an
 * expression does, in a macro's argument too, and lasts for a whole session at the prompt.
 * @module
 */
import { AnalysisError } from "./errors.ts";
import { textLiteral } from "./literal.ts";

/** Names and texts of `--param name=value`. */
export type Params = ReadonlyMap<string, string>;

/** Text, quoted names and comments, in which nothing is code. */
const NOT_CODE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[^]*?\*\/|\$(\w*)\$[^]*?\$\1\$/g;

/** Applies `change` to what is code and leaves the rest as it is. */
function inCode(sql: string, change: (code: string) => string): string {
  let out = "";
  let at = 0;
  for (const match of sql.matchAll(NOT_CODE)) {
    out += change(sql.slice(at, match.index)) + match[0];
    at = match.index + match[0].length;
  }
  return out + change(sql.slice(at));
}

/** Statements between semicolons; the last is empty where the text ends with one. */
export function split(sql: string): string[] {
  const parts = [""];
  let at = 0;
  const take = (code: string) => {
    const [first = "", ...more] = code.split(";");
    parts[parts.length - 1] += first;
    parts.push(...more);
  };
  for (const match of sql.matchAll(NOT_CODE)) {
    take(sql.slice(at, match.index));
    parts[parts.length - 1] += match[0];
    at = match.index + match[0].length;
  }
  take(sql.slice(at));
  return parts;
}

/** True for blanks and comments. */
export const isBlank = (sql: string): boolean =>
  sql.replace(/--[^\n]*|\/\*[^]*?\*\//g, "").trim() === "";

/** The one statement of `sql`; a table's or view's bare name means its rows. */
export function oneStatement(sql: string): string {
  const statements = split(sql).filter((part) => !isBlank(part));
  if (statements.length > 1) {
    throw new AnalysisError(
      "The query has several statements, and one is answered at a time.",
      "Call query once for each.",
    );
  }
  const name = /^\s*([a-z_]\w*)\s*;?\s*$/i.exec(sql)?.[1];
  return name === undefined ? sql : `FROM "${name}"`;
}

/** `$name` for every parameter given; one that is not given is refused. */
export function withParams(sql: string, params: Params): string {
  return inCode(sql, (code) =>
    code.replace(/\$([a-z_]\w*)/gi, (_, name: string) => {
      if (!params.has(name)) {
        throw new AnalysisError(
          `The query asks for $${name}, and no such parameter is given.`,
          `Give it with --param ${name}=VALUE, or .param at the prompt.`,
        );
      }
      return `getvariable('${name}')`;
    }));
}

/** The SQL that sets a parameter: numbers, true, false and null as such, all else as text. */
export function setParam(name: string, value: string): string {
  return `SET VARIABLE ${name} = ${literal(value)}`;
}

function literal(value: string): string {
  if (/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value) || /^(true|false|null)$/i.test(value)) {
    return value;
  }
  if (/^0x[0-9a-f]{1,16}$/i.test(value)) return BigInt(value).toString();
  return textLiteral(value);
}
