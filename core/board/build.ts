/**
 * Builds a machine from its spec: CPU, devices on their bus and wires, exit unit, names in the trace.
 * @module
 */
import { type CpuMode, type ModuleStore, RiscvCpu } from "../cpu/mod.ts";
import type { Meter } from "../cpu/meter.ts";
import { Bus } from "../mmio/bus.ts";
import type { DeviceInstance, DeviceType } from "../mmio/device.ts";
import type { Drive } from "../mmio/medium.ts";
import { RamMemory } from "../mmio/memory.ts";
import { PciRoot } from "../mmio/pci/root.ts";
import type { Wire } from "../mmio/wire.ts";
import type { Code } from "../trace/schema.ts";
import type { Trace } from "../trace/trace.ts";
import { COSTS } from "../vmm/costs.ts";
import { makePort, type PortHost } from "../vmm/device_port.ts";
import { EventQueue } from "../vmm/events.ts";
import { type DeviceCodes, ExitUnit } from "../vmm/exits.ts";
import { Machine } from "../vmm/machine.ts";
import { type Profile, PROFILES } from "../vmm/profiles.ts";
import { boot, type Booted, type Files } from "./boot.ts";
import { GuestSymbols } from "./guest_symbols.ts";
import { makeDrives, type OpenImage } from "./drives.ts";
import type { MachineSpec } from "./spec.ts";
import {
  BoardError,
  hasMachineMode,
  MAX_HARTS,
  type Placed,
  placeDevices,
  RAM_BASE,
  SERIAL,
  TIMEBASE_HZ,
} from "./virt.ts";

/** Name of what stands for addresses where there is no device. */
const UNASSIGNED = "unassigned";
const STAGE2_SHIFT = { "4k": 12, "2m": 21 } as const;
const MAX_DEVICES = 254;
const MEMORY_STEP = 2 * 1024 * 1024;
const MAX_MEMORY = 3 * 1024 ** 3;

export interface BoardHost {
  /** How the harts execute, which neither guest nor trace can tell. Default: compiled. */
  readonly cpu?: CpuMode;
  /** Where generated interpreters are kept; default: nowhere. */
  readonly modules?: ModuleStore;
  /** Told what the host's time goes to. */
  readonly meter?: Meter;
  /** Bytes from a device, or from `sbi`, to the outside world. */
  out(device: string, bytes: Uint8Array): void;
  /** For drives that have an image. */
  open?: OpenImage;
}

export interface Board {
  readonly spec: MachineSpec;
  readonly machine: Machine;
  readonly exits: ExitUnit;
  readonly bus: Bus;
  readonly placed: readonly Placed[];
  readonly devices: ReadonlyMap<string, DeviceInstance>;
  readonly drives: ReadonlyMap<string, Drive>;
  /** The device that typed bytes go to. */
  readonly serial: DeviceInstance;
  readonly booted: Booted;
  readonly symbols: GuestSymbols;
  /** Bytes that an input of a device, or of `sbi`, can take now. */
  canInput(device: string, channel: string): number;
  /** Hands bytes to an input, at this moment of virtual time. */
  input(device: string, channel: string, data: Uint8Array): void;
}

function checkSpec(spec: MachineSpec): void {
  if (!Number.isInteger(spec.harts) || spec.harts < 1 || spec.harts > MAX_HARTS) {
    throw new BoardError(`${spec.harts} harts`, `use --harts 1 to ${MAX_HARTS}`);
  }
  const { memoryBytes } = spec;
  if (
    memoryBytes % MEMORY_STEP !== 0 || memoryBytes < 4 * MEMORY_STEP || memoryBytes > MAX_MEMORY
  ) {
    throw new BoardError(
      `a memory of ${memoryBytes} bytes cannot be built`,
      "use --memory 8M to 3G, in steps of 2M",
    );
  }
  if (hasMachineMode(spec) && PROFILES[spec.hypervisor].virtualized) {
    throw new BoardError(
      `firmware in M-mode is a machine under no hypervisor, not under ${spec.hypervisor}`,
      "use --hypervisor none with --bios none|FILE",
    );
  }
}

/** Codes for devices and their registers, in the order of the bus; also written as `name` rows. */
function assignCodes(devices: readonly DeviceInstance[], trace: Trace) {
  if (devices.length > MAX_DEVICES) {
    throw new BoardError(`${devices.length} devices`, `use at most ${MAX_DEVICES}`);
  }
  const codes = new Map<DeviceInstance, DeviceCodes>();
  const registers: Code[] = [];
  devices.forEach((dev, device) => {
    const first = registers.length;
    for (const name of dev.regs) {
      registers.push({ name, spec: `${dev.name}: ${dev.type.source}` });
    }
    codes.set(dev, { device, registers: dev.regs.map((_, i) => first + i) });
  });
  trace.names("device", [
    ...devices.map((d) => ({ name: d.name, spec: `${d.type.doc} (${d.type.source})` })),
    { name: UNASSIGNED, spec: "an address where the machine has no device" },
  ]);
  trace.names("register", registers);
  return { codes, unassigned: devices.length };
}

/** Writes the tables that no event of the run writes: names and costs. */
function writeReference(trace: Trace, profile: Profile, devices: readonly DeviceInstance[]) {
  trace.names("hw_reason", profile.names);
  const assigned = assignCodes(devices, trace);
  for (const c of COSTS) trace.cost(c);
  return assigned;
}

