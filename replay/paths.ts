/**
 * Names of files and folders: what `node:path` knows, without the time that it takes to load before a
 * guest may start.
 * @module
 */

/** What stands between names; Windows takes both. */
const SEPARATORS = Deno.build.os === "windows" ? /[/\\]+/ : /\/+/;
const ABSOLUTE = Deno.build.os === "windows" ? /^([a-z]:)?[/\\]/i : /^\//;

/** The path's names, and what stands before the first: "/a//b/" is `/` and a, b. */
function partsOf(path: string): { root: string; names: string[] } {
  const root = ABSOLUTE.exec(path)?.[0] ?? "";
  return { root, names: path.slice(root.length).split(SEPARATORS).filter((name) => name !== "") };
}

/** The last name: "c" of "/a/b/c/". */
export const baseName = (path: string): string => partsOf(path).names.at(-1) ?? "";

/** The folder that `path` lies in: "/a/b" of "/a/b/c/", "." of "c". */
export function folderOf(path: string): string {
  const { root, names } = partsOf(path);
  return root + names.slice(0, -1).join("/") || ".";
}

export const isAbsolute = (path: string): boolean => ABSOLUTE.test(path);

/** From the root, whatever folder the process works in. */
export const absolute = (path: string): string => isAbsolute(path) ? path : `${Deno.cwd()}/${path}`;

/** `deno task` runs in the project's folder; names on the command line mean the caller's. */
export function enterCallersFolder(): void {
  const folder = Deno.env.get("EXITSCOPE_CWD");
  if (folder) Deno.chdir(folder);
}
