/**
 * A worker of the conformance runner: a message names a program's path, the answer is its outcome.
 *
 * @module
 */
import { basename } from "node:path";
import { execute, type Outcome, type RunOptions } from "./execute.ts";
import { readProgram } from "./program.ts";

export interface Job {
  path: string;
  options: RunOptions;
}
/** `error`: the file cannot be run; `skip`: it is no program that speaks `tohost`. */
export type Answer =
  & { path: string }
  & ({ outcome: Outcome; needs: readonly string[] } | { skip: true } | { error: string });

function answer({ path, options }: Job): Answer {
  try {
    const program = readProgram(basename(path), Deno.readFileSync(path));
    if (program === null) return { path, skip: true };
    return { path, outcome: execute(program, options), needs: program.needs };
  } catch (e) {
    return { path, error: e instanceof Error ? e.message : String(e) };
  }
}

const port = self as unknown as {
  onmessage: (e: MessageEvent<Job>) => void;
  postMessage(a: Answer): void;
};
port.onmessage = (e) => port.postMessage(answer(e.data));
