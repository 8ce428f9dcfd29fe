/**
 * Stands in for the thread that writes a trace, and kills the process once that thread has written so
 * many bytes: `kill_worker.ts?writer=URL&bytes=N`.
 * @module
 */
const query = new URL(import.meta.url).searchParams;
let left = Number(query.get("bytes"));

const writeSync = Deno.FsFile.prototype.writeSync;
Deno.FsFile.prototype.writeSync = function (this: Deno.FsFile, p: Uint8Array): number {
  if (p.length > left) {
    writeSync.call(this, p.subarray(0, left));
    Deno.kill(Deno.pid, "SIGKILL");
  }
  left -= p.length;
  return writeSync.call(this, p);
};

await import(query.get("writer")!);
