/**
 * What every virtio device does, whatever carries it: status, features, queues, requests and
 * interrupts. Source: Virtio 1.2 §2, §3. A transport maps its registers onto `VirtioCore`.
 *
 * A step of the set-up (§3.1.1) that the driver may not take yet stays undone. Simplifications: a
 * status bit that the driver set is cleared by a reset only (§2.1.1 forbids drivers to clear one), and a
 * legacy device serves kicks before DRIVER_OK, as §3.1.2 expects. A request that a reset overtakes never
 * completes and leaves no `request` row.
 * @module
 */
import {
  type Drive,
  flag,
  type GuestMemory,
  type Port,
  records,
  type StateOf,
  text,
  u32,
  u8,
} from "../mmio/device.ts";
import {
  COMMON_FEATURES,
  type Feature,
  featureWord,
  type QueueDeclaration,
  type Served,
  type Span,
  STATUS,
  type VirtioBehaviour,
  type VirtioPort,
} from "./virtio.ts";
import { eachPiece, readPart } from "./payload.ts";
import {
  type Chain,
  type Fault,
  isFault,
  partBytes,
  queueFields,
  type QueueRows,
  queueRows,
  Virtqueue,
} from "./virtqueue.ts";

/** What a reset by the driver clears (§2.4), beside the transport's and the device's own. */
export const coreFields = (queues: readonly QueueDeclaration[]) => ({
  status: u8(),
  driverFeaturesLow: u32(),
  driverFeaturesHigh: u32(),
  interruptStatus: u32(),
  broken: flag(), // The driver broke a rule; nothing is served until it resets the device.
  error: text(80), // Which rule.
  queues: records(queues.length, queueFields(Math.max(...queues.map((q) => q.maxSize)))),
});
type CoreState = StateOf<ReturnType<typeof coreFields>>;

/** What a transport hands over. */
export interface CoreParts {
  readonly queues: readonly QueueDeclaration[];
  readonly features: Readonly<Record<string, Feature>>;
  readonly state: CoreState;
  readonly port: Port;
  readonly options: CoreOptions;
  /** Does the driver use the legacy interface? A transitional device learns it from its accesses. */
  readonly legacy: () => boolean;
  /** A driver of the modern interface that does not accept VIRTIO_F_VERSION_1 is refused. */
  readonly needsVersion1: boolean;
  readonly interrupts: Interrupts;
  /** Resets all that a reset by the driver clears. */
  readonly clear: () => void;
  /** Makes the driver read the configuration space again (§2.5.1). */
  readonly nextGeneration: () => void;
}

/** How a transport tells the driver of something. */
export interface Interrupts {
  /** §2.9: queue `i` has used buffers. seq of the `irq` row, -1 for none. */
  used(queue: number): number;
  /** §2.5: the device configuration space changed, or the device needs a reset (§2.1.2). */
  configuration(): void;
}

/** What the person who plugs the device in chose, for any device. */
export interface CoreOptions {
  latencyNs: number;
  /** Suppress kicks that tell the device nothing: it polls while busy. */
  suppress: boolean;
  /** Features withheld. */
  withheld: ReadonlySet<string>;
}

/**
 * §3.1.1: steps, and what must have been done before each. ACKNOWLEDGE, which tells the device nothing, is
 * not asked for: U-Boot leaves it out after its second reset.
 */
const STEPS: readonly (readonly [step: number, before: number])[] = [
  [STATUS.FEATURES_OK, STATUS.DRIVER],
  [STATUS.DRIVER_OK, STATUS.FEATURES_OK],
];

/** A feature as it is looked up: in which word, and where. */
type Offered = Feature & { readonly word: 0 | 1; readonly mask: number };

const isOf = (f: Feature, legacy: boolean) =>
  f.only === undefined || f.only === (legacy ? "legacy" : "modern");

interface Finished {
  queue: number;
  chain: Chain;
  served: Served;
}

export class VirtioCore implements VirtioPort<string> {
  readonly queues: readonly Virtqueue[];
  behaviour!: VirtioBehaviour;
  /** Those not withheld. */
  readonly #features: ReadonlyMap<string, Offered>;
  /** Those that a queue asks for at every turn. */
  readonly #indirect: Offered | undefined;
  readonly #eventIdx: Offered | undefined;
  /** Served during this access or event; they are announced together when it ends. */
  #finished: Finished[] = [];
  /** By queue, seq of the `irq` row of the interrupt announced last, -1 for none. */
  readonly #irqs: number[];

