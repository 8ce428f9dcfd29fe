/**
 * QEMU's "simple" trace backend, version 4 (scripts/simpletrace.py is its only description, and QEMU says
 * that the format is not guaranteed to be stable): binary, in the byte order of its host.
 *
 * A header of three 64-bit words; then records that begin with a 64-bit type: 0 names an event's id, 1 is
 * an event with its id, ns, length (with these 24 bytes) and process, and its arguments: 64 bits each, or
 * a 32-bit length and the text. A record that does not fit what is known of its event is counted and
 * passed over by its length; where the length itself cannot be, nothing behind it can be read.
 * @module
 */
import { AnalysisError } from "../errors.ts";
import { Names } from "./cursor.ts";
import type { HostTrace } from "./host_trace.ts";
import { type Arguments, BACK, QEMU_EVENTS, type QemuEvent, QemuMachine } from "./qemu_events.ts";
import type { Source } from "./source.ts";
import type { Tally } from "./tally.ts";

const HEADER_BYTES = 24;
const MAGIC = 0xf2b177cb0aa429b4n;
const VERSION = 4n;
const TYPE_BYTES = 8;
const MAPPING = 0;
const EVENT = 1;
const RECORD_BYTES = 24;
const MAPPING_BYTES = 12;
const ALL_ONES = 0xffffffffffffffffn;
const DROPPED = ALL_ONES - 1n;
const LONGEST_RECORD = 1 << 20;
const MOST_TEXTS = 4096;
const BUFFER_BYTES = 4 << 20;

/** Bytes of the header that this format begins with; null when it is another. */
export function simpletraceHeader(head: Uint8Array): { little: boolean; version: bigint } | null {
  if (head.length < HEADER_BYTES) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (const little of [true, false]) {
    if (view.getBigUint64(8, little) === MAGIC && view.getBigUint64(0, little) === ALL_ONES) {
      return { little, version: view.getBigUint64(16, little) };
    }
  }
  return null;
}

interface Known {
  readonly name: string;
  readonly event: QemuEvent | null;
  /** What is said of events that become no row, by the reason: made once, told often. */
  readonly leftOut: Map<string, string>;
}

