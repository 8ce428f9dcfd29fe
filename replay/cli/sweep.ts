/**
 * `record --sweep`: the same recording for every combination of values, into one folder. A value takes the
 * place of `{name}` in any option; a name that stands nowhere is an option of its own, `--name VALUE`.
 * @module
 */
import { extractOptionNames } from "@optique/core/usage";
import { join } from "node:path";
import { sweepName, type SweepPoint } from "../../analysis/sweep_names.ts";
import { EXIT, UserError } from "./errors.ts";
import type { RecordArguments } from "./machine_spec.ts";
import { COMMANDS } from "./options.ts";
import { recipeFor } from "./recipe.ts";
import { recordInto, remarks, summary, TRACES } from "./recording.ts";
import { Terminal, withTerminal } from "./terminal.ts";

/** More recordings than this are a mistake. */
const MOST = 1000;
const LONGEST_RANGE = 1000;

interface Sweep {
  /** The command line without what concerns the sweep. */
  readonly args: readonly string[];
  readonly folder: string;
  readonly points: readonly SweepPoint[];
}

/** Takes `--sweep` and `--output` out of the command line; throws UserError for what is no sweep. */
export function parseSweep(args: readonly string[]): Sweep {
  const rest: string[] = [];
  const values = new Map<string, string[]>();
  let folder = join(TRACES, "sweep");
  for (let i = 0; i < args.length; i++) {
    const [, option, inline] = /^(--sweep|--output|-o)(?:=(.*))?$/.exec(args[i]!) ?? [];
    if (option === undefined) rest.push(args[i]!);
    else {
      const text = inline ?? args[++i] ?? "";
      if (option === "--sweep") addValues(text, values);
      else folder = text;
    }
  }
  const points = product([...values]);
  if (points.length > MOST) {
    throw new UserError(`--sweep asks for ${points.length} recordings`, `Ask for ${MOST} at most.`);
  }
  return { args: rest, folder, points };
}

/** "seed=1..3,latency=10us,20us": a part without a name is one more value of the name before. */
function addValues(text: string, into: Map<string, string[]>): void {
  const bad = (what: string) =>
    new UserError(`--sweep ${text}: ${what}`, "Give it as NAME=1..10,NAME=A,B.");
  let list: string[] | null = null;
  for (const part of text.split(",")) {
    const [, name, first] = /^([a-z][\w-]*)=(.*)$/i.exec(part) ?? [];
    if (name !== undefined) {
      if (into.has(name)) throw bad(`${name} is swept twice`);
      into.set(name, list = []);
    }
    const value = first ?? part;
    if (list === null || value === "") {
      throw bad("a value without a name, or a name without values");
    }
    list.push(...expand(value, bad));
  }
}

function expand(value: string, bad: (what: string) => Error): string[] {
  const [, from, to] = /^(-?\d+)\.\.(-?\d+)$/.exec(value) ?? [];
  if (from === undefined || to === undefined) return [value];
  const length = Number(to) - Number(from) + 1;
  if (length < 1 || length > LONGEST_RANGE) throw bad(`${value} has ${Math.max(0, length)} values`);
  return Array.from({ length }, (_, i) => String(Number(from) + i));
}

/** Every combination; the last name varies fastest. */
function product(values: readonly (readonly [string, readonly string[]])[]): SweepPoint[] {
  let points: [string, string][][] = [[]];
  for (const [name, list] of values) {
    points = points.flatMap((point) =>
      list.map((value) => [...point, [name, value] as [string, string]])
    );
  }
  return points.map((point) => new Map(point));
}

const placeOf = (name: string) => `{${name}}`;

/** Throws UserError for a name that stands nowhere and is no option. */
export function checkNames({ args, points }: Sweep): void {
  const options = extractOptionNames(COMMANDS.get("record")!().usage);
  for (const name of points[0]!.keys()) {
    const place = placeOf(name);
    if (args.some((arg) => arg.includes(place)) || options.has(`--${name}`)) continue;
    throw new UserError(
      `--sweep ${name}=…: no option contains ${place}, and none is called --${name}`,
      `Write ${place} where the value belongs, as in --append "${name}=${place}".`,
    );
  }
}

/** The command line of one recording. */
export function argsAt({ args, folder }: Sweep, point: SweepPoint): string[] {
  let out = [...args];
  for (const [name, value] of point) {
    const place = placeOf(name);
    out = out.some((arg) => arg.includes(place))
      ? out.map((arg) => arg.replaceAll(place, value))
      : [...out, `--${name}`, value];
  }
  return [...out, "-o", join(folder, `${sweepName(point)}.trace`)];
}

/** Nobody types, and nobody sees what the guests print. */
const quiet = () =>
  new Terminal({
    read: () => Promise.resolve(null),
    write: () => {},
    interactive: false,
    setRaw: () => {},
  });

/**
 * Records every combination; `parse` reads a command line or ends the program with its error. All are read
 * before the first is recorded. Returns the exit code of the first guest that failed, else 0.
 */
export async function runSweep(
  commandLine: readonly string[],
  parse: (args: readonly string[]) => RecordArguments,
): Promise<number> {
  const sweep = parseSweep(commandLine);
  checkNames(sweep);
  const recordings = sweep.points.map((point) => parse(argsAt(sweep, point)));
  let failed: number = EXIT.ok;
  for (const [i, a] of recordings.entries()) {
    const [path, recipe, terminal] = [a.output!, await recipeFor(a), quiet()];
    const result = await withTerminal(terminal, (t) => recordInto(path, a, recipe, t));
    console.error(`${i + 1}/${recordings.length} ${remarks(result)}${summary(result, path)}`);
    if (terminal.signalled) return terminal.signalled;
    if (failed === EXIT.ok) failed = result.exitCode;
  }
  console.error(
    `Compare them: deno task compare ${sweep.folder} --by ${[...sweep.points[0]!.keys()][0]}`,
  );
  return failed;
}
