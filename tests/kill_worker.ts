/**
 * Stands in for the thread that writes a trace, and kills the process once that thread has written so
 * many bytes: `kill_worker.ts?bytes=N`.
 *
 * The writer is imported statically: an `import()` of modules that Deno has not compiled yet waits for
 * the main thread, which waits for the writer.
 * @module
 */
import "../core/trace/background_worker.ts";

let left = Number(new URL(import.meta.url).searchParams.get("bytes"));

const writeSync = Deno.FsFile.prototype.writeSync;
Deno.FsFile.prototype.writeSync = function (this: Deno.FsFile, p: Uint8Array): number {
  if (p.length > left) {
    writeSync.call(this, p.subarray(0, left));
    Deno.kill(Deno.pid, "SIGKILL");
  }
  left -= p.length;
  return writeSync.call(this, p);
};
