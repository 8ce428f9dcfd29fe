/**
 * The four ways in which a driver reaches a virtio device, each from the driver's side of Virtio 1.2:
 * registers over MMIO and over PCI, modern and legacy (§4.1.3 to §4.1.5, §4.2.3, §4.2.4). What tests of
 * any device say, they say to a face.
 * @module
 */
import assert from "node:assert/strict";
import type { PropValue } from "../mmio/device.ts";
import { COMMAND, HEADER } from "../mmio/pci/declaration.ts";
import type { TestMachine } from "../mmio/test_machine.ts";
import type { Areas } from "./ring_layout.ts";

/** Registers of virtio-mmio. */
export const REG = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  GuestPageSize: 0x028,
  QueueSel: 0x030,
  QueueNumMax: 0x034,
  QueueNum: 0x038,
  QueueAlign: 0x03c,
  QueuePFN: 0x040,
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  ConfigGeneration: 0x0fc,
  Config: 0x100,
} as const;

/** Registers of a modern virtio-pci function, offset and bytes. */
export const MODERN = {
  device_feature_select: [0x00, 4],
  device_feature: [0x04, 4],
  driver_feature_select: [0x08, 4],
  driver_feature: [0x0c, 4],
  config_msix_vector: [0x10, 2],
  num_queues: [0x12, 2],
  device_status: [0x14, 1],
  config_generation: [0x15, 1],
  queue_select: [0x16, 2],
  queue_size: [0x18, 2],
  queue_msix_vector: [0x1a, 2],
  queue_enable: [0x1c, 2],
  queue_notify_off: [0x1e, 2],
  queue_desc_low: [0x20, 4],
  queue_desc_high: [0x24, 4],
  queue_driver_low: [0x28, 4],
  queue_driver_high: [0x2c, 4],
  queue_device_low: [0x30, 4],
  queue_device_high: [0x34, 4],
  isr_status: [0x1000, 1],
} as const;
export const NOTIFY = 0x3000, DEVICE_CONFIG = 0x2000;

/** Registers of a legacy one. */
export const LEGACY = {
  DeviceFeatures: [0x00, 4],
  DriverFeatures: [0x04, 4],
  QueueAddress: [0x08, 4],
  QueueSize: [0x0c, 2],
  QueueSelect: [0x0e, 2],
  QueueNotify: [0x10, 2],
  DeviceStatus: [0x12, 1],
  ISRStatus: [0x13, 1],
} as const;
const LEGACY_CONFIG = 20;

const PAGE_BYTES = 4096;

export interface Face {
  readonly name: string;
  readonly bus: "mmio" | "pci";
  readonly legacy: boolean;
  /** Properties of a device that has it. */
  readonly props: Readonly<Record<string, PropValue>>;
  /** Entries of a queue, where the driver has no choice. */
  readonly fixedSize: boolean;
  /** What a driver does before it touches the device. */
  prepare(m: TestMachine): void;
  status(m: TestMachine): number;
  setStatus(m: TestMachine, v: number): void;
  offered(m: TestMachine, word: number): number;
  accept(m: TestMachine, word: number, bits: number): void;
  select(m: TestMachine, queue: number): void;
  /** Of the selected queue. */
  maxSize(m: TestMachine): number;
  setSize(m: TestMachine, size: number): void;
  /** The selected queue goes into service: legacy faces need the areas in one piece. */
  enable(m: TestMachine, areas: Areas): void;
  setAreas(m: TestMachine, areas: Areas): void;
  enabled(m: TestMachine): boolean;
  notify(m: TestMachine, queue: number): void;
  /** Reads why there is an interrupt, and acknowledges it. */
  interruptStatus(m: TestMachine): number;
  config(m: TestMachine, at: number, size: number): number;
  /** Writes `v` to each register of the selected queue; to those that stop it on purpose, not. */
  scribble(m: TestMachine, v: number): void;
}

const high = (v: number) => Math.floor(v / 2 ** 32);

