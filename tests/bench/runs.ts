/**
 * What the benchmarks run: bundled guests, recorded to disk or not at all.
 * @module
 */
import { existsSync } from "node:fs";
import { DEFAULT_SPEC, type MachineSpec } from "../../core/board/spec.ts";
import type { CpuMode } from "../../core/cpu/mod.ts";
import { type Files, readInput } from "../../replay/files.ts";
import { type EndKind, record, type RecordResult } from "../../replay/record.ts";
import { filesOf, ScriptedHost } from "../recorder.ts";
import { mainThreadMs } from "./measure.ts";

/** Output is counted and thrown away. */
class Silent extends ScriptedHost {
  override out(): void {}
}

export function benchSpec(guest: string, change: Partial<MachineSpec>): MachineSpec {
  return { ...DEFAULT_SPEC, kernel: readInput(`bundled:${guest}`, "kernel").ref, ...change };
}

export interface Timed {
  /** From before the machine is built until the last byte is written. */
  readonly ms: number;
  /** CPU time of the machine's own thread; null where the system does not tell. */
  readonly threadMs: number | null;
  readonly result: RecordResult;
}

/**
 * Runs to the guest's end; `directory` null records nothing. What an earlier run left there is removed
 * before the clock starts: freeing its pages is no cost of this run.
 */
export async function timed(
  spec: MachineSpec,
  directory: string | null,
  options: { cpu?: CpuMode; end?: EndKind; panic?: null; files?: Files } = {},
): Promise<Timed> {
  const files = options.files ?? filesOf(spec);
  if (directory !== null && existsSync(directory)) Deno.removeSync(directory, { recursive: true });
  const cpu = mainThreadMs();
  const start = performance.now();
  const result = await record(
    { spec, files, directory, force: true, cpu: options.cpu, panic: options.panic },
    new Silent(),
  );
  const ms = performance.now() - start;
  const end = mainThreadMs();
  if (result.end.kind !== (options.end ?? "poweroff")) {
    throw new Error(`the guest ended by ${result.end.kind}`);
  }
  return { ms, threadMs: cpu === null || end === null ? null : end - cpu, result };
}
