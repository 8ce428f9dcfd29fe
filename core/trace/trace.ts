/**
 * The trace as the machine writes it: rows into the row log, which a sink turns into batches of all
 * tables between exits. Deterministic: what reaches the sink depends on the rows and `batchRows` alone.
 * @module
 */
import type { Constants, LogSink } from "./log.ts";
import { type Append, LogWriter, type RowContext } from "./log_writer.ts";
import { type AlikeTable, type AppendCells, type Cell, constantsOf, rowOf } from "./alike.ts";
import { columnsOf, type Row } from "./rows.ts";
import {
  type Code,
  type CodeKind,
  CODES,
  type Columns,
  EVENT_TABLES,
  type EventTable,
  REFERENCE_TABLES,
  TABLE_NAMES,
  type TableName,
  TABLES,
  VALUE_BYTES,
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
  /** Instructions executed by all harts together. */
  executed?: number;
}

/** Takes the bytes of a trace. Must be done with `message` when it returns: the memory is used again. */
export interface TraceSink {
  /** An Arrow IPC message to append to `table`, whole, in parts that follow each other. */
  write(table: TableName, message: readonly Uint8Array[]): void;
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
  /** Columns on disk, all by default. */
  columns?: Columns;
  /** Shown every row as it is given, whether its table is recorded or not. */
  watch?: Watch;
}

/** Looks at a row; `clock` holds time_ns, icount (NaN when there is none) and vcpu. `seq` is -1 without one. */
export type Watch = (
  table: TableName,
  row: Readonly<Record<string, unknown>>,
  seq: number,
  clock: Float64Array,
) => void;

export const DEFAULT_BATCH_ROWS = 65536;

/** No row is larger on disk, text and bytes apart. */
const MAX_ROW_BYTES = Math.max(
  ...TABLE_NAMES.map((t) => columnsOf(t).reduce((sum, [, c]) => sum + VALUE_BYTES[c.type] + 1, 0)),
);

export class Trace implements RowContext {
  /** Next sequence number. Advances whatever tables are switched off. */
  seq = 0;
  /** seq of the exit being served, -1 between exits. */
  exitSeq = -1;
  readonly clock = new Float64Array(3);
  /** Where rows go, for those who write too many to hold each in an object; null without a sink. */
  readonly log: LogWriter | null;

  readonly exit: Append<"exit">;
  readonly access: Append<"access">;
  readonly vring: Append<"vring">;
  readonly dma: Append<"dma">;
  readonly step: Append<"step">;
  readonly irq: Append<"irq">;
  readonly request: Append<"request">;
  readonly mark: Append<"mark">;
  readonly name: Append<"name">;
  readonly cost: Append<"cost">;
  readonly symbol: Append<"symbol">;

  readonly batchRows: number;
  readonly #recorded: ReadonlySet<TableName>;
  readonly #appendInput: Append<"input">;
  readonly #limitBytes: number;
  readonly #watch: Watch | null;
  /** Rows waiting at which the limit may be reached. */
  #limitRows = Infinity;
  #closed = false;

