/**
 * `deno task test`: checks types, runs `deno test`, passes its output through, and ends with the skipped
 * tests, the commands that enable them, and one line of figures such as `812 passed, 0 failed, 3 skipped`.
 * @module
 */
import { existsSync } from "node:fs";
import { NO_SKIP } from "./needs.ts";

/** Files tested at once, at most: each may hold some hundred MiB. DENO_JOBS says otherwise. */
const JOBS = 4;

const NO_CHECK = "--no-check";

/** What a line of `deno test`'s report says, where it matters here. */
export class Tally {
  passed = 0;
  failed = 0;
  ignored = 0;
  /** Skipped tests that a command, or their author, could have enabled. */
  avoidable = 0;
  /** Names of skipped tests by why, or by what enables them. */
  readonly skipped = new Map<string, string[]>();
  /** True once the report's last line was seen. */
  complete = false;

  line(coloured: string): void {
    // deno-lint-ignore no-control-regex
    const line = coloured.replace(/\x1b\[[0-9;]*m/g, "");
    const ignored = /^(?:\S+ => )?(.*) \.\.\. ignored \(.*\)$/.exec(line);
    if (ignored !== null) this.#skip(ignored[1]);
    const total = /^(?:ok|FAILED) \| (\d+) passed/.exec(line);
    if (total === null) return;
    const figure = (word: string) => Number(new RegExp(`\\| (\\d+) ${word}`).exec(line)?.[1] ?? 0);
    this.passed = Number(total[1]);
    this.failed = figure("failed");
    this.ignored = figure("ignored");
    this.complete = true;
  }

  #skip(shown: string): void {
    const found = /^(.*) \(skipped( here)?: (.*)\)$/.exec(shown);
    const heading = found === null
      ? "Skipped:"
      : found[2]
      ? `Skipped here: ${found[3]}`
      : `Skipped; to run them: ${found[3]}`;
    if (!found?.[2]) this.avoidable++;
    this.skipped.set(heading, [...this.skipped.get(heading) ?? [], found?.[1] ?? shown]);
  }

  /** The skipped tests under the command that enables them, then the closing line. */
  report(): string {
    const groups = [...this.skipped].flatMap(([heading, names]) => [
      heading,
      ...names.map((name) => `  ${name}`),
    ]);
    const figures = `${this.passed} passed, ${this.failed} failed, ${this.ignored} skipped`;
    return [...groups, figures].join("\n");
  }
}

/** Passes `stream` through to `to` and hands on its lines. */
async function tee(
  stream: ReadableStream<Uint8Array>,
  to: { writeSync(bytes: Uint8Array): number },
  eachLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(eachLine);
  }
  if (rest !== "") eachLine(rest);
}

/**
 * Types are checked before any test runs. Else those of a worker would be when a test starts it and waits
 * for it, for a minute on a busy machine.
 */
async function typesHold(args: readonly string[]): Promise<boolean> {
  const named = args.filter((arg) => existsSync(arg));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...(named.length > 0 ? named : ["."])],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return success;
}

/** Runs `deno test`, and tells `tally` of its lines; true when it ended well. */
async function denoTest(args: readonly string[], tally: Tally): Promise<boolean> {
  const colour = Deno.stdout.isTerminal() && !Deno.noColor;
  const jobs = Deno.env.get("DENO_JOBS") ?? String(Math.min(navigator.hardwareConcurrency, JOBS));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--parallel", NO_CHECK, ...args],
    env: { DENO_JOBS: jobs, ...(colour ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [{ success }] = await Promise.all([
    child.status,
    tee(child.stdout, Deno.stdout, (line) => tally.line(line)),
    tee(child.stderr, Deno.stderr, () => {}),
  ]);
  return success;
}

/** Runs the tests that `args`, those of `deno test`, choose; returns the exit code. */
export async function runTests(args: readonly string[]): Promise<number> {
  const tally = new Tally();
  const checked = args.includes(NO_CHECK) || await typesHold(args);
  const success = checked && await denoTest(args.filter((arg) => arg !== NO_CHECK), tally);
  const forbidden = Deno.env.get(NO_SKIP) === "1" && tally.avoidable > 0;
  if (forbidden) console.log(`${NO_SKIP}=1 is set, and tests were skipped.`);
  if (!tally.complete) {
    console.log("The tests did not run to their end: see the error above.");
    tally.failed = Math.max(1, tally.failed);
  }
  console.log(tally.report());
  return !success || forbidden || !tally.complete ? 1 : 0;
}

if (import.meta.main) Deno.exit(await runTests(Deno.args));
