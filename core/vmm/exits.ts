/**
 * The exit unit: decides what an event is under the modelled hypervisor, lets the device answer, and
 * writes the `exit` and `access` rows with everything that happened in between linked to them.
 *
 * A row of `exit` takes its seq when the exit begins and is written when it ends, so that its value is
 * known; exits of one machine never nest.
 * @module
 */
import type { Hart, RiscvCpu } from "../cpu/mod.ts";
import type { Bus } from "../mmio/bus.ts";
import type { DeviceInstance } from "../mmio/device.ts";
import { layoutOf } from "../trace/log.ts";
import type { LogWriter } from "../trace/log_writer.ts";
import type { Trace } from "../trace/trace.ts";
import { codeOf } from "../trace/schema.ts";
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

/** An exit that is an access, with the access. */
const ACCESS_EXIT = layoutOf("access_exit");
const AT = ACCESS_EXIT.at;

/** A rule with its codes, transitions and price looked up once. */
interface Priced {
  readonly reason: number;
  readonly name: Reason;
  readonly hw: number | null;
  readonly hwOrNaN: number;
  readonly handler: number;
  readonly transitions: number;
  readonly costNs: number;
}

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
  #lastIcount: number[];
  #clock = { timeNs: 0, icount: 0, vcpu: 0 };
  #seenPages = new Set<number>();
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
    this.#lastIcount = o.harts.map(() => 0);
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
      hwOrNaN: hw ?? NaN,
      handler: HANDLER[rule.handler],
      transitions: profile.transitions[rule.handler],
      costNs: costs === null ? 0 : costNs(costs, name, rule.handler),
    };
  }

  /** Sets the clock that rows are written with. */
  setClock(timeNs: number, icount: number, vcpu: number): void {
    const c = this.#clock;
    c.timeNs = timeNs;
    c.icount = icount;
    c.vcpu = vcpu;
    this.#o.trace.setClock(timeNs, icount, vcpu);
  }

  /** Serves the load or store that `vcpu` stopped at. */
  access(vcpu: number, write: boolean): void {
    const { harts, bus, trace, codes, profile } = this.#o;
    const h = harts[vcpu];
    const { gpa, size, lo, hi } = h.access;
    const place = bus.find(gpa);
    if (place === null && !profile.virtualized) {
      h.faultAccess();
      return;
    }
    const space = place === null ? SPACE_MMIO : place.space;
    const priced = space === SPACE_PIO ? this.#pio[write ? 1 : 0] : this.#mmioAt(gpa, write);
    const icount = h.icount;
    this.setClock(h.clockNs, icount, vcpu);
    const seq = trace.take();
    trace.take(); // The access's own.
    trace.exitSeq = seq;
    let valueLo = lo;
    let valueHi = hi;
    let device = this.#o.unassigned;
    let register = -1;
    let offset = gpa >>> 0;
    if (place !== null) {
      const region = place.region;
      offset = gpa - place.base;
      if (write) {
        region.write(offset, size, lo, hi);
      } else {
        valueLo = region.read(offset, size);
        valueHi = size === 8 ? region.hi : 0;
      }
      const code = codes.get(place.dev)!;
      device = code.device;
      if (region.reg >= 0) register = code.registers[region.reg];
    } else if (!write) {
      valueLo = valueHi = 0;
    }
    if (trace.log !== null) {
      const insns = icount - this.#lastIcount[vcpu];
      this.#log(
        trace.log,
        seq,
        h,
        priced,
        insns,
        write,
        space,
        offset,
        device,
        register,
        valueLo,
        valueHi,
      );
    }
    this.#ended(vcpu, h, priced, icount);
    if (write) h.completeStore();
    else h.completeLoad(valueLo, valueHi);
  }

  /** Marks belong to pages, whatever answers there: a BAR that moves takes none with it. */
  #mmioAt(gpa: number, write: boolean): Priced {
    const page = Math.floor(gpa / 2 ** PAGE_SHIFT);
    const known = this.#seenPages.has(page);
    if (!known) this.#seenPages.add(page);
    return this.#mmio[write ? 1 : 0][known ? 1 : 0];
  }

  /**
   * Apart from `access`, for the compiler inlines only so much into one function: what is not inlined
   * hands its numbers over in memory of their own.
   */
  #log(
    log: LogWriter,
    seq: number,
    h: Hart,
    priced: Priced,
    insns: number,
    write: boolean,
    space: number,
    offset: number,
    device: number,
    register: number,
    lo: number,
    hi: number,
  ): void {
    const at = log.open(ACCESS_EXIT, seq, this.#accessRows);
    const words = log.words;
    const { access } = h;
    words[at + AT.gpa] = access.gpa;
    words[at + AT.offset] = offset;
    words[at + AT.size] = access.size;
    words[at + AT.write] = write ? 1 : 0;
    words[at + AT.value] = lo;
    words[at + AT.value_hi] = hi;
    words[at + AT.device] = device;
    words[at + AT.register] = register < 0 ? NaN : register;
    words[at + AT.space] = space;
    words[at + AT.reason] = priced.reason;
    words[at + AT.hw_reason] = priced.hwOrNaN;
    words[at + AT.handler] = priced.handler;
    words[at + AT.transitions] = priced.transitions;
    h.describe(words, at + AT.cpu_mode, at + AT.pc);
    words[at + AT.insns] = insns;
    words[at + AT.cost_ns] = priced.costNs;
  }

  #ended(vcpu: number, h: Hart, priced: Priced, icount: number): void {
    this.counts[priced.reason]++;
    this.#lastIcount[vcpu] = icount;
    this.#o.trace.exitSeq = -1;
    if (priced.costNs > 0) h.addNs(priced.costNs);
  }

  /** Maps what stage 2 did not map yet, and logs that it had to. */
  stage2(vcpu: number): void {
    const { harts, cpu, trace, stage2Shift } = this.#o;
    const h = harts[vcpu];
    const { gpa, kind } = h.stage2Fault;
    this.setClock(h.clockNs, h.icount, vcpu);
    this.#row(vcpu, h, this.#stage2[kind], trace.take(), {
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
    this.#row(vcpu, h, this.#wfi, this.#o.trace.take(), NO_DETAIL);
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
    this.#row(vcpu, h, this.#hypercall[handler], seq, { ...NO_DETAIL, lo: extension }, at);
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
    const { timeNs, icount, vcpu: before } = this.#clock;
    this.setClock(h.clockNs, h.icount, vcpu);
    this.#row(vcpu, h, this.#interrupt[kind], trace.take(), NO_DETAIL);
    trace.exitSeq = outer;
    this.setClock(timeNs, icount, before);
  }

  #row(
    vcpu: number,
    h: Hart,
    priced: Priced,
    seq: number,
    d: ExitDetail,
    at: { pcLo: number; pcHi: number; priv: number } = h,
  ): void {
    const { icount } = this.#clock;
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
      insns: icount - this.#lastIcount[vcpu],
      cost_ns: priced.costNs,
    });
    this.#ended(vcpu, h, priced, icount);
  }
}
