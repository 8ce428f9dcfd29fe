/**
 * A device that can be replaced in a running machine by a new one that is loaded with what it saved:
 * whatever it kept beside its state is gone then.
 * @module
 */
import assert from "node:assert/strict";
import type { DeviceInstance } from "../../core/mmio/device.ts";
import type { Region } from "../../core/mmio/region.ts";

/** Behaves as whatever `current` returns; methods run on that. */
function follow<T extends object>(current: () => T, own: Partial<T> = {}): T {
  return new Proxy({} as T, {
    get(_, key) {
      if (key in own) return own[key as keyof T];
      const now = current();
      const value = Reflect.get(now, key, now);
      return typeof value === "function" ? value.bind(now) : value;
    },
  });
}

export class Renewable {
  /** What the machine holds all the time. */
  readonly instance: DeviceInstance;
  #current: DeviceInstance;

  constructor(private readonly make: () => DeviceInstance) {
    this.#current = make();
    const regions = this.#current.regions.map((_, i) =>
      follow<Region>(() => this.#current.regions[i])
    );
    const region = (name: string) =>
      regions[this.#current.regions.indexOf(this.#current.region(name))];
    this.instance = follow<DeviceInstance>(() => this.#current, {
      main: regions[0],
      regions,
      region,
    });
  }

  renew(): void {
    const old = this.#current;
    const saved = old.save();
    const made = this.make();
    if (made.pci !== null) made.pci.remapped = old.pci!.remapped;
    made.load(saved);
    assert.deepEqual(made.save(), saved, `${old.name}: what was loaded is not what was saved`);
    this.#current = made;
  }
}
