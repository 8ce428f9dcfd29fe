/**
 * Random numbers for tests: a seed is the whole story of a run, and a failure names it.
 * @module
 */

export interface Random {
  /** An integer from 0 up to but not including `n`. */
  below(n: number): number;
  chance(p: number): boolean;
  pick<T>(from: readonly T[]): T;
  u32(): number;
}

/** Mulberry32. */
export function seeded(seed: number): Random {
  let a = seed >>> 0;
  const u32 = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (n: number) => Math.floor(u32() / 2 ** 32 * n);
  return {
    u32,
    below,
    chance: (p) => u32() < p * 2 ** 32,
    pick: (from) => from[below(from.length)],
  };
}

/** Runs `body` for seeds 1 to `runs`, or for SEED alone; a failure says how to repeat it. */
export function forSeeds(
  runs: number,
  file: string,
  body: (r: Random, seed: number) => void,
): void {
  const given = Deno.env.get("SEED");
  const seeds = given ? [Number(given)] : Array.from({ length: runs }, (_, i) => i + 1);
  for (const seed of seeds) {
    try {
      body(seeded(seed), seed);
    } catch (e) {
      throw new Error(`to repeat: SEED=${seed} deno test -A ${file}`, { cause: e });
    }
  }
}
