/**
 * Records and kills its own process after a given number of bytes written to the trace, in the middle of
 * a write by the thread that writes it: `kill_child.ts DIRECTORY BYTES SERIAL`. Exits 0 when the recording ended before.
 * @module
 */
import { filesOf, ScriptedHost, serialSpec } from "./recorder.ts";
import { record } from "../replay/record.ts";

const [directory, bytes, serial] = Deno.args;
const ThreadOfTrace = Worker;
globalThis.Worker = class extends ThreadOfTrace {
  constructor(writer: string | URL, o?: WorkerOptions) {
    const killing = new URL("./kill_worker.ts", import.meta.url);
    killing.search = new URLSearchParams({ writer: String(writer), bytes }).toString();
    super(killing.href, o);
  }
};

const spec = serialSpec({ serial: serial as "sifive" | "virtio", append: "mode=echo" });
const lines = Array.from({ length: 8 }, (_, i) => ({
  after: i === 0 ? "echo\n" : `line ${i - 1}`,
  text: `line ${i} ${"x".repeat(i * 9)}\n`,
}));
const script = [...lines, { after: "line 7", text: "exit 0\n" }];
await record(
  { spec, files: filesOf(spec), directory, force: false, batchRows: 200 },
  new ScriptedHost(script),
);
