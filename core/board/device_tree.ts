/**
 * The machine's device tree, from what its devices declare of themselves. Bindings: Devicetree
 * Specification 0.4; Linux Documentation/devicetree/bindings/riscv/cpus.yaml for the harts.
 * @module
 */
import { cells64, type DtNode, type DtProps } from "../mmio/dt.ts";
import { described, extensionsOf, ISA } from "../cpu/mod.ts";
import { encodeFdt } from "./fdt.ts";
import type { MachineSpec } from "./spec.ts";
import { type Placed, RAM_BASE, SERIAL, TIMEBASE_HZ } from "./virt.ts";

/** phandles: the harts' own interrupt controllers first, then the PLIC, then the other devices. */
const cpuIntc = (hart: number) => 1 + hart;
const devicePhandle = (spec: MachineSpec, index: number) => 1 + spec.harts + index;

function cpus(spec: MachineSpec): DtNode {
  const { isa, names, mmuType } = described(extensionsOf(spec.isa ?? ISA));
  const children = Array.from({ length: spec.harts }, (_, i): DtNode => ({
    name: `cpu@${i}`,
    props: {
      device_type: "cpu",
      reg: i,
      status: "okay",
      compatible: "riscv",
      "riscv,isa": isa,
      "riscv,isa-base": "rv64i",
      "riscv,isa-extensions": names,
      "mmu-type": mmuType,
    },
    children: [{
      name: "interrupt-controller",
      props: {
        "#address-cells": 0,
        "#interrupt-cells": 1,
        "interrupt-controller": true,
        compatible: "riscv,cpu-intc",
        phandle: cpuIntc(i),
      },
      children: [],
    }],
  }));
  return {
    name: "cpus",
    props: { "#address-cells": 1, "#size-cells": 0, "timebase-frequency": TIMEBASE_HZ },
    children,
  };
}

function chosen(
  spec: MachineSpec,
  console: string,
  initrd: { start: number; end: number } | null,
): DtNode {
  const disk: DtProps = initrd === null ? {} : {
    "linux,initrd-start": cells64(initrd.start),
    "linux,initrd-end": cells64(initrd.end),
  };
  const bootargs: DtProps = spec.append === "" ? {} : { bootargs: spec.append };
  return { name: "chosen", props: { ...bootargs, "stdout-path": console, ...disk }, children: [] };
}

/** The encoded tree; `placed` has the PLIC first. */
export function deviceTree(
  spec: MachineSpec,
  placed: readonly Placed[],
  initrd: { start: number; end: number } | null,
): Uint8Array {
  const root: DtNode[] = [];
  const soc: DtNode[] = [];
  let console = "/soc";
  placed.forEach((p, i) => {
    const context = {
      name: p.name,
      addr: p.addr,
      sizeBytes: p.type.size,
      irqs: p.irqs,
      phandle: devicePhandle(spec, i),
      plic: devicePhandle(spec, 0),
      harts: spec.harts,
      bridge: p.bridge ?? null,
      cpuIntc,
    };
    const node = p.type.node(context, p.props);
    if (node !== null) soc.push(node);
    if (node !== null && p.name === SERIAL[spec.serial].name) console = `/soc/${node.name}`;
    root.push(...p.type.rootNodes(context, p.props));
  });
  const memory: DtNode = {
    name: `memory@${RAM_BASE.toString(16)}`,
    props: { device_type: "memory", reg: [...cells64(RAM_BASE), ...cells64(spec.memoryBytes)] },
    children: [],
  };
  const cells: DtProps = { "#address-cells": 2, "#size-cells": 2 };
  return encodeFdt({
    name: "",
    props: { ...cells, compatible: "riscv-virtio", model: "riscv-virtio,qemu" },
    children: [
      // Linux's SiFive driver takes its number from here, and does not start without.
      ...(spec.serial === "virtio"
        ? []
        : [{ name: "aliases", props: { serial0: console }, children: [] }]),
      chosen(spec, console, initrd),
      memory,
      cpus(spec),
      { name: "soc", props: { ...cells, compatible: "simple-bus", ranges: true }, children: soc },
      ...root,
    ],
  });
}