export class Simpletrace {
  readonly #bytes = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #events = new Map<number | bigint, Known>();
  readonly #texts = new Names(MOST_TEXTS);
  readonly #machine: QemuMachine;
  readonly #arguments = {
    tid: 0,
    timeNs: 0,
    lo: [] as number[],
    hi: [] as number[],
    texts: [] as (string | null)[],
  } satisfies Arguments;
  #little = true;
  #at = 0;
  #end = 0;

  constructor(readonly host: HostTrace, readonly tally: Tally) {
    this.#machine = new QemuMachine(host, tally);
  }

  /** Reads the whole file. Throws AnalysisError for another version of the format. */
  read(source: Source, piece: () => void): void {
    const header = simpletraceHeader(source.peek(HEADER_BYTES));
    if (header === null || header.version !== VERSION) {
      throw new AnalysisError(
        `${source.path} is no simpletrace file of version 4` +
          (header === null ? "." : `, but of version ${header.version}.`),
        "Record it again with QEMU 2.10 or later, or import its log backend.",
      );
    }
    this.#little = header.little;
    this.#at = this.#end = 0;
    this.#events.clear();
    this.#fill(source, HEADER_BYTES);
    this.#at = HEADER_BYTES;
    for (let n = 0; this.#fill(source, TYPE_BYTES); n++) {
      if (!this.#record(source)) return this.#giveUp(source);
      if ((n & 0xffff) === 0) piece();
    }
    if (this.#end > this.#at) this.#giveUp(source);
  }

  /** Nothing more can be read: where the next record begins is not known. */
  #giveUp(source: Source): void {
    this.#count();
    const left = source.sizeBytes - source.bytesRead + this.#end - this.#at;
    const at = source.bytesRead - this.#end + this.#at;
    this.tally.refuse(
      "a record that cannot be read, with all that follows",
      () => `${left} bytes from byte ${at} on`,
    );
    // The digest is of the whole file.
    while (source.read(this.#bytes) > 0);
  }

  #count(): void {
    this.tally.line++;
    this.tally.lines++;
  }

  /** True when `bytes` more are in the buffer. */
  #fill(source: Source, bytes: number): boolean {
    if (this.#end - this.#at >= bytes) return true;
    this.#bytes.copyWithin(0, this.#at, this.#end);
    this.#end -= this.#at;
    this.#at = 0;
    this.#end += source.read(this.#bytes.subarray(this.#end));
    return this.#end >= bytes;
  }

  /** A number where it is exact: large integers cost an allocation each. */
  #u64(at: number): number | bigint {
    const low = this.#little ? 0 : 4;
    const high = this.#u32(at + 4 - low);
    return high < 2 ** 21
      ? high * 2 ** 32 + this.#u32(at + low)
      : this.#view.getBigUint64(at, this.#little);
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.#little);
  }

  /** One record; false when it cannot be passed. */
  #record(source: Source): boolean {
    const type = this.#u64(this.#at);
    if (type === MAPPING) return this.#mapping(source);
    if (type !== EVENT || !this.#fill(source, TYPE_BYTES + RECORD_BYTES)) return false;
    const length = this.#u32(this.#at + TYPE_BYTES + 16);
    if (length < RECORD_BYTES || length > LONGEST_RECORD) return false;
    if (!this.#fill(source, TYPE_BYTES + length)) return false;
    const at = this.#at + TYPE_BYTES;
    this.#count();
    this.#eventRecord(at, at + length);
    this.#at += TYPE_BYTES + length;
    return true;
  }

  #mapping(source: Source): boolean {
    if (!this.#fill(source, TYPE_BYTES + MAPPING_BYTES)) return false;
    const length = this.#u32(this.#at + TYPE_BYTES + 8);
    if (length > LONGEST_RECORD) return false;
    if (!this.#fill(source, TYPE_BYTES + MAPPING_BYTES + length)) return false;
    const at = this.#at + TYPE_BYTES;
    const name = new TextDecoder().decode(
      this.#bytes.subarray(at + MAPPING_BYTES, at + MAPPING_BYTES + length),
    );
    const event = Object.hasOwn(QEMU_EVENTS, name) ? QEMU_EVENTS[name] : null;
    this.#events.set(this.#u64(at), { name, event, leftOut: new Map() });
    this.#at += TYPE_BYTES + MAPPING_BYTES + length;
    this.#count();
    this.tally.understood++;
    return true;
  }

  #eventRecord(at: number, end: number): void {
    const { tally } = this;
    const id = this.#u64(at);
    const sample = () => `record ${tally.line}, event id ${id}, ${end - at} bytes`;
    if (id === DROPPED) {
      tally.understood++;
      return tally.leaveOut("events that QEMU dropped", sample);
    }
    const known = this.#events.get(id);
    if (known === undefined) return tally.refuse("an event whose id was never named", sample);
    if (known.event === null) {
      return tally.refuse(`${known.name}, an event that is not known`, sample);
    }
    if (!this.#read(known.event, at, end)) {
      return tally.refuse(`${known.name} in a form that is not known`, sample);
    }
    const remark = known.event.apply(this.#machine, this.#arguments);
    if (remark === BACK) return tally.refuse(`${known.name} ${BACK}`, sample);
    tally.understood++;
    if (remark === null) return;
    let what = known.leftOut.get(remark);
    if (what === undefined) known.leftOut.set(remark, what = `${known.name}: ${remark}`);
    tally.leaveOut(what, sample);
  }

  #text(from: number, to: number): string {
    const code = this.#texts.code(this.#bytes, from, to);
    if (code >= 0) return this.#texts.texts[code];
    return new TextDecoder().decode(this.#bytes.subarray(from, to));
  }

  #read(event: QemuEvent, start: number, end: number): boolean {
    const into = this.#arguments;
    const ns = this.#u64(start + 8);
    into.timeNs = typeof ns === "number"
      ? this.host.time(Math.floor(ns / 1e9), ns % 1e9)
      : this.host.time(Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n));
    into.tid = this.#u32(start + 20);
    let at = start + RECORD_BYTES;
    const { fields } = event;
    for (let i = 0; i < fields.length; i++) {
      const { kind, optional } = fields[i];
      if (at === end && optional) {
        into.texts[i] = null;
        continue;
      }
      const bytes = kind === "number" ? 8 : at + 4 <= end ? 4 + this.#u32(at) : 4;
      if (at + bytes > end) return false;
      if (kind === "number") {
        const low = this.#little ? 0 : 4;
        into.lo[i] = this.#u32(at + low);
        into.hi[i] = this.#u32(at + 4 - low);
      } else into.texts[i] = this.#text(at + 4, at + bytes);
      at += bytes;
    }
    return at === end;
  }
}
