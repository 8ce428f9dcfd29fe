/**
 * The board `virt`: what sits where. Addresses and interrupt sources are those of QEMU's riscv64 `virt`
 * machine (hw/riscv/virt.c, memory map), so that software made for it runs here; the SiFive UART keeps
 * its place on the FU540 (its manual, Memory Map), and the marker takes the start of the platform-bus area.
 * @module
 */
import { DEVICES } from "../mmio/devices.ts";
import type { DeviceType, PropValue } from "../mmio/device.ts";
import type { Bridge } from "../mmio/dt.ts";
import { lineOfSlot, type PciWindow, SLOTS } from "../mmio/pci/root.ts";
import type { DeviceSpec, MachineSpec, SerialKind } from "./spec.ts";

export const RAM_BASE = 0x8000_0000;
export const TIMEBASE_HZ = 10_000_000;
export const MAX_HARTS = 8;

const VIRTIO = { base: 0x1000_1000, stride: 0x1000, slots: 8, irq: 1 } as const;
const PLATFORM_BUS = { base: 0x0401_0000, stride: 0x1000, irq: 64 } as const;
const PCI_LINES = [32, 33, 34, 35];
/** A window shows the addresses of its kind on the PCI bus as they are; ports begin at 0. */
const PCI_WINDOWS: readonly PciWindow[] = [
  { kind: "config", addr: 0x3000_0000, pciAddr: 0, sizeBytes: 0x1000_0000 },
  { kind: "io", addr: 0x0300_0000, pciAddr: 0, sizeBytes: 0x1_0000 },
  { kind: "mem32", addr: 0x4000_0000, pciAddr: 0x4000_0000, sizeBytes: 0x4000_0000 },
  {
    kind: "mem64",
    addr: 0x4_0000_0000,
    pciAddr: 0x4_0000_0000,
    sizeBytes: 0x4_0000_0000,
  },
];
/** Device types that drives of `if=scsi` go to; the first is made where none was asked for. */
const SCSI_CONTROLLERS: readonly string[] = ["lsi53c895a", "virtio-scsi-pci", "virtio-scsi"];
/** What is made for a drive of `if=virtio`. */
const VIRTIO_DISK = { mmio: "virtio-blk", pci: "virtio-blk-pci" } as const;
const MAX_ACCESS_BYTES = 8;
/** Sources of the PLIC, as on QEMU's board. */
export const PLIC_SOURCES = 95;

/** A device at its place. */
export interface Placed {
  readonly type: DeviceType;
  /** Instance name in traces. */
  readonly name: string;
  readonly addr: number;
  readonly irqs: readonly number[];
  readonly props: Readonly<Record<string, PropValue>>;
  /** Of a PCI function: its slot. */
  readonly slot?: number;
  /** Of the PCI host bridge: what lies behind it. */
  readonly bridge?: Bridge;
  /** Drives in its bays, by id. */
  readonly drives: readonly string[];
}

