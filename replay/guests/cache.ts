/**
 * Guests that are not part of the project, in the cache folder.
 * @module
 */
import { CACHE_VARIABLE, cacheFolder } from "../../analysis/cache_folder.ts";
import { folderOf } from "../paths.ts";

export { CACHE_VARIABLE, cacheFolder };
/** Begins the name of a cached file in a manifest, which then holds wherever the folder is. */
export const CACHED = "cache:";

/** The path of what a manifest calls `cache:…`. */
export const cachedPath = (name: string) => `${cacheFolder()}/${name.slice(CACHED.length)}`;

/** Writes all of a file or nothing, whenever the process dies and whoever else writes it. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  Deno.mkdirSync(folderOf(path), { recursive: true });
  const part = `${path}.${crypto.randomUUID()}.part`;
  try {
    Deno.writeFileSync(part, bytes);
    Deno.renameSync(part, path);
  } catch (e) {
    try {
      Deno.removeSync(part);
    } catch {
      // It never came to be.
    }
    throw e;
  }
}
