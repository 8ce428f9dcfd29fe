/** The project's files, as far as the tidy rules look at them. @module */
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Folders that are not source: fetched, built or recorded. */
const SKIPPED = new Set(["node_modules", "traces", "build", "dist", "coverage", "target"]);
const TEXT = new Set([
  ...[".ts", ".js", ".mjs", ".json", ".lock", ".md", ".sql", ".sh", ".yml", ".yaml", ".html"],
  ...[".c", ".h", ".S", ".s", ".ld", ".dts", ".txt", ".css", ""],
]);

export interface SourceFile {
  /** Path from the root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
}

function* walk(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(join(ROOT, folder))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isFile) yield path;
    const hidden = entry.name.startsWith(".") && entry.name !== ".ci";
    const skipped = hidden || SKIPPED.has(entry.name) || entry.name.endsWith(".trace");
    if (entry.isDirectory && !skipped) yield* walk(path);
  }
}

/** Every text file, in a stable order. */
export function sourceFiles(): SourceFile[] {
  return [...walk("")].filter((path) => TEXT.has(extname(path)) && path !== ".git").sort().map(
    (path) => {
      const text = Deno.readTextFileSync(join(ROOT, path));
      return { path, text, lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0) };
    },
  );
}

export const isTest = (path: string) => /_test\.ts$/.test(path) || path.startsWith("tests/");
export const isTypeScript = (path: string) => path.endsWith(".ts");
/** What the limits on length hold for: written by people, read by people. */
export const isCode = (path: string) => /\.(ts|c|h|S|sql|html|css|mjs|js)$/.test(path);
