/**
 * What the prompt offers on Tab: the prompt's own commands, tables, views and macros, and the columns of
 * those that the statement names.
 * @module
 */
import { TABLE_NAMES } from "../core/trace/schema.ts";
import { type SchemaDoc, schemaDoc } from "./schema_doc.ts";

/** Names that a statement may hold. */
export interface Catalog {
  readonly commands: readonly string[];
  /** Columns by table or view. */
  readonly columns: ReadonlyMap<string, readonly string[]>;
  /** With their opening bracket. */
  readonly functions: readonly string[];
}

const KEYWORDS =
  ("SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT USING WITH COUNT SUM AVG MIN MAX " +
    "FILTER OVER PARTITION DISTINCT UNION ALL HAVING CASE WHEN THEN ELSE END DESCRIBE SUMMARIZE EXPLAIN " +
    "QUALIFY PIVOT AND NOT NULL BETWEEN").split(" ");

export function catalogOf(commands: readonly string[], doc: SchemaDoc = schemaDoc()): Catalog {
  const relations = [...doc.tables, ...doc.views];
  return {
    commands,
    columns: new Map(relations.map(({ name, columns }) => [name, columns.map((c) => c.name)])),
    functions: doc.macros.map(({ name }) => `${name.split("(")[0]}(`),
  };
}

/**
 * Candidates for the word before the end of `line`, and that word. `before` is what the statement holds
 * in earlier lines.
 */
export function complete(line: string, before: string, catalog: Catalog): [string[], string] {
  if (before === "" && /^\.\S*$/.test(line)) return [starting(catalog.commands, line), line];
  const word = /[\w.]*$/.exec(line)![0];
  const names = [...catalog.columns.keys()];
  if (/^\.(schema)\s+\w*$/.test(line)) return [starting(names, word), word];
  const statement = `${before} ${line}`;
  const [, table, prefix] = /^(\w+)\.(\w*)$/.exec(word) ?? [];
  if (table !== undefined) {
    if (table === "raw") return [starting(TABLE_NAMES.map((name) => `raw.${name}`), word), word];
    const columns = catalog.columns.get(aliases(statement).get(table) ?? table) ?? [];
    return [starting(columns, prefix!).map((column) => `${table}.${column}`), word];
  }
  if (/\b(from|join|describe|summarize)\s+\w*$/i.test(line)) {
    return [starting([...names, ...catalog.functions], word), word];
  }
  const named = names.filter((name) => new RegExp(`\\b${name}\\b`).test(statement));
  const columns = (named.length > 0 ? named : names).flatMap((name) => catalog.columns.get(name)!);
  const all = [...columns, ...names, ...catalog.functions, ...KEYWORDS];
  return [starting(all, word), word];
}

/** Each once, in order, in the case that the user types keywords in. */
function starting(names: readonly string[], word: string): string[] {
  const lower = word.toLowerCase();
  const found = names.filter((name) => name.toLowerCase().startsWith(lower));
  const typed = word !== "" && word === lower;
  return [
    ...new Set(found.map((name) => typed && KEYWORDS.includes(name) ? name.toLowerCase() : name)),
  ]
    .sort();
}

/** `FROM exit e`, `JOIN irq AS i`: what short names stand for. */
function aliases(statement: string): Map<string, string> {
  const found = statement.matchAll(/\b(?:from|join)\s+(\w+)\s+(?:as\s+)?(\w+)/gi);
  return new Map([...found].map(([, table, alias]) => [alias!, table!]));
}
