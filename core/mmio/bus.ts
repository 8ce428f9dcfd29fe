/**
 * The memory-mapped bus: which region of which device answers at a guest-physical address.
 * @module
 */
import { codeOf } from "../trace/schema.ts";
import type { DeviceInstance } from "./device.ts";
import { PlugError } from "./error.ts";
import type { Region } from "./region.ts";

const MMIO = codeOf("space", "mmio");

/** A region, or a piece of one, where it answers. */
export interface Mapping {
  readonly dev: DeviceInstance;
  readonly region: Region;
  /** Guest-physical address of the region's offset 0. */
  readonly base: number;
  /** First address that answers, and the one behind the last. */
  readonly start: number;
  readonly end: number;
  /** Code of the trace's address space. */
  readonly space: number;
}

/** Addresses behind which another bus decodes, and may change its mind. */
export interface Window {
  /** Names it in messages. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** What answers at an address inside; always something. */
  find(gpa: number): Mapping;
  /** Everything inside, by address. */
  readonly mappings: readonly Mapping[];
}

/** Things in order of address that do not overlap. */
export class RangeTable<T extends { readonly start: number; readonly end: number }> {
  readonly all: T[] = [];

  overlap(start: number, end: number): T | undefined {
    return this.all.find((r) => start < r.end && r.start < end);
  }

  add(range: T): void {
    const after = this.all.findIndex((r) => r.start > range.start);
    this.all.splice(after < 0 ? this.all.length : after, 0, range);
  }

  find(at: number): T | null {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle].end <= at) low = middle + 1;
      else high = middle;
    }
    const found = this.all[low];
    return found === undefined || at < found.start ? null : found;
  }
}

export class Bus {
  readonly #ranges = new RangeTable<Mapping | Window>();
  /** Found last; never one of a window, whose insides move. */
  #last: Mapping | null = null;

  /** All mappings by address. */
  get mappings(): readonly Mapping[] {
    return this.#ranges.all.flatMap((r) => "find" in r ? r.mappings : [r]);
  }

  /** Throws when the region overlaps another's; the message names both. */
  add(dev: DeviceInstance, addr: number, sizeBytes: number = dev.type.size): Mapping {
    const end = addr + sizeBytes;
    if (!Number.isSafeInteger(addr) || addr < 0 || !Number.isSafeInteger(end)) {
      throw new PlugError(`${dev.name}: ${addr} is no address`, "use addr=0x…");
    }
    const region = dev.main;
    const mapping = { dev, region, base: addr, start: addr, end, space: MMIO };
    this.#place(dev.name, mapping);
    return mapping;
  }

  addWindow(window: Window): void {
    this.#place(window.name, window);
  }

  #place(name: string, range: Mapping | Window): void {
    const { start, end } = range;
    const taken = this.#ranges.overlap(start, end);
    if (taken !== undefined) {
      const other = "find" in taken ? taken.name : taken.dev.name;
      throw new PlugError(
        `${name} at ${text(start, end)} overlaps ${other} at ${text(taken.start, taken.end)}`,
        "choose another addr=",
      );
    }
    this.#ranges.add(range);
  }

  find(gpa: number): Mapping | null {
    const last = this.#last;
    if (last !== null && gpa >= last.start && gpa < last.end) return last;
    const found = this.#ranges.find(gpa);
    if (found === null) return null;
    if ("find" in found) return found.find(gpa);
    this.#last = found;
    return found;
  }
}

function text(start: number, end: number): string {
  return `0x${start.toString(16)}-0x${(end - 1).toString(16)}`;
}
