/**
 * Where a recording's time goes: host time by kind of work, and samples of the guest's pc.
 *
 * Samples are taken at exact counts of executed instructions, so they are the same whenever the run is.
 * Host time is measured where work changes hands. Interpreter and compiled code alternate too fast for
 * that: their times are fitted to what each executed from sample to sample. Page walks are counted, and
 * some are timed.
 * @module
 */
import type { Board } from "../core/board/build.ts";
import {
  type HostWork,
  type Meter,
  WALK,
  WALKS_PER_TOLD,
  type WalkStep,
} from "../core/cpu/meter.ts";
import type { LogSink } from "../core/trace/log.ts";

/** Instructions from sample to sample; a prime, so that no loop keeps step with it. */
export const SAMPLE_INSNS = 20_011;
/** Bytes of code whose samples are counted together. */
const BLOCK_BYTES = 64n;
const SHOWN = 12;
const NO_NAME = "(no name)";

interface Stretch {
  readonly insns: number;
  readonly compiled: number;
  readonly ms: number;
}

export class Profile implements Meter {
  readonly #ms: Record<HostWork, number> = {
    ...{ run: 0, compile: 0, devices: 0, trace: 0, wait: 0, sample: 0 },
  };
  readonly #stack: HostWork[] = [];
  #since = 0;
  readonly #samples = new Map<string, number>();
  readonly #fit = new Fit();
  readonly #walks = new Walks();
  #board: Board | null = null;
  /** Executed instructions at which the next sample is taken. */
  nextAt = SAMPLE_INSNS;
  #last = { executed: 0, compiled: 0, ms: 0 };

  enter(work: HostWork): void {
    this.#account();
    this.#stack.push(work);
  }
  leave(): void {
    this.#account();
    this.#stack.pop();
  }
  #account(): void {
    const now = performance.now();
    const work = this.#stack.at(-1);
    if (work !== undefined) this.#ms[work] += now - this.#since;
    this.#since = now;
  }

  walk(step: WalkStep): void {
    this.#walks.step(step);
  }

  attach(board: Board): void {
    this.#board = board;
  }

  /** The machine has executed so many instructions: a sample when it is time for one. */
  look(executed: number): void {
    if (executed < this.nextAt) return;
    this.enter("sample");
    this.#sample(executed);
    this.leave();
  }
  #sample(executed: number): void {
    this.nextAt = executed + SAMPLE_INSNS;
    const { machine } = this.#board!;
    const h = machine.harts[machine.turn];
    const key = `${h.priv === 0 ? "user" : ""} ${h.pc}`;
    this.#samples.set(key, (this.#samples.get(key) ?? 0) + 1);
    const compiled = machine.cpu.compilation?.executed ?? 0;
    const ms = this.#ms.run;
    const last = this.#last;
    this.#last = { executed, compiled, ms };
    const insns = executed - last.executed;
    this.#fit.add({ insns, compiled: compiled - last.compiled, ms: ms - last.ms });
  }

  /** A sink whose time counts as `trace`: handing pieces over, and waiting for who writes them. */
  metered(sink: LogSink): LogSink {
    const timed = <T>(act: () => T): T => {
      this.enter("trace");
      try {
        return act();
      } finally {
        this.leave();
      }
    };
    return {
      memory: sink.memory,
      open: (tables, columns) => timed(() => sink.open(tables, columns)),
      next: (lanes, later) => timed(() => sink.next(lanes, later)),
      drain: () => timed(() => sink.drain()),
      get bytes() {
        return sink.bytes;
      },
      get rows() {
        return sink.rows;
      },
    };
  }

  /** Host time that went to a kind of work so far. */
  msOf(work: HostWork): number {
    return this.#ms[work];
  }

  /** The tables, once the run has ended and its names are known. */
  report(totalMs: number): string {
    return `${this.#timeTable(totalMs)}\n${this.#codeTables()}`;
  }

  #timeTable(totalMs: number): string {
    const { machine } = this.#board!;
    const { compilation } = machine.cpu;
    const compiled = compilation?.executed ?? 0;
    const interpreted = machine.executed - compiled;
    const { compile, devices, trace, wait, sample } = this.#ms;
    const walks = Math.min(this.#walks.msOf(machine.cpu.walks), this.#ms.run);
    const run = this.#ms.run - walks;
    const share = this.#fit.compiledShare(interpreted, compiled);
    const count = (n: number, what: string) => `${n.toLocaleString("en-US")} ${what}`;
    const { regions = 0, modules = 0, moduleBytes = 0, entered = 0 } = compilation ?? {};
    const rows: [string, number, string][] = [
      ["interpreter *", run * (1 - share), count(interpreted, "instructions")],
      [
        "compiled code *",
        run * share,
        `${count(compiled, "instructions")}, entered ${count(entered, "times")}`,
      ],
      ["TLB misses **", walks, `${count(machine.cpu.walks, "page walks")}, ${this.#walks.each}`],
      [
        "compiling",
        compile,
        `${count(regions, "regions")} in ${count(modules, "modules")}, ` +
        count(Math.ceil(moduleBytes / 1024), "KiB"),
      ],
      ["devices and exits", devices, count(this.#exits, "exits")],
      ["trace", trace, "rows handed over; they are made with exits, and written by another thread"],
      ["waiting", wait, "for input"],
      ["sampling", sample, "for this profile"],
      [
        "other",
        totalMs - run - walks - compile - devices - trace - wait - sample,
        "start, end, the host's side",
      ],
    ];
    const lines = rows.map(([what, ms, of]) =>
      `${what.padEnd(18)}${ms.toFixed(1).padStart(10)} ${percent(ms, totalMs)}  ${of}`
    );
    return [
      `Host time${"ms".padStart(19)}      %`,
      ...lines,
      "* other slow paths included; one measured time, divided by a fit over the samples",
      `** one walk in ${WALKS_PER_TOLD} is timed; a device's page is in no TLB`,
    ].join("\n");
  }

  get #exits(): number {
    return this.#board!.exits.counts.reduce((a, b) => a + b, 0);
  }

  #codeTables(): string {
    const { table } = this.#board!.symbols;
    const functions = new Map<string, number>();
    const blocks = new Map<string, number>();
    let all = 0;
    for (const [key, n] of this.#samples) {
      const [mode, at] = key.split(" ");
      const pc = BigInt(at);
      // Addresses of user code mean something else in each process, and symbols are the kernel's.
      const found = table.at(pc);
      const place = BigInt.asUintN(64, pc) / BLOCK_BYTES * BLOCK_BYTES;
      const named = found?.symbol.name ?? (mode === "" ? NO_NAME : "(user code)");
      add(functions, named, n);
      add(blocks, `${place.toString(16).padStart(16, "0")}  ${named}`, n);
      all += n;
    }
    const every = SAMPLE_INSNS.toLocaleString("en-US");
    return `Hottest functions (${all.toLocaleString("en-US")} samples, one each ${every} ` +
      `instructions)\n${hottest(functions, all)}\n` +
      `Hottest code (stretches of ${BLOCK_BYTES} bytes)\n${hottest(blocks, all)}`;
  }
}

