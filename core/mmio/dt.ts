/**
 * Device-tree nodes as devices declare them; core/board/fdt.ts encodes them.
 * @module
 */
import type { PciWindow } from "./pci/root.ts";

/** Text, texts, a cell, u32 cells, raw bytes, or a property without a value. */
export type DtValue = string | readonly string[] | number | readonly number[] | Uint8Array | true;
export type DtProps = Readonly<Record<string, DtValue>>;

export interface DtNode {
  /** With its unit address: `serial@10000000`; empty for the root. */
  readonly name: string;
  readonly props: DtProps;
  readonly children: readonly DtNode[];
}

export interface Bridge {
  readonly windows: readonly PciWindow[];
  readonly lines: readonly number[];
}

/** What a node needs to know of the machine around it. */
export interface DtContext {
  /** Instance: `uart0`. */
  readonly name: string;
  readonly addr: number;
  readonly sizeBytes: number;
  /** Lines of the device at the interrupt controller. */
  readonly irqs: readonly number[];
  /** A phandle that is this device's to give: to its node by `dt`, or to one of its `rootNodes`. */
  readonly phandle: number;
  /** phandle of the PLIC. */
  readonly plic: number;
  readonly harts: number;
  /** Of a bus bridge: what it shows where, and the sources that its four lines lead to. */
  readonly bridge: Bridge | null;
  /** phandle of a hart's own interrupt controller (`riscv,cpu-intc`). */
  cpuIntc(hart: number): number;
}

/** Two cells: #address-cells and #size-cells of the board's bus are 2. */
export function cells64(v: number): number[] {
  return [Math.floor(v / 2 ** 32), v >>> 0];
}
