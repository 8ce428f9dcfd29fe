/**
 * Interpreter and oracle side by side. The oracle leads, the interpreter follows in calls as long as
 * the turn allows; then every register and CSR of every hart and every page that the oracle wrote must
 * be equal, and at the end all of RAM.
 *
 * Translations: the interpreter has TLBs and the oracle none. A store to an entry that has been read
 * is left to the guest's own SFENCE.VMA when that comes next and covers it; otherwise, as both old and
 * new translation are allowed there, the interpreter's TLB is flushed from outside.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { RiscvCpu } from "../../core/cpu/mod.ts";
import { Rng } from "../../core/cpu/random_streams.ts";
import { ARCH_SLOTS, Stop } from "../../core/cpu/state.ts";
import { MODES } from "../../core/cpu/testing.ts";
import { type Act, patched, RAM_BASE, RAM_BYTES, type Stream, type Turn } from "./stream.ts";
import { TracingOracle, Watch } from "./tracing_oracle.ts";

const NS_PER_INSN = 100;
const TIMEBASE_HZ = 10_000_000;
const PAGE = 4096;
const STATE_BYTES = (31 + ARCH_SLOTS.length) * 8;
const NONE = (1n << 64n) - 1n;
const STIMECMP = 0x14d;
/** PTE bits R and X: a leaf. */
const LEAF = 10;

export type MakeOracle = (
  ...args: ConstructorParameters<typeof TracingOracle>
) => TracingOracle;
export const trueOracle: MakeOracle = (...args) => new TracingOracle(...args);

export interface Difference {
  /** Instructions executed by all harts before the comparison that failed. */
  executed: number;
  hart: number;
  what: string;
}

/** An instruction as it was executed. */
export interface Executed {
  hart: number;
  pc: bigint;
  /** Offset in RAM. */
  at: number;
  word: number;
}

class Differs extends Error {}

/** Even seeds are interpreted, odd ones compiled as early as can be. */
const cpuOf = (harts: number, sbi: boolean, seed = 0) =>
  new RiscvCpu({
    ...(seed % 2 === 0 ? MODES.interpreter : MODES.compiled),
    ...{ harts, sbi, ramBase: RAM_BASE, ramBytes: RAM_BYTES, codePages: 3 },
    ...{ nsPerInsn: NS_PER_INSN, timebaseHz: TIMEBASE_HZ },
  });
/** The saved state of a hart that has just been reset. */
export const resetState = (sbi: boolean): Uint8Array => cpuOf(1, sbi).stateBytes();

export class Pair {
  readonly cpu: RiscvCpu;
  readonly oracles: TracingOracle[];
  /** Of all harts. */
  executed = 0;
  /** Called after each instruction of the oracle. */
  onStep: ((e: Executed) => void) | null = null;
  readonly #stream: Stream;
  readonly #ram: Uint8Array<ArrayBuffer>;
  readonly #stage2 = new Uint8Array(RAM_BYTES / PAGE);
  readonly #watch = new Watch();
  #current: number;
  /** Page-table entries in use that this turn has written. */
  #edits = 0;

