/**
 * Records a run: the machine runs in slices, and between them the world is looked at. What the world
 * hands over (typed bytes, a wish to stop) becomes an `input` row at an exact place; where the slices
 * end leaves no mark.
 * @module
 */
import type { Board } from "../core/board/build.ts";
import type { CpuMode, ModuleStore, Statistics } from "../core/cpu/mod.ts";
import type { MachineSpec } from "../core/board/spec.ts";
import type { Medium } from "../core/mmio/medium.ts";
import { BackgroundDirectory } from "../core/trace/background.ts";
import { EVENT_TABLES, type EventTable } from "../core/trace/schema.ts";
import { DEFAULT_BATCH_ROWS, Trace } from "../core/trace/trace.ts";
import type { Stopped } from "../core/vmm/machine.ts";
import type { Before } from "./last_events.ts";
import { type Answer, Answers } from "./answers.ts";
import type { EventLog } from "./event_log.ts";
import { deviceFault, type Files, listedFiles } from "./files.ts";
import { HostImages } from "./images.ts";
import { type MachineInfo, machineInfo } from "./info.ts";
import { PanicWatch } from "./panics.ts";
import type { Profile } from "./profile.ts";
import { buildRun, endRun, giveInput, giveStop } from "./run.ts";
import { describeTrapLoop, TrapLoopWatch } from "./trap_loop.ts";
import { VERSION } from "./version.ts";

/** Instructions between two looks at the world: some milliseconds. */
const SLICE = 2_000_000;
/** How long to sleep at most before looking again, in host ms. */
const NAP_MS = 50;
/** Host ms after which other tasks of this process get a chance. */
const YIELD_MS = 10;
const PROGRESS_MS = 100;
/** Code that a run ends with when the guest failed or ran out of time. */
const EXIT_GUEST = 3;
/** Events shown of a guest that failed. */
const LAST_EVENTS = 20;
/** Ends that are the guest's failure. */
const FAILURES: ReadonlySet<EndKind> = new Set(["timeout", "idle-forever", "panic", "trap-loop"]);

export interface RecordOptions {
  readonly spec: MachineSpec;
  readonly files: Files;
  /** Directory to write; null records nothing (for measuring what recording costs). */
  readonly directory: string | null;
  readonly force: boolean;
  /** Event tables to record, default all. */
  readonly tables?: readonly EventTable[];
  readonly traceLimitBytes?: number;
  readonly batchRows?: number;
  /** Stop once all harts together have executed so many instructions. */
  readonly untilIcount?: number;
  /** Stop once the console's output matches; checked at every byte's arrival, line by line. */
  readonly untilOutput?: RegExp;
  /** What a panic begins with, in place of the systems known; null: nobody looks for one. */
  readonly panic?: RegExp | null;
  /** Told of every event as it happens. */
  readonly log?: EventLog;
  /** Typed at the console by script, beside what the host hands over. */
  readonly answers?: readonly Answer[];
  /** Stop after so many seconds of host time. */
  readonly timeoutSeconds?: number;
  /** Instructions per slice; leaves no mark in the trace. */
  readonly sliceInsns?: number;
  /** How the harts execute; leaves no mark in the trace. */
  readonly cpu?: CpuMode;
  /** Where generated interpreters are kept; default: nowhere. */
  readonly modules?: ModuleStore;
  /** Told where time goes, and shown the machine at exact counts; leaves no mark in the trace. */
  readonly profile?: Profile;
}

export interface Progress {
  readonly icount: number;
  readonly timeNs: number;
  readonly exits: number;
  readonly outBytes: number;
}

/** The world around a recording. */
export interface RecordHost {
  /** Bytes from a device, or from `sbi`. */
  out(device: string, bytes: Uint8Array): void;
  /** Bytes typed since last asked, null when none. */
  pollInput(): Uint8Array | null;
  inputEnded(): boolean;
  /** Sleeps until there is input, for at most so many ms. */
  waitInput(ms: number): Promise<void>;
  /** True: idle time passes as the wall clock does. */
  readonly interactive: boolean;
  quit(): boolean;
  progress?(p: Progress): void;
  machine?(m: { info: MachineInfo }): void;
  /** Drives without an image as the guest left them, by id. (To read an image is an input of the run.) */
  disks?(disks: ReadonlyMap<string, Medium>): void;
}

