/**
 * Where a recording goes: a name that is free, nothing overwritten unless asked, and nothing left
 * behind by a recording that never began.
 * @module
 */
import { MANIFEST, parseManifest } from "../../core/trace/manifest.ts";
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { absolute, folderOf } from "../paths.ts";
import { diskIsFull, UserError } from "./errors.ts";

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (absent) return false;
    throw error;
  }
}

/**
 * `folder/base.trace` of each base, all with the same number `-2`, `-3`… when one of them exists;
 * with `force` always the first.
 */
export function freeNames(folder: string, bases: readonly string[], force = false): string[] {
  for (let n = 1;; n++) {
    const names = bases.map((b) => `${folder}/${b}${n === 1 ? "" : `-${n}`}.trace`);
    if (force || !names.some(exists)) return names;
  }
}

/** Writes a file that must not exist yet, unless `force`. */
export function writeNew(path: string, bytes: Uint8Array, force: boolean): void {
  refuseExisting(path, force);
  Deno.writeFileSync(path, bytes);
}

/** The same, opened for writing. */
export function createNew(path: string, force: boolean): Deno.FsFile {
  refuseExisting(path, force);
  return Deno.openSync(path, { write: true, create: true, truncate: true });
}

function refuseExisting(path: string, force: boolean): void {
  if (force || !exists(path)) return;
  throw new UserError(`${path} exists already`, "Give another name, or replace it with --force.");
}

const isTrace = (path: string) => exists(`${path}/${MANIFEST}`);

function remove(path: string): void {
  if (exists(path)) Deno.removeSync(path, { recursive: true });
}

/**
 * A directory about to receive a recording. `keep()` after success; `rollBack()` after failure puts
 * back what `force` was to replace and removes what was begun, unless that can be read already.
 */
export class OutputDirectory {
  #replaced: string | null = null;
  #created: string | null = null;

  constructor(readonly path: string, force: boolean) {
    if (exists(path)) this.#setAside(force);
    this.#createParent();
  }

  #setAside(force: boolean): void {
    if (!force) {
      throw new UserError(
        `${this.path} exists already`,
        "Give another name with -o, or replace it with --force.",
      );
    }
    if (!isTrace(this.path)) {
      throw new UserError(
        `${this.path} exists and is no trace`,
        "--force replaces traces only: give another name with -o.",
      );
    }
    this.#replaced = `${this.path}.replaced`;
    remove(this.#replaced);
    Deno.renameSync(this.path, this.#replaced);
  }

  #createParent(): void {
    const parent = folderOf(absolute(this.path));
    let top = parent;
    while (!exists(top)) {
      this.#created = top;
      top = folderOf(top);
    }
    try {
      Deno.mkdirSync(parent, { recursive: true });
    } catch (error) {
      if (diskIsFull(error)) throw error;
      throw new UserError(
        `Cannot create the folder ${parent}`,
        "Give a name with -o in a folder where you may write.",
      );
    }
  }

  /** True when a reader finds recorded exits there: a prefix worth keeping. */
  holdsRows(): boolean {
    try {
      const text = Deno.readTextFileSync(`${this.path}/${MANIFEST}`);
      const { tables } = parseManifest(text, this.path);
      return EVENT_TABLES.some((name) => (tables[name]?.rows ?? 0) > 0);
    } catch {
      return false;
    }
  }

  keep(): void {
    if (this.#replaced !== null) remove(this.#replaced);
  }

  rollBack(): void {
    remove(this.path);
    if (this.#replaced !== null) Deno.renameSync(this.#replaced, this.path);
    else if (this.#created !== null) this.#removeEmptyParents();
  }

  #removeEmptyParents(): void {
    let folder = folderOf(absolute(this.path));
    const last = folderOf(this.#created!);
    while (folder !== last && [...Deno.readDirSync(folder)].length === 0) {
      Deno.removeSync(folder);
      folder = folderOf(folder);
    }
  }
}
