/**
 * The registers of a virtio function on PCI, modern (Virtio 1.2 §4.1.4.3 to §4.1.4.6) and legacy
 * (§4.1.4.10), before one core. Names of modern registers are the specification's; those of the legacy
 * interface, which it gives none, are written together.
 * @module
 */
import {
  type Port,
  type RawSpace,
  records,
  type Reg,
  type StateOf,
  u16,
  u32,
  u8,
} from "../mmio/device.ts";
import type { coreFields, VirtioCore } from "./core.ts";
import { AREA, LEGACY_CONFIG, NOTIFY_OFF_MULTIPLIER } from "./pci_layout.ts";
import { legacyAreas } from "./ring_layout.ts";
import { configReg, readAcross } from "./transport.ts";
import { type ConfigField, STATUS } from "./virtio.ts";

export const NO_VECTOR = 0xffff;
const LEGACY_PAGE = 4096;

/** Which interface the driver uses. */
export const INTERFACE = { none: 0, modern: 1, legacy: 2 } as const;

export const driverFields = (queues: number) => ({
  interface: u8(),
  deviceFeatureSelect: u32(),
  driverFeatureSelect: u32(),
  queueSelect: u16(),
  configVector: u16(NO_VECTOR),
  vectors: records(queues, { vector: u16(NO_VECTOR) }),
  legacyQueues: records(queues, { pfn: u32() }),
});
export type DriverState =
  & StateOf<ReturnType<typeof coreFields>>
  & StateOf<ReturnType<typeof driverFields>>;

type Address = "queueDesc" | "queueDriver" | "queueDevice";

/** The registers of both interfaces, before one core. */
export class Registers {
  constructor(
    private readonly s: DriverState,
    private readonly core: VirtioCore,
    private readonly port: Port,
    private readonly vectors: number,
    private readonly fields: readonly ConfigField[],
  ) {}

