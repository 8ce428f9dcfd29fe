/**
 * The root of a PCI hierarchy: which function answers in which of the host bridge's windows.
 *
 * Source: PCI Express Base Specification, §7.2.2 (ECAM); PCI Local Bus Specification 3.0, §3.2 and
 * §6.2.5 (what a BAR decodes). One bus, number 0.
 *
 * - Where no function answers, the host bridge does: reads give all ones, writes are lost.
 * - Where BARs overlap, the first match answers: the lowest slot's, of one function the lowest BAR.
 *   (QEMU lets the one that was mapped last win; here only where BARs stand decides.)
 * - A BAR decodes inside a window of its kind alone. One that the guest lays over RAM, or over a
 *   platform device, is not seen there: they lie in no window.
 * - In the I/O window every port has its own entry in an array, filled in when a BAR is enabled; in
 *   memory a BAR is one range.
 * @module
 */
import { codeOf } from "../../trace/schema.ts";
import { type Bus, type Mapping, RangeTable, type Window } from "../bus.ts";
import type { DeviceInstance } from "../device.ts";
import { PlugError } from "../error.ts";
import type { PciBar } from "./declaration.ts";

/** What a window shows: configuration space, ports, or memory. */
export type WindowKind = "config" | "io" | "mem32" | "mem64";

export interface PciWindow {
  readonly kind: WindowKind;
  /** Guest-physical address. */
  readonly addr: number;
  /** Address on the PCI bus that stands there. */
  readonly pciAddr: number;
  readonly sizeBytes: number;
}

/** Devices of a bus; each has one function. */
export const SLOTS = 32;
/** §7.2.2: bus, device and function are bits 20, 15 and 12 up of an address in ECAM. */
const FUNCTION_SHIFT = 12;
const FUNCTIONS = 256;
const FUNCTIONS_PER_SLOT = 8;
/** INTA# to INTD#. */
const PINS = 4;

const SPACE: Readonly<Record<WindowKind, number>> = {
  config: codeOf("space", "pci_config"),
  io: codeOf("space", "pio"),
  mem32: codeOf("space", "mmio"),
  mem64: codeOf("space", "mmio"),
};

/** Which of the host's four lines INTA# of a slot drives (PCI-to-PCI Bridge Specification, §9.1). */
export const lineOfSlot = (slot: number) => slot % PINS;

/** A BAR that decodes, by its address on the PCI bus. */
interface Decoded {
  readonly dev: DeviceInstance;
  readonly bar: PciBar;
  readonly addr: number;
}

export class PciRoot {
  readonly #functions: (DeviceInstance | undefined)[] = new Array(SLOTS);
  readonly #windows: { forget(): void }[];

  /** `host` answers where nobody else does. */
  constructor(host: DeviceInstance, bus: Bus, windows: readonly PciWindow[]) {
    const made = windows.map((w) => {
      if (w.kind === "config") return new ConfigWindow(host, w, this.#functions);
      const decoded = () => this.#decoded(w.kind === "io");
      return w.kind === "io" ? new PortWindow(host, w, decoded) : new RangeWindow(host, w, decoded);
    });
    this.#windows = made;
    for (const w of made) bus.addWindow(w);
  }

  /** Throws when the slot is taken. */
  plug(slot: number, dev: DeviceInstance): void {
    const taken = this.#functions[slot];
    if (taken !== undefined) {
      throw new PlugError(
        `slot ${slot} of the PCI bus is taken by ${taken.name}`,
        "choose another",
      );
    }
    this.#functions[slot] = dev;
    dev.pci!.remapped = () => this.#windows.forEach((w) => w.forget());
    dev.pci!.remapped();
  }

  /** What decodes now, the first match first. */
  #decoded(io: boolean): Decoded[] {
    return this.#functions.flatMap((dev) =>
      (dev?.pci?.bars ?? []).flatMap((bar) => {
        const addr = (bar.kind === "io") === io ? dev!.pci!.decoded(bar) : null;
        return addr === null ? [] : [{ dev: dev!, bar, addr }];
      })
    );
  }
}

abstract class HostWindow implements Window {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** What answers where no function does. */
  protected readonly hole: Mapping;

  constructor(host: DeviceInstance, protected readonly w: PciWindow) {
    this.name = host.name;
    this.start = w.addr;
    this.end = w.addr + w.sizeBytes;
    const { start, end } = this;
    this.hole = { dev: host, region: host.main, base: start, start, end, space: SPACE[w.kind] };
  }

  abstract find(gpa: number): Mapping;
  abstract readonly mappings: readonly Mapping[];
  /** What functions decode may have changed. */
  abstract forget(): void;