/** A machine that cannot be built as asked: shown as one line. */
export class BoardError extends Error {
  override name = "BoardError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}

function placed(
  use: string,
  name: string,
  addr: number,
  irqs: readonly number[] = [],
  props: Placed["props"] = {},
): Placed {
  return { type: DEVICES[use], name, addr, irqs, props, drives: [] };
}

/** The serial device that the machine is asked for, and which becomes its console. */
export const SERIAL: Readonly<Record<SerialKind, { use: string; name: string }>> = {
  sifive: { use: "sifive_uart", name: "uart0" },
  "16550": { use: "uart16550", name: "uart0" },
  virtio: { use: "virtio-console", name: "virtio-console0" },
};

/** Does firmware of this machine run in M-mode (`--bios none|FILE`)? */
export const hasMachineMode = (spec: MachineSpec) => spec.bios !== "builtin";

function serial(spec: MachineSpec): Placed[] {
  const { use, name } = SERIAL[spec.serial];
  switch (spec.serial) {
    case "sifive":
      return [placed(use, name, 0x1001_0000, [12], spec.serialProps)];
    case "16550":
      return [placed(use, name, 0x1000_0000, [10], spec.serialProps)];
    case "virtio":
      return [];
  }
}

/** A device for a virtio-mmio slot. */
interface Slotted {
  readonly use: string;
  readonly type: DeviceType;
  readonly props: Placed["props"];
  readonly drives: readonly string[];
  /** null: the last one that is free, as QEMU hands them out. */
  readonly slot: number | null;
}

const slotAddr = (slot: number) => VIRTIO.base + slot * VIRTIO.stride;

function noSlot(use: string, why: string): BoardError {
  return new BoardError(`${use}: ${why}`, `use slots 0 to ${VIRTIO.slots - 1}, each once`);
}

/** The virtio console is the first to get a slot; QEMU shows the slots left over empty. */
function virtioSlots(spec: MachineSpec, types: ReadonlyMap<string, DeviceType>): Placed[] {
  const slots: (Placed | undefined)[] = Array.from({ length: VIRTIO.slots });
  const put = (slot: number, type: DeviceType, name: string, of?: Partial<Placed>) => {
    const irqs = [VIRTIO.irq + slot];
    slots[slot] = { type, name, addr: slotAddr(slot), irqs, props: {}, drives: [], ...of };
  };
  if (spec.serial === "virtio") {
    const { use, name } = SERIAL.virtio;
    put(VIRTIO.slots - 1, DEVICES[use], name, { props: spec.serialProps });
  }
  const asked = [
    ...virtioDrives(spec, "mmio").map((d): Slotted => {
      const use = VIRTIO_DISK.mmio;
      return { use, type: DEVICES[use], props: d.props, drives: [d.id], slot: d.slot };
    }),
    ...spec.devices.flatMap((d) => slotted(d, types)),
  ];
  // Those that name their slot first, so that nobody else is there.
  for (const d of asked.toSorted((a, b) => Number(a.slot === null) - Number(b.slot === null))) {
    const slot = d.slot ?? slots.findLastIndex((s) => s === undefined);
    if (slot < 0) throw noSlot(d.use, "no virtio-mmio slot is free");
    if (slot >= VIRTIO.slots) throw noSlot(d.use, `there is no virtio-mmio slot ${slot}`);
    const before = slots[slot];
    if (before) throw noSlot(d.use, `virtio-mmio slot ${slot} is taken by ${before.name}`);
    const name = nextName(d.type.name, new Set(slots.flatMap((s) => s ? [s.name] : [])));
    put(slot, d.type, name, { props: d.props, drives: d.drives });
  }
  for (let i = 0; i < VIRTIO.slots; i++) {
    if (!slots[i]) put(i, DEVICES["virtio-mmio"], `virtio-mmio${i}`);
  }
  // As in QEMU's device tree, so that the first drive is the first that drivers find.
  return (slots as Placed[]).reverse();
}

/** A virtio-mmio device of `--device` without a place of its own, or with that of a slot. */
function slotted(d: DeviceSpec, types: ReadonlyMap<string, DeviceType>): Slotted[] {
  const type = typeOf(d, types);
  if (!type.compatible.includes("virtio,mmio") || type === DEVICES["virtio-mmio"]) return [];
  const slot = d.addr === null ? null : (d.addr - VIRTIO.base) / VIRTIO.stride;
  const elsewhere = slot !== null && !(Number.isInteger(slot) && slot >= 0 && slot < VIRTIO.slots);
  if (elsewhere || d.irq !== null) return [];
  return [{ use: d.use, type, ...bays(d, type), slot }];
}

function typeOf(d: DeviceSpec, types: ReadonlyMap<string, DeviceType>): DeviceType {
  const type = types.get(d.use) ?? DEVICES[d.use];
  if (type !== undefined) return type;
  throw new BoardError(
    `there is no device type ${d.use}`,
    `use one of ${Object.keys(DEVICES).join(", ")}, or the path of a device file`,
  );
}

/** `drive=ID+ID…` names what is in the bays of a device that has some; the rest are its properties. */
function bays(d: DeviceSpec, type: DeviceType): Pick<Placed, "props" | "drives"> {
  const { drive, ...props } = d.props;
  if (type.drives === 0) return { props: d.props, drives: [] };
  const drives = drive === undefined ? [] : drive.split("+");
  if (drives.length > type.drives) {
    throw new BoardError(
      `${d.use} has ${drives.length} drives`,
      `give it at most ${type.drives}, and the rest to another --device`,
    );
  }
  return { props, drives };
}

const virtioDrives = (spec: MachineSpec, bus: "mmio" | "pci") =>
  (spec.drives ?? []).filter((d) => d.interface === "virtio" && (d.bus ?? "mmio") === bus);

/** Drives of `if=virtio,bus=pci` have a function each. */
function withPciDisks(spec: MachineSpec): MachineSpec {
  const made = virtioDrives(spec, "pci").map((d): DeviceSpec => ({
    use: VIRTIO_DISK.pci,
    file: null,
    addr: null,
    irq: null,
    slot: d.slot,
    props: { ...d.props, drive: d.id },
  }));
  return made.length === 0 ? spec : { ...spec, devices: [...made, ...spec.devices] };
}

/** Drives of `if=scsi` are in the bays of the first SCSI controller; without one, of one made for them. */
function withScsi(spec: MachineSpec): MachineSpec {
  const ids = (spec.drives ?? []).filter((d) => d.interface === "scsi").map((d) => d.id);
  if (ids.length === 0) return spec;
  const found = spec.devices.find((d) => SCSI_CONTROLLERS.includes(d.use));
  const made = {
    use: SCSI_CONTROLLERS[0],
    file: null,
    addr: null,
    irq: null,
    slot: null,
    props: {},
  };
  const controller = found ?? made;
  const { drive } = controller.props as { drive?: string };
  const props = { ...controller.props, drive: [...drive ? [drive] : [], ...ids].join("+") };
  const devices = found ? spec.devices : [...spec.devices, made];
  return { ...spec, devices: devices.map((d) => d === controller ? { ...d, props } : d) };
}

/** `type0`, or the first number that is free. */
function nextName(type: string, taken: ReadonlySet<string>): string {
  let n = 0;
  while (taken.has(`${type}${n}`)) n++;
  return `${type}${n}`;
}

/** Every device of the machine, the interrupt controller first. `types` holds users' own, by path. */
export function placeDevices(
  asked: MachineSpec,
  types: ReadonlyMap<string, DeviceType>,
): Placed[] {
  const spec = withPciDisks(withScsi(asked));
  const aclint = hasMachineMode(spec)
    ? [placed("aclint", "aclint", 0x0200_0000, [], { harts: spec.harts, timebase_hz: TIMEBASE_HZ })]
    : [];
  const fixed = [
    placed("plic", "plic", 0x0c00_0000, [], { harts: spec.harts }),
    ...aclint,
    placed("finisher", "finisher", 0x0010_0000),
    placed("goldfish_rtc", "rtc", 0x0010_1000, [11], { start_ns: String(spec.rtcStartNs) }),
    placed("marker", "marker", 0x0400_0000),
    pciHost(),
    ...serial(spec),
    ...virtioSlots(spec, types),
  ];
  return [...fixed, ...users(spec, types, fixed)];
}

/** A device in RAM would never be asked; one off its alignment could not be. */
function checkAddr(use: string, addr: number, sizeBytes: number, memoryBytes: number): void {
  const at = `0x${addr.toString(16)}`;
  if (addr + sizeBytes > RAM_BASE && addr < RAM_BASE + memoryBytes) {
    const end = (RAM_BASE + memoryBytes).toString(16);
    throw new BoardError(
      `${use} at ${at} lies in RAM, which is 0x${RAM_BASE.toString(16)} to 0x${end}`,
      `choose addr=0x${PLATFORM_BUS.base.toString(16)} or another below RAM`,
    );
  }
  if (addr % MAX_ACCESS_BYTES !== 0) {
    throw new BoardError(
      `${use} at ${at} would have registers off their natural alignment`,
      `choose a multiple of ${MAX_ACCESS_BYTES} for addr=`,
    );
  }
}

/** The bridge is itself function 0 of slot 0, as on QEMU's board. */
function pciHost(): Placed {
  return {
    ...placed("pci-host", "pcie", configAddr(0)),
    slot: 0,
    bridge: { windows: PCI_WINDOWS, lines: PCI_LINES },
  };
}

/** Where ECAM shows the configuration space of a slot's function 0. */
const configAddr = (slot: number) => PCI_WINDOWS[0].addr + slot * 0x8000;

/** Places and lines that are taken, and the next free ones. */
class Places {
  #addr: number = PLATFORM_BUS.base;
  #irq: number = PLATFORM_BUS.irq;
  readonly #lines: Set<number>;
  readonly #names: Set<string>;
  readonly #slots: Set<number>;

