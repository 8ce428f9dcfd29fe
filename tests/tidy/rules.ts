/**
 * The tidy rules: each looks at the project's files and returns what it refuses, one line each, with
 * the fix. A limit's exceptions stand in `exceptions.json` and may only shrink.
 * @module
 */
import { posix } from "node:path";
import { isCode, isTest, isTypeScript, type SourceFile } from "./files.ts";
import { resolveImport, type Syntax } from "./syntax.ts";

export const MAX_FUNCTION_LINES = 70;
export const MAX_FILE_LINES = 500;

/** Lengths granted to what was too long when its limit came. */
export interface Exceptions {
  readonly functions: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, number>>;
}

/** Holds `measured` to `limit` with the exceptions `granted`, which must be used up to the line. */
export function ratchet(
  measured: ReadonlyMap<string, number>,
  limit: number,
  granted: Readonly<Record<string, number>>,
  fix: string,
): string[] {
  const refused: string[] = [];
  for (const [what, lines] of measured) {
    const allowed = granted[what] ?? limit;
    if (lines > allowed) refused.push(`${what}: ${lines} lines, at most ${allowed}; ${fix}`);
  }
  for (const [what, lines] of Object.entries(granted)) {
    const now = measured.get(what) ?? 0;
    if (now > limit && now < lines) {
      refused.push(`${what}: has shrunk to ${now}; lower its exception in exceptions.json`);
    } else if (now <= limit) {
      refused.push(`${what}: needs no exception any more; remove it from exceptions.json`);
    }
  }
  return refused;
}

/** Functions by `path:name`, the longest of a name; lines of functions inside count for themselves. */
export function functionLengths(syntax: ReadonlyMap<string, Syntax>): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const [path, { functions }] of syntax) {
    for (const { name, lines } of functions) {
      const what = `${path}:${name}`;
      lengths.set(what, Math.max(lines, lengths.get(what) ?? 0));
    }
  }
  return lengths;
}

export const fileLengths = (files: readonly SourceFile[]) =>
  new Map(files.filter((f) => isCode(f.path)).map((f) => [f.path, f.lines]));

/** `core/` sees no clock, no chance, no other task: the same inputs give the same bytes. */
export function determinism(syntax: ReadonlyMap<string, Syntax>): string[] {
  return [...syntax].filter(([path]) => path.startsWith("core/") && !isTest(path))
    .flatMap(([path, { banned }]) =>
      banned.map(({ what, line }) =>
        `${path}:${line}: ${what} in core/ breaks determinism; take time from the virtual clock, ` +
        "and hand outside events in as inputs"
      )
    );
}

interface Border {
  readonly from: string;
  readonly forbidden: (to: string) => boolean;
  readonly why: string;
}

const BORDERS: readonly Border[] = [
  {
    from: "core/",
    forbidden: (to) => /^(replay|analysis)\//.test(to) || to === "main.ts",
    why: "core imports neither replay nor analysis; pass what it needs as an argument",
  },
  {
    from: "analysis/",
    forbidden: (to) => to.startsWith("core/") && !to.startsWith("core/trace/"),
    why: "analysis imports no device code; they meet at core/trace",
  },
];

export function borders(syntax: ReadonlyMap<string, Syntax>): string[] {
  const refused: string[] = [];
  for (const [path, { imports }] of syntax) {
    for (const { specifier, line } of imports) {
      const to = resolveImport(path, specifier);
      const border = BORDERS.find((b) => path.startsWith(b.from) && to && b.forbidden(to));
      if (border) refused.push(`${path}:${line}: imports ${to}; ${border.why}`);
    }
  }
  return refused;
}

