/**
 * What a virtio function on PCI is: ids, base address registers, capabilities. Source: Virtio 1.2 §4.1.2,
 * §4.1.4; places and sizes are those of QEMU's virtio devices, so that drivers make the same accesses.
 * @module
 */
import {
  type PciBar,
  type PciCapability,
  type PciDeclaration,
  PlugError,
  prop,
  type Props,
  type PropsOf,
} from "../mmio/device.ts";

const VENDOR = 0x1af4;
/** §4.1.2.1: device ids, to which the device type is added; transitional ones follow no rule. */
const MODERN_ID = 0x1040;
const TRANSITIONAL_ID: Readonly<Record<number, number>> = {
  2: 0x1001,
  3: 0x1003,
  4: 0x1005,
  8: 0x1004,
};
/** QEMU's subsystem of a device without a legacy interface. */
const MODERN_SUBSYSTEM = 0x1100;

export const LEGACY_BAR = 0, MODERN_BAR = 4;
const MSIX_BAR = 1;
const MSIX_BYTES = 0x1000;
/** §4.1.4: structures in the modern BAR, a page each. */
export const AREA = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
const AREA_BYTES = 0x1000;
export const MODERN_BYTES = 0x4000;
export const NOTIFY_OFF_MULTIPLIER = 4;
/** §4.1.4.10: the legacy header; two vectors more while MSI-X is enabled, then the configuration. */
export const LEGACY_CONFIG = { wire: 20, messages: 24 } as const;

/** §4.1.4: cfg_type. */
const CFG_TYPE = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;
const VENDOR_SPECIFIC = 0x09;
/** Where QEMU has the capabilities. */
export const CAP_AT = {
  common: 0x40,
  isr: 0x50,
  device: 0x60,
  notify: 0x70,
  pci: 0x84,
  msix: 0x98,
} as const;

/** What a PCI function of a virtio device is beside it. */
export interface PciOptions {
  /** 24 bits: base class, sub-class, interface. */
  readonly class: number;
  /** MSI-X vectors that QEMU gives it. */
  readonly vectors: number;
  /** Bytes of its configuration space, as QEMU has it. */
  readonly configBytes: number;
}

export interface Identity extends PciOptions {
  readonly name: string;
  /** §5: the device type. */
  readonly id: number;
}

export interface Interfaces {
  readonly legacy: boolean;
  readonly modern: boolean;
  readonly vectors: number;
}

const u32Bytes = (v: number) => [v & 0xff, v >>> 8 & 0xff, v >>> 16 & 0xff, v >>> 24];

/** §4.1.4: struct virtio_pci_cap, and what follows it. */
function capability(
  name: keyof typeof CFG_TYPE,
  where: { bar: number; offset: number; length: number },
  more: readonly number[] = [],
): PciCapability {
  const bytes = [
    16 + more.length,
    CFG_TYPE[name],
    where.bar,
    0, // id
    0,
    0,
    ...u32Bytes(where.offset),
    ...u32Bytes(where.length),
    ...more,
  ];
  return { id: VENDOR_SPECIFIC, name: `VIRTIO_${name.toUpperCase()}`, at: CAP_AT[name], bytes };
}

function capabilities(): PciCapability[] {
  const area = (name: keyof typeof AREA, more?: readonly number[]) =>
    capability(name, { bar: MODERN_BAR, offset: AREA[name], length: AREA_BYTES }, more);
  return [
    capability("pci", { bar: 0, offset: 0, length: 0 }, u32Bytes(0)),
    area("notify", u32Bytes(NOTIFY_OFF_MULTIPLIER)),
    area("device"),
    area("isr"),
    area("common"),
  ];
}

const powerOf2From = (bytes: number) => 2 ** Math.ceil(Math.log2(bytes));

export function legacyBytes(d: Identity, vectors: number): number {
  return powerOf2From((vectors > 0 ? LEGACY_CONFIG.messages : LEGACY_CONFIG.wire) + d.configBytes);
}

export function interfacesOf(d: Identity, props: PropsOf<Props>): Interfaces {
  const legacy = !props.disable_legacy, modern = !props.disable_modern;
  const vectors = props.vectors as number;
  if (!legacy && !modern) {
    throw new PlugError(
      `${d.name}: has neither interface`,
      "leave out disable_legacy or disable_modern",
    );
  }
  if (vectors > 2048) throw new PlugError(`${d.name}: vectors=${vectors}`, "use 0 to 2048");
  return { legacy, modern, vectors };
}

export function declaration(d: Identity, props: PropsOf<Props>): PciDeclaration {
  const { legacy, modern, vectors } = interfacesOf(d, props);
  const bars: PciBar[] = [
    ...legacy
      ? [{ bar: LEGACY_BAR, kind: "io" as const, size: legacyBytes(d, vectors), space: "legacy" }]
      : [],
    ...vectors > 0
      ? [{
        bar: MSIX_BAR,
        kind: "mem32" as const,
        size: Math.max(MSIX_BYTES, powerOf2From(32 * vectors)),
        space: "msix",
      }]
      : [],
    ...modern
      ? [{
        bar: MODERN_BAR,
        kind: "mem64" as const,
        size: MODERN_BYTES,
        prefetchable: true,
        space: "modern",
      }]
      : [],
  ];
  return {
    vendor: VENDOR,
    device: legacy ? TRANSITIONAL_ID[d.id] : MODERN_ID + d.id,
    class: d.class,
    revision: legacy ? 0 : 1,
    subsystem: [VENDOR, legacy ? d.id : MODERN_SUBSYSTEM],
    bars,
    caps: modern ? capabilities() : [],
    ...vectors > 0 ? { msix: { vectors, bar: MSIX_BAR, at: CAP_AT.msix } } : {},
  };
}

export const PCI_PROPS = (vectors: number) => ({
  disable_legacy: prop.flag(
    false,
    "No legacy interface: a modern device, with a modern device's ids.",
  ),
  disable_modern: prop.flag(false, "No modern interface: a legacy device."),
  vectors: prop.u32(vectors, "MSI-X vectors; 0 for no MSI-X."),
});
