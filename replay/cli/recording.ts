/**
 * One recording into one directory, and the sentence that says how it ended.
 * @module
 */
import type { EndKind, RecordHost, RecordResult } from "../record.ts";
import { diskIsFull } from "./errors.ts";
import type { Recipe, RecordArguments } from "./machine_spec.ts";
import { openLog } from "./log.ts";
import { openModuleCache } from "../module_cache.ts";
import { OutputDirectory } from "./output_directory.ts";

/** Folder of traces whose name nobody chose. */
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
  "panic": () => "the guest panicked",
  "trap-loop": () => "the guest can never go on",
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

/** What else is to be said of a recording: lines, before the summary. */
export function remarks({ aftermath, unnamed, profile }: RecordResult): string {
  const lines = aftermath === null ? [] : [
    `exitscope: ${aftermath.cause}`,
    ...(aftermath.events.length === 0 ? [] : ["Last events before (ns, hart):"]),
    ...aftermath.events,
    "Registers at the end:",
    aftermath.registers,
  ];
  if (unnamed !== null) lines.push(`exitscope: no names of the kernel's functions: ${unnamed}`);
  if (profile !== null) lines.push(profile);
  return lines.map((line) => `${line}\n`).join("");
}

/** Names the first answer that was never typed: its pattern may be wrong. Null when all were. */
export function unanswered(result: RecordResult): string | null {
  const [first, ...more] = result.unanswered;
  if (first === undefined) return null;
  const others = more.length === 0 ? "" : `, nor those of ${more.length} more`;
  return `exitscope: --answer: the output never matched ${first.after.source}${others}`;
}

/** Records `recipe` into `path`; a failure leaves nothing behind and puts back what was there. */
export async function recordInto(
  path: string,
  a: RecordArguments,
  recipe: Recipe,
  host: RecordHost,
): Promise<RecordResult> {
  const { record } = await import("../record.ts");
  const profile = a.profile ? new (await import("../profile.ts")).Profile() : undefined;
  const modules = await openModuleCache() ?? undefined;
  const log = await openLog(a);
  const output = new OutputDirectory(path, a.force);
  try {
    const result = await record({
      ...recipe,
      directory: path,
      force: false,
      tables: a.traceTables && [...new Set([...a.traceTables, "input" as const])],
      traceLimitBytes: a.traceLimit,
      untilIcount: a.untilIcount,
      untilOutput: a.untilOutput,
      answers: a.answer,
      timeoutSeconds: a.timeout,
      panic: a.panic?.begins,
      log: log?.log,
      cpu: a.cpu,
      modules,
      profile,
    }, host);
    output.keep();
    return result;
  } catch (error) {
    if (!diskIsFull(error) || !output.holdsRows()) output.rollBack();
    throw error;
  } finally {
    log?.close();
  }
}