// Written so that this file does not contain what it looks for.
const FOREIGN: readonly [RegExp, string][] = [
  [new RegExp(`registry\\.[a-z]|[a-z]+\\.${"jsr"}\\.|/${"artifactory"}/`), "a registry's host"],
  [
    new RegExp(`(^|[^\\w.:/-])/(?:${["work", "root", "home/\\w+", "tmp/(wt|plan)"].join("|")})/`),
    "a path of one machine",
  ],
];
const UNFINISHED = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`);

/** Text that only means something on somebody's machine, and notes to oneself. */
export function strayText(files: readonly SourceFile[]): string[] {
  const refused: string[] = [];
  for (const { path, text } of files) {
    text.split("\n").forEach((line, i) => {
      const where = `${path}:${i + 1}`;
      const foreign = FOREIGN.find(([pattern]) => pattern.test(line));
      if (foreign) refused.push(`${where}: names ${foreign[1]}; say it without`);
      if (isCode(path) && UNFINISHED.test(line)) {
        refused.push(`${where}: a note to oneself; do it, or open an issue`);
      }
    });
  }
  return refused;
}

/** What belongs to the process, which files of tests share. */
const SHARED = /\bDeno\.(chdir|env\.(?:set|delete))\(/;

export function sharedProcess(files: readonly SourceFile[]): string[] {
  return typescript(files).filter(({ path }) => path.endsWith("_test.ts")).flatMap(
    ({ path, text }) => {
      const found = SHARED.exec(text);
      return found === null
        ? []
        : [`${path}: ${found[1]} changes what tests beside it see; hand the value over instead`];
    },
  );
}

/** Folders whose README says what lives there: the top ones and the parts of core and fixtures. */
const wantsReadme = (folder: string) => /^(?!\.)[^/]+$|^(core|fixtures)\/[^/]+$/.test(folder);

export function readmes(files: readonly SourceFile[]): string[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    for (let f = posix.dirname(path); f !== "."; f = posix.dirname(f)) folders.add(f);
  }
  const paths = new Set(files.map((f) => f.path));
  return [...folders].filter((f) => wantsReadme(f) && !paths.has(`${f}/README.md`))
    .map((f) => `${f}/: no README.md; write one page on what lives here and how it thinks`);
}

const VIEW = /CREATE OR REPLACE VIEW (\w+) \(\n([\s\S]*?)\n\) AS\b/g;

/** What a view's header lacks: grain, time, reads, a sentence per column. */
function viewFaults({ path, text }: SourceFile): string[] {
  const faults = ["Grain", "Time", "Reads"].filter((word) =>
    !new RegExp(`^-- ${word}: `, "m").test(text)
  )
    .map((word) => `${path}: its header has no "${word}:" line; see STYLE's view`);
  const views = [...text.matchAll(VIEW)];
  if (views.length === 0) faults.push(`${path}: no CREATE OR REPLACE VIEW name (columns) AS`);
  for (const [, , columns] of views) {
    for (const line of columns.split("\n")) {
      if (/^\s*--/.test(line)) continue;
      if (!/^\s*"?\w+"?,?\s+-- \S/.test(line)) {
        faults.push(`${path}: column "${line.trim()}" has no sentence; add -- and one`);
      }
    }
  }
  return faults;
}

/** Views: documented down to the column, and each named by a test in `analysis/`. */
export function views(files: readonly SourceFile[]): string[] {
  const sql = files.filter((f) => /^analysis\/views\/[^/]+\.sql$/.test(f.path));
  const tests = files.filter((f) => f.path.startsWith("analysis/") && /_test\.\w+$/.test(f.path))
    .map((f) => f.text).join("\n");
  const untested = sql.flatMap((f) => [...f.text.matchAll(VIEW)].map((m) => [f.path, m[1]]))
    .filter(([, view]) => !new RegExp(`\\b${view}\\b`).test(tests))
    .map(([path, view]) => `${path}: view ${view} has no test; add rows in, rows out beside it`);
  return [...sql.filter((f) => !/_test\.sql$/.test(f.path)).flatMap(viewFaults), ...untested];
}

/** Files that every TypeScript rule looks at. */
export const typescript = (files: readonly SourceFile[]) =>
  files.filter((f) => isTypeScript(f.path));
