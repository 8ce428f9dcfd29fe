/**
 * Records and kills its own process after a given number of bytes written to the trace, in the middle of
 * a write by the thread that writes it: `kill_child.ts DIRECTORY BYTES RECORDING`, where a drive's image
 * is `disk.img` beside the directory. Exits 0 when the recording ended before.
 * @module
 */
import { dirname } from "node:path";
import type { MachineSpec } from "../core/board/spec.ts";
import { drivesOf } from "../replay/cli/drive.ts";
import { parseDrive } from "../replay/cli/values.ts";
import { readInput } from "../replay/files.ts";
import { record } from "../replay/record.ts";
import { filesOf, ScriptedHost, serialSpec, type Typed } from "./recorder.ts";

interface Recording {
  readonly spec: (image: string) => MachineSpec;
  readonly script?: readonly Typed[];
}

const LINES: readonly Typed[] = Array.from({ length: 8 }, (_, i) => ({
  after: i === 0 ? "echo\n" : `line ${i - 1}`,
  text: `line ${i} ${"x".repeat(i * 9)}\n`,
}));

const typedAt = (serial: "sifive" | "virtio"): Recording => ({
  spec: () => serialSpec({ serial, append: "mode=echo" }),
  script: [...LINES, { after: "line 7", text: "exit 0\n" }],
});

/** Requests of one sector fill a granule in parts: its rest is read from the image before. */
const writesTo = (options: string): Recording => ({
  spec: (image) =>
    serialSpec({
      kernel: readInput("bundled:block", "kernel").ref,
      append: "chunk=512,16384 bytes=32768 seed=9",
      drives: drivesOf([parseDrive(image + options)!]),
    }),
});

export const RECORDINGS: Readonly<Record<string, Recording>> = {
  sifive: typedAt("sifive"),
  virtio: typedAt("virtio"),
  "drive, copy-on-write": writesTo(""),
  "drive, write=on": writesTo(",write=on"),
};

async function main(directory: string, bytes: string, name: string): Promise<void> {
  const ThreadOfTrace = Worker;
  globalThis.Worker = class extends ThreadOfTrace {
    constructor(_writer: string | URL, o?: WorkerOptions) {
      super(new URL(`./kill_worker.ts?bytes=${bytes}`, import.meta.url).href, o);
    }
  };
  const { spec: specOf, script } = RECORDINGS[name];
  const spec = specOf(`${dirname(directory)}/disk.img`);
  const files = filesOf(spec);
  await record(
    { spec, files, directory, force: false, batchRows: 200 },
    new ScriptedHost(script),
  );
}

if (import.meta.main) {
  const [directory, bytes, name] = Deno.args;
  await main(directory, bytes, name);
}
