/**
 * Media: what a disk keeps its bytes in. Devices see `Drive`; a host file is opened outside `core` and
 * handed in as the base of an overlay.
 *
 * All bytes that a guest writes stay in the overlay, in granules of 16 KiB that exist once they are
 * touched, so that a large image costs what is used of it.
 * @module
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import { noise } from "./noise.ts";

/** What a disk keeps its bytes in. Offsets and lengths are bytes, within `sizeBytes`: callers check. */
export interface Medium {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  read(at: number, into: Uint8Array): void;
  write(at: number, from: Uint8Array): void;
  /** Bytes in the range read as zero from now on. */
  zero(at: number, sizeBytes: number): void;
  /** The guest needs these bytes no more: they read as zero, and need not be kept. */
  discard(at: number, sizeBytes: number): void;
  /** What was written before is durable on return. */
  flush(): void;
}

/** A medium whose changes a machine can save. */
export interface SavableMedium extends Medium {
  save(): Uint8Array;
  load(saved: Uint8Array): void;
}

/** Virtual time that a medium takes. */
export interface MediumTiming {
  /** ns from a request to its first byte; requests overlap in it. */
  readonly latencyNs: number;
  /** Bytes per second through the medium, shared by all its requests; 0: no limit. */
  readonly bandwidth: number;
}

/** A medium as a device is handed it. */
export interface Drive {
  /** As people name it: `drive0`. */
  readonly id: string;
  readonly medium: Medium;
  /**
   * When a request for `bytes` that arrives at `nowNs` is done. The medium is then taken for the time of
   * its transfer.
   */
  doneNs(nowNs: number, bytes: number): number;
  /** The medium's changes and time. */
  save(): Uint8Array;
  load(saved: Uint8Array): void;
}

/** Bytes of one piece of an overlay, and of one read of a host file. */
export const GRANULE_BYTES = 16 * 1024;

/** Bytes in memory, changed in place. */
export function memoryMedium(bytes: Uint8Array, readOnly = false): Medium {
  const zero = (at: number, sizeBytes: number) => void bytes.fill(0, at, at + sizeBytes);
  return {
    sizeBytes: bytes.length,
    readOnly,
    read: (at, into) => into.set(bytes.subarray(at, at + into.length)),
    write: (at, from) => bytes.set(from, at),
    zero,
    discard: zero,
    flush: () => {},
  };
}

/** A medium that nobody writes, as the base of an overlay. */
function constantMedium(sizeBytes: number, read: Medium["read"]): Medium {
  const refuse = () => {
    throw new Error("a constant medium was written");
  };
  return {
    sizeBytes,
    readOnly: true,
    read,
    write: refuse,
    zero: refuse,
    discard: refuse,
    flush: () => {},
  };
}

/** Zeros, of any size. */
export const blankMedium = (sizeBytes: number): Medium =>
  constantMedium(sizeBytes, (_at, into) => void into.fill(0));

/** Bytes that follow from `seed` and their offset. */
export const seededMedium = (sizeBytes: number, seed: number): Medium =>
  constantMedium(sizeBytes, (at, into) => noise(seed, at, into));

/** What is known of a granule. */
const STATE = { base: 0, zero: 1, held: 2 } as const;
/** Granules of one page of states: 64 MiB of the medium. */
const PAGE = 4096;

/** Where granules stand, a byte each, in pages made when one of their granules leaves the base. */
class GranuleStates {
  readonly #pages = new Map<number, Uint8Array>();

  get(granule: number): number {
    return this.#pages.get(Math.floor(granule / PAGE))?.[granule % PAGE] ?? STATE.base;
  }

  set(granule: number, state: number): void {
    const index = Math.floor(granule / PAGE);
    let page = this.#pages.get(index);
    if (page === undefined) this.#pages.set(index, page = new Uint8Array(PAGE));
    page[granule % PAGE] = state;
  }

  clear(): void {
    this.#pages.clear();
  }

  /** Granules that left the base, in order, as runs of one state. */
  *runs(): Generator<{ first: number; count: number; state: number }> {
    let run: { first: number; count: number; state: number } | null = null;
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(index)!;
      for (let i = 0; i < PAGE; i++) {
        const granule = index * PAGE + i, state = page[i];
        if (run !== null && run.state === state && run.first + run.count === granule) {
          run.count++;
          continue;
        }
        if (run !== null) yield run;
        run = state === STATE.base ? null : { first: granule, count: 1, state };
      }
    }
    if (run !== null) yield run;
  }
}

/**
 * Copy on write: `base` is read where nothing was written. It is changed only if it is not read-only:
 * then what is written goes there, too. What was discarded does not, for nobody may rely on it.
 */