  /** The effect of a write through an interface: none for a driver that uses the other one. */
  #through<V>(
    mine: number,
    effect: (v: V, i: number) => void,
  ): (v: V, i?: number) => void {
    return (v, i = 0) => {
      const { s } = this;
      if (s.interface === INTERFACE.none) s.interface = mine;
      if (s.interface === mine) effect(v, i);
    };
  }

  get #queue() {
    const { s, core } = this;
    return s.queueSelect < core.queues.length ? s.queues[s.queueSelect] : undefined;
  }

  /** The selected queue while the driver may set it up (§3.1.1, §4.1.4.3.2). */
  get #open() {
    return this.s.status & STATUS.DRIVER_OK || this.#queue?.queueReady ? undefined : this.#queue;
  }

  /** §4.1.4.3.1: a queue shows its largest size until the driver chooses one; none has 0. */
  #size(): number {
    return this.#queue?.queueNum || this.#maxSize();
  }

  #maxSize(): number {
    return this.core.queues.at(this.s.queueSelect)?.limits.maxSize ?? 0;
  }

  #vector(v: number): number {
    return v < this.vectors ? v : NO_VECTOR; // §4.1.5.1.2.1
  }

  #status(mine: number, v: number): void {
    if (v === 0) this.core.reset();
    else this.#through<number>(mine, () => this.core.writeStatus(v))(v);
  }

  readonly #isr = (name: string, at: number): Reg => ({
    at,
    name,
    size: 1,
    get: () => this.s.interruptStatus,
    onRead: () => this.core.acknowledge(0xff),
  });

  /** §4.1.4.3 to §4.1.4.6 */
  modern(generation: () => number): Reg[] {
    const { core, fields } = this;
    const on = <V>(effect: (v: V, i: number) => void) => this.#through(INTERFACE.modern, effect);
    return [
      ...this.#commonConfiguration(generation, on),
      ...this.#queueConfiguration(on),
      this.#isr("isr_status", AREA.isr),
      ...fields.map((f) => {
        const set = f.set && on(f.set);
        return configReg({ ...f, set }, AREA.device + f.at, `config.${f.name}`);
      }),
      {
        at: AREA.notify,
        name: "queue_notify",
        size: 2,
        stride: NOTIFY_OFF_MULTIPLIER,
        count: core.queues.length,
        set: on((_v, i) => core.kick(i)),
      },
    ];
  }

  #commonConfiguration(
    generation: () => number,
    on: <V>(effect: (v: V, i: number) => void) => (v: V, i?: number) => void,
  ): Reg[] {
    const { s, core } = this;
    return [
      {
        at: 0x00,
        name: "device_feature_select",
        get: () => s.deviceFeatureSelect,
        set: on((v) => s.deviceFeatureSelect = v),
      },
      { at: 0x04, name: "device_feature", get: () => core.offered(s.deviceFeatureSelect, false) },
      {
        at: 0x08,
        name: "driver_feature_select",
        get: () => s.driverFeatureSelect,
        set: on((v) => s.driverFeatureSelect = v),
      },
      {
        at: 0x0c,
        name: "driver_feature",
        get: () => core.accepted(s.driverFeatureSelect),
        set: on((v) => core.acceptFeatures(s.driverFeatureSelect, v)),
      },
      {
        at: 0x10,
        name: "config_msix_vector",
        size: 2,
        get: () => s.configVector,
        set: on((v) => s.configVector = this.#vector(v)),
      },
      { at: 0x12, name: "num_queues", size: 2, get: () => core.queues.length },
      {
        at: 0x14,
        name: "device_status",
        size: 1,
        get: () => s.status,
        set: (v) => this.#status(INTERFACE.modern, v),
      },
      { at: 0x15, name: "config_generation", size: 1, get: () => generation() & 0xff },
      {
        at: 0x16,
        name: "queue_select",
        size: 2,
        get: () => s.queueSelect,
        set: on((v) => s.queueSelect = v),
      },
    ];
  }

  #queueConfiguration(
    on: <V>(effect: (v: V, i: number) => void) => (v: V, i?: number) => void,
  ): Reg[] {
    const { s } = this;
    const address = (at: number, name: string, key: Address): Reg => ({
      at,
      name,
      size: 8,
      sizes: [4, 8],
      get: () => {
        const q = this.#queue;
        return q ? BigInt(q[`${key}High`]) << 32n | BigInt(q[`${key}Low`]) : 0n;
      },
      set: on((v: bigint) => {
        const q = this.#open;
        if (!q) return;
        q[`${key}Low`] = Number(v & 0xffff_ffffn);
        q[`${key}High`] = Number(v >> 32n);
      }),
    });
    return [
      {
        at: 0x18,
        name: "queue_size",
        size: 2,
        get: () => this.#size(),
        set: on((v) => {
          if (this.#open) this.#open.queueNum = v;
        }),
      },
      {
        at: 0x1a,
        name: "queue_msix_vector",
        size: 2,
        get: () => s.vectors.at(s.queueSelect)?.vector ?? NO_VECTOR,
        set: on((v) => this.#chooseVector(v)),
      },
      {
        at: 0x1c,
        name: "queue_enable",
        size: 2,
        get: () => this.#queue?.queueReady ? 1 : 0,
        set: on((v) => {
          if (v === 1 && this.#open) this.#enable();
        }),
      },
      { at: 0x1e, name: "queue_notify_off", size: 2, get: () => this.#queue ? s.queueSelect : 0 },
      address(0x20, "queue_desc", "queueDesc"),
      address(0x28, "queue_driver", "queueDriver"),
      address(0x30, "queue_device", "queueDevice"),
    ];
  }

  #chooseVector(v: number): void {
    if (this.#queue) this.s.vectors[this.s.queueSelect].vector = this.#vector(v);
  }

  #enable(): void {
    const { s, core } = this;
    s.queues[s.queueSelect].queueNum = this.#size();
    core.startQueue(s.queueSelect);
  }

  /** §4.1.4.10 */
  legacy(): Reg[] {
    const { s, core, port } = this;
    const on = <V>(effect: (v: V, i: number) => void) => this.#through(INTERFACE.legacy, effect);
    const messages = () => port.messages();
    return [
      { at: 0x00, name: "DeviceFeatures", get: () => core.offered(0, true) },
      {
        at: 0x04,
        name: "DriverFeatures",
        get: () => core.accepted(0),
        set: on((v) => core.acceptFeatures(0, v)),
      },
      {
        at: 0x08,
        name: "QueueAddress",
        get: () => this.#queue ? s.legacyQueues[s.queueSelect].pfn : 0,
        set: on((v) => this.#setPfn(v)),
      },
      { at: 0x0c, name: "QueueSize", size: 2, get: () => this.#maxSize() },
      {
        at: 0x0e,
        name: "QueueSelect",
        size: 2,
        get: () => s.queueSelect,
        set: on((v) => s.queueSelect = v),
      },
      { at: 0x10, name: "QueueNotify", size: 2, set: on((v) => core.kick(v)) },
      {
        at: 0x12,
        name: "DeviceStatus",
        size: 1,
        get: () => s.status,
        set: (v) => this.#status(INTERFACE.legacy, v),
      },
      this.#isr("ISRStatus", 0x13),
      {
        at: 0x14,
        name: "ConfigMSIXVector",
        size: 2,
        when: messages,
        get: () => s.configVector,
        set: on((v) => s.configVector = this.#vector(v)),
      },
      {
        at: 0x16,
        name: "QueueMSIXVector",
        size: 2,
        when: messages,
        get: () => s.vectors.at(s.queueSelect)?.vector ?? NO_VECTOR,
        set: on((v) => this.#chooseVector(v)),
      },
    ];
  }

  /** 0 stops the queue, as legacy drivers do at their end. */
  #setPfn(v: number): void {
    const { s, core } = this;
    const q = this.#queue;
    if (!q || (v !== 0 && q.queueReady)) return;
    s.legacyQueues[s.queueSelect].pfn = v;
    if (v === 0) return core.stopQueue(s.queueSelect);
    q.queueNum = this.#maxSize();
    core.queues[s.queueSelect].setAreas(legacyAreas(v * LEGACY_PAGE, q.queueNum, LEGACY_PAGE));
    core.startQueue(s.queueSelect);
  }

  /** The device configuration behind the legacy header, wherever that ends. */
  legacyConfig(): RawSpace {
    const { fields, port } = this;
    const start = () => port.messages() ? LEGACY_CONFIG.messages : LEGACY_CONFIG.wire;
    const write = this.#through<{ f: ConfigField; v: number }>(
      INTERFACE.legacy,
      ({ f, v }) => f.set?.(v),
    );
    const end = Math.max(0, ...fields.map((f) => f.at + f.size));
    return {
      read: (at, size) => readAcross(fields, at - start(), size),
      write: (at, size, v) => {
        const f = fields.find((f) => f.at === at - start() && f.size === size);
        if (f) write({ f, v });
      },
      names: end === 0
        ? []
        : [{ at: LEGACY_CONFIG.wire, size: 4 + end, name: "DeviceConfiguration" }],
    };
  }
}