export type EndKind =
  | "poweroff"
  | "reboot"
  | "fail"
  | "until-icount"
  | "until-output"
  | "timeout"
  | "quit"
  | "trace-limit"
  | "idle-forever"
  | "panic"
  | "trap-loop";

/** What is known of a guest that failed. */
export interface Aftermath {
  /** What it said, or what became of it. */
  readonly cause: string;
  /** The last events before that, as lines; those of tables that were recorded. */
  readonly events: readonly string[];
  /** Registers of the hart that it happened on, at the end of the run, as text. */
  readonly registers: string;
}

export interface RecordResult {
  readonly end: { readonly kind: EndKind; readonly code: number };
  readonly exitCode: number;
  /** Instructions executed by all harts. */
  readonly icount: number;
  readonly timeNs: number;
  readonly hostMs: number;
  readonly exits: number;
  /** Rows recorded. */
  readonly rows: number;
  readonly bytes: number;
  /** Of a panic or a trap loop, else null. */
  readonly aftermath: Aftermath | null;
  /** Why a Linux kernel's names could not be read, as the rest of a sentence; else null. */
  readonly unnamed: string | null;
  /** Answers whose pattern never appeared. */
  readonly unanswered: readonly Answer[];
  /** What the compiler did; null where the harts were interpreted. */
  readonly compilation: Statistics | null;
  /** The profile's tables; null without one. */
  readonly profile: string | null;
}

/** Errors are those of the trace directory, the board, the loader and device files, each with a fix. */
export async function record(o: RecordOptions, host: RecordHost): Promise<RecordResult> {
  const tables = [...(o.tables ?? EVENT_TABLES)];
  const batchRows = o.batchRows ?? DEFAULT_BATCH_ROWS;
  const sink = o.directory === null ? null : new BackgroundDirectory(o.directory, {
    version: VERSION,
    machine: o.spec,
    files: [...listedFiles(o.spec)],
    batch_rows: batchRows,
    event_tables: tables,
  }, { force: o.force });
  try {
    const { profile } = o;
    const trace = new Trace(sink !== null && profile ? profile.metered(sink) : sink, {
      tables,
      batchRows,
      limitBytes: o.traceLimitBytes,
      watch: o.log?.watch,
      columns: "machine",
    });
    const recording = new Recording(o, host, trace, sink);
    return await recording.run();
  } catch (e) {
    sink?.abandon();
    throw deviceFault(o.spec, e);
  }
}

class Recording {
  #o: RecordOptions;
  #host: RecordHost;
  #trace: Trace;
  #board!: Board;
  readonly #images = new HostImages();
  /** Typed bytes that no device has taken yet. */
  #typed: Uint8Array = new Uint8Array();
  #line = "";
  #matched = false;
  #panics: PanicWatch | null = null;
  #traps!: TrapLoopWatch;
  /** The hart that can never go on. */
  #trapping: number | null = null;
  #answers: Answers;
  #outBytes = 0;
  #startMs = performance.now();
  #yieldedMs = this.#startMs;
  #progressMs = this.#startMs;

  constructor(
    o: RecordOptions,
    host: RecordHost,
    trace: Trace,
    readonly sink: BackgroundDirectory | null,
  ) {
    this.#o = o;
    this.#host = host;
    this.#trace = trace;
    this.#answers = new Answers(o.answers ?? []);
  }

  async run(): Promise<RecordResult> {
    try {
      return await this.#run();
    } finally {
      this.#images.close();
    }
  }