  constructor(private readonly memoryBytes: number, fixed: readonly Placed[]) {
    this.#lines = new Set([...fixed.flatMap((p) => p.irqs), ...PCI_LINES]);
    this.#names = new Set(fixed.map((p) => p.name));
    this.#slots = new Set(fixed.flatMap((p) => p.slot ?? []));
  }

  name(type: DeviceType): string {
    const name = nextName(type.name, this.#names);
    this.#names.add(name);
    return name;
  }

  onPlatform(d: DeviceSpec, type: DeviceType): Placed {
    if (d.slot != null) {
      throw new BoardError(
        `${d.use} is no PCI device, and has no slot`,
        "use addr= or leave it out",
      );
    }
    const addr = d.addr ?? this.#addr;
    checkAddr(d.use, addr, type.size, this.memoryBytes);
    const { stride } = PLATFORM_BUS;
    this.#addr = Math.max(this.#addr, addr + Math.ceil(type.size / stride) * stride);
    const irqs = Array.from({ length: type.irqs }, (_, i) => (d.irq ?? this.#irq) + i);
    this.#irq = Math.max(this.#irq, ...irqs.map((i) => i + 1));
    for (const source of irqs) {
      if (source < 1 || source > PLIC_SOURCES || this.#lines.has(source)) {
        throw new BoardError(
          `${d.use}: interrupt source ${source} is taken or not one of 1 to ${PLIC_SOURCES}`,
          "choose another irq=",
        );
      }
      this.#lines.add(source);
    }
    return { type, name: this.name(type), addr, irqs, ...bays(d, type) };
  }

  onPci(d: DeviceSpec, type: DeviceType): Placed {
    if (d.addr !== null || d.irq !== null) {
      throw new BoardError(
        `${d.use} is a PCI device: the guest gives it its addresses, its slot decides its line`,
        "use slot= or leave it out",
      );
    }
    let slot = d.slot ?? 0;
    while (d.slot == null && this.#slots.has(slot)) slot++;
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS || this.#slots.has(slot)) {
      throw new BoardError(
        `${d.use}: slot ${slot} of the PCI bus is taken or not one of 1 to ${SLOTS - 1}`,
        "choose another slot=",
      );
    }
    this.#slots.add(slot);
    const irqs = type.irqs === 0 ? [] : [PCI_LINES[lineOfSlot(slot)]];
    const addr = configAddr(slot);
    return { type, name: this.name(type), addr, irqs, ...bays(d, type), slot };
  }
}

/** Devices of `--device`: where no place was asked for, the next free one of their bus. */
function users(
  spec: MachineSpec,
  types: ReadonlyMap<string, DeviceType>,
  fixed: readonly Placed[],
): Placed[] {
  const places = new Places(spec.memoryBytes, fixed);
  return spec.devices.filter((d) => slotted(d, types).length === 0).map((d) => {
    const type = typeOf(d, types);
    return type.bus === "pci" ? places.onPci(d, type) : places.onPlatform(d, type);
  });
}
