/**
 * What `record` does when nobody names a guest: the bundled guest does the same work on two devices,
 * and the traces are compared.
 * @module
 */
import { createHash } from "node:crypto";
import type { SerialKind } from "../../core/board/spec.ts";
import type { Progress, RecordHost, RecordResult } from "./contract.ts";
import { EXIT, UserError } from "./errors.ts";
import { machineFor, type RecordArguments, usesBundledGuest } from "./machine_spec.ts";
import { freeNames } from "./output_directory.ts";
import { progressView } from "./progress.ts";
import { recordInto, summary, TRACES } from "./recording.ts";
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
  append: "bytes=65536 chunk=16,4096",
  outputBytes: 65536,
  sides: [
    { name: "serial-sifive", title: "SiFive UART", serial: "sifive" },
    { name: "serial-virtio", title: "virtio-console", serial: "virtio" },
  ],
}];

/** True when `record` is to do the pairs: no guest, no device of the console and no name given. */
export function isDemonstration(a: RecordArguments): boolean {
  if (!usesBundledGuest(a) || a.bios !== "builtin" || a.serial !== undefined) return false;
  if (a.output === undefined) return true;
  throw new UserError(
    "-o names one trace, and the demonstration writes two",
    "Add --serial sifive or --serial virtio to record one, or leave -o out.",
  );
}

/** A host that nobody types at: output is counted and digested, progress shown. */
class UnattendedHost {
  readonly digest = createHash("sha256");
  outBytes = 0;

  out(bytes: Uint8Array): void {
    this.digest.update(bytes);
    this.outBytes += bytes.length;
  }
}

interface Recorded {
  path: string;
  result: RecordResult;
  outBytes: number;
  sha256: string;
}

async function recordSide(a: RecordArguments, pair: Pair, side: Side, path: string) {
  const recipe = machineFor(a, { serial: side.serial, append: pair.append });
  const view = await progressView(side.title.padEnd(14), pair.outputBytes);
  const seen = new UnattendedHost();
  const terminal = new Terminal({
    read: () => Promise.resolve(null),
    write: (bytes) => seen.out(bytes),
    interactive: false,
    setRaw: () => {},
  });
  const host: RecordHost = Object.assign(terminal, {
    progress: (p: Progress) => view.update({ ...p, outBytes: seen.outBytes }),
  });
  const result = await withTerminal(terminal, () => recordInto(path, a, recipe, host));
  view.done({ ...result, outBytes: seen.outBytes });
  if (terminal.signalled !== null) Deno.exit(terminal.signalled);
  const recorded: Recorded = {
    path,
    result,
    outBytes: seen.outBytes,
    sha256: seen.digest.digest("hex"),
  };
  return recorded;
}

/** The guest's exit code when a side did not end as it should; otherwise null. */
function failure(side: Recorded): number | null {
  if (side.result.end.kind === "poweroff") return null;
  console.error(summary(side.result, side.path));
  return side.result.exitCode === EXIT.ok ? EXIT.guest : side.result.exitCode;
}

async function runPair(a: RecordArguments, pair: Pair): Promise<number> {
  const paths = freeNames(TRACES, pair.sides.map((s) => s.name), a.force);
  console.log(`${pair.question}\n`);
  const done: Recorded[] = [];
  for (const [i, side] of pair.sides.entries()) {
    const recorded = await recordSide(a, pair, side, paths[i]);
    const code = failure(recorded);
    if (code !== null) return code;
    done.push(recorded);
  }
  if (done[0].sha256 !== done[1].sha256) {
    throw new UserError(
      `The two consoles did not show the same bytes (${done.map((d) => d.outBytes).join(" and ")})`,
      "Compare them with inspect; a knob may have stopped one of the guests early.",
      EXIT.no,
    );
  }
  console.log();
  const { compare } = await import("./analyse.ts");
  const code = await compare(paths, "table");
  console.log(`\nBoth consoles showed the same ${done[0].outBytes.toLocaleString("en-US")} bytes.`);
  console.log(`Ask further:  deno task query ${paths.join(" ")}`);
  return code;
}

/** Records and compares every pair; the exit code of the first that fails. */
export async function runDemonstration(a: RecordArguments): Promise<number> {
  for (const pair of PAIRS) {
    const code = await runPair(a, pair);
    if (code !== EXIT.ok) return code;
  }
  return EXIT.ok;
}
