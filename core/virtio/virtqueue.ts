/**
 * A split virtqueue seen from the device's side. Source: Virtio 1.2 §2.7, legacy layout §2.7.2.
 *
 * Nothing that the driver wrote is trusted. Each field in guest memory is read exactly once per use,
 * every loop is bounded by the queue size, and a broken rule is a value (`Fault`), never an
 * exception. All state lies in the device's declared state, so that save, load and reset derive.
 *
 * Deviates: a chain of more bytes than its queue's `maxBytes` is a fault (§2.7.5.2 allows 2^32),
 * which bounds the work of one request.
 * @module
 */
import {
  bytes,
  type CellValues,
  type DeviceTrace,
  flag,
  type GuestMemory,
  list,
  num,
  type RecordOf,
  type StateOf,
  u16,
  u32,
  type VringCell,
  type VringRow,
} from "../mmio/device.ts";
import {
  ALIGNMENT,
  type Areas,
  AVAIL,
  AVAIL_F_NO_INTERRUPT,
  availBytes,
  availEventAt,
  DESC,
  DESC_F,
  descBytes,
  passedEvent,
  USED,
  USED_F_NO_NOTIFY,
  usedBytes,
  usedEventAt,
} from "./ring_layout.ts";

/** One buffer of a chain, checked to lie in RAM. */
const segmentFields = { gpa: num(), length: u32(), write: flag() };
export type Segment = RecordOf<typeof segmentFields>;

/** Most that a device keeps of a chain's start. */
const HEADER_BYTES = 64;

/** A chain between pop and push; what the driver wrote about it is never read again. */
const chainFields = (maxSize: number) => ({
  head: u16(),
  request: num(), // Id of the request it carries.
  segments: list(segmentFields, maxSize),
  submitNs: num(),
  submitIcount: num(),
  kickExitSeq: num(), // -1 when no exit started it.
  completeNs: num(), // When the device will have finished it.
  header: bytes(HEADER_BYTES), // What the device read of it when it was popped.
});
export type Chain = RecordOf<ReturnType<typeof chainFields>>;

/** State of one queue of at most `maxSize` entries. */
export const queueFields = (maxSize: number) => ({
  queueNum: u32(),
  queueReady: flag(),
  queueDescLow: u32(),
  queueDescHigh: u32(),
  queueDriverLow: u32(),
  queueDriverHigh: u32(),
  queueDeviceLow: u32(),
  queueDeviceHigh: u32(),
  availIdx: u16(), // avail.idx as last read: chains up to it may be popped.
  lastAvail: u16(), // Index in the available ring of the next chain to pop.
  usedIdx: u16(),
  signalledUsed: u16(), // usedIdx when the device last decided whether to interrupt.
  notifyOff: flag(), // The device asks for no available buffer notifications.
  availEvent: num(-1), // avail_event as last written, -1 before that.
  inFlight: list(chainFields(maxSize), maxSize), // Popped but not yet pushed, oldest first.
});
export type QueueState = StateOf<ReturnType<typeof queueFields>>;

/** The driver broke a rule; the device can no longer trust this queue (§2.1.2). */
export interface Fault {
  error: string;
  /** The chain concerned, when it is one. */
  head?: number;
  request?: number;
}
export const isFault = (x: object | null): x is Fault => x !== null && "error" in x;

/** What the rows of a queue's events say, beside whose they are. */
const CELLS = {
  kick: [],
  pop: ["head", "avail_idx", "request"],
  descriptor: ["head", "desc_index", "gpa", "gpa_hi", "length", "flags", "request"],
  push: ["head", "length", "used_idx", "request"],
  interrupt: ["used_idx"],
  interrupt_suppressed: ["used_idx"],
  notify_enabled: ["avail_idx"],
  notify_suppressed: ["avail_idx"],
  error: ["head", "request"],
} as const satisfies Record<VringRow["event"], readonly VringCell[]>;
type Cells = typeof CELLS;

/** By event, a function that writes a row; -1 for null. */
export type QueueRows = {
  readonly [E in keyof Cells]: (...cells: CellValues<Cells[E]>) => void;
};

export function queueRows(trace: DeviceTrace, queue: number): QueueRows {
  const events = Object.keys(CELLS) as (keyof Cells)[];
  const rows = events.map((event) => [event, trace.vringRows(event, queue, CELLS[event])]);
  return Object.fromEntries(rows);
}

/** What a queue needs of its device. */
export interface QueueHost {
  readonly mem: GuestMemory;
  /** What writes its `vring` rows; asked for when the first is due. */
  rows(queue: number): QueueRows;
  /** A chain as yet without segments: its request id and the clock at submission. */
  open(head: number): Chain;
  /** Was VIRTIO_F_INDIRECT_DESC negotiated? */
  readonly indirect: boolean;
  /** Was VIRTIO_F_EVENT_IDX negotiated? */
  readonly eventIdx: boolean;
}

