/**
 * `record`: one guest on the terminal, or the demonstration when the options name no guest.
 * @module
 */
import { basename, join } from "node:path";
import type { EndKind, RecordHost, RecordResult } from "./contract.ts";
import { diskIsFull } from "./errors.ts";
import { isDemonstration, runDemonstration } from "./demonstration.ts";
import { machineFor, type RecordArguments, type Recipe } from "./machine_spec.ts";
import { freeName, OutputDirectory } from "./output_directory.ts";
import { recorder } from "./recorder.ts";
import { processStreams, Terminal, withTerminal } from "./terminal.ts";

export const TRACES = "traces";

const ENDS: Record<EndKind, (code: number) => string> = {
  "poweroff": () => "the guest powered off",
  "reboot": () => "the guest asked for a reboot",
  "fail": (code) => `the guest failed with code ${code}`,
  "until-icount": () => "stopped at the instruction asked for",
  "until-output": () => "the output asked for appeared",
  "timeout": () => "the guest ran out of time (--timeout)",
  "quit": () => "stopped on request",
  "trace-limit": () => "the trace is as large as --trace-limit allows",
  "idle-forever": () => "the guest waits for an interrupt that cannot come",
};

const count = (n: number) => n.toLocaleString("en-US");

/** "the guest powered off after 12,345 instructions and 0.5 ms…": how a recording ended. */
export function summary(result: RecordResult, directory: string): string {
  const ms = (result.timeNs / 1e6).toFixed(result.timeNs < 1e7 ? 3 : 0);
  const mb = (result.bytes / 1e6).toFixed(1);
  return `exitscope: ${ENDS[result.end.kind](result.end.code)} after ${
    count(result.icount)
  } instructions and ${ms} ms of virtual time; ${count(result.exits)} exits in ${directory} (${
    count(result.rows)
  } rows, ${mb} MB, ${(result.hostMs / 1e3).toFixed(1)} s)`;
}

/** Records `recipe` into `path`; a failure leaves nothing behind and puts back what was there. */
export async function recordInto(
  path: string,
  a: RecordArguments,
  recipe: Recipe,
  host: RecordHost,
): Promise<RecordResult> {
  const record = await recorder();
  const output = new OutputDirectory(path, a.force);
  try {
    const result = await record({
      ...recipe,
      directory: path,
      force: false,
      tables: a.traceTables === undefined ? undefined : [...a.traceTables],
      traceLimitBytes: a.traceLimit,
      untilIcount: a.untilIcount,
      untilOutput: a.untilOutput,
      timeoutSeconds: a.timeout,
    }, host);
    output.keep();
    return result;
  } catch (error) {
    if (!diskIsFull(error) || !output.holdsRows()) output.rollBack();
    throw error;
  }
}

/** "linux" of "/boot/linux.elf", "serial" of "bundled:serial". */
function guestName(recipe: Recipe): string {
  const { kernel, bios, loads } = recipe.spec;
  const named = kernel ?? (typeof bios === "object" ? bios : loads[0]?.file ?? null);
  if (named === null) return "guest";
  return basename(named.path).replace(/^bundled:/, "").replace(/\.[^.]+$/, "");
}

async function recordOne(a: RecordArguments): Promise<number> {
  const recipe = machineFor(a);
  const path = a.output ??
    freeName(TRACES, `${guestName(recipe)}-${recipe.spec.serial}`, a.force);
  const terminal = new Terminal(processStreams());
  const result = await withTerminal(terminal, (t) => recordInto(path, a, recipe, t));
  console.error(summary(result, path));
  return terminal.signalled ?? result.exitCode;
}

async function dumpDeviceTree(a: RecordArguments, path: string): Promise<number> {
  const { deviceTree } = await import("./device_tree.ts");
  const { OutputFile } = await import("./output_directory.ts");
  const bytes = await deviceTree(machineFor(a));
  OutputFile.write(path, bytes, a.force);
  console.error(`exitscope: wrote ${path} (${bytes.length} bytes)`);
  return 0;
}

/** Runs `record` and returns its exit code. */
export async function runRecord(a: RecordArguments): Promise<number> {
  if (a.dumpDtb !== undefined) return await dumpDeviceTree(a, a.dumpDtb);
  if (isDemonstration(a)) return await runDemonstration(a);
  return await recordOne(a);
}

export const tracePath = (name: string) => join(TRACES, `${name}.trace`);
