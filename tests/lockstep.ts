/**
 * `deno task lockstep`: random streams on the interpreter and the oracle, or with `--qemu` on the
 * interpreter and QEMU, for so long or so many; ends with one line of figures, and with 1 when they
 * differed.
 * @module
 */
import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { say } from "../replay/cli/say.ts";
import { parseTask } from "../replay/cli/task.ts";
import { againstQemu } from "./lockstep/qemu_streams.ts";
import type { Done, Job } from "./lockstep/worker.ts";

/** Streams in one message; the last job of a run is smaller. */
const BATCH = 8;
/** After so many failing streams a run stops. */
const MAX_FAILURES = 3;

const count = integer({ min: 0 });

export const OPTIONS = object({
  seconds: optional(option("--seconds", count, {
    description: say`Starts streams for so long; an hour is 3600. 60 unless --streams is given.`,
  })),
  streams: optional(option("--streams", count, {
    description: say`Runs so many streams instead.`,
  })),
  seed: withDefault(
    option("--seed", count, { description: say`The first stream's; the others follow it.` }),
    1,
  ),
  workers: withDefault(
    option("--workers", integer({ min: 1 }), { description: say`At the same time.` }),
    navigator.hardwareConcurrency,
  ),
  qemu: option("--qemu", { description: say`Against QEMU, over its GDB port, in one process.` }),
});

export interface Options {
  seconds: number;
  streams: number;
  seed: number;
  workers: number;
  qemu: boolean;
}

/** So many streams, or so long, or a minute. */
export function bounded(
  { seconds, streams, ...rest }: Omit<Options, "seconds" | "streams"> & {
    seconds?: number;
    streams?: number;
  },
): Options {
  return {
    ...rest,
    seconds: seconds ?? (streams === undefined ? 60 : Infinity),
    streams: streams ?? Infinity,
  };
}

export interface Outcome extends Done {
  seconds: number;
}

function ask(worker: Worker, job: Job): Promise<Done> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (e: MessageEvent<Done>) => resolve(e.data);
    worker.onerror = (e) => {
      e.preventDefault();
      reject(new Error(`streams from seed ${job.first}: ${e.message}`));
    };
    worker.postMessage(job);
  });
}

/** The same against QEMU; tells which known disagreements were met. */
export async function lockstepWithQemu(
  o: Options,
  tell: (text: string) => void,
): Promise<Outcome> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const met = await againstQemu(
    o.seed,
    (all) => all.streams < o.streams && elapsed() < o.seconds && all.failures.length < MAX_FAILURES,
  );
  for (const f of met.failures) tell(`stream ${f.seed}: ${f.text}\n`);
  for (const [what, n] of met.quirks) tell(`known, ${n} times: ${what}`);
  return { ...met, seconds: elapsed() };
}

/** Hands out seeds in order until time, streams or patience are used up. */
export async function lockstep(o: Options, tell: (text: string) => void): Promise<Outcome> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const all: Outcome = { streams: 0, instructions: 0, failures: [], seconds: 0 };
  const end = o.seed + o.streams;
  let next = o.seed;
  const isOver = () => next >= end || elapsed() >= o.seconds || all.failures.length >= MAX_FAILURES;
  const serve = async () => {
    const url = new URL("./lockstep/worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    try {
      while (!isOver()) {
        const job = { first: next, count: Math.min(BATCH, end - next) };
        next += job.count;
        const done = await ask(worker, job);
        all.streams += done.streams;
        all.instructions += done.instructions;
        all.failures.push(...done.failures);
        for (const f of done.failures) tell(`stream ${f.seed}: ${f.text}\n`);
      }
    } finally {
      worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(o.workers, o.streams) }, serve));
  all.seconds = elapsed();
  return all;
}

export function summary(o: Options, all: Outcome): string {
  const verdict = all.failures.length === 0
    ? "no difference"
    : `${all.failures.length} streams differ: seeds ${all.failures.map((f) => f.seed).join(", ")}`;
  const count = all.instructions >= 1e6
    ? `${(all.instructions / 1e6).toFixed(1)} M`
    : `${all.instructions}`;
  const other = o.qemu ? " with QEMU" : "";
  const seconds = all.seconds.toFixed(0);
  return `lockstep${other}: ${all.streams} streams, ${count} instructions, ${seconds} s, seeds from ${o.seed}: ${verdict}`;
}

if (import.meta.main) {
  const brief = say`Run random instruction streams on the interpreter and on a second machine.`;
  const options = bounded(parseTask("lockstep", brief, OPTIONS));
  const all = await (options.qemu ? lockstepWithQemu : lockstep)(options, console.log);
  console.log(summary(options, all));
  Deno.exit(all.failures.length === 0 ? 0 : 1);
}