/** A walk takes no longer; what does was interrupted. */
const LONGEST_WALK_MS = 0.005;

/** What page walks take, from those that were timed. */
class Walks {
  readonly #at = new Float64Array(3);
  #ms = 0;
  #timed = 0;

  /** Stretches are compared, so each step does the same once it has looked at the clock. */
  step(step: WalkStep): void {
    if (step === WALK.begins) this.#add();
    this.#at[step] = performance.now();
  }
  /** The walk that was told last. */
  #add(): void {
    const [begun, ended, told] = this.#at;
    const [walk, telling] = [ended - begun, told - ended];
    if (told === 0 || Math.max(walk, telling) > LONGEST_WALK_MS) return;
    this.#ms += walk - telling;
    this.#timed++;
  }

  get #eachMs(): number {
    return this.#timed > 0 ? Math.max(0, this.#ms / this.#timed) : 0;
  }
  msOf(walks: number): number {
    return walks * this.#eachMs;
  }
  /** "52 ns each". */
  get each(): string {
    return this.#timed === 0 ? "none timed" : `${(this.#eachMs * 1e6).toFixed(0)} ns each`;
  }
}

const percent = (part: number, all: number) =>
  (all > 0 ? part / all * 100 : 0).toFixed(1).padStart(6);

const add = (to: Map<string, number>, key: string, n: number) =>
  to.set(key, (to.get(key) ?? 0) + n);

function hottest(counts: ReadonlyMap<string, number>, all: number): string {
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, SHOWN)
    .map(([what, n]) => `${percent(n, all)}  ${what}`).join("\n");
}

/** Least squares of time over instructions interpreted and compiled, through the origin. */
class Fit {
  #ii = 0;
  #ic = 0;
  #cc = 0;
  #it = 0;
  #ct = 0;

  add({ insns, compiled, ms }: Stretch): void {
    const interpreted = insns - compiled;
    this.#ii += interpreted * interpreted;
    this.#ic += interpreted * compiled;
    this.#cc += compiled * compiled;
    this.#it += interpreted * ms;
    this.#ct += compiled * ms;
  }

  /** The part of the time that goes to compiled code, where so many instructions ran each way. */
  compiledShare(interpreted: number, compiled: number): number {
    if (compiled === 0) return 0;
    const determinant = this.#ii * this.#cc - this.#ic * this.#ic;
    const solved = determinant > 0;
    const slow = solved ? Math.max(0, this.#it * this.#cc - this.#ct * this.#ic) : 1;
    const fast = solved ? Math.max(0, this.#ct * this.#ii - this.#it * this.#ic) : 1;
    const both = slow * interpreted + fast * compiled;
    return both > 0 ? fast * compiled / both : compiled / (interpreted + compiled);
  }
}
