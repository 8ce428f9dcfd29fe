/**
 * The exit unit: decides what an event is under the modelled hypervisor, lets the device answer, and
 * writes the `exit` and `access` rows with everything that happened in between linked to them.
 *
 * A row of `exit` takes its seq when the exit begins and is written when it ends, so that its value is
 * known; exits of one machine never nest.
 * @module
 */
import { ACCESS_BYTES, type Hart, type RiscvCpu, WORD } from "../cpu/mod.ts";
import type { Bus } from "../mmio/bus.ts";
import type { DeviceInstance } from "../mmio/device.ts";
import type { AppendCells } from "../trace/alike.ts";
import { layoutOf } from "../trace/log.ts";
import type { LogWriter } from "../trace/log_writer.ts";
import type { Trace } from "../trace/trace.ts";
import { codeOf, CODES } from "../trace/schema.ts";
import {
  ACCESS_LANES,
  type AccessConstants,
  accessEnders,
  type AccessPlace,
  type EndAccess,
} from "./access_log.ts";
import { costNs } from "./costs.ts";
import {
  type AccessKind,
  type ExitRule,
  type Handler,
  hwReasonCode,
  type InterruptKind,
  type Profile,
} from "./profiles.ts";

const REASON = {
  mmio: codeOf("reason", "mmio"),
  pio: codeOf("reason", "pio"),
  stage2_fault: codeOf("reason", "stage2_fault"),
  hypercall: codeOf("reason", "hypercall"),
  wfi: codeOf("reason", "wfi"),
  external_interrupt: codeOf("reason", "external_interrupt"),
} as const;
type Reason = keyof typeof REASON;

const HANDLER = { kernel: codeOf("handler", "kernel"), user: codeOf("handler", "user") } as const;
const SPACE_MMIO = codeOf("space", "mmio");
const SPACE_PIO = codeOf("space", "pio");
const PAGE_SHIFT = 12;

/** Where two rows in one lie in the log. */
const ACCESS_EXIT = layoutOf("access_exit");

/** Templates of a register: by space, what is known of the page, direction, mode and size. */
const SPACE_SHIFT = 6;
const KNOWN_SHIFT = 5;
const WRITE_SHIFT = 4;
const MODE_SHIFT = 2;
const PER_REGISTER = CODES.space.length << SPACE_SHIFT;

/** A rule with its codes, transitions and price looked up once. */
interface Priced {
  readonly reason: number;
  readonly name: Reason;
  readonly hw: number | null;
  readonly handler: number;
  readonly transitions: number;
  readonly costNs: number;
  /** By privilege, what writes the row of an exit that says no more; made when the first does. */
  readonly plain: (AppendCells<typeof PLAIN_CELLS> | undefined)[];
}

/** What differs among exits of one rule and mode that say no more. */
const PLAIN_CELLS = ["pc", "pc_hi", "insns"] as const;

/** What an exit says beyond its reason. */
interface ExitDetail {
  readonly gpa: number | null;
  readonly size: number | null;
  readonly write: boolean | null;
  readonly lo: number | null;
  readonly hi: number;
  readonly device: number | null;
  readonly register: number | null;
}

const NO_DETAIL: ExitDetail = {
  gpa: null,
  size: null,
  write: null,
  lo: null,
  hi: 0,
  device: null,
  register: null,
};

/** Codes of a device and its registers in this machine's `name` table. */
export interface DeviceCodes {
  readonly device: number;
  /** By index of the register in the device's declaration. */
  readonly registers: readonly number[];
}

/**
 * A device's codes, and the kinds of the records of accesses to it that the log knows by now, 0 where
 * there is none yet. The first are those of accesses that mean no register. Each has one for the address
 * and the vcpu that came first, and one for all others.
 */
class Accessed {
  readonly placed: Int32Array;
  readonly gpas: Float64Array;
  readonly vcpus: Uint8Array;
  readonly anywhere: Int32Array;

  constructor(readonly codes: DeviceCodes) {
    const kinds = (codes.registers.length + 1) * PER_REGISTER;
    this.placed = new Int32Array(kinds);
    this.gpas = new Float64Array(kinds);
    this.vcpus = new Uint8Array(kinds);
    this.anywhere = new Int32Array(kinds);
  }
}