  private readonly declared: readonly QueueDeclaration[];
  private readonly s: CoreState;
  private readonly port: Port;
  private readonly options: CoreOptions;

  constructor(private readonly parts: CoreParts) {
    const { queues, features, state, port, options } = parts;
    this.declared = queues;
    this.s = state;
    this.port = port;
    this.options = options;
    const all = Object.entries<Feature>({ ...COMMON_FEATURES, ...features });
    const offered = all.filter(([name]) => !options.withheld.has(name));
    this.#features = new Map(offered.map(([name, f]) => [name, { ...f, ...featureWord(f.bit) }]));
    this.#indirect = this.#features.get("VIRTIO_F_INDIRECT_DESC");
    this.#eventIdx = this.#features.get("VIRTIO_F_EVENT_IDX");
    this.#irqs = queues.map(() => -1);
    this.queues = queues.map((q, i) => new Virtqueue(i, q, state.queues[i], this));
  }

  get mem(): GuestMemory {
    return this.port.mem;
  }

  rows(queue: number): QueueRows {
    return queueRows(this.port.trace, queue);
  }

  open(head: number): Chain {
    const { trace } = this.port;
    return {
      head,
      request: trace.nextRequestId(),
      segments: [],
      submitNs: this.port.now(),
      submitIcount: trace.icount,
      kickExitSeq: trace.exitSeq ?? -1,
      completeNs: 0,
      header: [],
    };
  }

  get legacy(): boolean {
    return this.parts.legacy();
  }

  offers(feature: string, legacy = this.legacy): boolean {
    const f = this.#features.get(feature);
    if (f === undefined || !isOf(f, legacy) || this.behaviour.lacks?.(feature)) return false;
    return f.needs === undefined || this.offers(f.needs, legacy);
  }

  /** Word 0 or 1 of the features offered on one of the interfaces (§2.2). */
  offered(word: number, legacy = this.legacy): number {
    let bits = 0;
    for (const [name, f] of this.#features) {
      if (f.word === word && this.offers(name, legacy)) bits |= f.mask;
    }
    return bits >>> 0;
  }

  /** §3.1.1 step 4: features are settled once FEATURES_OK is set. */
  acceptFeatures(word: number, bits: number): void {
    if (this.s.status & (STATUS.FEATURES_OK | STATUS.DRIVER_OK)) return;
    if (word === 0) this.s.driverFeaturesLow = bits;
    if (word === 1) this.s.driverFeaturesHigh = bits;
  }

  /** Word 0 or 1 of the features that the driver accepted. */
  accepted(word: number): number {
    return word === 0 ? this.s.driverFeaturesLow : word === 1 ? this.s.driverFeaturesHigh : 0;
  }

  has(feature: string): boolean {
    return this.#negotiated(this.#features.get(feature));
  }

  get indirect(): boolean {
    return this.#negotiated(this.#indirect);
  }

  get eventIdx(): boolean {
    return this.#negotiated(this.#eventIdx);
  }

