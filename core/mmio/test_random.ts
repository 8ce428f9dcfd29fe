/**
 * Random tests that can be repeated: a generator from a seed, and the command that runs it again.
 * @module
 */

/** mulberry32: every seed gives the same numbers on any machine. */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  u32(): number {
    this.#state = this.#state + 0x6d2b79f5 >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return (t ^ t >>> 14) >>> 0;
  }
  /** From 0 to `n - 1`. */
  below(n: number): number {
    return Math.floor(this.u32() / 2 ** 32 * n);
  }
  chance(p: number): boolean {
    return this.u32() / 2 ** 32 < p;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
  bytes(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => this.below(256));
  }
}

/** Seeds of a run: those of every run, or the one in SEED. */
export function seeds(count: number): number[] {
  const given = Deno.env.get("SEED");
  return given ? [Number(given)] : Array.from({ length: count }, (_, i) => i + 1);
}

/** Runs `body` for each seed; a failure names the step that `body` last told and how to repeat it. */
export function forSeeds(
  count: number,
  file: string,
  test: string,
  body: (rng: Random, step: (n: number) => void) => void,
): void {
  for (const seed of seeds(count)) {
    let at = 0;
    try {
      body(new Random(seed), (n) => at = n);
    } catch (e) {
      const again = `SEED=${seed} deno test -A ${file} --filter "${test}"`;
      throw new Error(`at step ${at}; to replay: ${again}\n${(e as Error).message}`, { cause: e });
    }
  }
}
