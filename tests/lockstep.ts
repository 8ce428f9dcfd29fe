/**
 * `deno task lockstep`: random streams on the interpreter and the oracle, or with `--qemu` on the
 * interpreter and QEMU, for so long or so many; ends with one line of figures, and with 1 when they
 * differed.
 * @module
 */
import { againstQemu } from "./lockstep/qemu_streams.ts";
import type { Done, Job } from "./lockstep/worker.ts";

const USAGE = `deno task lockstep [--seconds N] [--streams N] [--seed N] [--workers N] [--qemu]
  --seconds N   starts streams for so long (60; an hour: 3600)
  --streams N   runs so many streams instead
  --seed N      the first stream's seed, the others follow it (1)
  --workers N   at the same time (one for each processor)
  --qemu        against QEMU, over its GDB port, in one process`;

/** Streams in one message; the last job of a run is smaller. */
const BATCH = 8;
/** After so many failing streams a run stops. */
const MAX_FAILURES = 3;

export interface Options {
  seconds: number;
  streams: number;
  seed: number;
  workers: number;
  qemu: boolean;
}

/** Throws a RangeError for what is no option. */
export function parseOptions(args: readonly string[], processors: number): Options {
  const given = new Map<string, number>();
  const numbers = args.filter((a) => a !== "--qemu");
  for (let i = 0; i < numbers.length; i += 2) {
    const name = /^--(seconds|streams|seed|workers)$/.exec(numbers[i])?.[1];
    const v = Number(numbers[i + 1] ?? NaN);
    if (!name || !Number.isInteger(v) || v < 0) {
      throw new RangeError(`${numbers.slice(i, i + 2).join(" ")}: no option with a whole number`);
    }
    given.set(name, v);
  }
  const streams = given.get("streams") ?? Infinity;
  return {
    seconds: given.get("seconds") ?? (streams === Infinity ? 60 : Infinity),
    streams,
    seed: given.get("seed") ?? 1,
    workers: Math.max(1, given.get("workers") ?? processors),
    qemu: args.includes("--qemu"),
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
  let options: Options;
  try {
    options = parseOptions(Deno.args, navigator.hardwareConcurrency);
  } catch (e) {
    console.error(`${(e as Error).message}\n${USAGE}`);
    Deno.exit(2);
  }
  const all = await (options.qemu ? lockstepWithQemu : lockstep)(options, console.log);
  console.log(summary(options, all));
  Deno.exit(all.failures.length === 0 ? 0 : 1);
}