  /** A BAR where this window shows it: once for each repetition of its space, clipped. */
  protected show({ dev, bar, addr }: Decoded): Mapping[] {
    const region = dev.region(bar.space ?? "regs");
    const step = bar.repeat ?? bar.size;
    const shown: Mapping[] = [];
    for (let at = addr; at < addr + bar.size; at += step) {
      const base = at - this.w.pciAddr + this.w.addr;
      const start = Math.max(base, this.start);
      const end = Math.min(base + step, this.end);
      if (start < end) shown.push({ dev, region, base, start, end, space: this.hole.space });
    }
    return shown;
  }
}

class ConfigWindow extends HostWindow {
  readonly #slots: readonly (DeviceInstance | undefined)[];
  #mappings: (Mapping | undefined)[] = [];

  constructor(
    host: DeviceInstance,
    w: PciWindow,
    slots: readonly (DeviceInstance | undefined)[],
  ) {
    super(host, w);
    this.#slots = slots;
  }

  find(gpa: number): Mapping {
    const n = Math.floor((gpa - this.start) / 2 ** FUNCTION_SHIFT);
    if (n >= FUNCTIONS || n % FUNCTIONS_PER_SLOT !== 0) return this.hole;
    return this.#function(n / FUNCTIONS_PER_SLOT);
  }

  #function(slot: number): Mapping {
    const dev = this.#slots[slot];
    if (dev === undefined) return this.hole;
    const base = this.start + slot * FUNCTIONS_PER_SLOT * 2 ** FUNCTION_SHIFT;
    return this.#mappings[slot] ??= {
      dev,
      region: dev.region("config"),
      base,
      start: base,
      end: base + 2 ** FUNCTION_SHIFT,
      space: this.hole.space,
    };
  }

  get mappings(): Mapping[] {
    return this.#slots.flatMap((dev, slot) => dev === undefined ? [] : [this.#function(slot)]);
  }

  forget(): void {
    this.#mappings = [];
  }
}

/** Ports: an array of who answers, one entry each. */
class PortWindow extends HostWindow {
  #ports: (Mapping | undefined)[] | null = null;

  constructor(host: DeviceInstance, w: PciWindow, private readonly decoded: () => Decoded[]) {
    super(host, w);
  }

  #registered(): (Mapping | undefined)[] {
    if (this.#ports !== null) return this.#ports;
    const ports: (Mapping | undefined)[] = new Array(this.w.sizeBytes);
    for (const m of this.decoded().flatMap((d) => this.show(d))) {
      for (let gpa = m.start; gpa < m.end; gpa++) ports[gpa - this.start] ??= m;
    }
    return this.#ports = ports;
  }

  find(gpa: number): Mapping {
    return this.#registered()[gpa - this.start] ?? this.hole;
  }

  get mappings(): Mapping[] {
    return [...new Set(this.#registered())].filter((m) => m !== undefined);
  }

  forget(): void {
    this.#ports = null;
  }
}

/** Memory: ranges in order of address. */
class RangeWindow extends HostWindow {
  #ranges: RangeTable<Mapping> | null = null;
  #last: Mapping | null = null;

  constructor(host: DeviceInstance, w: PciWindow, private readonly decoded: () => Decoded[]) {
    super(host, w);
  }

  #decode(): RangeTable<Mapping> {
    if (this.#ranges !== null) return this.#ranges;
    const ranges = new RangeTable<Mapping>();
    for (const m of this.decoded().flatMap((d) => this.show(d))) {
      for (const free of gaps(ranges.all, m.start, m.end)) ranges.add({ ...m, ...free });
    }
    return this.#ranges = ranges;
  }

  find(gpa: number): Mapping {
    const last = this.#last;
    if (last !== null && gpa >= last.start && gpa < last.end) return last;
    const found = this.#decode().find(gpa);
    if (found === null) return this.hole;
    this.#last = found;
    return found;
  }

  get mappings(): readonly Mapping[] {
    return this.#decode().all;
  }

  forget(): void {
    this.#ranges = this.#last = null;
  }
}

/** The parts of [start, end) that none of `taken`, in order of address, covers. */
function gaps(taken: readonly Mapping[], start: number, end: number) {
  const free: { start: number; end: number }[] = [];
  let from = start;
  for (const t of taken) {
    if (t.end <= from || t.start >= end) continue;
    if (t.start > from) free.push({ start: from, end: t.start });
    from = t.end;
  }
  if (from < end) free.push({ start: from, end });
  return free;
}