export interface ExitUnitOptions {
  readonly profile: Profile;
  readonly costs: string | null;
  readonly cpu: RiscvCpu;
  readonly ramBase: number;
  readonly harts: readonly Hart[];
  readonly bus: Bus;
  readonly trace: Trace;
  readonly codes: ReadonlyMap<DeviceInstance, DeviceCodes>;
  /** Code of the device that stands for addresses where there is none. */
  readonly unassigned: number;
  /** Log2 of the bytes that stage 2 maps at once. */
  readonly stage2Shift: number;
}

export class ExitUnit {
  /** Exits by reason code since reset, traced or not. */
  readonly counts: number[] = new Array(Object.keys(REASON).length + 1).fill(0);
  #o: ExitUnitOptions;
  #accessed: ReadonlyMap<DeviceInstance, Accessed>;
  #unassigned: Accessed;
  /** Null without a trace. */
  readonly #endPlaced: EndAccess | null;
  readonly #endAnywhere: EndAccess | null;
  /** What was looked up last: accesses come in runs. */
  #lastDevice: DeviceInstance | null = null;
  #lastAccessed: Accessed;
  #seenPages = new Set<number>();
  #lastPage = -1;
  #mmio: readonly (readonly Priced[])[];
  #pio: readonly Priced[];
  #stage2: Readonly<Record<AccessKind, Priced>>;
  #wfi: Priced;
  /** Rows of an access that are kept. */
  readonly #accessRows: number;
  #hypercall: Readonly<Record<Handler, Priced>>;
  #interrupt: Readonly<Record<InterruptKind, Priced>>;

  constructor(o: ExitUnitOptions) {
    this.#o = o;
    const { profile } = o;
    this.#accessed = new Map(Array.from(o.codes, ([dev, codes]) => [dev, new Accessed(codes)]));
    this.#unassigned = new Accessed({ device: o.unassigned, registers: [] });
    this.#lastAccessed = this.#unassigned;
    const { log } = o.trace;
    const enders = log === null ? null : accessEnders(o.cpu.memory, log.memory);
    this.#endPlaced = enders && enders.placed;
    this.#endAnywhere = enders && enders.anywhere;
    this.#accessRows = o.trace.log?.rows(ACCESS_EXIT) ?? 0;
    const mmio = (write: boolean) =>
      [false, true].map((known) => this.#price("mmio", profile.mmio(write, known)));
    this.#mmio = [mmio(false), mmio(true)];
    this.#pio = [false, true].map((write) => this.#price("pio", profile.pio(write)));
    const stage2 = (kind: AccessKind) => this.#price("stage2_fault", profile.stage2(kind));
    this.#stage2 = { fetch: stage2("fetch"), load: stage2("load"), store: stage2("store") };
    this.#wfi = this.#price("wfi", profile.wfi);
    const call = (handler: Handler) => this.#price("hypercall", profile.hypercall(handler));
    this.#hypercall = { kernel: call("kernel"), user: call("user") };
    const interrupt = (kind: InterruptKind) =>
      this.#price("external_interrupt", profile.interrupt(kind));
    this.#interrupt = {
      external: interrupt("external"),
      timer: interrupt("timer"),
      software: interrupt("software"),
    };
  }

