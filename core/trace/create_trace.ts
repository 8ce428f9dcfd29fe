/** The directory of a trace as it begins and ends: made with empty files, removed with nothing else. @module */
import { TraceError } from "./error.ts";
import { MANIFEST, tableFile, TEMPORARY } from "./manifest.ts";
import { TABLE_NAMES } from "./schema.ts";

/** Creates the directory of a trace and its empty files. `force` replaces a trace. Throws TraceError. */
export function createTrace(path: string, o: { force?: boolean }): void {
  if (o.force) removeTrace(path);
  let at = path;
  try {
    Deno.mkdirSync(path);
    for (const table of TABLE_NAMES) {
      at = `${path}/${tableFile(table)}`;
      Deno.openSync(at, { write: true, createNew: true }).close();
    }
  } catch (error) {
    throw explain(error as Error, at);
  }
}

/** The operating system's error as one about a trace. */
export function explain(error: Error, path: string): Error {
  const code = (error as { code?: string }).code;
  if (error instanceof Deno.errors.AlreadyExists) {
    return new TraceError(`${path} exists already`, "Choose another name, or pass --force.");
  }
  if (error instanceof Deno.errors.NotFound) {
    return new TraceError(`${path}: its folder does not exist`, "Create the folder first.");
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new TraceError(`${path}: permission denied`, "Choose a folder that you may write to.");
  }
  if (code === "ENOSPC" || code === "EDQUOT" || /no space left|quota/i.test(error.message)) {
    return new TraceError(
      `${path}: the disk is full`,
      "Free space, or bound the trace with --trace-limit.",
    );
  }
  return new TraceError(
    `${path}: ${error.message}`,
    "Check the disk and the folder's permissions.",
  );
}

/** Removes the trace at `path`, if any. Throws TraceError when something else is there. */
export function removeTrace(path: string): void {
  const ours = new Set([MANIFEST, TEMPORARY, ...TABLE_NAMES.map(tableFile)]);
  let names: string[];
  try {
    names = [...Deno.readDirSync(path)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new TraceError(`${path} is in the way and is no trace`, "Choose another name.");
  }
  const foreign = names.find((name) => !ours.has(name));
  if (foreign !== undefined) {
    throw new TraceError(
      `${path} holds ${foreign}, which is no part of a trace, and is left alone`,
      "Move that file away, or choose another name.",
    );
  }
  try {
    // The manifest first: a kill in between must not leave a manifest without its tables.
    if (names.includes(MANIFEST)) Deno.removeSync(`${path}/${MANIFEST}`);
    for (const name of names) if (name !== MANIFEST) Deno.removeSync(`${path}/${name}`);
    Deno.removeSync(path);
  } catch (error) {
    throw explain(error as Error, path);
  }
}
