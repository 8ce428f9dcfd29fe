/**
 * What users call traces: directories, patterns such as `traces/*.trace`, folders that hold traces.
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MANIFEST } from "../core/trace/manifest.ts";
import { AnalysisError } from "./errors.ts";

/**
 * Every trace that `words` name, in order. What a pattern or a folder gives again is left out; a trace
 * that is named twice is meant twice. A word that names none stays as it is.
 */
export function tracePaths(words: readonly string[]): string[] {
  const paths: string[] = [];
  for (const word of words) {
    const found = expand(word);
    const named = found.length === 1 && found[0] === word;
    paths.push(...found.filter((path) => named || !paths.includes(path)));
  }
  return paths;
}

function expand(word: string): string[] {
  if (isFolder(word) && !existsSync(join(word, MANIFEST))) {
    const inside = traceNames(word).map((name) => join(word, name));
    return inside.length > 0 ? inside : [word];
  }
  if (!/[*?]/.test(word) || existsSync(word)) return [word];
  const found = matching(word.split("/"));
  if (found.length > 0) return found;
  throw new AnalysisError(`No trace matches ${word}.`, "Check the pattern, or name the traces.");
}

const isFolder = (path: string): boolean => {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
};

const names = (folder: string): string[] =>
  [...Deno.readDirSync(folder)].map((entry) => entry.name).sort(byNumber);

/** `run-2` before `run-10`. */
const byNumber = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });

const traceNames = (folder: string): string[] =>
  names(folder).filter((name) => existsSync(join(folder, name, MANIFEST)));

/** Paths that match a pattern's segments: `*` and `?` stand for characters other than a slash. */
function matching(segments: readonly string[]): string[] {
  const rooted = segments[0] === "";
  let found = [rooted ? "/" : ""];
  for (const segment of rooted ? segments.slice(1) : segments) {
    found = found.flatMap((folder) => {
      if (!/[*?]/.test(segment)) return [join(folder, segment)].filter(existsSync);
      const pattern = new RegExp(`^${asRegExp(segment)}$`);
      if (folder !== "" && !isFolder(folder)) return [];
      return names(folder === "" ? "." : folder)
        .filter((name) => pattern.test(name) && !name.startsWith("."))
        .map((name) => join(folder, name));
    });
  }
  return found.filter((path) => existsSync(join(path, MANIFEST)));
}

const asRegExp = (segment: string): string =>
  segment.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
