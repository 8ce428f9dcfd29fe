/**
 * The PCI Express host bridge of QEMU's virt boards: a generic ECAM controller (Linux binding
 * `pci-host-ecam-generic`, IEEE Std 1275 PCI Bus Binding for the node), itself function 00:00.0.
 *
 * It has no registers of its own. Where no function answers, in configuration space and in the windows,
 * reads give all ones and writes are lost, as for a transaction that ends in a master abort.
 * @module
 */
import { device } from "../device.ts";
import { cells64, type DtContext } from "../dt.ts";
import { lineOfSlot, type PciWindow, type WindowKind } from "./root.ts";

/** §2.2.1.1 of the binding: the space code in a range's first cell. */
const SPACE_CODE: Readonly<Record<WindowKind, number | null>> = {
  config: null,
  io: 0x0100_0000,
  mem32: 0x0200_0000,
  mem64: 0x0300_0000,
};
const PINS = 4;
/** The bits of an address and of a pin that decide which line an interrupt takes. */
const SLOT_MASK = 0x1800;
const PIN_MASK = 7;

/** Child address (3 cells) and pin, then the PLIC and its source, for each slot modulo 4 and pin. */
function interruptMap(n: DtContext, lines: readonly number[]): number[] {
  return Array.from({ length: PINS * PINS }, (_, i) => {
    const slot = Math.floor(i / PINS), pin = i % PINS;
    return [slot << 11, 0, 0, pin + 1, n.plic, lines[lineOfSlot(slot + pin)]];
  }).flat();
}

const ranges = (windows: readonly PciWindow[]) =>
  windows.flatMap((w) => {
    const code = SPACE_CODE[w.kind];
    return code === null
      ? []
      : [code, ...cells64(w.pciAddr), ...cells64(w.addr), ...cells64(w.sizeBytes)];
  });

export const pciHost = device("pci-host", {
  doc: "PCI Express host bridge: configuration space by ECAM, windows for I/O and memory.",
  source: "PCI Express Base Specification, §7.2.2; Linux binding pci-host-ecam-generic",
  size: 0x1000_0000,
  compatible: ["pci-host-ecam-generic"],
  node: "pci",
  pci: { vendor: 0x1b36, device: 0x0008, class: 0x06_0000, subsystem: [0x1af4, 0x1100] },
  state: {},
  dt: (n) => ({
    device_type: "pci",
    "#address-cells": 3,
    "#size-cells": 2,
    "#interrupt-cells": 1,
    "linux,pci-domain": 0,
    "bus-range": [0, 0xff],
    "dma-coherent": true,
    ranges: ranges(n.bridge?.windows ?? []),
    "interrupt-map-mask": [SLOT_MASK, 0, 0, PIN_MASK],
    "interrupt-map": interruptMap(n, n.bridge?.lines ?? []),
  }),
}, () => ({ regs: [], raw: { read: () => 0xffff_ffff, write: () => {} } }));
