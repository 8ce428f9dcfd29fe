/**
 * The folder that holds what was fetched or built once and may be deleted at any time: guests, and
 * engines that are not part of the project. Source: XDG Base Directory Specification 0.8
 * (XDG_CACHE_HOME).
 * @module
 */
export const CACHE_VARIABLE = "EXITSCOPE_CACHE";
const ABSOLUTE = /^([a-z]:)?[/\\]/i;

export function cacheFolder(env: (name: string) => string | undefined = Deno.env.get): string {
  const own = env(CACHE_VARIABLE);
  if (own) return own;
  const xdg = env("XDG_CACHE_HOME");
  if (xdg && ABSOLUTE.test(xdg)) return `${xdg}/exitscope`; // A relative one is to be ignored.
  return `${env("HOME") ?? env("USERPROFILE") ?? "."}/.cache/exitscope`;
}
