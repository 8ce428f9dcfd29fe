/**
 * The folder that holds what was fetched or built once and may be deleted at any time: guests, and
 * engines that are not part of the project. Source: XDG Base Directory Specification 0.8
 * (XDG_CACHE_HOME).
 * @module
 */
import { isAbsolute, join } from "node:path";

export const CACHE_VARIABLE = "EXITSCOPE_CACHE";

export function cacheFolder(env: (name: string) => string | undefined = Deno.env.get): string {
  const own = env(CACHE_VARIABLE);
  if (own) return own;
  const xdg = env("XDG_CACHE_HOME");
  if (xdg && isAbsolute(xdg)) return join(xdg, "exitscope"); // A relative one is to be ignored.
  return join(env("HOME") ?? env("USERPROFILE") ?? ".", ".cache", "exitscope");
}
