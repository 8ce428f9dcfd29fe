/**
 * What `record` does when nobody names a guest, or with `--compare`: a guest does the same work on
 * machines that differ in one device, and the traces are compared.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Engine } from "../../analysis/engine.ts";
import type { PairFigures } from "../../analysis/pairs.ts";
import { wrap } from "../../analysis/wrap.ts";
import type { Medium } from "../../core/mmio/medium.ts";
import type { Progress, RecordHost, RecordResult } from "../record.ts";
import { arrival } from "./arrival.ts";
import { EXIT, UserError } from "./errors.ts";
import type { RecordArguments } from "./machine_spec.ts";
import { freeNames } from "./output_directory.ts";
import { LINUX_PAIRS, onLinux, optionsOf, type Pair, PAIRS, type Side } from "./pairs.ts";
import { progressView } from "./progress.ts";
import { recipeFor, wantsLinux } from "./recipe.ts";
import { recordInto, remarks, summary, TRACES } from "./recording.ts";
import { Terminal, withTerminal } from "./terminal.ts";

const TITLE_WIDTH = 17;
const WIDTH = 100;

/** What one machine of a pair left behind. */
export interface Recorded {
  readonly path: string;
  readonly result: RecordResult;
  readonly output: Uint8Array;
  readonly disks: readonly Medium[];
}

/** Nobody types at a demonstration, and its output is kept instead of shown. */
export function quietTerminal(keep: (bytes: Uint8Array) => void): Terminal {
  return new Terminal({
    read: () => Promise.resolve(null),
    write: keep,
    interactive: false,
    setRaw: () => {},
  });
}

async function recordSide(a: RecordArguments, pair: Pair, side: Side, path: string) {
  const options = optionsOf(a, pair, side);
  const recipe = await recipeFor(options);
  const view = await progressView(side.title.padEnd(TITLE_WIDTH), pair.outputBytes);
  const parts: Uint8Array[] = [];
  let outBytes = 0;
  let disks: readonly Medium[] = [];
  const terminal = quietTerminal((bytes) => {
    parts.push(bytes.slice());
    outBytes += bytes.length;
  });
  const host: RecordHost = Object.assign(terminal, {
    progress: (p: Progress) => view.update({ ...p, outBytes }),
    disks: (found: ReadonlyMap<string, Medium>) => disks = [...found.values()],
  });
  try {
    const result = await withTerminal(terminal, () => recordInto(path, options, recipe, host));
    if (result.end.kind === "poweroff") view.done({ ...result, outBytes });
    const recorded: Recorded = { path, result, output: Buffer.concat(parts), disks };
    return { recorded, signalled: terminal.signalled };
  } finally {
    view.close();
  }
}

/** The guest's exit code when a side did not end as it should; otherwise null. */
export function failure(side: Recorded): number | null {
  if (side.result.end.kind === "poweroff") return null;
  console.error(remarks(side.result) + summary(side.result, side.path));
  return side.result.exitCode === EXIT.ok ? EXIT.guest : side.result.exitCode;
}

/** Records all sides; their recordings, or the exit code of the one that failed. */
async function recordSides(
  a: RecordArguments,
  pair: Pair,
  paths: readonly string[],
): Promise<Recorded[] | number> {
  const done: Recorded[] = [];
  for (const [i, side] of pair.sides.entries()) {
    const { recorded, signalled } = await recordSide(a, pair, side, paths[i]);
    const code = signalled ?? failure(recorded);
    if (code !== null) return code;
    done.push(recorded);
  }
  return done;
}

/** A pair that was recorded, its data checked and its figures read. */
interface Done {
  readonly pair: Pair;
  readonly paths: readonly string[];
  readonly arrived: string;
  readonly figures: PairFigures;
}