  async #run(): Promise<RecordResult> {
    const { spec, files, cpu, modules, profile: meter } = this.#o;
    const out = (device: string, bytes: Uint8Array) => this.#out(device, bytes);
    this.#board = await buildRun(
      spec,
      files,
      this.#trace,
      { cpu, meter, modules, out },
      this.#images,
    );
    const { machine } = this.#board;
    if (this.#o.panic !== null) {
      const trace = this.#trace;
      const now = () => ({ executed: machine.executed, hart: machine.turn, seq: trace.seq });
      this.#panics = new PanicWatch(now, this.#o.panic);
    }
    this.#traps = new TrapLoopWatch(machine.harts);
    this.#o.log?.attach(this.#board);
    meter?.attach(this.#board);
    this.#host.machine?.({ info: machineInfo(this.#board) });
    const end = await this.#untilEnd();
    const result = await this.#finish(end.kind, end.code);
    const blank = (spec.drives ?? []).filter((d) => d.path === null).map((d) => d.id);
    const { drives } = this.#board;
    this.#host.disks?.(new Map(blank.map((id) => [id, drives.get(id)!.medium])));
    return result;
  }

  #out(device: string, bytes: Uint8Array): void {
    this.#outBytes += bytes.length;
    const { untilOutput, log } = this.#o;
    if (this.#panics?.out(device, bytes)) this.#board.machine.pause();
    if (untilOutput !== undefined && !this.#matched) {
      for (const byte of bytes) {
        this.#line = byte === 10 ? "" : this.#line + String.fromCharCode(byte);
        if (untilOutput.test(this.#line)) this.#matched = true;
      }
      // The pause takes effect after this very access, so that the place is exact.
      if (this.#matched) this.#board.machine.pause();
    }
    if (this.#answers.left.length > 0) {
      for (const byte of bytes) this.#answer(this.#answers.see(byte));
    }
    log?.flush();
    this.#host.out(device, bytes);
  }

  /** As above: what is typed by script arrives right after the access that it answers. */
  #answer(typed: Uint8Array | null): void {
    if (typed === null) return;
    this.#typed = concat(this.#typed, typed);
    this.#board.machine.pause();
  }

  async #untilEnd(): Promise<{ kind: EndKind; code: number }> {
    const { machine } = this.#board;
    const { untilIcount = Infinity, sliceInsns = SLICE } = this.#o;
    for (;;) {
      const waiting = this.#typed.length > 0 || this.#host.interactive;
      const stopped = this.#slice(
        Math.min(
          machine.executed + sliceInsns,
          untilIcount,
          this.#traps.nextAt,
          this.#panics?.stopAt ?? Infinity,
        ),
        waiting ? "return" : "jump",
      );
      if (stopped.why === "guest") {
        return this.#panicked ? { kind: "panic", code: EXIT_GUEST } : stopped.stop;
      }
      this.sink?.start();
      const why = this.#whyStop(untilIcount);
      if (why !== null) return this.#stopFor(why);
      await this.#lookAround();
      if (!this.#feed() && stopped.why === "idle" && !(await this.#rest(stopped))) {
        return this.#stopFor(this.#panicked ? "panic" : "idle-forever");
      }
    }
  }

  /** Runs up to a count of instructions, with a stop wherever the profile takes a sample. */
  #slice(executed: number, idle: "return" | "jump"): Stopped {
    const { machine } = this.#board;
    const { profile } = this.#o;
    for (;;) {
      const sampleAt = profile?.nextAt ?? Infinity;
      const stopped = machine.run({ executed: Math.min(executed, sampleAt), idle });
      profile?.look(machine.executed);
      const sampled = stopped.why === "executed" && machine.executed < executed;
      if (!sampled) return stopped;
    }
  }

  get #panicked(): boolean {
    return (this.#panics?.panic ?? null) !== null;
  }

  #stopFor(kind: EndKind): { kind: EndKind; code: number } {
    giveStop(this.#board, this.#trace, kind);
    return { kind, code: FAILURES.has(kind) ? EXIT_GUEST : 0 };
  }

  #whyStop(untilIcount: number): EndKind | null {
    const { timeoutSeconds = Infinity } = this.#o;
    if (this.#matched) return "until-output";
    const { executed } = this.#board.machine;
    if (executed >= untilIcount) return "until-icount";
    if (executed >= (this.#panics?.stopAt ?? Infinity)) return "panic";
    this.#trapping = this.#traps.look(executed);
    if (this.#trapping !== null) return "trap-loop";
    if (this.#trace.limitReached) return "trace-limit";
    if (this.#host.quit()) return "quit";
    if (performance.now() - this.#startMs >= timeoutSeconds * 1000) {
      return this.#panicked ? "panic" : "timeout";
    }
    return null;
  }

  async #lookAround(): Promise<void> {
    const now = performance.now();
    if (now - this.#yieldedMs >= YIELD_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.#yieldedMs = performance.now();
    }
    if (now - this.#progressMs >= PROGRESS_MS) {
      this.#progressMs = now;
      this.#host.progress?.(this.#progress());
    }
    const typed = this.#host.pollInput();
    if (typed !== null) this.#typed = concat(this.#typed, typed);
  }

  /** Hands typed bytes to the console, as many as it takes; true when it took some. */
  #feed(): boolean {
    if (this.#typed.length === 0) return false;
    const { machine, serial } = this.#board;
    const device = machine.sbiWantsInput ? "sbi" : serial.name;
    const channel = device === "sbi" ? "console" : serial.inputs[0];
    const room = Math.min(this.#board.canInput(device, channel), this.#typed.length);
    if (room === 0) return false;
    const data = this.#typed.slice(0, room);
    this.#typed = this.#typed.slice(room);
    giveInput(this.#board, this.#trace, device, channel, data);
    return true;
  }

  /** Every hart waits: time passes until the next event or input. False when neither can come. */
  async #rest(idle: Extract<Stopped, { why: "idle" }>): Promise<boolean> {
    const { machine } = this.#board;
    if (!this.#host.interactive && idle.nextNs < Infinity) {
      machine.idleUntil(idle.nextNs);
      return true;
    }
    // What was typed and cannot be taken is lost on a guest that waits for something else.
    if (idle.nextNs === Infinity && this.#host.inputEnded()) return false;
    const fromNs = machine.nowNs;
    const before = performance.now();
    const waitMs = Math.min((idle.nextNs - fromNs) / 1e6, NAP_MS);
    this.#o.profile?.enter("wait");
    if (waitMs > 0) await this.#host.waitInput(Math.ceil(waitMs));
    this.#o.profile?.leave();
    if (!this.#host.interactive) return true;
    const passedNs = Math.round((performance.now() - before) * 1e6);
    machine.idleUntil(Math.min(fromNs + passedNs, idle.nextNs));
    return true;
  }

  #progress(): Progress {
    const { machine, exits } = this.#board;
    return {
      icount: machine.executed,
      timeNs: machine.nowNs,
      exits: exits.counts.reduce((a, b) => a + b, 0),
      outBytes: this.#outBytes,
    };
  }

  async #finish(kind: EndKind, code: number): Promise<RecordResult> {
    const p = this.#progress();
    const unnamed = endRun(this.#board, kind);
    this.#trace.close({ kind, code, executed: p.icount });
    this.#o.log?.flush();
    this.#host.progress?.(p);
    return {
      end: { kind, code },
      exitCode: kind === "fail" && code === 0 ? EXIT_GUEST : code,
      icount: p.icount,
      timeNs: p.timeNs,
      hostMs: performance.now() - this.#startMs,
      exits: p.exits,
      rows: this.#trace.rows,
      bytes: this.#trace.bytes,
      aftermath: await this.#aftermath(kind),
      unnamed,
      unanswered: this.#answers.left,
      compilation: this.#board.machine.cpu.compilation,
      profile: this.#o.profile?.report(performance.now() - this.#startMs) ?? null,
    };
  }

  async #aftermath(kind: EndKind): Promise<Aftermath | null> {
    const panic = this.#panics?.panic ?? null;
    const trapping = this.#trapping;
    if (kind === "panic" && panic !== null) {
      return await this.#describe(panic.line, panic.hart, panic);
    }
    if (kind !== "trap-loop" || trapping === null) return null;
    const now = { seq: Infinity, console: null };
    return await this.#describe(describeTrapLoop(this.#board, trapping), trapping, now);
  }

  async #describe(
    cause: string,
    hart: number,
    at: Omit<Before, "count">,
  ): Promise<Aftermath> {
    // What reads traces is loaded once there is one.
    const { lastEvents } = await import("./last_events.ts");
    const { directory } = this.#o;
    const symbol = (pc: bigint) => this.#board.symbols.table.describe(pc);
    const before = { ...at, count: LAST_EVENTS };
    return {
      cause,
      events: directory === null ? [] : lastEvents(directory, before, symbol),
      registers: machineInfo(this.#board).registers(hart),
    };
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
