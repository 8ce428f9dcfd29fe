/**
 * Records and kills its own process after a given number of bytes written to the trace, in the middle of
 * a write: `kill_child.ts DIRECTORY BYTES SERIAL`. Exits 0 when the recording ended before.
 * @module
 */
import { filesOf, ScriptedHost, serialSpec } from "./recorder.ts";
import { record } from "../replay/record.ts";

const [directory, bytes, serial] = Deno.args;
let left = Number(bytes);

const writeSync = Deno.FsFile.prototype.writeSync;
Deno.FsFile.prototype.writeSync = function (this: Deno.FsFile, p: Uint8Array): number {
  if (p.length > left) {
    writeSync.call(this, p.subarray(0, left));
    Deno.kill(Deno.pid, "SIGKILL");
  }
  left -= p.length;
  return writeSync.call(this, p);
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
