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
import type { Columns, TableName } from "./schema.ts";

/**
 * Pieces of the log: what the machine may be ahead of the writer, which is what it writes in the time
 * that the writer needs to come to life. Memory that was never needed is never touched.
 */
export const PIECES = 96;
/** A sleeping writer is woken for so many pieces at once, as waking costs more than a piece. */
const WAKE_PIECES = 4;
/** Host ms for the writer to come to life. */
const START_MS = 180_000;
const ERROR_BYTES = 16 * 1024;

/**
 * Words of the shared control block. What is handed over stands in two rings, its piece and its length,
 * at the count of those before it.
 */
export const AT = {
  given: 0,
  taken: 1,
  state: 2,
  errorBytes: 3,
  pieces: 4,
  lengths: 4 + PIECES,
  end: 4 + 2 * PIECES,
} as const;
export const STATE = { starting: 0, running: 1, failed: 2, done: 3 } as const;
/** Instead of a length: the trace is given up, what is committed stays. */
export const GIVE_UP = -1;

/** Memory that both threads see. */
export interface Shared {
  readonly control: Int32Array;
  readonly memory: WebAssembly.Memory;
  /** Bytes written to tables, and rows of event tables. */
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
  readonly columns: Columns;
}

export function share(): Shared {
  return {
    control: new Int32Array(new SharedArrayBuffer(AT.end * 4)),
    memory: logMemory(PIECES),
    written: new Float64Array(new SharedArrayBuffer(16)),
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
  #opened: Pick<Start, "kept" | "columns"> | null = null;
  #started = false;
  #given = 0;
  /** Pieces that the writer is done with, the last of them on top: its memory is still in caches. */
  readonly #free = Array.from({ length: PIECES - 1 }, (_, i) => PIECES - 1 - i);
  /** How many of those handed over have come back to `#free`. */
  #freed = 0;
  /** The piece that the machine fills. */
  #piece = 0;

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

  open(kept: ReadonlySet<TableName>, columns: Columns): Uint32Array {
    this.#opened = { kept, columns };
    return this.#pieces[0];
  }

  /**
   * Starts the writer, which takes the time of some million instructions. It starts by itself when
   * somebody waits for it, or when pieces do.
   */
  start(): void {
    if (this.#started || this.#opened === null) return;
    this.#started = true;
    const url = new URL("./background_worker.ts", import.meta.url);
    const writer = new Worker(url.href, { type: "module", name: "trace" });
    const start: Start = {
      shared: this.#shared,
      path: this.#path,
      recording: this.#recording,
      ...this.#opened,
    };
    writer.postMessage(start);
  }

  next(lanes: number, later = false): Uint32Array {
    const { control } = this.#shared;
    this.#check();
    const at = this.#given % PIECES;
    control[AT.pieces + at] = this.#piece;
    control[AT.lengths + at] = lanes;
    Atomics.store(control, AT.given, ++this.#given);
    const waiting = this.#given - Atomics.load(control, AT.taken);
    if (waiting >= WAKE_PIECES) this.start();
    if (!later || waiting >= WAKE_PIECES) Atomics.notify(control, AT.given);
    this.#reclaim();
    if (this.#free.length === 0) {
      this.#await(this.#freed + 1);
      this.#reclaim();
    }
    this.#piece = this.#free.pop()!;
    return this.#pieces[this.#piece];
  }

  #reclaim(): void {
    const { control } = this.#shared;
    const taken = Atomics.load(control, AT.taken);
    while (this.#freed < taken) this.#free.push(control[AT.pieces + this.#freed++ % PIECES]);
  }

  drain(): void {
    this.#await(this.#given);
  }

  get bytes(): number {
    return this.#shared.written[0];
  }

  get rows(): number {
    return this.#shared.written[1];
  }

  /** Lets go of the files without ending the trace: what is committed stays readable. */
  abandon(): void {
    if (this.#opened === null) return;
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
