/**
 * `deno task fuzz`: a hostile guest on whole boards, from a seed, for so long or so many cases; or a
 * script of QEMU's qtest commands. Ends with one line of figures, and with 1 when a law was broken.
 * @module
 */
import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import { option } from "@optique/core/primitives";
import { choice, integer, string } from "@optique/core/valueparser";
import { DEVICES } from "../core/mmio/devices.ts";
import { EXIT } from "../replay/cli/errors.ts";
import { say } from "../replay/cli/say.ts";
import { parseTask } from "../replay/cli/task.ts";
import { type Counts, runCase, runScript } from "./fuzz/case.ts";
import { lineOf, parseScript, ScriptError } from "./fuzz/script.ts";

/** After so many failing cases a run stops. */
const MAX_FAILURES = 3;

const count = integer({ min: 0 });

const OPTIONS = object({
  seconds: optional(option("--seconds", count, {
    description: say`Starts cases for so long; an hour is 3600. 60 unless --cases is given.`,
  })),
  cases: optional(option("--cases", count, { description: say`Runs so many cases instead.` })),
  seed: withDefault(
    option("--seed", count, { description: say`The first case's; the others follow it.` }),
    1,
  ),
  device: optional(option("--device", choice(Object.keys(DEVICES), { metavar: "NAME" }), {
    description: say`Aims at the devices of one type alone.`,
  })),
  script: optional(option("--script", string({ metavar: "FILE" }), {
    description: say`Runs qtest commands instead, and prints what they read.`,
  })),
});

export interface Options {
  /** Starts cases for so long, a minute where neither it nor `cases` is given. */
  readonly seconds?: number;
  readonly cases?: number;
  readonly seed: number;
  readonly device?: string;
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
  const cases = o.cases ?? Infinity;
  const seconds = o.seconds ?? (o.cases === undefined ? 60 : Infinity);
  while (all.cases < cases && elapsed() < seconds && all.failures.length < MAX_FAILURES) {
    const failure = runCase(o.seed + all.cases, o.device ?? null, all);
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
  const brief = say`Let a hostile guest loose on whole boards, from a seed.`;
  const options = parseTask("fuzz", brief, OPTIONS);
  try {
    if (options.script !== undefined) return script(options.script);
    const all = fuzz(options, console.log);
    console.log(summary(options, all));
    return all.failures.length === 0 ? 0 : 1;
  } catch (e) {
    if (!(e instanceof ScriptError || e instanceof Deno.errors.NotFound)) throw e;
    console.error(`fuzz: ${e.message}`);
    return EXIT.usage;
  }
}

if (import.meta.main) Deno.exit(main());
