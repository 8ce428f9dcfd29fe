/**
 * Events of a host, in the order of its trace, to rows of ours. An exit's row is written when its thread
 * enters the guest again (or leaves it again, or the trace ends), because only then is known what it was
 * and how long it took; its seq is taken when it happens, so seq keeps the order of the events.
 *
 * A thread that enters or leaves a guest is a vCPU; it has the number that KVM gives where the trace
 * tells it and no other thread has it (several machines), else the next free one. Rows of other threads
 * have vcpu 255.
 * @module
 */
import { codeOf } from "../../core/trace/schema.ts";
import type { Trace } from "../../core/trace/trace.ts";
import type { Row } from "../../core/trace/rows.ts";
import { Devices, PAGE } from "./devices.ts";
import { Names } from "./cursor.ts";
import { neutralReason } from "./reasons.ts";
import type { Tally } from "./tally.ts";

export const NO_VCPU = 255;
const MOST_HW_REASONS = 65535;

const KERNEL = codeOf("handler", "kernel");
const USER = codeOf("handler", "user");
const MODE_UNKNOWN = codeOf("cpu_mode", "unknown");
const MMIO = codeOf("reason", "mmio");
const PIO = codeOf("reason", "pio");
export const SPACE = {
  mmio: codeOf("space", "mmio"),
  pio: codeOf("space", "pio"),
  system: codeOf("space", "system_register"),
  unknown: codeOf("space", "unknown"),
} as const;

/** An access as events tell it; `gpa` is null outside guest-physical memory. */
export interface HostAccess {
  space: number;
  device: number;
  register: number | null;
  offset: number;
  size: number;
  write: boolean;
  lo: number;
  hi: number;
  gpa: number | null;
}

/** An event of a virtqueue as hosts tell it: nothing of its descriptors. */
export interface HostVring {
  event: number;
  device: number;
  queue: number;
  length: number | null;
  request: number | null;
}

/** An exit under way; each thread has one, used again and again. */
class Exit {
  seq = -1;
  timeNs = 0;
  hw = 0;
  pcLo = 0;
  pcHi = 0;
  hasPc = false;
  gpa: number | null = null;
  userExits = 0;
  accesses = 0;
  first: HostAccess | null = null;
  /** True when the thread is known to have been in the guest, so that perf would count it. */
  timed = false;
}

export class HostThread {
  vcpu = -1;
  lastNs = 0;
  entered = false;
  readonly exit = new Exit();
  /** Rows that wait for the thread's number. */
  readonly held: ((vcpu: number) => void)[] = [];

  constructor(readonly tid: number) {}

  get exiting(): boolean {
    return this.exit.seq >= 0;
  }
}

/** What a thread became, for the manifest. */
export interface VcpuThread {
  readonly vcpu: number;
  readonly tid: number;
}

export class HostTrace {
  readonly devices = new Devices();
  readonly hwReasons = new Names(MOST_HW_REASONS);
  readonly vcpus: VcpuThread[] = [];
  /** Host time of the first event, as the file writes it; null before and without one. */
  base: { seconds: number; ns: number } | null = null;
  readonly #neutral: number[] = [];
  readonly #threads = new Map<number, HostThread>();
  readonly #taken = new Set<number>();
  #hostNs = 0;

  constructor(readonly trace: Trace, readonly tally: Tally) {}

  /** ns since the first event, negative before it. */
  time(seconds: number, ns: number): number {
    const base = this.base ??= { seconds, ns };
    return (seconds - base.seconds) * 1e9 + ns - base.ns;
  }

  thread(tid: number): HostThread {
    let thread = this.#threads.get(tid);
    if (thread === undefined) this.#threads.set(tid, thread = new HostThread(tid));
    return thread;
  }

