/** The real command in a child process, for tests. @module */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/** What the command may not take from whoever runs the tests. */
export const CHILD_ENV = { NO_COLOR: "1", EXITSCOPE_DEBUG: "", EXITSCOPE_CWD: "" };

/** What follows the name of the Deno executable, so that it runs `script`. */
const denoRun = (script: string) => ["run", "--allow-all", "--no-check", "--quiet", script];
export const DENO_RUN = denoRun(MAIN);

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the command, or another `script`, in `cwd`, with `input` on its standard input. */
export async function run(
  cwd: string,
  args: readonly string[],
  o: { input?: string; env?: Record<string, string>; script?: string } = {},
): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...denoRun(o.script ?? MAIN), ...args],
    cwd,
    env: { ...CHILD_ENV, ...o.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  if (o.input) await writer.write(new TextEncoder().encode(o.input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Gives `body` a folder of its own, removed afterwards. */
export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-cli-" });
  try {
    await body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A test in a folder of its own. */
export function cliTest(name: string, body: (folder: string) => Promise<void>): void {
  Deno.test(`cli: ${name}`, () => inFolder(body));
}

/** One line on standard error that says `pattern`; nothing that looks like a stack. */
export function assertOneError(outcome: Outcome, pattern: RegExp, code = 2): void {
  const { stderr } = outcome;
  assert.match(stderr, /^exitscope: [^\n]+\n$/, `one line, not:\n${stderr}`);
  assert.match(stderr, pattern);
  assert.doesNotMatch(stderr, /\bat (file|async|new|[A-Z]\w+\.)|not foreseen/);
  assert.equal(outcome.code, code, stderr);
}
