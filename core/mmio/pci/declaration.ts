/**
 * How a PCI function is declared: who it is, what its base address registers map, what it can do.
 * § = PCI Local Bus Specification 3.0.
 * @module
 */

/** §6.2.5.1 */
export type BarKind = "io" | "mem32" | "mem64";

export interface PciBar {
  /** 0 to 5; a `mem64` one takes the next, too. */
  readonly bar: number;
  readonly kind: BarKind;
  /** A power of two: 4 to 256 for `io`, 16 and up for memory. */
  readonly size: number;
  readonly prefetchable?: boolean;
  /** What it maps: one of the device's `spaces`, `msix`, or, unless said, its `regs`. */
  readonly space?: string;
  /** The space has so many bytes, and repeats itself over the BAR. Default: `size`. */
  readonly repeat?: number;
}

export interface PciCapability {
  /** PCI Code and ID Assignment Specification; 0x09 is vendor-specific. */
  readonly id: number;
  /** What the trace calls it: `VIRTIO_COMMON` gives VIRTIO_COMMON_CAP. */
  readonly name: string;
  /** What follows the id and the pointer to the next one. */
  readonly bytes: readonly number[];
  /** Bits of `bytes` that the guest can write; default none. */
  readonly writable?: readonly number[];
  /** Offset in configuration space; default: the next free one from 0x40. */
  readonly at?: number;
}

/** §6.8.1 */
export interface Msi {
  /** 1, 2, 4, 8, 16 or 32. */
  readonly vectors: number;
  /** With a mask and a pending bit per vector. */
  readonly maskable?: boolean;
  readonly at?: number;
}

/** §6.8.2 */
export interface Msix {
  /** 1 to 2048. */
  readonly vectors: number;
  /** The BAR whose space is `msix`. */
  readonly bar: number;
  /** Offsets in that BAR of the table (default 0) and the pending bits (default half way). */
  readonly table?: number;
  readonly pba?: number;
  readonly at?: number;
}

export interface PciDeclaration {
  readonly vendor: number;
  readonly device: number;
  /** 24 bits: base class, sub-class, interface. */
  readonly class: number;
  readonly revision?: number;
  /** Vendor and device of the subsystem; default the device's own. */
  readonly subsystem?: readonly [vendor: number, device: number];
  readonly bars?: readonly PciBar[];
  readonly caps?: readonly PciCapability[];
  readonly msi?: Msi;
  readonly msix?: Msix;
  /** Values of other read-only header registers, by their names in `HEADER`. */
  readonly header?: Readonly<Record<string, number>>;
}

/** §6.1, §6.2: the header of type 0. */
export const HEADER: Readonly<Record<string, { readonly at: number; readonly size: number }>> = {
  VENDOR_ID: { at: 0x00, size: 2 },
  DEVICE_ID: { at: 0x02, size: 2 },
  COMMAND: { at: 0x04, size: 2 },
  STATUS: { at: 0x06, size: 2 },
  REVISION_ID: { at: 0x08, size: 1 },
  CLASS_CODE: { at: 0x09, size: 3 },
  CACHE_LINE_SIZE: { at: 0x0c, size: 1 },
  LATENCY_TIMER: { at: 0x0d, size: 1 },
  HEADER_TYPE: { at: 0x0e, size: 1 },
  BIST: { at: 0x0f, size: 1 },
  BAR0: { at: 0x10, size: 4 },
  BAR1: { at: 0x14, size: 4 },
  BAR2: { at: 0x18, size: 4 },
  BAR3: { at: 0x1c, size: 4 },
  BAR4: { at: 0x20, size: 4 },
  BAR5: { at: 0x24, size: 4 },
  CARDBUS_CIS: { at: 0x28, size: 4 },
  SUBSYSTEM_VENDOR_ID: { at: 0x2c, size: 2 },
  SUBSYSTEM_ID: { at: 0x2e, size: 2 },
  EXPANSION_ROM: { at: 0x30, size: 4 },
  CAPABILITIES: { at: 0x34, size: 1 },
  INTERRUPT_LINE: { at: 0x3c, size: 1 },
  INTERRUPT_PIN: { at: 0x3d, size: 1 },
  MIN_GNT: { at: 0x3e, size: 1 },
  MAX_LAT: { at: 0x3f, size: 1 },
};