  /** False when time goes back on this thread, or too far, which no row may say. */
  at(thread: HostThread, timeNs: number): boolean {
    if (timeNs > Number.MAX_SAFE_INTEGER) return false;
    const isVcpu = thread.vcpu >= 0 || thread.exiting;
    if (timeNs < (isVcpu ? thread.lastNs : this.#hostNs)) return false;
    if (isVcpu) thread.lastNs = timeNs;
    else thread.lastNs = this.#hostNs = timeNs;
    return true;
  }

  /** The thread runs vCPU `number`, or one that the trace does not number (-1). */
  number(thread: HostThread, number: number): void {
    if (thread.vcpu >= 0) return;
    let vcpu = number >= 0 && number < NO_VCPU && !this.#taken.has(number) ? number : 0;
    while (this.#taken.has(vcpu) && vcpu < NO_VCPU) vcpu++;
    this.#taken.add(vcpu);
    thread.vcpu = vcpu;
    this.vcpus.push({ vcpu, tid: thread.tid });
    for (const write of thread.held.splice(0)) write(vcpu);
  }

  entry(thread: HostThread, timeNs: number, number: number): void {
    this.number(thread, number);
    if (thread.exiting) this.#endExit(thread, thread.exit.timed ? timeNs : null);
    thread.entered = true;
  }

  /** An exit begins; `number` is KVM's number of the vCPU or -1. False when `hw` is one name too many. */
  exit(thread: HostThread, timeNs: number, hw: number, number: number): Exit {
    if (thread.exiting) this.#endExit(thread, null);
    if (number >= 0) this.number(thread, number);
    const { exit } = thread;
    exit.seq = this.trace.take();
    exit.timeNs = timeNs;
    exit.hw = hw;
    exit.hasPc = false;
    exit.gpa = null;
    exit.userExits = exit.accesses = 0;
    exit.first = null;
    exit.timed = thread.entered;
    return exit;
  }

  access(thread: HostThread, timeNs: number, a: HostAccess): void {
    const { exit } = thread;
    const seq = this.trace.take();
    const row: Row<"access"> = {
      seq,
      space: a.space,
      device: a.device,
      register: a.register,
      offset: a.offset,
      size: a.size,
      write: a.write,
      value: a.lo,
      value_hi: a.hi,
      exit_seq: thread.exiting ? exit.seq : null,
    };
    if (thread.exiting && a.space !== SPACE.system) {
      if (exit.accesses++ === 0) exit.first = a;
    }
    this.#write(thread, timeNs, () => this.trace.access(row));
  }

  irq(thread: HostThread, timeNs: number, event: number, line: number, path: number): void {
    const row: Row<"irq"> = {
      seq: this.trace.take(),
      event,
      device: null,
      line,
      path,
      exit_seq: thread.exiting ? thread.exit.seq : null,
    };
    this.#write(thread, timeNs, () => this.trace.irq(row));
  }

  vring(thread: HostThread, timeNs: number, e: HostVring): void {
    const row: Row<"vring"> = {
      seq: this.trace.take(),
      event: e.event,
      device: e.device,
      queue: e.queue,
      head: null,
      desc_index: null,
      gpa: null,
      length: e.length,
      flags: null,
      avail_idx: null,
      used_idx: null,
      request: e.request,
      exit_seq: thread.exiting ? thread.exit.seq : null,
    };
    this.#write(thread, timeNs, () => this.trace.vring(row));
  }

  request(thread: HostThread, timeNs: number, row: Row<"request">): void {
    const whole = { seq: this.trace.take(), ...row };
    this.#write(thread, timeNs, () => this.trace.request(whole));
  }

  /** Ends every exit under way, and writes the names. */
  end(): void {
    for (const thread of this.#threads.values()) {
      if (thread.exiting) this.#endExit(thread, null);
    }
    this.trace.names("device", this.devices.devices);
    this.trace.names("register", this.devices.registers);
    this.trace.names(
      "hw_reason",
      this.hwReasons.texts.map((name) => ({ name, spec: "as the host's trace spells it" })),
    );
  }

  #write(thread: HostThread, timeNs: number, append: () => void): void {
    const { trace } = this;
    if (thread.vcpu < 0 && thread.exiting) {
      thread.held.push((vcpu) => {
        trace.setClock(timeNs, null, vcpu);
        append();
      });
      return;
    }
    trace.setClock(timeNs, null, thread.vcpu < 0 ? NO_VCPU : thread.vcpu);
    append();
  }

  #endExit(thread: HostThread, enteredNs: number | null): void {
    const { exit } = thread;
    const { first, seq } = exit;
    this.number(thread, -1);
    exit.seq = -1;
    this.trace.setClock(exit.timeNs, null, thread.vcpu);
    this.trace.exit({
      seq,
      reason: this.#reason(exit),
      hw_reason: exit.hw,
      handler: exit.userExits > 0 ? USER : KERNEL,
      transitions: Math.min(255, 2 + 2 * exit.userExits),
      cpu_mode: MODE_UNKNOWN,
      pc: exit.hasPc ? exit.pcLo : null,
      pc_hi: exit.pcHi,
      gpa: first === null ? exit.gpa : first.gpa,
      size: first === null || first.size === 0 ? null : first.size,
      write: first === null ? null : first.write,
      value: first === null || first.size === 0 ? null : first.lo,
      value_hi: first === null ? 0 : first.hi,
      device: first === null ? null : first.device,
      register: first === null ? null : first.register,
      cost_ns: 0,
      duration_ns: enteredNs === null ? null : enteredNs - exit.timeNs,
    });
    if (this.trace.full) this.trace.flush();
  }

  /** An access says more than the exit's name: an EPT violation may be either. */
  #reason({ first, hw }: Exit): number {
    if (first !== null && first.space === SPACE.mmio) return MMIO;
    if (first !== null && first.space === SPACE.pio) return PIO;
    return this.#neutral[hw] ??= neutralReason(this.hwReasons.texts[hw]);
  }

  /** Marks the exit under way as one for the page of `gpa`, when its access is not told. */
  touched(thread: HostThread, gpa: number, write: boolean | null): void {
    const { exit } = thread;
    if (!thread.exiting || exit.first !== null) return;
    exit.gpa = gpa;
    if (write === null) return;
    exit.first = this.mmio(gpa, 0, write, 0, 0);
  }

  mmio(gpa: number, size: number, write: boolean, lo: number, hi: number): HostAccess {
    const { devices } = this;
    const offset = gpa % PAGE;
    const [device, register] = [devices.page(gpa), devices.numbered(offset, 3)];
    return { space: SPACE.mmio, device, register, offset, size, write, lo, hi, gpa };
  }
}