function buildCpu(spec: MachineSpec, host: BoardHost): RiscvCpu {
  const cpu = new RiscvCpu({
    harts: spec.harts,
    ramBase: RAM_BASE,
    ramBytes: spec.memoryBytes,
    nsPerInsn: spec.nsPerInsn,
    timebaseHz: TIMEBASE_HZ,
    sbi: !hasMachineMode(spec),
    isa: spec.isa ?? undefined,
    mode: host.cpu ?? "compiled",
    modules: host.modules,
    meter: host.meter,
  });
  if (!PROFILES[spec.hypervisor].virtualized) cpu.stage2.fill(1);
  return cpu;
}

/** What `plugDevices` adds to a port's host itself. */
type Wiring = "join" | "line" | "deviceOfLine" | "nextRequestId";

/** Who drives which line of the controller; functions of a PCI bus share theirs. */
class Lines {
  readonly #of = new Map<number, { code: number; wire: Wire }[]>();

  join(source: number, code: number, wire: Wire): void {
    const joined = this.#of.get(source) ?? [];
    joined.push({ code, wire });
    this.#of.set(source, joined);
  }

  /** A shared line is up while anybody holds it up. */
  level(source: number): boolean {
    return this.#of.get(source)!.some(({ wire }) => wire.level);
  }

  /** Code of the one device that drives the line; null when none does, or several may. */
  owner(source: number): number | null {
    const joined = this.#of.get(source);
    return joined?.length === 1 ? joined[0].code : null;
  }
}

/** Creates every device with its port and wires, and puts it on its bus; position = device code. */
function plugDevices(
  placed: readonly Placed[],
  drives: ReadonlyMap<string, Drive>,
  host: Omit<PortHost, Wiring>,
) {
  const bus = new Bus();
  const devices = new Map<string, DeviceInstance>();
  const lines = new Lines();
  let pci: PciRoot | null = null;
  let requests = 0;
  const portHost: PortHost = {
    ...host,
    join: (source, code, wire) => lines.join(source, code, wire),
    line: (source) => plic.line(source, lines.level(source)),
    deviceOfLine: (source) => lines.owner(source),
    nextRequestId: () => ++requests,
  };
  placed.forEach((p, code) => {
    const controller = p.name === "plic";
    const port = makePort(portHost, {
      name: p.name,
      code,
      irqs: p.irqs,
      controller,
      drives: p.drives.map((id) => drives.get(id)!),
    });
    const dev = p.type.create(p.name, port, p.props);
    devices.set(p.name, dev);
    if (p.bridge !== undefined) pci = new PciRoot(dev, bus, p.bridge.windows);
    if (p.slot === undefined) bus.add(dev, p.addr);
    else pci!.plug(p.slot, dev);
  });
  const plic = devices.get("plic")!;
  return { devices, bus };
}

const noImage: OpenImage = ({ id, path }) => {
  throw new Error(`drive ${id} has the image ${path}, and nobody to open it`);
};

/** Throws BoardError for a machine that cannot be built, LoadError for a kernel that does not fit. */
export function buildBoard(
  spec: MachineSpec,
  files: Files,
  types: ReadonlyMap<string, DeviceType>,
  trace: Trace,
  host: BoardHost,
): Board {
  checkSpec(spec);
  const profile = PROFILES[spec.hypervisor];
  const cpu = buildCpu(spec, host);
  const harts = Array.from({ length: spec.harts }, (_, i) => cpu.hart(i));
  const events = new EventQueue();
  const placed = placeDevices(spec, types);
  // Devices reach the machine through their ports, and the machine needs its devices: bound late.
  const drives = makeDrives(spec, placed, host.open ?? noImage);
  const { devices, bus } = plugDevices(placed, drives, {
    trace,
    events,
    mem: new RamMemory(cpu.ram, RAM_BASE, (offset, bytes) => cpu.wroteRam(offset, bytes)),
    nowNs: () => machine.nowNs,
    icount: () => machine.servedIcount,
    out: host.out,
    stop: (kind, code) => machine.stop(kind, code),
    hartIrq: (hart, bit, level) => machine.hartIrq(hart, bit, level),
  });
  const { codes, unassigned } = writeReference(trace, profile, [...devices.values()]);
  const exits = new ExitUnit({
    profile,
    costs: spec.costs,
    cpu,
    ramBase: RAM_BASE,
    harts,
    bus,
    trace,
    codes,
    unassigned,
    stage2Shift: STAGE2_SHIFT[spec.stage2Page],
  });
  const machine: Machine = new Machine({
    cpu,
    harts,
    exits,
    events,
    trace,
    profile,
    quantumNs: spec.quantumInsns * spec.nsPerInsn,
    nsPerInsn: spec.nsPerInsn,
    ramBase: RAM_BASE,
    meter: host.meter ?? null,
    fire: (device, name, arg) => devices.get(device)!.event(name, arg),
    consoleOut: (bytes) => host.out("sbi", bytes),
  });
  for (const dev of devices.values()) dev.reset();
  const booted = boot(spec, files, placed, machine);
  const ram = { base: RAM_BASE, bytes: cpu.ram };
  return {
    spec,
    machine,
    exits,
    bus,
    placed,
    devices,
    drives,
    serial: devices.get(SERIAL[spec.serial].name)!,
    booted,
    symbols: new GuestSymbols(spec, files, booted, { ram, harts }, trace),
    canInput: (device, channel) =>
      device === "sbi" ? machine.canType : devices.get(device)!.canInput(channel),
    input: (device, channel, data) =>
      machine.outside(() => {
        if (device === "sbi") machine.type(data);
        else devices.get(device)!.input(channel, data);
      }),
  };
}