const MMIO_COMMON = {
  bus: "mmio",
  fixedSize: false,
  status: (m: TestMachine) => m.read(REG.Status),
  setStatus: (m: TestMachine, v: number) => m.write(REG.Status, v),
  offered(m: TestMachine, word: number): number {
    m.write(REG.DeviceFeaturesSel, word);
    return m.read(REG.DeviceFeatures);
  },
  accept(m: TestMachine, word: number, bits: number): void {
    m.write(REG.DriverFeaturesSel, word);
    m.write(REG.DriverFeatures, bits);
  },
  select: (m: TestMachine, queue: number) => m.write(REG.QueueSel, queue),
  maxSize: (m: TestMachine) => m.read(REG.QueueNumMax),
  setSize: (m: TestMachine, size: number) => m.write(REG.QueueNum, size),
  notify: (m: TestMachine, queue: number) => m.write(REG.QueueNotify, queue),
  interruptStatus(m: TestMachine): number {
    const status = m.read(REG.InterruptStatus);
    m.write(REG.InterruptACK, status);
    return status;
  },
  config: (m: TestMachine, at: number, size: number) => m.read(REG.Config + at, size),
} as const;

const MMIO: Face = {
  ...MMIO_COMMON,
  name: "mmio modern",
  legacy: false,
  props: { legacy: false },
  prepare(m) {
    assert.equal(m.read(REG.MagicValue), 0x74726976);
    assert.equal(m.read(REG.Version), 2);
  },
  setAreas(m, { desc, avail, used }) {
    m.write(REG.QueueDescLow, desc % 2 ** 32);
    m.write(REG.QueueDescHigh, high(desc));
    m.write(REG.QueueDriverLow, avail % 2 ** 32);
    m.write(REG.QueueDriverHigh, high(avail));
    m.write(REG.QueueDeviceLow, used % 2 ** 32);
    m.write(REG.QueueDeviceHigh, high(used));
  },
  enable(m, areas) {
    MMIO.setAreas(m, areas);
    m.write(REG.QueueReady, 1);
  },
  enabled: (m) => m.read(REG.QueueReady) === 1,
  scribble(m, v) {
    for (const r of [REG.QueueNum, REG.QueueDescLow, REG.QueueDescHigh, REG.QueueDriverLow]) {
      m.write(r, v);
    }
    for (const r of [REG.QueueDriverHigh, REG.QueueDeviceLow, REG.QueueDeviceHigh]) m.write(r, v);
  },
};

const MMIO_LEGACY: Face = {
  ...MMIO_COMMON,
  name: "mmio legacy",
  legacy: true,
  props: { legacy: true },
  prepare(m) {
    assert.equal(m.read(REG.MagicValue), 0x74726976);
    assert.equal(m.read(REG.Version), 1);
  },
  setAreas(m, { desc }) {
    m.write(REG.GuestPageSize, PAGE_BYTES);
    m.write(REG.QueueAlign, PAGE_BYTES);
    m.write(REG.QueuePFN, desc / PAGE_BYTES);
  },
  enable: (m, areas) => MMIO_LEGACY.setAreas(m, areas),
  enabled: (m) => m.read(REG.QueuePFN) !== 0,
  scribble(m, v) {
    for (const r of [REG.QueueNum, REG.QueueAlign, REG.QueuePFN]) m.write(r, v);
  },
};

type ModernName = keyof typeof MODERN;
type LegacyName = keyof typeof LEGACY;

/** An access to a register of a virtio-pci function, as the driver names it. */
export const modern = {
  get(m: TestMachine, name: ModernName): number {
    const [at, size] = MODERN[name];
    return m.dev.region("modern").read(at, size);
  },
  set(m: TestMachine, name: ModernName, v: number): void {
    const [at, size] = MODERN[name];
    m.dev.region("modern").write(at, size, v >>> 0);
  },
};
export const legacy = {
  get(m: TestMachine, name: LegacyName): number {
    const [at, size] = LEGACY[name];
    return m.dev.region("legacy").read(at, size);
  },
  set(m: TestMachine, name: LegacyName, v: number): void {
    const [at, size] = LEGACY[name];
    m.dev.region("legacy").write(at, size, v >>> 0);
  },
};

