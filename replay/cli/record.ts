/**
 * `record`: one guest on the terminal, or the demonstration when the options name no guest.
 * @module
 */
import { basename } from "node:path";
import type { Engine } from "../../analysis/engine.ts";
import { isDemonstration, runDemonstration } from "./demonstration.ts";
import { machineFor, type Recipe, type RecordArguments } from "./machine_spec.ts";
import { freeNames, writeNew } from "./output_directory.ts";
import { recordInto, summary, TRACES } from "./recording.ts";
import { processStreams, Terminal, withTerminal } from "./terminal.ts";

/** "linux" of "/boot/linux.elf", "serial" of "bundled:serial". */
function guestName(recipe: Recipe): string {
  const { guest, kernel, bios, loads } = recipe.spec;
  if (guest) return guest.name;
  const named = kernel ?? (typeof bios === "object" ? bios : loads[0]?.file ?? null);
  if (named === null) return "guest";
  return basename(named.path).replace(/^bundled:/, "").replace(/\.[^.]+$/, "");
}

/** What a guest of ours did between its marks, once it has done it. */
async function printWork(path: string, engine: Promise<Engine>): Promise<void> {
  const { runSummary } = await import("../../analysis/summary.ts");
  await runSummary({ trace: path, engine });
}

/** Records a guest that marks its work, and says what that took. */
async function recordGuest(a: RecordArguments, recipe: Recipe): Promise<number> {
  const { openEngine } = await import("../../analysis/engine.ts");
  // DuckDB starts in its worker while the guest runs.
  const engine = openEngine();
  try {
    return await recordOne(a, recipe, (path) => printWork(path, engine));
  } finally {
    await engine.then((e) => e.close(), () => {});
  }
}

async function recordOne(
  a: RecordArguments,
  recipe: Recipe,
  then: (path: string) => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  const name = `${guestName(recipe)}-${recipe.spec.serial}`;
  const path = a.output ?? freeNames(TRACES, [name], a.force)[0];
  const terminal = new Terminal(processStreams());
  const result = await withTerminal(terminal, (t) => recordInto(path, a, recipe, t));
  console.error((terminal.midLine ? "\n" : "") + summary(result, path));
  if (result.end.kind === "poweroff") await then(path);
  return terminal.signalled ?? result.exitCode;
}

async function dumpDeviceTree(a: RecordArguments, recipe: Recipe, path: string): Promise<number> {
  const { deviceTree } = await import("./device_tree.ts");
  const bytes = await deviceTree(recipe);
  writeNew(path, bytes, a.force);
  console.error(`exitscope: wrote ${path} (${bytes.length} bytes)`);
  return 0;
}

/** The machine asked for; its guest is fetched when it is one that has to be. */
async function recipeFor(a: RecordArguments): Promise<Recipe> {
  if (a.guest === undefined && a.guestDir === undefined) return machineFor(a);
  const { linuxGuest } = await import("./guest_linux.ts");
  const { options, guest } = await linuxGuest(a);
  return machineFor(options, { guest });
}

/** Runs `record` and returns its exit code. */
export async function runRecord(a: RecordArguments): Promise<number> {
  if (isDemonstration(a) && a.dumpDtb === undefined) return await runDemonstration(a);
  const recipe = await recipeFor(a);
  if (a.dumpDtb !== undefined) return await dumpDeviceTree(a, recipe, a.dumpDtb);
  return recipe.spec.guest ? await recordGuest(a, recipe) : await recordOne(a, recipe);
}
