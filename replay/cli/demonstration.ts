/**
 * What `record` does when nobody names a guest: the bundled guest does the same work on two devices,
 * and the traces are compared.
 * @module
 */
import { Buffer } from "node:buffer";
import type { SerialKind } from "../../core/board/spec.ts";
import type { Progress, RecordHost, RecordResult } from "../record.ts";
import { EXIT, UserError } from "./errors.ts";
import { machineFor, type RecordArguments, usesBundledGuest } from "./machine_spec.ts";
import { freeNames } from "./output_directory.ts";
import { checkPayload } from "./payload_check.ts";
import { progressView } from "./progress.ts";
import { recordInto, remarks, summary, TRACES } from "./recording.ts";
import { Terminal, withTerminal } from "./terminal.ts";

/** One side of a pair: how the machine is fitted, and the name of its trace. */
interface Side {
  readonly name: string;
  readonly title: string;
  readonly serial: SerialKind;
}

/** The same guest doing the same work on machines that differ in one device. */
export interface Pair {
  readonly question: string;
  /** Kernel command line that asks the guest for its work. */
  readonly append: string;
  /** Console output that the work makes, in bytes: what progress is measured against. */
  readonly outputBytes: number;
  readonly sides: readonly [Side, Side];
}

export const PAIRS: readonly Pair[] = [{
  question: "What does a serial port cost, fully virtualized and paravirtual?",
  append: "bytes=32768 chunk=16,4096",
  outputBytes: 65536,
  sides: [
    { name: "serial-sifive", title: "SiFive UART", serial: "sifive" },
    { name: "serial-virtio", title: "virtio-console", serial: "virtio" },
  ],
}];

const TITLE_WIDTH = 14;
const count = (n: number) => n.toLocaleString("en-US");

/** True when `record` is to do the pairs: nothing says which guest, what it does, or where it goes. */
export function isDemonstration(a: RecordArguments): boolean {
  return usesBundledGuest(a) && a.guest === undefined && a.guestDir === undefined &&
    a.bios === "builtin" && a.drive.length === 0 &&
    [a.serial, a.append, a.output].every((choice) => choice === undefined);
}

interface Recorded {
  path: string;
  result: RecordResult;
  output: Uint8Array;
}

/** Nobody types at a demonstration, and its output is kept instead of shown. */
function quietTerminal(keep: (bytes: Uint8Array) => void): Terminal {
  return new Terminal({
    read: () => Promise.resolve(null),
    write: keep,
    interactive: false,
    setRaw: () => {},
  });
}

async function recordSide(a: RecordArguments, pair: Pair, side: Side, path: string) {
  const recipe = machineFor(a, { serial: side.serial, append: pair.append });
  const view = await progressView(side.title.padEnd(TITLE_WIDTH), pair.outputBytes);
  const parts: Uint8Array[] = [];
  let outBytes = 0;
  const terminal = quietTerminal((bytes) => {
    parts.push(bytes.slice());
    outBytes += bytes.length;
  });
  const host: RecordHost = Object.assign(terminal, {
    progress: (p: Progress) => view.update({ ...p, outBytes }),
  });
  try {
    const result = await withTerminal(terminal, () => recordInto(path, a, recipe, host));
    if (result.end.kind === "poweroff") view.done({ ...result, outBytes });
    const recorded: Recorded = { path, result, output: Buffer.concat(parts) };
    return { recorded, signalled: terminal.signalled };
  } finally {
    view.close();
  }
}

/** The guest's exit code when a side did not end as it should; otherwise null. */
function failure(side: Recorded): number | null {
  if (side.result.end.kind === "poweroff") return null;
  console.error(remarks(side.result) + summary(side.result, side.path));
  return side.result.exitCode === EXIT.ok ? EXIT.guest : side.result.exitCode;
}

/** Payload bytes of both sides, which must have arrived unchanged. */
function checkOutputs(done: readonly Recorded[]): number {
  const payloads = done.map((d) => checkPayload(d.output));
  for (const [i, { fault }] of payloads.entries()) {
    if (fault === null) continue;
    throw new UserError(
      `${done[i].path}: ${fault}`,
      "The device or its driver loses data: query the trace's access table around it.",
      EXIT.no,
    );
  }
  return payloads[0].bytes;
}

/** Records both sides; their recordings, or the exit code of the one that failed. */
async function recordPair(
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

async function runPair(a: RecordArguments, pair: Pair): Promise<number> {
  const paths = freeNames(TRACES, pair.sides.map((s) => s.name), a.force);
  console.log(`${pair.question}\n`);
  const { openEngine } = await import("../../analysis/engine.ts");
  // DuckDB starts in its worker while the guests run.
  const engine = openEngine();
  try {
    const done = await recordPair(a, pair, paths);
    if (typeof done === "number") return done;
    const bytes = checkOutputs(done);
    const { runCompare } = await import("../../analysis/compare.ts");
    const code = await runCompare({ traces: paths, engine });
    console.log(`\nBoth consoles received ${count(bytes)} bytes unchanged (CRC-32 by the guest).`);
    console.log(`Ask further: deno task query ${paths.join(" ")}`);
    return code;
  } finally {
    await engine.then((e) => e.close(), () => {});
  }
}

/** Records and compares every pair; the exit code of the first that fails. */
export async function runDemonstration(a: RecordArguments): Promise<number> {
  for (const pair of PAIRS) {
    const code = await runPair(a, pair);
    if (code !== EXIT.ok) return code;
  }
  return EXIT.ok;
}
