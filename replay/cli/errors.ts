/**
 * How a command fails: one line that says what is wrong and how to mend it, and an exit code.
 * @module
 */

/** Exit codes of every command. A guest's own code may coincide with them: see `record --help`. */
export const EXIT = {
  ok: 0,
  no: 1,
  usage: 2,
  guest: 3,
  interrupted: 130,
  terminated: 143,
} as const;

/** Something that the user can mend: `message` says what is wrong, `fix` what to do about it. */
export class UserError extends Error {
  override name = "UserError";
  constructor(message: string, readonly fix: string, readonly exitCode: number = EXIT.usage) {
    super(message);
  }
}

/** Host errors that users meet, and what mends them. */
const HOST_FIXES: [new (message?: string) => Error, string][] = [
  [Deno.errors.NotFound, "Check the path."],
  [Deno.errors.PermissionDenied, "Check who may read and write there."],
  [Deno.errors.NotADirectory, "Name a file inside a folder that exists."],
  [Deno.errors.IsADirectory, "Name a file, not a folder."],
];

/** True when the disk, or the quota on it, is used up. */
export function diskIsFull(error: unknown): boolean {
  const code = (error as { code?: string } | null)?.code ?? "";
  return code === "ENOSPC" || code === "EDQUOT" ||
    (error instanceof Error &&
      /disk is full|no space left|os error (28|122)\b/i.test(error.message));
}

/** The operating system's words for it, as ours: every command says it the same way. */
const inOurWords = (message: string) =>
  message.replace(
    /(no space left on device|(disk )?quota exceeded)( \(os error (28|122)\))?/i,
    "the disk is full",
  );

/** True when whoever read our output went away, as in `… | head`. */
export const readerIsGone = (error: unknown) => error instanceof Deno.errors.BrokenPipe;

/** What to do about `error`, where one knows: errors of other modules bring a `fix` with them. */
function fixOf(error: Error): string | null {
  const own = (error as { fix?: unknown }).fix;
  if (typeof own === "string" && own !== "") return own;
  if (diskIsFull(error)) return "Free some space, or write elsewhere with -o.";
  return HOST_FIXES.find(([kind]) => error instanceof kind)?.[1] ?? null;
}

const UNFORESEEN = "This was not foreseen: run again with EXITSCOPE_DEBUG=1 and report it.";

/** Ends with one full stop, or the question mark it has. */
const ended = (text: string) => `${text.trim().replace(/[.;]$/, "")}.`.replace(/\?\.$/, "?");

/** "check the path" → "Check the path."; a name keeps its case. */
const sentence = (text: string) =>
  ended(text).replace(/^[a-z]+(?=[ ,:])/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

/**
 * What to print for `error`: one line, except where it quotes the user's SQL and points into it. An
 * error that nobody foresaw says so; `debug` adds the stack.
 */
export function describe(error: unknown, debug: boolean): { text: string; exitCode: number } {
  const e = error instanceof Error ? error : new Error(String(error));
  const fix = fixOf(e);
  const message = diskIsFull(e) ? inOurWords(e.message) : e.message;
  const points = /^LINE \d+:/m.test(message);
  const what = points ? message.trimEnd() : message.trim().replace(/\s*\n\s*/g, " ");
  const text = points
    ? `exitscope: ${what}\n${fix ?? ""}`
    : `exitscope: ${ended(what)} ${sentence(fix ?? UNFORESEEN)}`;
  const exitCode = (e as { exitCode?: unknown }).exitCode;
  return {
    text: debug ? `${text}\n${e.stack ?? ""}` : text,
    exitCode: typeof exitCode === "number" ? exitCode : EXIT.usage,
  };
}
