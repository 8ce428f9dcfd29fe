/**
 * The memory-mapped bus: which device answers at a guest-physical address.
 * @module
 */
import type { DeviceInstance } from "./device.ts";
import { PlugError } from "./error.ts";

/** A device where the board put it. */
export interface Mapping {
  readonly dev: DeviceInstance;
  /** Guest-physical address of offset 0. */
  readonly base: number;
  readonly end: number;
}

export class Bus {
  readonly #mappings: Mapping[] = [];
  #last: Mapping | null = null;

  /** All mappings by address. */
  get mappings(): readonly Mapping[] {
    return this.#mappings;
  }

  /** Throws when the region overlaps another's; the message names both. */
  add(dev: DeviceInstance, addr: number, sizeBytes: number = dev.type.size): Mapping {
    const end = addr + sizeBytes;
    if (!Number.isSafeInteger(addr) || addr < 0 || !Number.isSafeInteger(end)) {
      throw new PlugError(`${dev.name}: ${addr} is no address`, "use addr=0x…");
    }
    const taken = this.#mappings.find((m) => addr < m.end && m.base < end);
    if (taken !== undefined) {
      throw new PlugError(
        `${dev.name} at ${range(addr, end)} overlaps ${taken.dev.name} at ` +
          range(taken.base, taken.end),
        "choose another addr=",
      );
    }
    const mapping = { dev, base: addr, end };
    const after = this.#mappings.findIndex((m) => m.base > addr);
    this.#mappings.splice(after < 0 ? this.#mappings.length : after, 0, mapping);
    return mapping;
  }

  find(gpa: number): Mapping | null {
    const last = this.#last;
    if (last !== null && gpa >= last.base && gpa < last.end) return last;
    let low = 0;
    let high = this.#mappings.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#mappings[middle].end <= gpa) low = middle + 1;
      else high = middle;
    }
    const found = this.#mappings[low];
    if (found === undefined || gpa < found.base) return null;
    this.#last = found;
    return found;
  }
}

function range(start: number, end: number): string {
  return `0x${start.toString(16)}-0x${(end - 1).toString(16)}`;
}
