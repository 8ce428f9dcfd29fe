/**
 * The trace as the machine writes it: rows into column buffers, batches of all tables to a sink
 * between exits. Deterministic: what reaches the sink depends on the rows and `batchRows` alone.
 * @module
 */
import { type Append, type RowContext, TableBuffer } from "./appender.ts";
import { END_OF_STREAM, StreamEncoder } from "./arrow_stream.ts";
import { valueBytes } from "./columns.ts";
import { columnsOf, type Row } from "./rows.ts";
import {
  type Code,
  type CodeKind,
  CODES,
  EVENT_TABLES,
  type EventTable,
  TABLE_NAMES,
  type TableName,
  TABLES,
} from "./schema.ts";

/** Where a trace stands when all its tables have been flushed together. */
export interface CommitState {
  /** Next sequence number: every row below it has been handed to the sink. */
  seq: number;
  time_ns: number;
  icount: number | null;
  vcpu: number;
  rows: Record<TableName, number>;
}

/** How a recording ended: plain JSON, kept in the manifest. */
export interface TraceEnd {
  kind: string;
  code: number;
}

/** Takes the bytes of a trace. Must be done with `bytes` when it returns: the memory is used again. */
export interface TraceSink {
  /** Bytes of whole Arrow IPC messages to append to `table`. */
  write(table: TableName, bytes: Uint8Array): void;
  /** Makes what was written to `table` durable before it returns. */
  sync(table: TableName): void;
  /** Everything written so far is a consistent prefix of the trace. */
  commit(state: CommitState): void;
  close(end: TraceEnd | null): void;
}

export interface TraceOptions {
  /** Event tables to record, all by default. `input` is always recorded: replay needs it. */
  tables?: EventTable[];
  /** `full` after so many rows over all tables. */
  batchRows?: number;
  /** `limitReached` when about so many bytes have been written or wait to be. */
  limitBytes?: number;
}

export const DEFAULT_BATCH_ROWS = 65536;

/** No row is larger on disk, text and bytes apart. */
const MAX_ROW_BYTES = Math.max(
  ...TABLE_NAMES.map((t) => columnsOf(t).reduce((sum, [, c]) => sum + valueBytes(c.type) + 1, 0)),
);

interface Stream {
  buffer: TableBuffer;
  encoder: StreamEncoder;
}

export class Trace implements RowContext {
  /** Next sequence number. Advances whatever tables are switched off. */
  seq = 0;
  /** seq of the exit being served, -1 between exits. */
  exitSeq = -1;
  pending = 0;
  readonly clock = new Uint32Array(6);

  readonly exit: Append<"exit">;
  readonly access: Append<"access">;
  readonly vring: Append<"vring">;
  readonly dma: Append<"dma">;
  readonly irq: Append<"irq">;
  readonly request: Append<"request">;
  readonly mark: Append<"mark">;
  readonly name: Append<"name">;
  readonly cost: Append<"cost">;

  readonly batchRows: number;
  readonly #sink: TraceSink | null;
  readonly #recorded: Set<TableName>;
  readonly #streams = new Map<TableName, Stream>();
  readonly #rows = Object.fromEntries(TABLE_NAMES.map((t) => [t, 0])) as Record<TableName, number>;
  readonly #appendInput: Append<"input">;
  readonly #limitBytes: number;
  /** Rows waiting at which the limit may be reached. */
  #limitRows = Infinity;
  #bytes = 0;
  #dirty = false;
  #closed = false;

  /** With `sink` null nothing is recorded, and only sequence numbers are counted. */
  constructor(sink: TraceSink | null, o: TraceOptions = {}) {
    this.#sink = sink;
    this.batchRows = o.batchRows ?? DEFAULT_BATCH_ROWS;
    this.#limitBytes = o.limitBytes ?? Infinity;
    this.#recorded = new Set<TableName>([...(o.tables ?? EVENT_TABLES), "input", "name", "cost"]);
    this.exit = this.#open("exit");
    this.access = this.#open("access");
    this.vring = this.#open("vring");
    this.dma = this.#open("dma");
    this.irq = this.#open("irq");
    this.request = this.#open("request");
    this.mark = this.#open("mark");
    this.#appendInput = this.#open("input");
    this.name = this.#open("name");
    this.cost = this.#open("cost");
    for (const kind of Object.keys(CODES) as (keyof typeof CODES)[]) this.names(kind, CODES[kind]);
    this.flush();
  }