export function overlayMedium(base: Medium, o: { readOnly?: boolean } = {}): SavableMedium {
  return new Overlay(base, o.readOnly ?? false);
}

class Overlay implements SavableMedium {
  readonly sizeBytes: number;
  readonly #states = new GranuleStates();
  readonly #held = new Map<number, Uint8Array>();

  constructor(private readonly base: Medium, readonly readOnly: boolean) {
    this.sizeBytes = base.sizeBytes;
  }

  /** Cuts a range at the granules' borders; `whole` says that it covers this one. */
  #cut(
    at: number,
    sizeBytes: number,
    take: (granule: number, within: number, from: number, length: number, whole: boolean) => void,
  ): void {
    for (let from = 0; from < sizeBytes;) {
      const granule = Math.floor((at + from) / GRANULE_BYTES);
      const within = (at + from) % GRANULE_BYTES;
      const room = this.#bytesOf(granule);
      const length = Math.min(room - within, sizeBytes - from);
      take(granule, within, from, length, length === room);
      from += length;
    }
  }

  /** The last granule ends with the medium. */
  #bytesOf(granule: number): number {
    return Math.min(GRANULE_BYTES, this.sizeBytes - granule * GRANULE_BYTES);
  }

  /** The granule's bytes, to be changed; they come from where they were unless `fresh`. */
  #hold(granule: number, fresh: boolean): Uint8Array {
    const held = this.#held.get(granule);
    if (held !== undefined) return held;
    const bytes = new Uint8Array(this.#bytesOf(granule));
    if (!fresh && this.#states.get(granule) === STATE.base) {
      this.base.read(granule * GRANULE_BYTES, bytes);
    }
    this.#held.set(granule, bytes);
    this.#states.set(granule, STATE.held);
    return bytes;
  }

  read(at: number, into: Uint8Array): void {
    this.#cut(at, into.length, (granule, within, from, length) => {
      const part = into.subarray(from, from + length);
      const held = this.#held.get(granule);
      if (held !== undefined) part.set(held.subarray(within, within + length));
      else if (this.#states.get(granule) === STATE.zero) part.fill(0);
      else this.base.read(at + from, part);
    });
  }

  write(at: number, data: Uint8Array): void {
    this.#cut(at, data.length, (granule, within, from, length, whole) => {
      this.#hold(granule, whole).set(data.subarray(from, from + length), within);
    });
    if (!this.base.readOnly) this.base.write(at, data);
  }

  zero(at: number, sizeBytes: number): void {
    this.discard(at, sizeBytes);
    if (!this.base.readOnly) this.base.zero(at, sizeBytes);
  }

  discard(at: number, sizeBytes: number): void {
    this.#cut(at, sizeBytes, (granule, within, _from, length, whole) => {
      if (this.#states.get(granule) === STATE.zero) return;
      if (!whole) return void this.#hold(granule, false).fill(0, within, within + length);
      this.#held.delete(granule);
      this.#states.set(granule, STATE.zero);
    });
  }

  flush(): void {
    if (!this.base.readOnly) this.base.flush();
  }

  save(): Uint8Array {
    const out = new ByteWriter();
    for (const { first, count, state } of this.#states.runs()) {
      out.f64(first);
      out.f64(count);
      out.u8(state);
      if (state !== STATE.held) continue;
      for (let g = first; g < first + count; g++) out.bytes(this.#held.get(g)!);
    }
    return out.finish();
  }

  load(saved: Uint8Array): void {
    this.#states.clear();
    this.#held.clear();
    const from = new ByteReader(saved);
    while (from.rest > 0) {
      const first = from.f64(), count = from.f64(), state = from.u8();
      for (let g = first; g < first + count; g++) {
        this.#states.set(g, state);
        if (state === STATE.held) this.#held.set(g, from.bytes());
      }
    }
  }
}

/** Joins a medium to its time. */
export function makeDrive(id: string, medium: SavableMedium, timing: MediumTiming): Drive {
  const { latencyNs, bandwidth } = timing;
  let freeNs = 0; // When the last transfer booked so far ends.
  return {
    id,
    medium,
    doneNs(nowNs, bytes) {
      const start = nowNs + latencyNs;
      if (bandwidth === 0 || bytes === 0) return start;
      freeNs = Math.max(start, freeNs) + Math.ceil(bytes * 1e9 / bandwidth);
      return freeNs;
    },
    save() {
      const out = new ByteWriter();
      out.f64(freeNs);
      out.bytes(medium.save());
      return out.finish();
    },
    load(saved) {
      const from = new ByteReader(saved);
      freeNs = from.f64();
      medium.load(from.bytes());
    },
  };
}