export function setCommand(m: TestMachine, v: number): void {
  m.dev.region("config").write(HEADER.COMMAND.at, HEADER.COMMAND.size, v);
}

const PCI_COMMON = {
  bus: "pci",
  prepare: (m: TestMachine) => setCommand(m, COMMAND.io | COMMAND.memory | COMMAND.busMaster),
} as const;

const PCI: Face = {
  ...PCI_COMMON,
  name: "pci modern",
  legacy: false,
  props: {},
  fixedSize: false,
  status: (m) => modern.get(m, "device_status"),
  setStatus: (m, v) => modern.set(m, "device_status", v),
  offered(m, word) {
    modern.set(m, "device_feature_select", word);
    return modern.get(m, "device_feature");
  },
  accept(m, word, bits) {
    modern.set(m, "driver_feature_select", word);
    modern.set(m, "driver_feature", bits);
  },
  select: (m, queue) => modern.set(m, "queue_select", queue),
  maxSize: (m) => modern.get(m, "queue_size"),
  setSize: (m, size) => modern.set(m, "queue_size", size),
  setAreas(m, { desc, avail, used }) {
    modern.set(m, "queue_desc_low", desc % 2 ** 32);
    modern.set(m, "queue_desc_high", high(desc));
    modern.set(m, "queue_driver_low", avail % 2 ** 32);
    modern.set(m, "queue_driver_high", high(avail));
    modern.set(m, "queue_device_low", used % 2 ** 32);
    modern.set(m, "queue_device_high", high(used));
  },
  enable(m, areas) {
    PCI.setAreas(m, areas);
    modern.set(m, "queue_enable", 1);
  },
  enabled: (m) => modern.get(m, "queue_enable") === 1,
  notify(m, queue) {
    const at = NOTIFY + 4 * queue;
    if (at + 2 <= 0x4000) m.dev.region("modern").write(at, 2, queue);
  },
  interruptStatus: (m) => modern.get(m, "isr_status"),
  config: (m, at, size) => m.dev.region("modern").read(DEVICE_CONFIG + at, size),
  scribble(m, v) {
    const names = Object.keys(MODERN).filter((n) => n.startsWith("queue_")) as ModernName[];
    for (const n of names) {
      if (n !== "queue_select" && n !== "queue_msix_vector") modern.set(m, n, v);
    }
  },
};

const PCI_LEGACY: Face = {
  ...PCI_COMMON,
  name: "pci legacy",
  legacy: true,
  props: {},
  fixedSize: true,
  status: (m) => legacy.get(m, "DeviceStatus"),
  setStatus: (m, v) => legacy.set(m, "DeviceStatus", v),
  offered: (m, word) => word === 0 ? legacy.get(m, "DeviceFeatures") : 0,
  accept(m, word, bits) {
    if (word === 0) legacy.set(m, "DriverFeatures", bits);
  },
  select: (m, queue) => legacy.set(m, "QueueSelect", queue),
  maxSize: (m) => legacy.get(m, "QueueSize"),
  setSize: (m, size) => legacy.set(m, "QueueSize", size),
  setAreas: (m, { desc }) => legacy.set(m, "QueueAddress", desc / PAGE_BYTES),
  enable: (m, areas) => PCI_LEGACY.setAreas(m, areas),
  enabled: (m) => legacy.get(m, "QueueAddress") !== 0,
  notify: (m, queue) => legacy.set(m, "QueueNotify", queue),
  interruptStatus: (m) => legacy.get(m, "ISRStatus"),
  config: (m, at, size) => m.dev.region("legacy").read(LEGACY_CONFIG + at, size),
  scribble(m, v) {
    for (const n of ["QueueSize", "QueueAddress"] as const) legacy.set(m, n, v);
  },
};

export const FACES: readonly Face[] = [MMIO, MMIO_LEGACY, PCI, PCI_LEGACY];
export const mmio = (legacy: boolean): Face => legacy ? MMIO_LEGACY : MMIO;
export const pci = (legacy: boolean): Face => legacy ? PCI_LEGACY : PCI;
