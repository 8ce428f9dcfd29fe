/**
 * virtio over PCI: Virtio 1.2 §4.1, and its legacy interface in I/O space (§4.1.4.10). Names of modern
 * registers are the specification's; those of the legacy interface, which it gives none, are written
 * together. Places and sizes are those of QEMU's virtio devices, so that drivers make the same accesses.
 *
 * A device is transitional unless it is told otherwise: the interface that the driver writes to first
 * after a reset is the one that it uses, and writes to the other one do nothing (but a reset).
 *
 * - Of a queue the driver sets up nothing after DRIVER_OK, and nothing while it is enabled; writing 0 to
 *   queue_enable is not allowed (§4.1.4.3.2) and does nothing. Only a reset stops a queue.
 * - A driver of the modern interface must accept VIRTIO_F_VERSION_1.
 * - A notification means the queue that its address is of, whatever is written there.
 *
 * Not here: queue reset, notification data, shared memory regions, bars other than QEMU's.
 * @module
 */
import {
  device,
  type DeviceType,
  type Fields,
  type PciBar,
  type PciCapability,
  type PciDeclaration,
  PlugError,
  type Port,
  prop,
  type Props,
  type PropsOf,
  type RawSpace,
  records,
  type Reg,
  type Space,
  type StateOf,
  u16,
  u32,
  u8,
} from "../mmio/device.ts";
import type { coreFields, Interrupts, VirtioCore } from "./core.ts";
import { cfgFields, cfgRegs, CfgWindow } from "./pci_cfg.ts";
import { legacyAreas } from "./ring_layout.ts";
import { configReg, declared, readAcross } from "./transport.ts";
import { type ConfigField, INTERRUPT, STATUS, type VirtioDevice } from "./virtio.ts";

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
const NO_VECTOR = 0xffff;

const LEGACY_BAR = 0, MSIX_BAR = 1, MODERN_BAR = 4;
const MSIX_BYTES = 0x1000;
/** §4.1.4: structures in the modern BAR, a page each. */
const AREA = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
const AREA_BYTES = 0x1000;
const MODERN_BYTES = 0x4000;
const NOTIFY_OFF_MULTIPLIER = 4;
/** §4.1.4.10: the legacy header; two vectors more while MSI-X is enabled, then the configuration. */
const LEGACY_CONFIG = { wire: 20, messages: 24 } as const;
const LEGACY_PAGE = 4096;

/** §4.1.4: cfg_type. */
const CFG_TYPE = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;
const VENDOR_SPECIFIC = 0x09;
/** Where QEMU has the capabilities. */
const CAP_AT = {
  common: 0x40,
  isr: 0x50,
  device: 0x60,
  notify: 0x70,
  pci: 0x84,
  msix: 0x98,
} as const;

/** Which interface the driver uses. */
const INTERFACE = { none: 0, modern: 1, legacy: 2 } as const;

const driverFields = (queues: number) => ({
  interface: u8(),
  deviceFeatureSelect: u32(),
  driverFeatureSelect: u32(),
  queueSelect: u16(),
  configVector: u16(NO_VECTOR),
  vectors: records(queues, { vector: u16(NO_VECTOR) }),
  legacyQueues: records(queues, { pfn: u32() }),
});
type DriverState =
  & StateOf<ReturnType<typeof coreFields>>
  & StateOf<ReturnType<typeof driverFields>>;

interface Identity {
  readonly name: string;
  readonly id: number;
  readonly class: number;
  readonly vectors: number;
  /** Bytes of the device configuration space. */
  readonly configBytes: number;
}

interface Interfaces {
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

function legacyBytes(d: Identity, vectors: number): number {
  return powerOf2From((vectors > 0 ? LEGACY_CONFIG.messages : LEGACY_CONFIG.wire) + d.configBytes);
}

function interfacesOf(d: Identity, props: PropsOf<Props>): Interfaces {
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

function declaration(d: Identity, props: PropsOf<Props>): PciDeclaration {
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

const PCI_PROPS = (vectors: number) => ({
  disable_legacy: prop.flag(
    false,
    "No legacy interface: a modern device, with a modern device's ids.",
  ),
  disable_modern: prop.flag(false, "No modern interface: a legacy device."),
  vectors: prop.u32(vectors, "MSI-X vectors; 0 for no MSI-X."),
});

/** What a PCI function of a virtio device is beside it. */
export interface PciOptions {
  /** 24 bits: base class, sub-class, interface. */
  readonly class: number;
  /** MSI-X vectors that QEMU gives it. */
  readonly vectors: number;
  /** Bytes of its configuration space, as QEMU has it. */
  readonly configBytes: number;
}

/** A virtio device on the PCI bus, `NAME-pci`. */
export function virtioPci<
  const S extends Fields,
  const K extends Fields,
  const P extends Props,
  const F extends string,
>(d: VirtioDevice<S, K, P, F>, o: PciOptions): DeviceType {
  const { assemble, props, ...shared } = declared(d, driverFields(d.queues.length), cfgFields);
  const identity: Identity = { name: `${d.name}-pci`, id: d.id, ...o };
  return device(identity.name, {
    ...shared,
    doc: d.doc,
    source: `${d.source}, §4.1`,
    irqs: 1,
    pci: (props) => declaration(identity, props),
    props: { ...PCI_PROPS(o.vectors), ...props } as Props,
  }, (state, port, props) => {
    const has = interfacesOf(identity, props);
    const { s, kept, core, fields, behaviour } = assemble(state, port, props, {
      legacy: (s) => s.interface === INTERFACE.legacy,
      needsVersion1: true,
      interrupts: (s) => byVector(s, port),
    });
    const registers = new Registers(s, core, port, has.vectors, fields);
    const modern: Space = {
      regs: registers.modern(() => kept.configGeneration),
      raw: { read: (at, size) => readAcross(fields, at - AREA.device, size), write: () => {} },
    };
    const legacy: Space = { regs: registers.legacy(), raw: registers.legacyConfig() };
    const window = new CfgWindow(identity.name, [
      ...has.legacy
        ? [{ bar: LEGACY_BAR, sizeBytes: legacyBytes(identity, has.vectors), space: legacy }]
        : [],
      ...has.modern ? [{ bar: MODERN_BAR, sizeBytes: MODERN_BYTES, space: modern }] : [],
    ]);
    return {
      ...behaviour,
      regs: [],
      spaces: { ...has.legacy ? { legacy } : {}, ...has.modern ? { modern } : {} },
      config: has.modern ? cfgRegs(CAP_AT.pci, kept, window) : [],
    };
  });
}

/**
 * §4.1.5.3, §4.1.5.4: a bit of the ISR status and the line, or the vector that the driver chose, once it has
 * enabled MSI-X.
 */
function byVector(s: DriverState, port: Port): Interrupts {
  const send = (vector: number) => vector === NO_VECTOR ? -1 : port.message(vector);
  return {
    used(queue) {
      if (port.messages()) return send(s.vectors[queue].vector);
      s.interruptStatus |= INTERRUPT.USED_BUFFER;
      return port.signal();
    },
    configuration() {
      s.interruptStatus |= INTERRUPT.CONFIGURATION_CHANGE;
      if (port.messages()) send(s.configVector);
      else port.signal();
    },
  };
}

type Address = "queueDesc" | "queueDriver" | "queueDevice";

/** The registers of both interfaces, before one core. */
class Registers {
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
