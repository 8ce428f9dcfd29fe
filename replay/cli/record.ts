/**
 * `record`: one guest on the terminal, or the demonstration when the options name no guest.
 * @module
 */
import type { Engine } from "../../analysis/engine.ts";
import { flatKernelAddr } from "../../core/board/boot.ts";
import { imageKind } from "../../core/board/loader.ts";
import type { MachineInfo } from "../info.ts";
import { baseName } from "../paths.ts";
import type { Recipe, RecordArguments } from "./machine_spec.ts";
import { freeNames, writeNew } from "./output_directory.ts";
import { recordInto, remarks, summary, TRACES, unanswered } from "./recording.ts";
import { isDemonstration, recipeFor } from "./recipe.ts";
import { processStreams, Terminal, withTerminal } from "./terminal.ts";

/** "linux" of "/boot/linux.elf", "serial" of "bundled:serial". */
function guestName(recipe: Recipe): string {
  const { guest, kernel, bios, loads } = recipe.spec;
  if (guest) return guest.name;
  const named = kernel ?? (typeof bios === "object" ? bios : loads[0]?.file ?? null);
  if (named === null) return "guest";
  return baseName(named.path).replace(/^bundled:/, "").replace(/\.[^.]+$/, "");
}

/** Raw bytes name no place and no format: what is made of them is said, as it may be a mistake. */
function aboutRawKernel({ spec, files }: Recipe): string | null {
  if (spec.kernel === null || spec.kernel.path.startsWith("bundled:")) return null;
  if (imageKind(files.get(spec.kernel.path)!) !== "flat") return null;
  const addr = flatKernelAddr(spec).toString(16);
  return `exitscope: ${spec.kernel.path} is neither ELF nor Linux Image: raw bytes, which start at ` +
    `0x${addr} (another place: --load FILE@ADDR)`;
}

/** The console, which says `note` once the machine is built. */
class NotingTerminal extends Terminal {
  constructor(readonly note: string | null) {
    super(processStreams());
  }

  override machine(m: { info: MachineInfo }): void {
    super.machine(m);
    if (this.note !== null) console.error(this.note);
  }
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
  const terminal = new NotingTerminal(aboutRawKernel(recipe));
  const result = await withTerminal(terminal, (t) => recordInto(path, a, recipe, t));
  console.error((terminal.midLine ? "\n" : "") + remarks(result) + summary(result, path));
  const missed = unanswered(result);
  if (missed !== null) console.error(missed);
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

/** Runs `record` and returns its exit code. */
export async function runRecord(a: RecordArguments): Promise<number> {
  const compares = a.compare !== undefined || isDemonstration(a);
  if (compares && a.dumpDtb === undefined) {
    return await (await import("./demonstration.ts")).runDemonstration(a);
  }
  const recipe = await recipeFor(a);
  if (a.dumpDtb !== undefined) return await dumpDeviceTree(a, recipe, a.dumpDtb);
  return recipe.spec.guest ? await recordGuest(a, recipe) : await recordOne(a, recipe);
}
