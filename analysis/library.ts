/**
 * The documented SQL library: reads the views and laws of this folder, and from their headers what
 * each row is, its unit of time and a sentence per column. A file that leaves one out is refused.
 * @module
 */

export interface LibraryColumn {
  readonly name: string;
  readonly doc: string;
}

export interface LibraryEntry {
  readonly name: string;
  /** What it answers, in a sentence. */
  readonly doc: string;
  readonly grain: string;
  readonly time: string;
  /** Tables and views it is made of. */
  readonly reads: readonly string[];
  /** A query worth trying, or null. */
  readonly example: string | null;
  readonly columns: readonly LibraryColumn[];
  readonly sql: string;
}

/** Every view, each after those it reads; or only those of `names` and what they read. */
export function views(names?: readonly string[]): LibraryEntry[] {
  return inDependencyOrder(readFolder("views"), names);
}

/** Every law: a view without rows on a sound trace. */
export function laws(): LibraryEntry[] {
  return readFolder("laws");
}

export interface Macro {
  /** How it is called. */
  readonly name: string;
  readonly doc: string;
  /** True for one that stands after FROM; others are expressions. */
  readonly isTable: boolean;
  /** A query worth trying, or null. */
  readonly example: string | null;
  readonly sql: string;
}

/**
 * The macros: each statement of macros.sql with the comment above it: its calls and a colon, what it
 * gives, and perhaps `Try:`.
 */
export function macros(): Macro[] {
  const text = Deno.readTextFileSync(new URL("./macros.sql", import.meta.url));
  return text.split(/\n\n(?=(?:--[^\n]*\n)+CREATE)/).map((part) => {
    const fields = headerFields(part.slice(0, part.indexOf("CREATE")));
    const [, name = "", first = "", rest = ""] =
      /^(.+?\)): (.)(.*)$/.exec(fields.get("doc") ?? "") ?? [];
    const doc = first.toUpperCase() + rest;
    if (doc === "") throw new Error(`macros.sql: expected "-- call(…): sentence", got ${part}`);
    const isTable = /\bAS TABLE\b/.test(part);
    return { name, doc, isTable, example: fields.get("Try") ?? null, sql: part };
  });
}

function readFolder(folder: string): LibraryEntry[] {
  const directory = new URL(`./${folder}/`, import.meta.url);
  const files = [...Deno.readDirSync(directory)].map((entry) => entry.name)
    .filter((name) => name.endsWith(".sql")).sort();
  return files.map((file) => {
    const entry = parseEntry(Deno.readTextFileSync(new URL(file, directory)), file);
    if (`${entry.name}.sql` !== file) throw new Error(`${file}: declares the view ${entry.name}`);
    return entry;
  });
}

/** Parses one documented view; throws what the file lacks. */
export function parseEntry(sql: string, file: string): LibraryEntry {
  const head = /^((?:--[^\n]*\n)+)CREATE OR REPLACE VIEW (\w+) \(\n([\s\S]*?)\n\) AS\b/.exec(sql);
  if (head === null) {
    throw new Error(`${file}: must be a comment, then CREATE OR REPLACE VIEW name (columns) AS`);
  }
  const [, comment = "", name = "", list = ""] = head;
  const fields = headerFields(comment);
  const need = (key: string): string => {
    const value = fields.get(key);
    if (value === undefined) throw new Error(`${file}: the header has no "${key}"`);
    return value;
  };
  return {
    name,
    doc: need("doc"),
    grain: need("Grain"),
    time: need("Time"),
    reads: need("Reads").replace(/\.$/, "").split(/,\s*/),
    example: fields.get("Try") ?? null,
    columns: list.split("\n").map((line) => parseColumn(line, file)),
    sql,
  };
}

/** The header's first paragraph under "doc"; then `Key: text`, continued on indented lines. */
function headerFields(comment: string): Map<string, string> {
  const fields = new Map<string, string>();
  let key = "doc";
  for (const line of comment.trimEnd().split("\n")) {
    const text = line.replace(/^-- ?/, "");
    const start = /^(Grain|Time|Reads|Try):\s+(.*)$/.exec(text);
    if (start !== null) key = start[1]!;
    const words = (start === null ? text : start[2]!).trim();
    if (words !== "") fields.set(key, [fields.get(key), words].filter(Boolean).join(" "));
  }
  return fields;
}

function parseColumn(line: string, file: string): LibraryColumn {
  const match = /^\s+"?(\w+)"?,?\s+-- (.+\.)$/.exec(line);
  if (match === null) {
    throw new Error(`${file}: expected "column, -- Sentence.", got "${line.trim()}"`);
  }
  return { name: match[1]!, doc: match[2]! };
}

function inDependencyOrder(entries: LibraryEntry[], names?: readonly string[]): LibraryEntry[] {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const ordered = new Set<LibraryEntry>();
  const visit = (entry: LibraryEntry, path: string[]): void => {
    if (path.includes(entry.name)) throw new Error(`views in a circle: ${path.join(", ")}`);
    for (const read of entry.reads) {
      const other = byName.get(read);
      if (other !== undefined) visit(other, [...path, entry.name]);
    }
    ordered.add(entry);
  };
  for (const entry of entries) if (names?.includes(entry.name) ?? true) visit(entry, []);
  return [...ordered];
}
