/**
 * A trace on disk that is written by a thread of its own. The machine's thread fills pieces of the row
 * log in shared memory; the writer (background_worker.ts) makes columns and files of them.
 *
 * The files are those that `TraceDirectory` writes on the spot: a kill leaves a consistent prefix, an
 * input is durable before it takes effect, and an error of the writer comes back as the same
 * `TraceError` at the next piece, flush or input.
 * @module
 */
import { createTrace } from "./create_trace.ts";
import { TraceError } from "./error.ts";
import { CHUNK_LANES, logMemory, type LogSink } from "./log.ts";
import type { Recording } from "./manifest.ts";
import type { TableName } from "./schema.ts";

/** Pieces of the log on their way: what the machine may be ahead of the writer. */
export const PIECES = 16;
/** A sleeping writer is woken for so many pieces at once, as waking costs more than a piece. */
const WAKE_PIECES = 4;
/** Host ms for the writer to come to life. */
const START_MS = 60_000;
const ERROR_BYTES = 16 * 1024;

/** Words of the shared control block. */
export const AT = { given: 0, taken: 1, state: 2, errorBytes: 3, lengths: 4 } as const;
export const STATE = { starting: 0, running: 1, failed: 2, done: 3 } as const;
/** Instead of a length: the trace is given up, what is committed stays. */
export const GIVE_UP = -1;

/** Memory that both threads see. */
export interface Shared {
  readonly control: Int32Array;
  readonly memory: WebAssembly.Memory;
  /** One number: bytes written to tables. */
  readonly written: Float64Array;
  /** JSON of the writer's error. */
  readonly error: Uint8Array;
}

/** What the writer is started with. */
export interface Start {
  readonly shared: Shared;
  readonly path: string;
  readonly recording: Recording;
  readonly kept: ReadonlySet<TableName>;
}

export function share(): Shared {
  return {
    control: new Int32Array(new SharedArrayBuffer((AT.lengths + PIECES) * 4)),
    memory: logMemory(PIECES),
    written: new Float64Array(new SharedArrayBuffer(8)),
    error: new Uint8Array(new SharedArrayBuffer(ERROR_BYTES)),
  };
}

/** Sets a control word and wakes who waits for it. */
export function post(control: Int32Array, word: number, value: number): void {
  Atomics.store(control, word, value);
  Atomics.notify(control, word);
}

export class BackgroundDirectory implements LogSink {
  readonly #shared = share();
  readonly #pieces: readonly Uint32Array[];
  readonly #path: string;
  readonly #recording: Recording;
  #kept: ReadonlySet<TableName> | null = null;
  #started = false;
  #given = 0;

  /** Creates the directory and its files at once; errors are those of `TraceDirectory`. */
  constructor(path: string, recording: Recording, o: { force?: boolean } = {}) {
    this.#path = path;
    this.#recording = recording;
    createTrace(path, o);
    this.#pieces = Array.from(
      { length: PIECES },
      (_, i) => new Uint32Array(this.memory.buffer, i * CHUNK_LANES * 4, CHUNK_LANES),
    );
  }

  get memory(): WebAssembly.Memory {
    return this.#shared.memory;
  }

  open(kept: ReadonlySet<TableName>): Uint32Array {
    this.#kept = kept;
    return this.#pieces[0];
  }

  /**
   * Starts the writer, which takes the time of some million instructions. It starts by itself when
   * somebody waits for it, or when pieces do.
   */
  start(): void {
    if (this.#started || this.#kept === null) return;
    this.#started = true;
    const url = new URL("./background_worker.ts", import.meta.url);
    const writer = new Worker(url.href, { type: "module", name: "trace" });
    const start: Start = {
      shared: this.#shared,
      path: this.#path,
      recording: this.#recording,
      kept: this.#kept,
    };
    writer.postMessage(start);
  }

  next(lanes: number, later = false): Uint32Array {
    const { control } = this.#shared;
    this.#check();
    control[AT.lengths + this.#given % PIECES] = lanes;
    Atomics.store(control, AT.given, ++this.#given);
    const waiting = this.#given - Atomics.load(control, AT.taken);
    if (waiting >= WAKE_PIECES) this.start();
    if (!later || waiting >= WAKE_PIECES) Atomics.notify(control, AT.given);
    this.#await(this.#given - PIECES + 1);
    return this.#pieces[this.#given % PIECES];
  }

  drain(): void {
    this.#await(this.#given);
  }

  get bytes(): number {
    return this.#shared.written[0];
  }

  /** Lets go of the files without ending the trace: what is committed stays readable. */
  abandon(): void {
    if (this.#kept === null) return;
    this.start();
    const { control } = this.#shared;
    const state = Atomics.load(control, AT.state);
    if (state !== STATE.failed && state !== STATE.done) {
      this.next(GIVE_UP);
      this.drain();
    }
  }

  /** Waits until the writer has taken `pieces` pieces since it began. */
  #await(pieces: number): void {
    const { control } = this.#shared;
    if (Atomics.load(control, AT.taken) < pieces) this.start();
    for (;;) {
      const taken = Atomics.load(control, AT.taken);
      this.#check();
      if (taken >= pieces) return;
      Atomics.notify(control, AT.given);
      const waited = Atomics.wait(control, AT.taken, taken, START_MS);
      if (waited === "timed-out" && Atomics.load(control, AT.state) === STATE.starting) {
        throw new TraceError(
          `${this.#path}: the thread that writes it did not start in ${START_MS / 1000} s`,
          "Try again on a machine that is less busy.",
        );
      }
    }
  }

  #check(): void {
    const { control, error } = this.#shared;
    if (Atomics.load(control, AT.state) !== STATE.failed) return;
    const json = new TextDecoder().decode(error.slice(0, control[AT.errorBytes]));
    const { fix, message } = JSON.parse(json);
    throw fix === null ? new Error(message) : new TraceError(message, fix);
  }
}