  constructor(s: Stream, makeOracle: MakeOracle = trueOracle) {
    this.#stream = s;
    this.#current = s.current;
    this.cpu = cpuOf(s.harts.length, s.sbi, s.seed);
    this.cpu.ram.set(s.ram);
    this.#ram = s.ram.slice();
    this.oracles = s.harts.map((_, i) => {
      const o = makeOracle(this.#ram, this.#stage2, BigInt(RAM_BASE), this.#watch);
      o.configureAs({ hartid: i, sbi: s.sbi, nsPerInsn: NS_PER_INSN, timebaseHz: TIMEBASE_HZ });
      return o;
    });
    if (s.mapped) { for (const map of [this.cpu.stage2, this.#stage2]) map.fill(1); }
    this.#load(
      s.harts.reduce((state, start, i) => patched(state, i, start), this.cpu.stateBytes()),
    );
  }

  /** Runs the stream, or its first `limit` instructions. */
  run(limit = Infinity): Difference | null {
    let hart = this.#current;
    try {
      for (const t of this.#stream.turns) {
        if (this.executed >= limit) break;
        hart = t.hart;
        this.#turn(t, Math.min(t.counts, limit - this.executed));
      }
      this.#compareRam();
    } catch (e) {
      const what = e instanceof Differs ? e.message : `${e instanceof Error ? e.stack : e}`;
      return { executed: this.executed, hart, what };
    }
    return null;
  }

  /** The hart that had the last turn. */
  get current(): number {
    return this.#current;
  }
  get allMapped(): boolean {
    return this.#stage2.every((m) => m === 1);
  }
  /** RAM as both have it, and the saved state of all harts. */
  get snapshot(): { ram: Uint8Array<ArrayBuffer>; state: Uint8Array } {
    return { ram: this.#ram.slice(), state: this.cpu.stateBytes() };
  }

  #load(state: Uint8Array): void {
    this.cpu.loadState(state);
    this.oracles.forEach((o, i) => o.loadState(state.subarray(i * STATE_BYTES)));
  }

  #turn(t: Turn, counts: number): void {
    if (t.hart !== this.#current) {
      for (const h of [t.hart, this.#current]) {
        this.cpu.clearReservation(h);
        this.oracles[h].set("reservation", NONE);
      }
      this.#current = t.hart;
    }
    for (const act of t.acts) this.#act(t.hart, act);
    this.#edits = 0;
    for (let left = counts; left > 0;) left -= this.#segment(t.hart, left);
    if (this.#edits > 0) this.#flushOthers(t.hart);
  }
  /** What this turn edited, other harts see at once: a remote fence from outside. */
  #flushOthers(hart: number): void {
    this.oracles.forEach((_, i) => i !== hart && this.cpu.flushTlb(i));
  }

  #act(hart: number, act: Act): void {
    const [h, o] = [this.cpu.hart(hart), this.oracles[hart]];
    if (act.kind === "irq") {
      h.setIrq(act.bit, act.level);
      const bit = 1n << BigInt(act.bit);
      o.set("irqLines", o.get("irqLines") & ~bit | (act.level ? bit : 0n));
    } else if (act.kind === "pc") {
      h.pc = act.value;
      o.set("pc", act.value);
    } else if (act.kind === "x") {
      h.setX(act.index, act.value);
      o.regs[act.index] = BigInt.asUintN(64, act.value);
    } else if (act.kind === "deadline") {
      const at = BigInt(h.clockNs / NS_PER_INSN + act.ticks);
      h.setCsr(STIMECMP, at);
      o.set("stimecmp", at);
    } else if (act.kind === "dma") {
      this.#dma(act.at, act.bytes);
    } else {
      this.#load(patched(this.cpu.stateBytes(), hart, act.start));
    }
  }
  #dma(at: number, bytes: number[]): void {
    for (const ram of [this.cpu.ram, this.#ram]) ram.set(bytes, at);
    this.cpu.wroteRam(at, bytes.length);
    for (const o of this.oracles) {
      const held = o.get("reservation") - BigInt(RAM_BASE);
      if (held < BigInt(at + bytes.length) && held + 8n > BigInt(at)) o.set("reservation", NONE);
    }
    const first = BigInt(RAM_BASE + (at & ~7));
    for (let entry = first; entry < BigInt(RAM_BASE + at + bytes.length); entry += 8n) {
      if (this.#watch.entries.has(entry)) this.oracles.forEach((_, i) => this.cpu.flushTlb(i));
    }
  }

  /** Up to a stop or the end of the turn; returns the number of instructions. */
  #segment(hart: number, counts: number): number {
    const o = this.oracles[hart];
    const start = o.get("icount");
    const done = () => Number(o.get("icount") - start);
    const flushes = new Set<number>();
    let stop = Stop.Budget;
    let edited: bigint[] = [];
    while (stop === Stop.Budget && done() < counts) {
      const [pc, at] = [o.get("pc"), done()];
      o.fence = null;
      stop = o.step();
      if (edited.length > 0 && !this.#covers(o, pc, edited)) flushes.add(at);
      edited = this.#watch.edited;
      this.#edits += edited.length;
      this.#watch.edited = [];
      this.#tell(hart, pc, stop);
    }
    if (edited.length > 0) flushes.add(done());
    this.#follow(hart, counts, done(), flushes, stop);
    this.executed += done();
    this.#compare(hart);
    const before = done();
    this.#serve(hart, stop);
    this.executed += done() - before;
    return done();
  }
  #tell(hart: number, pc: bigint, stop: Stop): void {
    if (!this.onStep || stop === Stop.Interrupt) return;
    const o = this.oracles[hart];
    const at = Number(o.fetchedAt - BigInt(RAM_BASE));
    if (at < 0 || at > RAM_BYTES - 4) return;
    const word = new DataView(this.#ram.buffer).getUint32(at & ~1, true);
    this.onStep({ hart, pc, at, word });
  }
  /** True when the instruction at `pc` fenced the edited entries and did not itself depend on them. */
  #covers(o: TracingOracle, pc: bigint, edited: readonly bigint[]): boolean {
    if (!o.fence) return false;
    const ram = new DataView(this.#ram.buffer);
    const { va } = o.fence;
    return edited.every((entry) => {
      const pages = this.#watch.entries.get(entry)!;
      if (pages.has(pc >> 12n) || pages.has(pc + 2n >> 12n)) return false;
      if (va === undefined) return true;
      const isLeaf = (ram.getUint8(Number(entry) - RAM_BASE) & LEAF) !== 0;
      return isLeaf && pages.size === 1 && pages.has(va >> 12n);
    });
  }
  #follow(hart: number, counts: number, done: number, flushes: Set<number>, stop: Stop): void {
    let at = 0;
    for (const flush of [...flushes].sort((a, b) => a - b)) {
      if (flush > at) this.#expect(this.cpu.run(hart, flush - at), Stop.Budget);
      at = flush;
      this.cpu.flushTlb(hart);
    }
    if (stop !== Stop.Budget || done > at) {
      this.#expect(this.cpu.run(hart, stop === Stop.Budget ? done - at : counts - at), stop);
    }
  }
  #expect(got: Stop, wanted: Stop): void {
    if (got !== wanted) {
      throw new Differs(`stopped: interpreter ${Stop[got]}, oracle ${Stop[wanted]}`);
    }
  }

  #serve(hart: number, stop: Stop): void {
    const [h, o] = [this.cpu.hart(hart), this.oracles[hart]];
    if (stop === Stop.Load || stop === Stop.Store) this.#device(hart, stop);
    else if (stop === Stop.Stage2) this.#mapPage(hart);
    else if (stop === Stop.Ecall) {
      h.retire();
      o.set("pc", BigInt.asUintN(64, o.get("pc") + 4n));
      o.set("icount", o.get("icount") + 1n);
    } else if (stop === Stop.Interrupt) {
      equal("cause", BigInt(h.cause), o.get("lastCause"));
    }
  }
  #mapPage(hart: number): void {
    const o = this.oracles[hart];
    const gpa = o.get("stage2Gpa");
    const { gpa: got, kind } = this.cpu.hart(hart).stage2Fault;
    equal("stage-2 address", BigInt(got), gpa);
    equal("stage-2 access", kind, ["fetch", "load", "", "store"][Number(o.get("stage2Kind"))]);
    const page = Number(gpa - BigInt(RAM_BASE)) >> 12;
    this.cpu.stage2[page] = this.#stage2[page] = 1;
  }
  /** What a device answers, and whether it refuses, follows from the address. */
  #device(hart: number, stop: Stop): void {
    const [h, o] = [this.cpu.hart(hart), this.oracles[hart]];
    const a = o.access;
    const value = stop === Stop.Store ? BigInt(h.access.hi) << 32n | BigInt(h.access.lo) : 0n;
    if (a.gpa < 1n << 53n) equal("accessed address", BigInt(h.access.gpa), a.gpa);
    equal("accessed bytes", h.access.size, a.bytes);
    equal("stored value", value, a.value);
    const r = new Rng(Number(BigInt.asUintN(32, a.gpa)));
    if (r.chance(20)) {
      h.faultAccess();
      o.refuse(stop === Stop.Store);
      return;
    }
    const answer = r.u64();
    if (stop === Stop.Store) h.completeStore();
    else h.completeLoad(Number(answer & 0xffffffffn), Number(answer >> 32n));
    o.complete(answer);
  }

  #compare(hart: number): void {
    const state = this.cpu.stateBytes();
    this.oracles.forEach((o, i) => {
      const mine = state.subarray(i * STATE_BYTES, (i + 1) * STATE_BYTES);
      const other = o.stateBytes();
      if (Buffer.compare(mine, other) !== 0) {
        const where = i === hart ? "" : `hart ${i}, which had not the turn: `;
        throw new Differs(where + differences(mine, other));
      }
    });
    for (const page of this.#watch.written) this.#comparePages(page * PAGE, PAGE);
    this.#watch.written.clear();
    this.#watch.stores.clear();
  }
  #compareRam(): void {
    this.#comparePages(0, RAM_BYTES);
  }
  #comparePages(at: number, bytes: number): void {
    const a = this.cpu.ram.subarray(at, at + bytes);
    const b = this.#ram.subarray(at, at + bytes);
    if (Buffer.compare(a, b) === 0) return;
    const first = (at + a.findIndex((v, i) => v !== b[i])) & ~7;
    const word = (ram: Uint8Array) =>
      hex(new DataView(ram.buffer, ram.byteOffset).getBigUint64(first, true));
    throw new Differs(
      `memory at ${hex(RAM_BASE + first)}: interpreter ${word(this.cpu.ram)}, oracle ${
        word(this.#ram)
      }`,
    );
  }
}

export const hex = (v: bigint | number): string => `0x${v.toString(16)}`;

function equal<T>(what: string, got: T, wanted: T): void {
  if (got !== wanted) throw new Differs(`${what}: interpreter ${got}, oracle ${wanted}`);
}

export function differences(a: Uint8Array, b: Uint8Array): string {
  const [va, vb] = [a, b].map((d) => new DataView(d.buffer, d.byteOffset, d.length));
  assert.equal(a.length, b.length);
  const names = [...Array.from({ length: 31 }, (_, i) => `x${i + 1}`), ...ARCH_SLOTS];
  return names.flatMap((name, i) => {
    const [x, y] = [va, vb].map((v) => v.getBigUint64(i * 8, true));
    return x === y ? [] : [`${name}: interpreter ${hex(x)}, oracle ${hex(y)}`];
  }).join("; ");
}