  #negotiated(f: Offered | undefined): boolean {
    return f !== undefined && (this.accepted(f.word) & f.mask) !== 0 && isOf(f, this.legacy);
  }

  /** §2.1, §3.1.1: 0 resets; a step that the driver may not take yet stays undone. */
  writeStatus(v: number): void {
    if (v === 0) return this.reset();
    const { s } = this;
    let set = v & ~s.status & ~STATUS.DEVICE_NEEDS_RESET & 0xff;
    if (!this.legacy) {
      if ((set & STATUS.FEATURES_OK) && !this.#featuresAcceptable()) set &= ~STATUS.FEATURES_OK;
      for (const [step, before] of STEPS) if (((s.status | set) & before) === 0) set &= ~step;
      // §3.1.1: after FAILED, nothing but a reset goes on.
      if ((s.status | set) & STATUS.FAILED) set &= STATUS.FAILED;
    }
    s.status |= set;
    if (set & STATUS.DRIVER_OK) this.queues.forEach((_, i) => this.#look(i));
    this.#announce();
  }

  /**
   * §2.2: a subset of what is offered. §6.2: a device MAY insist on VIRTIO_F_VERSION_1. Without, it is
   * still the register interface that decides on the layout, which is modern.
   */
  #featuresAcceptable(): boolean {
    if (this.parts.needsVersion1 && !this.has("VIRTIO_F_VERSION_1")) return false;
    return [0, 1].every((word) => (this.accepted(word) & ~this.offered(word)) === 0);
  }

  /** §2.4: at any moment; chains in flight are forgotten. */
  reset(): void {
    this.parts.clear();
    this.queues.forEach((_, i) => this.port.timer("complete", null, i));
  }

  /** §3.1.1: once features are settled. */
  startQueue(i: number): void {
    if (!this.legacy && (this.s.status & STATUS.FEATURES_OK) === 0) return;
    const fault = this.queues[i].start();
    if (fault) this.fail(i, fault);
    else if (this.live(i)) this.#look(i);
    this.#announce();
  }

  stopQueue(i: number): void {
    this.queues[i].stop();
    this.behaviour.stopped?.(i);
    this.port.timer("complete", null, i);
  }

  live(i: number): boolean {
    const { s } = this;
    const ok = this.legacy || (s.status & STATUS.DRIVER_OK) !== 0;
    return ok && !s.broken && s.queues[i].queueReady;
  }

  /** §2.9: the driver says that queue `i` has buffers. A number that is no queue says nothing. */
  kick(i: number): void {
    if (i >= this.queues.length) return;
    this.queues[i].rows.kick();
    this.#look(i);
    this.#announce();
  }

  #look(i: number): void {
    if (!this.live(i)) return;
    if (this.declared[i].use === "request") this.#drain(i);
    else this.behaviour.available?.(i);
  }

  /** Bounded by the queue size, even when a used ring laid over the available ring refills it. */
  #drain(i: number): void {
    for (let left = this.s.queues[i].queueNum; left > 0; left--) {
      const chain = this.pop(i);
      if (chain === null) break;
      this.#submit(i, chain);
    }
    if (this.s.broken) return;
    const busy = this.s.queues[i].inFlight.length > 0;
    if (busy && this.options.suppress) this.queues[i].suppressNotify();
    else this.queues[i].enableNotify();
  }

  pop(i: number): Chain | null {
    if (!this.live(i)) return null;
    const chain = this.queues[i].pop();
    if (!isFault(chain)) return chain;
    this.fail(i, chain);
    return null;
  }

  /** Heads in flight are distinct, so at most a queue's size of chains waits. */
  #submit(i: number, chain: Chain): void {
    const { inFlight } = this.s.queues[i];
    const now = this.port.now();
    const doneNs = this.behaviour.begin?.(i, chain) ?? this.#doneNs(i, now);
    if (typeof doneNs !== "number") {
      return this.fail(i, { ...doneNs, head: chain.head, request: chain.request });
    }
    if (doneNs <= now) return this.finish(i, chain);
    chain.completeNs = doneNs;
    // Mostly the last of them.
    let at = inFlight.push(chain) - 1;
    for (; at > 0 && inFlight[at - 1].completeNs > doneNs; at--) inFlight[at] = inFlight[at - 1];
    inFlight[at] = chain;
    if (inFlight[0] === chain) this.#arm(i);
  }

  #doneNs(i: number, now: number): number {
    const { inFlight } = this.s.queues[i];
    const after = this.declared[i].serial && inFlight.length > 0
      ? inFlight[inFlight.length - 1].completeNs
      : 0;
    return Math.max(now, after) + this.options.latencyNs;
  }

  #arm(i: number): void {
    const { inFlight } = this.s.queues[i];
    if (inFlight.length > 0) this.port.timer("complete", inFlight[0].completeNs, i);
  }

  /** The event `complete`: the latency of at least one chain of queue `i` has passed. */
  complete(i: number): void {
    const { inFlight } = this.s.queues[i];
    const now = this.port.now();
    while (inFlight.length > 0 && inFlight[0].completeNs <= now) {
      this.finish(i, inFlight.shift()!);
    }
    if (this.options.suppress) this.#look(i);
    this.#arm(i);
    this.#announce();
  }

  finish(queue: number, chain: Chain): void {
    const fault = this.queues[queue].reach();
    if (fault) return this.fail(queue, { ...fault, head: chain.head, request: chain.request });
    const served = this.behaviour.serve(queue, chain);
    this.queues[queue].push(chain, served.written);
    this.#finished.push({ queue, chain, served });
  }

  wantBuffers(i: number, wanted: boolean): void {
    if (!this.live(i)) return;
    if (wanted || !this.options.suppress) this.queues[i].enableNotify();
    else this.queues[i].suppressNotify();
  }

  /** Ends an access, event or input: one interrupt a queue for all it pushed, then the rows. */
  #announce(): void {
    if (this.#finished.length === 0) return;
    const finished = this.#finished;
    this.#finished = [];
    const irqs = this.#irqs;
    for (let i = 0; i < this.queues.length; i++) {
      irqs[i] = this.queues[i].wantsInterrupt() ? this.parts.interrupts.used(i) : -1;
    }
    for (const { queue, chain, served } of finished) {
      this.port.trace.request({
        id: chain.request,
        kind: served.kind,
        bytes: served.bytes,
        submit_ns: chain.submitNs,
        submit_icount: chain.submitIcount,
        complete_ns: this.port.now(),
        status: served.status,
        command: served.command,
        kick_exit_seq: chain.kickExitSeq < 0 ? null : chain.kickExitSeq,
        irq_seq: irqs[queue] < 0 ? null : irqs[queue],
      });
    }
  }

  /** Data from outside reached a device's input. */
  receive(take: () => void): void {
    take();
    this.#announce();
  }

  /** §2.1.2: the device cannot go on; a modern driver is told, a legacy one has no way to be. */
  fail(i: number, fault: Fault): void {
    const { s } = this;
    s.broken = true;
    s.error = fault.error;
    this.queues[i].rows.error(fault.head ?? -1, fault.request ?? -1);
    this.queues.forEach((_, k) => {
      s.queues[k].inFlight.length = 0;
      this.port.timer("complete", null, k);
    });
    if (this.legacy) return;
    s.status |= STATUS.DEVICE_NEEDS_RESET;
    this.#tellConfiguration();
  }

  configChanged(feature: string): void {
    this.parts.nextGeneration();
    if (this.has(feature)) this.#tellConfiguration();
  }

  #tellConfiguration(): void {
    if ((this.s.status & STATUS.DRIVER_OK) === 0) return;
    this.parts.interrupts.configuration();
  }

  acknowledge(bits: number): void {
    this.s.interruptStatus &= ~bits;
  }

  settle(): void {
    this.port.irq(this.s.interruptStatus !== 0);
  }

  now(): number {
    return this.port.now();
  }

  drive(bay = 0): Drive | null {
    return this.port.drive(bay);
  }

  waiting(i: number): readonly Chain[] {
    return this.s.queues[i].inFlight;
  }

  hasten(i: number, chain: Chain): void {
    const { inFlight } = this.s.queues[i];
    const at = inFlight.indexOf(chain);
    if (at < 0) return;
    inFlight.splice(at, 1);
    this.port.timer("complete", null, i);
    this.finish(i, chain);
    this.#arm(i);
  }

  read(chain: Chain, span: Span = { at: 0, bytes: partBytes(chain, false) }): Uint8Array {
    return readPart(this.port, chain, span);
  }

  write(chain: Chain, data: Uint8Array, at = 0, framing = false): number {
    return eachPiece(this.port, chain, true, at, data.length, framing, (gpa, bytes, from) => {
      this.mem.write(gpa, data.subarray(from, from + bytes));
    });
  }

  lend(chain: Chain, span: Span, take: (piece: Uint8Array, from: number) => void): void {
    const { mem } = this;
    const { at, bytes: count, framing = false } = span;
    eachPiece(this.port, chain, false, at, count, framing, (gpa, bytes, from) => {
      take(mem.view(gpa, bytes), from);
    });
  }

  fill(chain: Chain, bytes: number, put: (piece: Uint8Array, from: number) => void): number {
    const { mem } = this;
    return eachPiece(this.port, chain, true, 0, bytes, false, (gpa, count, from) => {
      put(mem.room(gpa, count), from);
    });
  }

  out(data: Uint8Array | number): void {
    this.port.out(data);
  }

  inputSpace(): void {
    this.port.inputSpace();
  }
}