  /** With `sink` null nothing is recorded, and only sequence numbers are counted. */
  constructor(sink: LogSink | null, o: TraceOptions = {}) {
    this.batchRows = o.batchRows ?? DEFAULT_BATCH_ROWS;
    this.#limitBytes = o.limitBytes ?? Infinity;
    this.#watch = o.watch ?? null;
    this.#recorded = new Set<TableName>([
      ...(o.tables ?? EVENT_TABLES),
      "input",
      ...REFERENCE_TABLES,
    ]);
    this.log = sink === null ? null : new LogWriter(sink, this.#recorded, this, o.columns ?? "all");
    this.exit = this.#appender("exit");
    this.access = this.#appender("access");
    this.vring = this.#appender("vring");
    this.dma = this.#appender("dma");
    this.step = this.#appender("step");
    this.irq = this.#appender("irq");
    this.request = this.#appender("request");
    this.mark = this.#appender("mark");
    this.#appendInput = this.#appender("input");
    this.name = this.#appender("name");
    this.cost = this.#appender("cost");
    this.symbol = this.#appender("symbol");
    for (const kind of Object.keys(CODES) as (keyof typeof CODES)[]) this.names(kind, CODES[kind]);
    this.flush();
  }

  #appender<T extends TableName>(table: T): Append<T> {
    const append = this.#recorder(table);
    const watch = this.#watch;
    if (watch === null) return append;
    return (row) => {
      const seq = append(row);
      watch(table, row, seq, this.clock);
      return seq;
    };
  }

  #recorder<T extends TableName>(table: T): Append<T> {
    if (this.log !== null && this.#recorded.has(table)) return this.log.appender(table);
    if (!("seq" in TABLES[table].columns)) return () => -1;
    return (row) => (row as { seq?: number }).seq ?? this.seq++;
  }

  /** True when somebody looks at rows: then each must come through its own function. */
  get watched(): boolean {
    return this.#watch !== null;
  }

  /**
   * A function that appends a row of `table` and returns its seq, for rows that differ only in the
   * common columns, exit_seq and `cells`, whose values it takes in that order. What is neither a cell
   * nor among the constants is null. Where rows are many, that costs much less than a row by its
   * columns: no object holds one, and what they share is not stored again.
   */
  alike<T extends AlikeTable, const C extends readonly Cell<T>[]>(
    table: T,
    constants: Constants,
    cells: C,
  ): AppendCells<C> {
    const all = constantsOf(table, constants, cells);
    if (this.watched) {
      const append = this[table] as Append<T>;
      return (...values) => append(rowOf(table, all, cells, values));
    }
    const { log } = this;
    if (log === null || !this.#recorded.has(table)) return () => this.seq++;
    return log.alike(table, all, cells) as AppendCells<C>;
  }

  /** Reserves a sequence number for a row that is written later. */
  take(): number {
    return this.seq++;
  }

  /** Clock of the rows that follow. `icount` is null in traces that have none. */
  setClock(timeNs: number, icount: number | null, vcpu: number): void {
    const clock = this.clock;
    clock[0] = timeNs;
    clock[1] = icount === null ? NaN : icount;
    clock[2] = vcpu;
  }

  /** Writes a name for every code of `kind`; position = code. */
  names(kind: CodeKind, codes: readonly Code[]): void {
    codes.forEach(({ name, spec }, code) => this.name({ kind, code, name, spec }));
  }

  /** Records an input. It is durable when this returns: only then may it take effect. */
  input(row: Row<"input">): number {
    const seq = this.#appendInput(row);
    this.log?.sync();
    return seq;
  }

  /**
   * Records what the machine found in a host file while it was serving something. What follows from it
   * comes later in the order, and so stands in no prefix of the trace without it.
   */
  found(row: Row<"input">): number {
    return this.#appendInput(row);
  }

  /** True when it is time to flush, which the machine does at its next point between exits. */
  get full(): boolean {
    return this.log !== null && this.log.pending >= this.batchRows;
  }

  /** True when the recording should stop because of `limitBytes`. */
  get limitReached(): boolean {
    return this.log !== null && this.log.pending >= this.#limitRows;
  }

  /** Bytes that tables hold: exact once the trace is closed, before that those already written. */
  get bytes(): number {
    return this.log === null ? 0 : this.log.bytes;
  }

  /** Rows of event tables that tables hold, likewise; those counted where nothing is recorded. */
  get rows(): number {
    return this.log === null ? this.seq : this.log.written;
  }

  /** Hands all waiting rows to the sink as one consistent step. Not during an exit: its row is yet to come. */
  flush(): void {
    if (this.exitSeq >= 0) throw new Error(`trace flushed during exit ${this.exitSeq}`);
    if (this.log === null) return;
    this.log.commit(this.seq);
    if (this.#limitBytes === Infinity) return;
    this.log.drain();
    this.#limitRows = Math.max(0, Math.floor((this.#limitBytes - this.bytes) / MAX_ROW_BYTES));
  }

  /** Flushes, ends every stream, and tells the sink how the recording ended. */
  close(end: TraceEnd | null = null): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.log?.close(end);
  }
}
