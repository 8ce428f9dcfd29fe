/**
 * Runs streams for `tests/lockstep.ts`: a message with seeds comes in, one with figures and the text
 * of what failed goes out.
 * @module
 */
import { runSeed } from "./run.ts";

export interface Job {
  first: number;
  count: number;
}
export interface Done {
  streams: number;
  instructions: number;
  failures: { seed: number; text: string }[];
}

/** What this file needs of a worker's global scope. */
interface Scope {
  onmessage: ((e: MessageEvent<Job>) => void) | null;
  postMessage(done: Done): void;
}

const scope = globalThis as unknown as Scope;
scope.onmessage = ({ data }) => {
  const done: Done = { streams: 0, instructions: 0, failures: [] };
  for (let seed = data.first; seed < data.first + data.count; seed++) {
    const { instructions, failure } = runSeed(seed);
    done.streams++;
    done.instructions += instructions;
    if (failure !== null) done.failures.push({ seed, text: failure });
  }
  scope.postMessage(done);
};