  /** Reserves a sequence number for a row that is written later. */
  take(): number {
    return this.seq++;
  }

  /** Clock of the rows that follow. `icount` is null in traces that have none. */
  setClock(timeNs: number, icount: number | null, vcpu: number): void {
    const clock = this.clock;
    clock[0] = timeNs;
    clock[1] = timeNs / 0x1_0000_0000;
    clock[2] = icount === null ? 0 : icount;
    clock[3] = icount === null ? 0 : icount / 0x1_0000_0000;
    clock[4] = vcpu;
    clock[5] = icount === null ? 0 : 1;
  }

  /** Writes a name for every code of `kind`; position = code. */
  names(kind: CodeKind, codes: readonly Code[]): void {
    codes.forEach(({ name, spec }, code) => this.name({ kind, code, name, spec }));
  }

  /** Records an input. It is durable when this returns: only then may it take effect. */
  input(row: Row<"input">): number {
    const seq = this.#appendInput(row);
    if (this.#sink !== null) {
      this.#writeRows("input", this.#streams.get("input")!);
      this.#sink.sync("input");
    }
    return seq;
  }

  /** True when it is time to flush, which the machine does at its next point between exits. */
  get full(): boolean {
    return this.pending >= this.batchRows;
  }

  /** True when the recording should stop because of `limitBytes`. */
  get limitReached(): boolean {
    return this.pending >= this.#limitRows;
  }

  /** Bytes handed to the sink so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Hands all waiting rows to the sink as one consistent step. Not during an exit: its row is yet to come. */
  flush(): void {
    if (this.exitSeq >= 0) throw new Error(`trace flushed during exit ${this.exitSeq}`);
    this.pending = 0;
    if (this.#sink === null) return;
    for (const [table, stream] of this.#streams) this.#writeRows(table, stream);
    if (this.#dirty) this.#sink.commit(this.#state());
    this.#dirty = false;
    this.#limitRows = Math.max(0, Math.floor((this.#limitBytes - this.#bytes) / MAX_ROW_BYTES));
  }

  /** Flushes, ends every stream, and tells the sink how the recording ended. */
  close(end: TraceEnd | null = null): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    if (this.#sink === null) return;
    for (const table of this.#streams.keys()) this.#write(table, END_OF_STREAM);
    this.#sink.commit(this.#state());
    this.#sink.close(end);
  }

  #open<T extends TableName>(table: T): Append<T> {
    if (this.#sink === null) return this.#skip(table);
    const encoder = new StreamEncoder(table);
    const buffer = new TableBuffer(table, this);
    this.#streams.set(table, { encoder, buffer: buffer as unknown as TableBuffer });
    this.#write(table, encoder.open());
    return this.#recorded.has(table) ? buffer.append : this.#skip(table);
  }

  #skip<T extends TableName>(table: T): Append<T> {
    if (!("seq" in TABLES[table].columns)) return () => -1;
    return (row) => (row as { seq?: number }).seq ?? this.seq++;
  }

  #writeRows(table: TableName, { buffer, encoder }: Stream): void {
    const rows = buffer.state.rows;
    if (rows === 0) return;
    this.#write(table, encoder.batch(buffer.columns, rows));
    this.#rows[table] += rows;
    buffer.reset();
  }

  #write(table: TableName, bytes: Uint8Array): void {
    this.#sink!.write(table, bytes);
    this.#bytes += bytes.length;
    this.#dirty = true;
  }

  #state(): CommitState {
    const [timeLo, timeHi, icountLo, icountHi, vcpu, known] = this.clock;
    return {
      seq: this.seq,
      time_ns: timeHi * 0x1_0000_0000 + timeLo,
      icount: known ? icountHi * 0x1_0000_0000 + icountLo : null,
      vcpu,
      rows: { ...this.#rows },
    };
  }
}
