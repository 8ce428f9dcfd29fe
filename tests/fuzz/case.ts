/**
 * One case of the fuzzer: a machine and what is done to it, on two boards side by side. The laws: no
 * exception; an access does bounded work; the second board, whose devices are replaced by restored ones
 * now and then, answers and tells the same; its state is the same in the end.
 * @module
 */
import assert from "node:assert/strict";
import type { DeviceType } from "../../core/mmio/device.ts";
import { Random } from "../../core/mmio/test_random.ts";
import { Generator, machineWords } from "./generate.ts";
import { HostileBoard } from "./machine.ts";
import { type Op, type Script, textOf } from "./script.ts";

/** Operations of a case; what sets its devices up comes before. */
export const CASE_OPS = 2500;
const CHECK_EVERY = 250;
/** Runs that shrinking may take. */
const MAX_RUNS = 300;

export interface Counts {
  accesses: number;
  rows: number;
  restores: number;
  virtualNs: number;
}

/** What broke, and where. */
export interface Failure {
  readonly step: number;
  readonly message: string;
}

/** The script of a seed. */
export function scriptOf(seed: number, only: string | null): Script {
  const rng = new Random(seed);
  const machine = machineWords(rng, only);
  const generator = new Generator(rng, new HostileBoard(machine), only);
  const ops: Op[] = [...generator.setUp()];
  const end = ops.length + CASE_OPS;
  while (ops.length < end) ops.push(...generator.next());
  return { machine, ops };
}

/** Values that reads gave are shown to `tell`. */
export function runScript(
  script: Script,
  counts: Counts,
  tell: (o: Op, told: bigint | Uint8Array | string) => void = () => {},
  more: readonly DeviceType[] = [],
): Failure | null {
  const a = new HostileBoard(script.machine, more);
  const b = new HostileBoard(script.machine, more);
  let step = 0;
  try {
    for (const o of script.ops) {
      step++;
      if (o.op === "restore") {
        b.restore();
        counts.restores++;
      }
      const told = a.perform(o);
      assert.deepEqual(b.perform(o), told, "a restored machine answers something else");
      assert.equal(b.said, a.said, "a restored machine leaves other rows");
      if (o.op === "read" || o.op === "write") counts.accesses++;
      if (o.op === "read" && o.expect !== undefined) assert.equal(told, o.expect, "read");
      tell(o, told);
      if (a.ended) break;
      if (step % CHECK_EVERY === 0) {
        a.checkBus();
        assert.equal(a.difference(b), null, "a restored machine is in another state");
      }
    }
    assert.equal(a.difference(b), null, "a restored machine is in another state");
    counts.rows += a.rows;
    counts.virtualNs += a.board.machine.nowNs;
    return null;
  } catch (e) {
    return { step, message: (e as Error).stack ?? String(e) };
  }
}

export const noCounts = (): Counts => ({ accesses: 0, rows: 0, restores: 0, virtualNs: 0 });

/** Fewer operations that still break a law, within a bounded number of runs. */
export function shrink(
  script: Script,
  failure: Failure,
  more: readonly DeviceType[] = [],
): Script {
  const kind = (f: Failure) => f.message.split("\n")[0].replace(/\d+/g, "N");
  const wanted = kind(failure);
  let ops = script.ops.slice(0, failure.step);
  let runs = 0;
  for (let size = Math.ceil(ops.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = ops.length - size; at >= 0 && runs < MAX_RUNS; at -= size) {
      const fewer = [...ops.slice(0, at), ...ops.slice(at + size)];
      runs++;
      const found = runScript({ ...script, ops: fewer }, noCounts(), undefined, more);
      if (found !== null && kind(found) === wanted) ops = fewer.slice(0, found.step);
    }
  }
  return { ...script, ops };
}

/** Runs the case of a seed; null when every law held, else what to tell. */
export function runCase(seed: number, only: string | null, counts: Counts): string | null {
  const script = scriptOf(seed, only);
  const failure = runScript(script, counts);
  if (failure === null) return null;
  const again = `deno task fuzz --cases 1 --seed ${seed}${
    only === null ? "" : ` --device ${only}`
  }`;
  const small = shrink(script, failure);
  return `seed ${seed}, step ${failure.step}: ${failure.message}\nto repeat: ${again}\n` +
    `shrunk to ${small.ops.length} operations (deno task fuzz --script FILE):\n${textOf(small)}`;
}
