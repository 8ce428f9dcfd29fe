/**
 * The folder that holds what was fetched or built once and may be deleted at any time: guests that are
 * not part of the project. Source: XDG Base Directory Specification 0.8 (XDG_CACHE_HOME).
 * @module
 */
import { dirname, isAbsolute, join } from "node:path";

export const CACHE_VARIABLE = "EXITSCOPE_CACHE";
/** Begins the name of a cached file in a manifest, which then holds wherever the folder is. */
export const CACHED = "cache:";

export function cacheFolder(env: (name: string) => string | undefined = Deno.env.get): string {
  const own = env(CACHE_VARIABLE);
  if (own) return own;
  const xdg = env("XDG_CACHE_HOME");
  if (xdg && isAbsolute(xdg)) return join(xdg, "exitscope"); // A relative one is to be ignored.
  return join(env("HOME") ?? env("USERPROFILE") ?? ".", ".cache", "exitscope");
}

/** The path of what a manifest calls `cache:…`. */
export const cachedPath = (name: string) => join(cacheFolder(), name.slice(CACHED.length));

/** Writes all of a file or nothing, whenever the process dies and whoever else writes it. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  Deno.mkdirSync(dirname(path), { recursive: true });
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