  #price(name: Reason, rule: ExitRule): Priced {
    const { profile, costs } = this.#o;
    const hw = hwReasonCode(profile, rule.hw);
    return {
      reason: REASON[name],
      name,
      hw,
      handler: HANDLER[rule.handler],
      transitions: profile.transitions[rule.handler],
      costNs: costs === null ? 0 : costNs(costs, name, rule.handler),
      plain: [],
    };
  }

  /** Sets the clock that rows are written with. */
  setClock(timeNs: number, icount: number, vcpu: number): void {
    this.#o.trace.setClock(timeNs, icount, vcpu);
  }

  /** Serves the load or store that `vcpu` stopped at. */
  access(vcpu: number, write: boolean): void {
    const { harts, bus, trace, profile } = this.#o;
    const h = harts[vcpu];
    const { words } = h;
    const gpa = words[WORD.accessGpa] + words[WORD.accessGpa + 1] * 2 ** 32;
    const size = words[WORD.accessMeta] & ACCESS_BYTES;
    const place = bus.find(gpa);
    if (place === null && !profile.virtualized) {
      h.faultAccess();
      return;
    }
    const space = place === null ? SPACE_MMIO : place.space;
    // Marks belong to pages, whatever answers there: a BAR that moves takes none with it.
    const known = space === SPACE_PIO ? 0 : this.#touch(gpa);
    const icount = h.icount;
    trace.setClock(h.clockNs, icount, vcpu);
    const seq = trace.take();
    trace.take(); // The access's own.
    trace.exitSeq = seq;
    let lo = write ? words[WORD.accessValue] : 0;
    let hi = write ? words[WORD.accessValue + 1] : 0;
    let accessed = this.#unassigned;
    let register = -1;
    let offset = gpa >>> 0;
    if (place !== null) {
      const region = place.region;
      offset = gpa - place.base;
      if (write) {
        region.write(offset, size, lo, hi);
      } else {
        lo = region.read(offset, size);
        hi = region.hi;
      }
      accessed = this.#accessedOf(place.dev);
      register = region.reg;
    }
    const priced = space === SPACE_PIO
      ? this.#pio[write ? 1 : 0]
      : this.#mmio[write ? 1 : 0][known];
    const { log } = trace;
    if (log !== null && !trace.watched) {
      const how = space << SPACE_SHIFT | known << KNOWN_SHIFT | (write ? 1 << WRITE_SHIFT : 0);
      const form = how | words[WORD.priv] << MODE_SHIFT | 31 - Math.clz32(size);
      const i = (register + 1) * PER_REGISTER + form;
      if (accessed.placed[i] === 0 && Number.isSafeInteger(gpa)) {
        accessed.gpas[i] = gpa;
        accessed.vcpus[i] = vcpu;
        accessed.placed[i] = this.#template(log, accessed, i, priced, { gpa, offset, vcpu });
      }
      const price = priced.costNs | 0;
      if (accessed.gpas[i] === gpa && accessed.vcpus[i] === vcpu) {
        const at = log.address(log.reserve(ACCESS_LANES.placed, this.#accessRows));
        this.#endPlaced!(h.at, at, accessed.placed[i], 0, lo | 0, hi | 0, price, seq);
      } else {
        const kind = accessed.anywhere[i] ||= this.#template(log, accessed, i, priced);
        const at = log.address(log.reserve(ACCESS_LANES.anywhere, this.#accessRows));
        this.#endAnywhere!(h.at, at, kind, offset | 0, lo | 0, hi | 0, price, seq);
      }
      this.counts[priced.reason]++;
      trace.exitSeq = -1;
      return;
    }
    if (trace.watched) {
      this.#rows(seq, h, priced, accessed, register, { write, space, offset, lo, hi });
    }
    this.#ended(h, priced, icount);
    if (write) h.completeStore();
    else h.completeLoad(lo, hi);
  }

  #accessedOf(dev: DeviceInstance): Accessed {
    if (dev !== this.#lastDevice) {
      this.#lastDevice = dev;
      this.#lastAccessed = this.#accessed.get(dev)!;
    }
    return this.#lastAccessed;
  }

  /** 1 when the page was accessed before, else 0. */
  #touch(gpa: number): number {
    const page = Math.floor(gpa / 2 ** PAGE_SHIFT);
    if (page === this.#lastPage) return 1;
    this.#lastPage = page;
    if (this.#seenPages.has(page)) return 1;
    this.#seenPages.add(page);
    return 0;
  }

  /** A kind for the accesses of this index, at this place or at any, which the log is told of. */
  #template(
    log: LogWriter,
    { codes }: Accessed,
    index: number,
    priced: Priced,
    place?: AccessPlace,
  ): number {
    const register = Math.floor(index / PER_REGISTER) - 1;
    const form = index % PER_REGISTER;
    const constants: AccessConstants = {
      reason: priced.reason,
      hw_reason: priced.hw,
      handler: priced.handler,
      transitions: priced.transitions,
      cpu_mode: form >> MODE_SHIFT & 3,
      size: 1 << (form & 3),
      write: form >> WRITE_SHIFT & 1,
      device: codes.device,
      register: register < 0 ? null : codes.registers[register],
      cost_ns: priced.costNs,
      duration_ns: null,
      space: form >> SPACE_SHIFT,
    };
    return log.template("access_exit", { ...constants, ...place });
  }

  /** The same two rows one by one, for whoever watches them. */
  #rows(
    seq: number,
    h: Hart,
    priced: Priced,
    { codes }: Accessed,
    reg: number,
    a: { write: boolean; space: number; offset: number; lo: number; hi: number },
  ): void {
    const { gpa, size } = h.access;
    const register = reg < 0 ? null : codes.registers[reg];
    const { device } = codes;
    const what = { device, register, size, write: a.write, value: a.lo, value_hi: a.hi };
    const { trace } = this.#o;
    trace.access({ seq: seq + 1, space: a.space, offset: a.offset, ...what });
    trace.exit({
      seq,
      reason: priced.reason,
      hw_reason: priced.hw,
      handler: priced.handler,
      transitions: priced.transitions,
      cpu_mode: h.priv,
      pc: h.pcLo,
      pc_hi: h.pcHi,
      gpa,
      ...what,
      insns: h.insnsSinceExit(trace.clock[1]),
      cost_ns: priced.costNs,
    });
  }

  #ended(h: Hart, priced: Priced, icount: number): void {
    this.counts[priced.reason]++;
    h.exited(icount);
    this.#o.trace.exitSeq = -1;
    if (priced.costNs > 0) h.addNs(priced.costNs);
  }

  /** Maps what stage 2 did not map yet, and logs that it had to. */
  stage2(vcpu: number): void {
    const { harts, cpu, trace, stage2Shift } = this.#o;
    const h = harts[vcpu];
    const { gpa, kind } = h.stage2Fault;
    this.setClock(h.clockNs, h.icount, vcpu);
    this.#row(h, this.#stage2[kind], trace.take(), {
      ...NO_DETAIL,
      gpa,
      write: kind === "store",
    });
    const pages = 2 ** (stage2Shift - PAGE_SHIFT);
    const first = Math.floor(this.#ramPage(gpa) / pages) * pages;
    cpu.stage2.fill(1, first, Math.min(first + pages, cpu.stage2.length));
  }

  #ramPage(gpa: number): number {
    return Math.floor((gpa - this.#o.ramBase) / 2 ** PAGE_SHIFT);
  }

  /** A WFI that the hypervisor traps; nothing on a machine under none. */
  wfi(vcpu: number): void {
    if (!this.#o.profile.virtualized) return;
    const h = this.#o.harts[vcpu];
    this.setClock(h.clockNs, h.icount, vcpu);
    this.#plainRow(h, this.#wfi);
  }

  /** An SBI call: `serve` runs inside the exit. */
  hypercall(vcpu: number, extension: number, handler: Handler, serve: () => void): void {
    const h = this.#o.harts[vcpu];
    const { trace } = this.#o;
    this.setClock(h.clockNs, h.icount, vcpu);
    const seq = trace.take();
    trace.exitSeq = seq;
    // The row shows where the call was made, not where a restarted hart went.
    const at = { pcLo: h.pcLo, pcHi: h.pcHi, priv: h.priv };
    serve();
    this.#row(h, this.#hypercall[handler], seq, { ...NO_DETAIL, lo: extension }, at);
  }

  /**
   * An interrupt that reached the host while this vcpu was running the guest. It may happen inside
   * another vcpu's exit, whose clock and link are put back.
   */
  interrupted(vcpu: number, kind: InterruptKind): void {
    if (!this.#o.profile.virtualized) return;
    const h = this.#o.harts[vcpu];
    const { trace } = this.#o;
    const outer = trace.exitSeq;
    const [timeNs, icount, before] = trace.clock;
    this.setClock(h.clockNs, h.icount, vcpu);
    this.#plainRow(h, this.#interrupt[kind]);
    trace.exitSeq = outer;
    this.setClock(timeNs, icount, before);
  }

  /** The row of an exit that begins and ends now, and has no detail. */
  #plainRow(h: Hart, priced: Priced): void {
    const { trace } = this.#o;
    const icount = trace.clock[1];
    const { reason, hw, handler, transitions, costNs, plain } = priced;
    const append = plain[h.priv] ??= trace.alike(
      "exit",
      {
        ...{ reason, hw_reason: hw, handler, transitions },
        ...{ cpu_mode: h.priv, cost_ns: costNs },
      },
      PLAIN_CELLS,
    );
    append(h.pcLo | 0, h.pcHi | 0, h.insnsSinceExit(icount));
    this.#ended(h, priced, icount);
  }

  #row(
    h: Hart,
    priced: Priced,
    seq: number,
    d: ExitDetail,
    at: { pcLo: number; pcHi: number; priv: number } = h,
  ): void {
    const icount = this.#o.trace.clock[1];
    this.#o.trace.exit({
      seq,
      reason: priced.reason,
      hw_reason: priced.hw,
      handler: priced.handler,
      transitions: priced.transitions,
      cpu_mode: at.priv,
      pc: at.pcLo,
      pc_hi: at.pcHi,
      gpa: d.gpa,
      size: d.size,
      write: d.write,
      value: d.lo,
      value_hi: d.hi,
      device: d.device,
      register: d.register,
      insns: h.insnsSinceExit(icount),
      cost_ns: priced.costNs,
    });
    this.#ended(h, priced, icount);
  }
}
