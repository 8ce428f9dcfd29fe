/**
 * Runs a recording again from its manifest and its `input` table, and compares as it goes.
 * @module
 */
import { DirectLog } from "../core/trace/direct_trace.ts";
import type { Board } from "../core/board/build.ts";
import type { CpuMode, ModuleStore } from "../core/cpu/mod.ts";
import type { MachineSpec } from "../core/board/spec.ts";
import { TraceError } from "../core/trace/error.ts";
import { TraceReader } from "../core/trace/reader.ts";
import type { ReadRow } from "../core/trace/rows.ts";
import type { EventTable } from "../core/trace/schema.ts";
import { Trace, type TraceEnd } from "../core/trace/trace.ts";
import { type Difference, VerifySink } from "../core/trace/verify.ts";
import type { Stopped } from "../core/vmm/machine.ts";
import type { EventLog } from "./event_log.ts";
import { deviceFault, readRecorded } from "./files.ts";
import { RecordedImages } from "./images.ts";
import { buildRun, endRun, giveInput, giveStop, INPUT } from "./run.ts";

/** Instructions between two looks at whether the comparison is over. */
const SLICE = 20_000_000;

export interface ReplayOptions {
  readonly verify: boolean;
  /** Rows per flush, default the recording's: with it, bytes are compared, else values. */
  readonly batchRows?: number;
  /** How the harts execute: it need not be as in the recording. */
  readonly cpu?: CpuMode;
  /** Where generated interpreters are kept; default: nowhere. */
  readonly modules?: ModuleStore;
  /** Bytes that the guest sends to the outside world, as they were sent then. */
  readonly out?: (device: string, bytes: Uint8Array) => void;
  /** Told of every event as it happens. */
  readonly log?: EventLog;
  readonly progress?: (p: { icount: number; timeNs: number }) => void;
}

export interface ReplayResult {
  /** False when a difference was found. Without `verify`: true when it ran to its end. */
  readonly ok: boolean;
  readonly firstDifference: Difference | null;
  /** Rows of event tables, as a recording counts them: found equal; without `verify`, produced. */
  readonly rows: number;
  readonly icount: number;
  readonly timeNs: number;
  readonly end: TraceEnd | null;
  /** False for a recording whose process was killed: its prefix was replayed. */
  readonly cleanEnd: boolean;
}

/** Errors: TraceError for a trace that cannot be read, InputError for a file that changed since. */
export async function replay(directory: string, o: ReplayOptions): Promise<ReplayResult> {
  const reader = TraceReader.open(directory);
  if ((reader.manifest.machine as { imported?: unknown }).imported !== undefined) {
    throw new TraceError(
      `${directory} is imported from a host and cannot be replayed`,
      "Record a trace of your own; query, compare and export take imported ones.",
    );
  }
  const spec = reader.manifest.machine as MachineSpec;
  const files = readRecorded(spec);
  const sink = o.verify ? new VerifySink(reader) : null;
  const trace = new Trace(sink === null ? null : new DirectLog(sink), {
    tables: reader.manifest.event_tables as EventTable[],
    batchRows: o.batchRows ?? reader.manifest.batch_rows,
    watch: o.log?.watch,
    columns: "machine",
  });
  const out = (device: string, bytes: Uint8Array) => {
    o.log?.flush();
    o.out?.(device, bytes);
  };
  const images = new RecordedImages(reader);
  let board: Board, end: TraceEnd | null;
  try {
    board = await buildRun(spec, files, trace, { cpu: o.cpu, modules: o.modules, out }, images);
    o.log?.attach(board);
    end = new Replay(reader, board, trace, sink, o).run();
    if (end !== null) endRun(board, end.kind);
    trace.close(end);
    o.log?.flush();
  } catch (e) {
    throw deviceFault(spec, e);
  } finally {
    images.close();
  }
  const difference = sink?.difference ?? null;
  return {
    ok: difference === null,
    firstDifference: difference,
    rows: sink?.rows ?? trace.rows,
    icount: board.machine.executed,
    timeNs: board.machine.nowNs,
    end,
    cleanEnd: reader.manifest.clean_end,
  };
}

class Replay {
  constructor(
    readonly reader: TraceReader,
    readonly board: Board,
    readonly trace: Trace,
    readonly sink: VerifySink | null,
    readonly o: ReplayOptions,
  ) {}

  /** How the run ended: as recorded, or null where a killed recording's rows end. */
  run(): TraceEnd | null {
    for (const row of this.reader.inputs()) {
      if (row.kind === INPUT.medium) continue; // The machine comes upon it by itself.
      const stopped = this.#runTo(row);
      if (stopped !== null) return this.#endOf(stopped);
      if (this.#over) return null;
      if (row.kind === INPUT.stop) {
        giveStop(this.board, this.trace, row.channel);
        return this.reader.manifest.end ?? { kind: row.channel, code: 0 };
      }
      giveInput(this.board, this.trace, row.device!, row.channel, row.data);
    }
    for (;;) {
      const stopped = this.#slice(Infinity);
      if (this.#over) return null;
      if (stopped.why === "guest" || isForever(stopped)) return this.#endOf(stopped);
    }
  }

  /** The comparison found a difference, or has nothing left to compare. */
  get #over(): boolean {
    const { sink } = this;
    if (sink === null) return false;
    return sink.difference !== null || (!this.reader.manifest.clean_end && sink.complete);
  }

  /** Comes back with null at the row's place, or with how the run ended before it. */
  #runTo(row: ReadRow<"input">): Stopped | null {
    const { machine } = this.board;
    while (machine.executed < row.executed) {
      const stopped = this.#slice(row.executed);
      if (stopped.why === "guest" || isForever(stopped)) return stopped;
      if (this.#over) return null;
    }
    machine.idleUntil(row.time_ns);
    return null;
  }

  #slice(executed: number): Stopped {
    const { machine } = this.board;
    const stopped = machine.run({
      executed: Math.min(executed, machine.executed + SLICE),
      idle: "jump",
    });
    this.o.progress?.({ icount: machine.executed, timeNs: machine.nowNs });
    return stopped;
  }

  #endOf(stopped: Stopped): TraceEnd | null {
    return stopped.why === "guest" ? stopped.stop : null;
  }
}

const isForever = (s: Stopped) => s.why === "idle" && s.nextNs === Infinity;
