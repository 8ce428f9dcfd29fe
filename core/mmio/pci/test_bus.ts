/**
 * A PCI bus for tests: functions in slots behind a host bridge, with the accesses that a CPU makes.
 * @module
 */
import { Bus } from "../bus.ts";
import type { DeviceType, PropValue } from "../device.ts";
import { TestMachine } from "../test_machine.ts";
import { COMMAND, HEADER } from "./declaration.ts";
import { pciHost } from "./host.ts";
import { PciRoot, type PciWindow } from "./root.ts";

export const ECAM = 0x3000_0000, PORTS = 0x0300_0000, MEM32 = 0x4000_0000, MEM64 = 0x4_0000_0000;

export const WINDOWS: readonly PciWindow[] = [
  { kind: "config", addr: ECAM, pciAddr: 0, sizeBytes: 0x1000_0000 },
  { kind: "io", addr: PORTS, pciAddr: 0, sizeBytes: 0x1_0000 },
  { kind: "mem32", addr: MEM32, pciAddr: MEM32, sizeBytes: 0x4000_0000 },
  { kind: "mem64", addr: MEM64, pciAddr: MEM64, sizeBytes: 0x4_0000_0000 },
];

export const ALL = COMMAND.io | COMMAND.memory | COMMAND.busMaster;

export class TestBus {
  readonly bus = new Bus();
  readonly machines: TestMachine[] = [];

  /** Slot 0 is the bridge; the functions follow it. */
  constructor(
    functions: readonly { type: DeviceType; props?: Readonly<Record<string, PropValue>> }[],
  ) {
    const host = new TestMachine(pciHost);
    const root = new PciRoot(host.dev, this.bus, WINDOWS);
    root.plug(0, host.dev);
    functions.forEach(({ type, props }, i) => {
      const m = new TestMachine(type, { props, name: `${type.name}${i}` });
      this.machines.push(m);
      root.plug(i + 1, m.dev);
    });
  }

  read(gpa: number, size = 4): number {
    const m = this.bus.find(gpa)!;
    const lo = m.region.read(gpa - m.base, size);
    return size === 8 ? m.region.hi * 2 ** 32 + lo : lo;
  }

  write(gpa: number, v: number, size = 4): void {
    const m = this.bus.find(gpa)!;
    m.region.write(gpa - m.base, size, v >>> 0, Math.floor(v / 2 ** 32));
  }

  /** Name of the instance that answers. */
  who(gpa: number): string | undefined {
    return this.bus.find(gpa)?.dev.name;
  }

  config(slot: number, register: string): number {
    const { at, size } = HEADER[register];
    return this.read(ECAM + slot * 0x8000 + at, size);
  }

  setConfig(slot: number, register: string, v: number): void {
    const { at, size } = HEADER[register];
    this.write(ECAM + slot * 0x8000 + at, v, size);
  }
}
