/** Traces whose batches are made on the machine's own thread, at once. @module */
import { CHUNK_LANES, logMemory, type LogSink } from "./log.ts";
import { LogReader } from "./log_reader.ts";
import type { Columns, TableName } from "./schema.ts";
import { Trace, type TraceOptions, type TraceSink } from "./trace.ts";

/** Makes batches of the log as it comes. */
export class DirectLog implements LogSink {
  readonly memory = logMemory(1);
  readonly #lanes = new Uint32Array(this.memory.buffer, 0, CHUNK_LANES);
  readonly #sink: TraceSink;
  #reader!: LogReader;

  constructor(sink: TraceSink) {
    this.#sink = sink;
  }

  open(kept: ReadonlySet<TableName>, columns: Columns): Uint32Array {
    this.#reader = new LogReader(this.#sink, this.memory, kept, columns);
    return this.#lanes;
  }

  next(lanes: number): Uint32Array {
    this.#reader.take(0, lanes);
    return this.#lanes;
  }

  drain(): void {}

  get bytes(): number {
    return this.#reader.bytes;
  }

  get rows(): number {
    return this.#reader.rows;
  }
}

export class DirectTrace extends Trace {
  constructor(sink: TraceSink, o: TraceOptions = {}) {
    super(new DirectLog(sink), o);
  }
}
