/**
 * `record`: one guest on the terminal, or the demonstration when the options name no guest.
 * @module
 */
import { basename } from "node:path";
import { isDemonstration, runDemonstration } from "./demonstration.ts";
import { machineFor, type Recipe, type RecordArguments } from "./machine_spec.ts";
import { freeNames, writeNew } from "./output_directory.ts";
import { recordInto, remarks, summary, TRACES } from "./recording.ts";
import { processStreams, Terminal, withTerminal } from "./terminal.ts";

/** "linux" of "/boot/linux.elf", "serial" of "bundled:serial". */
function guestName(recipe: Recipe): string {
  const { kernel, bios, loads } = recipe.spec;
  const named = kernel ?? (typeof bios === "object" ? bios : loads[0]?.file ?? null);
  if (named === null) return "guest";
  return basename(named.path).replace(/^bundled:/, "").replace(/\.[^.]+$/, "");
}

async function recordOne(a: RecordArguments): Promise<number> {
  const recipe = machineFor(a);
  const name = `${guestName(recipe)}-${recipe.spec.serial}`;
  const path = a.output ?? freeNames(TRACES, [name], a.force)[0];
  const terminal = new Terminal(processStreams());
  const result = await withTerminal(terminal, (t) => recordInto(path, a, recipe, t));
  console.error((terminal.midLine ? "\n" : "") + remarks(result) + summary(result, path));
  return terminal.signalled ?? result.exitCode;
}

async function dumpDeviceTree(a: RecordArguments, path: string): Promise<number> {
  const { deviceTree } = await import("./device_tree.ts");
  const bytes = await deviceTree(machineFor(a));
  writeNew(path, bytes, a.force);
  console.error(`exitscope: wrote ${path} (${bytes.length} bytes)`);
  return 0;
}

/** Runs `record` and returns its exit code. */
export async function runRecord(a: RecordArguments): Promise<number> {
  if (a.dumpDtb !== undefined) return await dumpDeviceTree(a, a.dumpDtb);
  if (isDemonstration(a)) return await runDemonstration(a);
  return await recordOne(a);
}