interface Desc {
  gpa: number;
  length: number;
  flags: number;
  next: number;
}

/** Numbers past 2^53 lose their low bits; none of them is RAM, so only their size matters. */
const wide = (low: number, high: number) => high * 2 ** 32 + low;

export class Virtqueue {
  constructor(
    readonly index: number,
    readonly limits: { readonly maxSize: number; readonly maxBytes: number },
    private readonly s: QueueState,
    private readonly host: QueueHost,
  ) {}

  #made: QueueRows | null = null;
  get rows(): QueueRows {
    return this.#made ??= this.host.rows(this.index);
  }

  get #desc(): number {
    return wide(this.s.queueDescLow, this.s.queueDescHigh);
  }
  get #avail(): number {
    return wide(this.s.queueDriverLow, this.s.queueDriverHigh);
  }
  get #used(): number {
    return wide(this.s.queueDeviceLow, this.s.queueDeviceHigh);
  }
  areas(): Areas {
    return { desc: this.#desc, avail: this.#avail, used: this.#used };
  }

  /** Legacy: the areas follow from one page frame number. */
  setAreas({ desc, avail, used }: Areas): void {
    const { s } = this;
    const high = (v: number) => Math.floor(v / 2 ** 32);
    [s.queueDescLow, s.queueDescHigh] = [desc % 2 ** 32, high(desc)];
    [s.queueDriverLow, s.queueDriverHigh] = [avail % 2 ** 32, high(avail)];
    [s.queueDeviceLow, s.queueDeviceHigh] = [used % 2 ** 32, high(used)];
  }

  /** Takes the queue into service at index 0. RAM never shrinks, so the areas stay valid. */
  start(): Fault | null {
    const { s, host } = this;
    const size = s.queueNum;
    if (size === 0 || (size & (size - 1)) !== 0 || size > this.limits.maxSize) {
      return { error: `queue size ${size} is no power of two up to ${this.limits.maxSize}` };
    }
    const a = this.areas();
    for (const area of ["desc", "avail", "used"] as const) {
      const bytes = { desc: descBytes, avail: availBytes, used: usedBytes }[area](size);
      if (a[area] % ALIGNMENT[area] !== 0) return { error: `${area} area is not aligned` };
      if (!host.mem.ok(a[area], bytes)) return { error: `${area} area lies outside RAM` };
    }
    s.queueReady = true;
    return null;
  }

  /**
   * Its areas were in RAM when it started; a function on PCI reaches none of it while it is no bus
   * master.
   */
  reach(): Fault | null {
    return this.host.mem.ok(this.#used, 1) ? null : { error: "RAM is out of reach" };
  }

  /** Takes the queue out of service and forgets where it stood; its registers keep their values. */
  stop(): void {
    const { s } = this;
    s.queueReady = false;
    s.availIdx = 0;
    s.lastAvail = 0;
    s.usedIdx = 0;
    s.signalledUsed = 0;
    s.notifyOff = false;
    s.availEvent = -1;
    s.inFlight.length = 0;
  }

  /** The next available chain, `null` when there is none. Its payload is not touched yet. */
  pop(): Chain | Fault | null {
    const { s, host } = this;
    const avail = this.#avail;
    const size = s.queueNum;
    const fault = this.reach();
    if (fault) return fault;
    if (s.availIdx === s.lastAvail) {
      const idx = host.mem.u16(avail + AVAIL.idx);
      const more = (idx - s.lastAvail) & 0xffff;
      if (more > size) return { error: `avail.idx ran ${more} ahead, queue size is ${size}` };
      s.availIdx = idx;
      if (more === 0) return null;
    }
    const at = avail + AVAIL.ring + AVAIL.entryBytes * (s.lastAvail & (size - 1));
    const head = host.mem.u16(at);
    s.lastAvail++;
    if (head >= size) return { error: `head ${head} outside queue of ${size}` };
    if (s.inFlight.some((c) => c.head === head)) {
      return { error: `head ${head} is in flight already`, head };
    }
    const chain = host.open(head);
    this.rows.pop(head, s.availIdx, chain.request);
    const broken = this.#walk(chain, this.#desc, size);
    return broken ? { ...broken, head, request: chain.request } : chain;
  }

  /** Follows the chain from its head; each descriptor is read once (§2.7.5). */
  #walk(chain: Chain, descArea: number, size: number): Fault | null {
    let table = descArea, entries = size, index = chain.head, indirect = false, bytes = 0;
    for (;;) {
      const d = this.#read(chain, table, index);
      if (d.flags & DESC_F.INDIRECT) {
        const fault = this.#checkIndirect(d, indirect);
        if (fault) return fault;
        table = d.gpa;
        entries = d.length / DESC.bytes;
        index = 0;
        indirect = true;
        continue;
      }
      bytes += d.length;
      const fault = this.#checkBuffer(chain, d, bytes, size);
      if (fault) return fault;
      chain.segments.push({
        gpa: d.gpa,
        length: d.length,
        write: (d.flags & DESC_F.WRITE) !== 0,
      });
      if ((d.flags & DESC_F.NEXT) === 0) return null;
      if (d.next >= entries) return { error: `next ${d.next} outside table of ${entries}` };
      index = d.next;
    }
  }

  #read(chain: Chain, table: number, index: number): Desc {
    const { mem } = this.host;
    const at = table + DESC.bytes * index;
    const low = mem.u32(at + DESC.addr), high = mem.u32(at + DESC.addrHigh);
    const length = mem.u32(at + DESC.len);
    const flags = mem.u16(at + DESC.flags), next = mem.u16(at + DESC.next);
    this.rows.descriptor(chain.head, index, low | 0, high | 0, length | 0, flags, chain.request);
    return { gpa: wide(low, high), length, flags, next };
  }

  /** §2.7.5.3.1; the WRITE flag beside INDIRECT is ignored (§2.7.5.3.2). */
  #checkIndirect(d: Desc, nested: boolean): Fault | null {
    if (!this.host.indirect) {
      return { error: "VIRTIO_F_INDIRECT_DESC was not negotiated" };
    }
    if (nested) return { error: "indirect descriptor inside an indirect table" };
    if (d.flags & DESC_F.NEXT) return { error: "descriptor is both INDIRECT and NEXT" };
    if (d.length === 0 || d.length % DESC.bytes !== 0) {
      return { error: `indirect table of ${d.length} bytes is no whole number of descriptors` };
    }
    if (!this.host.mem.ok(d.gpa, d.length)) return { error: "indirect table lies outside RAM" };
    return null;
  }

  #checkBuffer(chain: Chain, d: Desc, bytes: number, size: number): Fault | null {
    const { segments } = chain;
    if (segments.length === size) return { error: `chain is longer than the queue of ${size}` };
    const afterWrite = segments.length > 0 && segments[segments.length - 1].write;
    if (afterWrite && (d.flags & DESC_F.WRITE) === 0) {
      return { error: "device-readable descriptor after a device-writable one" };
    }
    if (!this.host.mem.ok(d.gpa, d.length)) return { error: "buffer lies outside RAM" };
    const { maxBytes } = this.limits;
    if (bytes > maxBytes) return { error: `chain carries over ${maxBytes} bytes` };
    return null;
  }

  /** Hands the chain back; `written` bytes were stored from the start of its writable part. */
  push(chain: Chain, written: number): void {
    const { s, host: { mem } } = this;
    const used = this.#used;
    const slot = used + USED.ring + USED.entryBytes * (s.usedIdx & (s.queueNum - 1));
    mem.setU32(slot, chain.head);
    mem.setU32(slot + USED.entryLen, written);
    s.usedIdx++;
    mem.setU16(used + USED.idx, s.usedIdx);
    this.rows.push(chain.head, written, s.usedIdx, chain.request);
  }

  /**
   * §2.7.7.2: whether the driver wants to hear of the chains pushed since the last call.
   */
  wantsInterrupt(): boolean {
    const { s, host } = this;
    const before = s.signalledUsed, after = s.usedIdx;
    if (before === after) return false;
    s.signalledUsed = after;
    const avail = this.#avail;
    const wants = host.eventIdx
      ? passedEvent(host.mem.u16(avail + usedEventAt(s.queueNum)), before, after)
      : (host.mem.u16(avail + AVAIL.flags) & AVAIL_F_NO_INTERRUPT) === 0;
    if (wants) this.rows.interrupt(after);
    else this.rows.interrupt_suppressed(after);
    return wants;
  }

  /**
   * §2.7.10.2: asks for a notification at the next available chain. Under EVENT_IDX the request
   * names an index and so is renewed as that moves. The guest cannot run between the last pop and this
   * call, so the ring needs no second look.
   */
  enableNotify(): void {
    const { s, host } = this;
    const used = this.#used;
    if (host.eventIdx) {
      if (!s.notifyOff && s.availEvent === s.lastAvail) return;
      host.mem.setU16(used + availEventAt(s.queueNum), s.lastAvail);
      s.availEvent = s.lastAvail;
    } else {
      if (!s.notifyOff) return;
      host.mem.setU16(used + USED.flags, 0);
    }
    s.notifyOff = false;
    this.rows.notify_enabled(s.availIdx);
  }

  /** §2.7.10.2: under EVENT_IDX an avail_event that stays behind is the way to say so. */
  suppressNotify(): void {
    const { s, host } = this;
    if (s.notifyOff) return;
    s.notifyOff = true;
    if (!host.eventIdx) {
      host.mem.setU16(this.#used + USED.flags, USED_F_NO_NOTIFY);
    }
    this.rows.notify_suppressed(s.availIdx);
  }
}

/** Payload bytes of the device-readable or device-writable part of a chain. */
export function partBytes(chain: Chain, write: boolean): number {
  return chain.segments.reduce((n, s) => n + (s.write === write ? s.length : 0), 0);
}