export const BARS = 6;

/** Bits of COMMAND (§6.2.2). */
export const COMMAND = {
  io: 1 << 0,
  memory: 1 << 1,
  busMaster: 1 << 2,
  serr: 1 << 8,
  intxDisable: 1 << 10,
} as const;

/** Bits of STATUS (§6.2.3). */
export const STATUS = { interrupt: 1 << 3, capabilities: 1 << 4 } as const;

const isPowerOf2 = (v: number) =>
  Number.isSafeInteger(v) && v > 0 && Number.isInteger(Math.log2(v));

/** A wrong declaration throws where it stands: the message names the device and what is wrong. */
export function checkDeclaration(device: string, d: PciDeclaration): void {
  const fail = (problem: string): never => {
    throw new Error(`${device}: pci: ${problem}`);
  };
  const field = (name: string, v: number, bits: number) => {
    if (!Number.isInteger(v) || v < 0 || v >= 2 ** bits) {
      fail(`${name} is ${v}, expected ${bits} bits`);
    }
  };
  field("vendor", d.vendor, 16);
  field("device", d.device, 16);
  field("class", d.class, 24);
  field("revision", d.revision ?? 0, 8);
  const taken = new Set<number>();
  for (const b of d.bars ?? []) {
    const name = `BAR${b.bar}`;
    const [least, most] = b.kind === "io" ? [4, 256] : [16, b.kind === "mem32" ? 2 ** 31 : 2 ** 40];
    if (!isPowerOf2(b.size) || b.size < least || b.size > most) {
      fail(`${name} has size ${b.size}, expected a power of two from ${least} to ${most}`);
    }
    if (b.repeat !== undefined && (!isPowerOf2(b.repeat) || b.repeat > b.size)) {
      fail(`${name} repeats every ${b.repeat} bytes, expected a power of two up to its size`);
    }
    for (const i of b.kind === "mem64" ? [b.bar, b.bar + 1] : [b.bar]) {
      if (!Number.isInteger(i) || i < 0 || i >= BARS) fail(`there is no BAR${i}, expected 0 to 5`);
      if (taken.has(i)) fail(`BAR${i} is declared twice`);
      taken.add(i);
    }
  }
  for (const name of Object.keys(d.header ?? {})) {
    if (!(name in HEADER)) fail(`the header has no register ${name}`);
  }
  checkMessages(d, fail);
}

function checkMessages(d: PciDeclaration, fail: (problem: string) => never): void {
  const { msi, msix } = d;
  if (msi && (!isPowerOf2(msi.vectors) || msi.vectors > 32)) {
    fail(`msi has ${msi.vectors} vectors, expected 1, 2, 4, 8, 16 or 32`);
  }
  if (!msix) return;
  if (!Number.isInteger(msix.vectors) || msix.vectors < 1 || msix.vectors > 2048) {
    fail(`msix has ${msix.vectors} vectors, expected 1 to 2048`);
  }
  const bar = (d.bars ?? []).find((b) => b.bar === msix.bar);
  if (bar?.space !== "msix") fail(`msix lies in BAR${msix.bar}, whose space is not "msix"`);
  const { table, pba } = msixPlaces(d, msix);
  const end = Math.max(table + 16 * msix.vectors, pba + 8 * Math.ceil(msix.vectors / 64));
  if (end > bar!.size) fail(`the tables of msix end at 0x${end.toString(16)}, beyond its BAR`);
  if (table % 8 !== 0 || pba % 8 !== 0) fail("the tables of msix are not aligned to 8 bytes");
}

export function msixPlaces(d: PciDeclaration, msix: Msix): { table: number; pba: number } {
  const size = (d.bars ?? []).find((b) => b.bar === msix.bar)?.size ?? 0;
  return { table: msix.table ?? 0, pba: msix.pba ?? size / 2 };
}
