/// <reference lib="deno.worker" />
/**
 * The thread that writes a trace: takes pieces of the row log from shared memory until the log ends.
 * Nobody ends this thread from outside: it may be waiting, or in the middle of a write.
 * @module
 */
import { getPriority, setPriority } from "node:os";
import { AT, GIVE_UP, PIECES, post, type Shared, type Start, STATE } from "./background.ts";
import { TraceDirectory } from "./directory.ts";
import { TraceError } from "./error.ts";
import { CHUNK_LANES } from "./log.ts";
import { LogReader } from "./log_reader.ts";

/** Steps of niceness below the machine's thread. */
const NICE = 10;
const LAST = 19;

self.onmessage = (event: MessageEvent<Start>) => {
  const { shared, path, recording, kept, columns } = event.data;
  let directory: TraceDirectory | null = null;
  giveWay();
  try {
    directory = new TraceDirectory(path, recording, { created: true });
    const reader = new LogReader(directory, shared.memory, kept, columns);
    Atomics.store(shared.control, AT.state, STATE.running);
    if (!take(shared, reader)) directory.abandon();
    post(shared.control, AT.state, STATE.done);
  } catch (error) {
    directory?.abandon();
    fail(shared, error as Error);
  }
  self.close();
};

/**
 * Where processors are few the guest goes first: the log holds what is written meanwhile. On Linux a
 * thread has a priority of its own, by its number; elsewhere nothing is changed.
 */
function giveWay(): void {
  if (Deno.build.os !== "linux") return;
  try {
    const thread = Number(Deno.readLinkSync("/proc/thread-self").split("/").at(-1));
    setPriority(thread, Math.min(getPriority(thread) + NICE, LAST));
  } catch {
    // Without /proc, or where it is not allowed: the trace is the same.
  }
}

/** False when the log was given up before its end. */
function take({ control, written }: Shared, reader: LogReader): boolean {
  for (let taken = 0; !reader.closed;) {
    // The notification for a piece that was seen without it comes late: it gives nothing.
    while (Atomics.load(control, AT.given) === taken) Atomics.wait(control, AT.given, taken);
    const length = control[AT.lengths + taken % PIECES];
    if (length === GIVE_UP) {
      post(control, AT.taken, taken + 1);
      return false;
    }
    reader.take(control[AT.pieces + taken % PIECES] * CHUNK_LANES, length);
    written[0] = reader.bytes;
    written[1] = reader.rows;
    post(control, AT.taken, ++taken);
  }
  return true;
}

function fail({ control, error: into }: Shared, error: Error): void {
  const fix = error instanceof TraceError ? error.fix : null;
  const message = fix === null ? error.stack ?? String(error) : error.message;
  const json = new TextEncoder().encode(JSON.stringify({ message: message.slice(0, 4000), fix }));
  into.set(json.subarray(0, into.length));
  control[AT.errorBytes] = json.length;
  Atomics.store(control, AT.state, STATE.failed);
  Atomics.notify(control, AT.taken);
}
