/**
 * One stream from its seed to a verdict.
 * @module
 */
import { generate } from "./generate.ts";
import { type MakeOracle, Pair, trueOracle } from "./pair.ts";
import { printShrunk } from "./print.ts";
import { Shrinker } from "./shrink.ts";

export interface Verdict {
  instructions: number;
  /** null: interpreter and oracle agree. */
  failure: string | null;
}

export function runSeed(seed: number, makeOracle: MakeOracle = trueOracle): Verdict {
  const stream = generate(seed);
  const pair = new Pair(stream, makeOracle);
  const difference = pair.run();
  if (difference === null) return { instructions: pair.executed, failure: null };
  const repeat = `deno task lockstep --seed ${seed} --streams 1`;
  const shrunk = new Shrinker(makeOracle).shrink(stream);
  const failure = shrunk
    ? printShrunk(shrunk, repeat)
    : `${difference.what}\nnot when run again: host or build is at fault; it was: ${repeat}`;
  return { instructions: pair.executed, failure };
}
