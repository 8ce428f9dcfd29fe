/**
 * `deno task fuzz`: a hostile guest on whole boards, from a seed, for so long or so many cases; or a
 * script of QEMU's qtest commands. Ends with one line of figures, and with 1 when a law was broken.
 * @module
 */
import { DEVICES } from "../core/mmio/devices.ts";
import { type Counts, runCase, runScript } from "./fuzz/case.ts";
import { lineOf, parseScript, ScriptError } from "./fuzz/script.ts";

const USAGE = `deno task fuzz [--seconds N] [--cases N] [--seed N] [--device NAME] [--script FILE]
  --seconds N    starts cases for so long (60; an hour: 3600)
  --cases N      runs so many cases instead
  --seed N       the first case's seed, the others follow it (1)
  --device NAME  aims at the devices of one type alone
  --script FILE  runs qtest commands instead, and prints what they read`;

/** After so many failing cases a run stops. */
const MAX_FAILURES = 3;

export interface Options {
  readonly seconds: number;
  readonly cases: number;
  readonly seed: number;
  readonly device: string | null;
  readonly script: string | null;
}

/** Throws a RangeError for what is no option. */
export function parseOptions(args: readonly string[]): Options {
  const numbers = new Map<string, number>();
  const words = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) {
    const name = /^--(seconds|cases|seed|device|script)$/.exec(args[i])?.[1];
    const text = args[i + 1];
    if (name === undefined || text === undefined) {
      throw new RangeError(`${args.slice(i, i + 2).join(" ")}: no option with a value`);
    }
    const v = Number(text);
    if (name === "device" || name === "script") words.set(name, text);
    else if (Number.isInteger(v) && v >= 0) numbers.set(name, v);
    else throw new RangeError(`--${name} ${text}: no whole number`);
  }
  const device = words.get("device") ?? null;
  if (device !== null && DEVICES[device] === undefined) {
    throw new RangeError(`--device ${device}: there are ${Object.keys(DEVICES).join(", ")}`);
  }
  const cases = numbers.get("cases") ?? Infinity;
  return {
    seconds: numbers.get("seconds") ?? (cases === Infinity ? 60 : Infinity),
    cases,
    seed: numbers.get("seed") ?? 1,
    device,
    script: words.get("script") ?? null,
  };
}

export interface Outcome extends Counts {
  cases: number;
  failures: string[];
  seconds: number;
}

export function fuzz(o: Options, tell: (text: string) => void): Outcome {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const all: Outcome = {
    ...{ cases: 0, failures: [], seconds: 0 },
    ...{ accesses: 0, rows: 0, restores: 0, virtualNs: 0 },
  };
  while (all.cases < o.cases && elapsed() < o.seconds && all.failures.length < MAX_FAILURES) {
    const failure = runCase(o.seed + all.cases, o.device, all);
    all.cases++;
    if (failure === null) continue;
    all.failures.push(failure);
    tell(failure);
  }
  all.seconds = elapsed();
  return all;
}

export function summary(o: Options, all: Outcome): string {
  const verdict = all.failures.length === 0 ? "no law broken" : `${all.failures.length} cases fail`;
  const count = (n: number) => n.toLocaleString("en");
  return `fuzz: ${count(all.cases)} cases, ${count(all.accesses)} accesses, ${
    count(all.rows)
  } rows, ` +
    `${count(all.restores)} restores, ${
      all.seconds.toFixed(0)
    } s, seeds from ${o.seed}: ${verdict}`;
}

/** Runs a script and prints its reads; 1 when it broke a law. */
function script(path: string): number {
  const counts = { accesses: 0, rows: 0, restores: 0, virtualNs: 0 };
  const failure = runScript(parseScript(Deno.readTextFileSync(path)), counts, (o, told) => {
    if (typeof told === "bigint") console.log(`${lineOf(o)}: 0x${told.toString(16)}`);
    else if (typeof told !== "string") console.log(`${lineOf(o)}: ${told}`);
  });
  if (failure !== null) console.error(`operation ${failure.step}: ${failure.message}`);
  return failure === null ? 0 : 1;
}

function main(): number {
  try {
    const options = parseOptions(Deno.args);
    if (options.script !== null) return script(options.script);
    const all = fuzz(options, console.log);
    console.log(summary(options, all));
    return all.failures.length === 0 ? 0 : 1;
  } catch (e) {
    const known = e instanceof RangeError || e instanceof ScriptError ||
      e instanceof Deno.errors.NotFound;
    if (!known) throw e;
    console.error(`${e.message}\n${USAGE}`);
    return 2;
  }
}

if (import.meta.main) Deno.exit(main());
