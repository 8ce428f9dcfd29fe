/**
 * Perfetto's TrackEvent packets (protos/perfetto/trace/trace_packet.proto and track_event/ of Perfetto):
 * tracks, slices, instants, counters and flows. Field numbers are those files'.
 *
 * All packets are of one sequence, with names in full: interning saves a third and costs every reader of
 * this file the tables.
 * @module
 */
import { Message } from "./protobuf.ts";

const TRACE = { packet: 1 } as const;
const PACKET = { timestamp: 8, sequence: 10, event: 11, flags: 13, descriptor: 60 } as const;
const TRACK = { uuid: 1, name: 2, process: 3, thread: 4, parent: 5, counter: 8 } as const;
const PROCESS = { pid: 1, name: 6 } as const;
const THREAD = { pid: 1, tid: 2, name: 5 } as const;
const COUNTER = { unitName: 6 } as const;
const EVENT = {
  annotation: 4,
  type: 9,
  track: 11,
  category: 22,
  name: 23,
  value: 30,
  flow: 47,
  flowEnd: 48,
} as const;
const ANNOTATION = { name: 10, bool: 2, uint: 3, text: 6 } as const;
const TYPE = { begin: 1, end: 2, instant: 3, counter: 4 } as const;
const SEQUENCE = 1;
const STATE_CLEARED = 1;

export type Annotation = bigint | number | string | boolean | null;

export interface Event {
  readonly category: string;
  readonly name: string;
  /** Ids of flows that pass through, and those that end here. */
  readonly flows?: readonly bigint[];
  readonly flowEnds?: readonly bigint[];
  readonly annotations?: Readonly<Record<string, Annotation>>;
}

/** Writes packets to `write` in pieces. */
export class TrackEvents {
  #uuid = 0;
  #first = true;
  readonly #packet = new Message();
  readonly #inner = new Message();
  readonly #deep = new Message();
  readonly #out = new Message();

  constructor(readonly write: (bytes: Uint8Array) => void) {}

  process(pid: number, name: string): number {
    const process = this.#deep.clear().uint(PROCESS.pid, pid).text(PROCESS.name, name);
    return this.#track(null, (m) => m.message(TRACK.process, process));
  }

  thread(pid: number, tid: number, name: string): number {
    const thread = this.#deep.clear().uint(THREAD.pid, pid).uint(THREAD.tid, tid)
      .text(THREAD.name, name);
    return this.#track(null, (m) => m.message(TRACK.thread, thread));
  }

  track(parent: number, name: string): number {
    return this.#track(parent, (m) => m.text(TRACK.name, name));
  }

  counter(parent: number, name: string, unit: string): number {
    const counter = this.#deep.clear().text(COUNTER.unitName, unit);
    return this.#track(parent, (m) => m.text(TRACK.name, name).message(TRACK.counter, counter));
  }

  slice(track: number, from: bigint, to: bigint, event: Event): void {
    this.#event(track, from, TYPE.begin, event);
    this.#inner.clear().uint(EVENT.type, TYPE.end).uint(EVENT.track, track);
    this.#emit(to);
  }

  instant(track: number, at: bigint, event: Event): void {
    this.#event(track, at, TYPE.instant, event);
  }

  value(track: number, at: bigint, value: number | bigint): void {
    this.#inner.clear().uint(EVENT.type, TYPE.counter).uint(EVENT.track, track)
      .int(EVENT.value, value);
    this.#emit(at);
  }

  /** Hands over what is left. */
  flush(): void {
    this.write(this.#out.bytes);
    this.#out.clear();
  }

  #event(track: number, at: bigint, type: number, event: Event): void {
    const inner = this.#inner.clear().uint(EVENT.type, type).uint(EVENT.track, track)
      .text(EVENT.category, event.category).text(EVENT.name, event.name);
    for (const flow of event.flows ?? []) inner.fixed64(EVENT.flow, flow);
    for (const flow of event.flowEnds ?? []) inner.fixed64(EVENT.flowEnd, flow);
    for (const [name, value] of Object.entries(event.annotations ?? {})) {
      if (value === null) continue;
      const annotation = this.#deep.clear().text(ANNOTATION.name, name);
      if (typeof value === "string") annotation.text(ANNOTATION.text, value);
      else if (typeof value === "boolean") annotation.uint(ANNOTATION.bool, value ? 1 : 0);
      else annotation.uint(ANNOTATION.uint, value);
      inner.message(EVENT.annotation, annotation);
    }
    this.#emit(at);
  }

  #emit(at: bigint): void {
    this.#packet.clear().uint(PACKET.timestamp, at).uint(PACKET.sequence, SEQUENCE)
      .message(PACKET.event, this.#inner);
    this.#add();
  }

  #track(parent: number | null, what: (descriptor: Message) => void): number {
    const uuid = ++this.#uuid;
    const descriptor = this.#inner.clear().uint(TRACK.uuid, uuid);
    if (parent !== null) descriptor.uint(TRACK.parent, parent);
    what(descriptor);
    this.#packet.clear().uint(PACKET.sequence, SEQUENCE);
    if (this.#first) this.#packet.uint(PACKET.flags, STATE_CLEARED);
    this.#first = false;
    this.#packet.message(PACKET.descriptor, descriptor);
    this.#add();
    return uuid;
  }

  #add(): void {
    this.#out.message(TRACE.packet, this.#packet);
    if (this.#out.bytes.length > 1 << 20) this.flush();
  }
}