async function runPair(
  a: RecordArguments,
  pair: Pair,
  engine: Promise<Engine>,
): Promise<Done | number> {
  const paths = freeNames(TRACES, pair.sides.map((s) => s.name), a.force);
  const done = await recordSides(a, pair, paths);
  if (typeof done === "number") return done;
  const arrived = arrival(pair.check, done);
  const { readPair } = await import("../../analysis/pairs.ts");
  const sides = pair.sides.map((s, i) => ({ trace: paths[i], title: s.title }));
  return { pair, paths, arrived, figures: await readPair(sides, engine) };
}

/** Sentences, broken into lines. */
const folded = (text: string) => wrap(text, WIDTH).join("\n");

/** The serial pair as `compare` shows it: every table, on two machines that everybody knows. */
async function showInFull({ paths, arrived }: Done, engine: Promise<Engine>): Promise<void> {
  const { runCompare } = await import("../../analysis/compare.ts");
  await runCompare({ traces: paths, engine });
  console.log(`\n${arrived}`);
  console.log(`Ask further: deno task query ${paths.join(" ")}`);
}

async function showOne(done: Done, engine: Promise<Engine>): Promise<void> {
  const { pair, paths, arrived, figures } = done;
  const { printPair } = await import("../../analysis/pairs.ts");
  console.log(`${pair.question}\n`);
  printPair(figures);
  if (pair.remark !== undefined) console.log(folded(pair.remark));
  console.log("");
  if (pair.name === "serial") return await showInFull(done, engine);
  console.log(folded(arrived));
  console.log(`See all that differs: deno task compare ${paths.join(" ")}`);
}

async function showAll(done: readonly Done[], engine: Promise<Engine>): Promise<void> {
  const { printPairs } = await import("../../analysis/pairs.ts");
  console.log("The same work on fully virtualized and on paravirtual devices\n");
  printPairs(done.map(({ pair, figures }) => ({ name: pair.name, figures })));
  for (const { pair, arrived } of done) console.log(folded(`${pair.name}: ${arrived}`));
  console.log(
    `\nA pair in full: deno task record --compare ${PAIRS[1].name}. Here is the first one.\n`,
  );
  await showInFull(done[0], engine);
}

/** What `--compare` decides itself. */
function checkChoices(a: RecordArguments): void {
  const clashes: [string, boolean][] = [
    ["--kernel", a.kernel !== undefined],
    ["--load", a.load.length > 0],
    ["--initrd", a.initrd !== undefined],
    ["--drive", a.drive.length > 0],
    ["--output", a.output !== undefined],
    ["--bios", a.bios !== "builtin"],
    ["--serial", a.serial !== undefined && a.compare === "serial"],
  ];
  const clash = clashes.find(([, given]) => given);
  if (clash === undefined) return;
  throw new UserError(
    `--compare ${a.compare} chooses ${clash[0]} itself`,
    `Leave out ${clash[0]}, or record each machine by its own command and use compare.`,
  );
}

function pairsFor(a: RecordArguments): readonly Pair[] {
  if (a.compare === undefined) return PAIRS;
  checkChoices(a);
  const pair = PAIRS.find((p) => p.name === a.compare)!;
  if (!wantsLinux(a)) return [pair];
  if (LINUX_PAIRS.includes(pair.name)) return [onLinux(pair)];
  throw new UserError(
    `--guest linux does not compare ${pair.name}`,
    `Use --compare ${LINUX_PAIRS.join(" or ")}, or leave out --guest.`,
  );
}

/** Records and compares the pairs asked for; the exit code of the first that fails. */
export async function runDemonstration(a: RecordArguments): Promise<number> {
  const pairs = pairsFor(a);
  const { openEngine } = await import("../../analysis/engine.ts");
  // DuckDB starts in its worker while the guests run.
  const engine = openEngine();
  try {
    const done: Done[] = [];
    for (const pair of pairs) {
      const one = await runPair(a, pair, engine);
      if (typeof one === "number") return one;
      done.push(one);
    }
    if (a.compare === undefined) await showAll(done, engine);
    else await showOne(done[0], engine);
    return EXIT.ok;
  } finally {
    await engine.then((e) => e.close(), () => {});
  }
}
