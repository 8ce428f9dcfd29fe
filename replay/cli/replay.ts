/** `replay`: a recording run again from its manifest and inputs. @module */
import type { CpuMode } from "../../core/cpu/mod.ts";
import type { Difference } from "../../core/trace/verify.ts";
import type { ReplayResult } from "../replay.ts";
import { EXIT } from "./errors.ts";
import { type LogArguments, openLog } from "./log.ts";
import { writeOut } from "./terminal.ts";

export interface ReplayArguments extends LogArguments {
  readonly trace: string;
  readonly verify: boolean;
  readonly cpu: CpuMode;
}

const count = (n: number) => n.toLocaleString("en-US");

/** A value, or a row, on one line. */
const shown = (value: unknown) =>
  value === null ? "nothing" : Deno.inspect(value, { breakLength: Infinity, compact: true });

/** Where and how the second run differs. */
export function describeDifference(d: Difference): string {
  const seq = d.seq === null ? "" : ` (seq ${count(d.seq)})`;
  const place = `${d.table} row ${count(d.row)}${seq}`;
  const column = d.column === null ? "" : `, column ${d.column}`;
  return `${place}${column}: recorded ${shown(d.expected)}, replayed ${shown(d.got)}`;
}

/** The sentence that says what the replay found. */
export function verdict(a: ReplayArguments, result: ReplayResult): string {
  const work = `${count(result.icount)} instructions`;
  if (!a.verify) return `ran ${work} again; --verify compares`;
  if (result.firstDifference !== null) {
    return `${a.trace} differs: ${describeDifference(result.firstDifference)}`;
  }
  const whole = result.cleanEnd ? "" : " (the recording was cut short; this is all of it)";
  return `${a.trace} is reproduced: ${count(result.rows)} rows over ${work}, the same${whole}`;
}

/** Runs `replay` and returns its exit code: 1 when the second run differs from the recording. */
export async function runReplay(a: ReplayArguments): Promise<number> {
  const { replay } = await import("../replay.ts");
  const started = performance.now();
  const log = await openLog(a);
  const result = await replay(a.trace, {
    verify: a.verify,
    cpu: a.cpu,
    out: a.verify ? undefined : (_device, bytes) => writeOut(bytes),
    log: log?.log,
  }).finally(() => log?.close());
  const seconds = ((performance.now() - started) / 1e3).toFixed(1);
  console.error(`exitscope: ${verdict(a, result)} (${seconds} s)`);
  return result.ok ? EXIT.ok : EXIT.no;
}
