/**
 * The device framework: a device declares its state, registers and properties once; dispatch, reset,
 * save, load, peek, names and its device-tree node are derived. A device of your own, in a file outside
 * the project, imports this module as `exitscope/device`.
 * @module
 */
import { cells64, type DtContext, type DtNode, type DtProps } from "./dt.ts";
import type { Port } from "./port.ts";
import { type Props, type PropsOf, type PropValue, resolveProps } from "./props.ts";
import type { PciDeclaration } from "./pci/declaration.ts";
import { CONFIG_BYTES } from "./pci/config.ts";
import { PciFunction } from "./pci/function.ts";
import { type RawSpace, Region, RegisterNames, type Space } from "./region.ts";
import type { Reg, RegisterInfo } from "./registers.ts";
import { type Fields, type StateOf, StateStore } from "./state.ts";

export {
  bytes,
  flag,
  list,
  num,
  records,
  text,
  u16,
  u16s,
  u32,
  u32s,
  u64,
  u8,
  u8s,
} from "./state.ts";
export type { BoxField, Field, Fields, RecordOf, ScalarField, StateOf } from "./state.ts";
export { prop, resolveProps } from "./props.ts";
export { PlugError } from "./error.ts";
export type { Props, PropsOf, PropSpec, PropValue } from "./props.ts";
export type { RawName, RawSpace, Space } from "./region.ts";
export type { Reg, RegisterInfo } from "./registers.ts";
export type { PciBar, PciCapability, PciDeclaration } from "./pci/declaration.ts";
export type { DtContext, DtNode, DtProps, DtValue } from "./dt.ts";
export type { Drive } from "./medium.ts";
export type { GuestMemory } from "./memory.ts";
export type {
  CellValues,
  DeviceTrace,
  DmaRow,
  IrqRow,
  MarkRow,
  Port,
  RequestRow,
  StepRow,
  VringCell,
  VringRow,
} from "./port.ts";

/** What a device does, given its state. */
export interface Behaviour {
  readonly regs: readonly Reg[];
  /** Offsets that no register covers, for spaces laid out elsewhere. */
  readonly raw?: RawSpace;
  /** Byte lanes (see `Space`). */
  readonly lanes?: boolean;
  /** PCI functions only: what BARs map beside `regs` and `raw`, by the name that the BARs give. */
  readonly spaces?: Readonly<Record<string, Space>>;
  /** PCI functions only: registers of the function's own in its configuration space. */
  readonly config?: readonly Reg[];
  /** Channels for data from outside. What does not fit is dropped: `canInput` is asked first. */
  readonly input?: Readonly<Record<string, (data: Uint8Array) => void>>;
  /** Bytes that fit now, per channel; a channel without one takes any number. */
  readonly canInput?: Readonly<Record<string, () => number>>;
  /** Events asked for by `port.timer`. */
  readonly events?: Readonly<Record<string, (arg: number) => void>>;
  /** Interrupt controllers only: an input line changed its level. */
  readonly lines?: (line: number, level: boolean) => void;
  /** Derives outputs from state. Runs after every access, input, event, line, reset and load. */
  readonly settle?: () => void;
}

export interface DeviceOptions<S extends Fields, P extends Props> {
  /** One sentence. */
  readonly doc: string;
  /** The document that the device follows. */
  readonly source: string;
  /** Bytes of the region; of a PCI function, its BARs say it. */
  readonly size?: number;
  readonly state: S;
  readonly props?: P;
  /** Makes it a PCI function; its properties may have a say in what it has. */
  readonly pci?: PciDeclaration | ((props: PropsOf<P>) => PciDeclaration);
  /** For the device tree, most specific first; without it the device has no node. */
  readonly compatible?: readonly string[];
  /** Generic name of the node (Devicetree Specification §2.2.2), default the device's name. */
  readonly node?: string;
  /** Interrupt lines, default 0. */
  readonly irqs?: number;
  /** Drives that it takes at most, for `port.drive`, default 0. */
  readonly drives?: number;
  /** Properties beyond compatible, reg, interrupts and interrupt-parent; they may replace those. */
  readonly dt?: (n: DtContext, props: PropsOf<P>) => DtProps;
  /** Nodes beside the device's own, at the root. */
  readonly rootNodes?: (n: DtContext, props: PropsOf<P>) => Readonly<Record<string, DtProps>>;
}

/** A kind of device, as `device` returns it. */
export interface DeviceType {
  readonly name: string;
  readonly doc: string;
  readonly source: string;
  readonly size: number;
  readonly props: Props;
  readonly irqs: number;
  readonly drives: number;
  readonly compatible: readonly string[];
  /** Where it is plugged in. */
  readonly bus: "mmio" | "pci";
  /** A powered-off device; `reset` powers it on. `name` is the instance: `uart0`. */
  create(name: string, port: Port, props?: Readonly<Record<string, PropValue>>): DeviceInstance;
  /** Throws when a register or a space is declared wrongly, as `create` does. */
  check(): void;
  /** Its node, null without `compatible`. */
  node(n: DtContext, props?: Readonly<Record<string, PropValue>>): DtNode | null;
  rootNodes(n: DtContext, props?: Readonly<Record<string, PropValue>>): DtNode[];
}

/**
 * Declares a device. A wrong declaration throws here or, where only an instance shows it, in `check`:
 * the message names the device and register.
 */
export function device<const S extends Fields, const P extends Props = Record<never, never>>(
  name: string,
  options: DeviceOptions<S, P>,
  build: (s: StateOf<S>, port: Port, props: PropsOf<P>) => Behaviour,
): DeviceType {
  checkOptions(name, options);
  const { doc, source, compatible = [], irqs = 0, drives = 0 } = options;
  const specs: Props = options.props ?? {};
  type Given = Readonly<Record<string, PropValue>>;
  const resolve = (given?: Given) => resolveProps(name, specs, given) as PropsOf<P>;
  const declared = (props: PropsOf<P>) =>
    typeof options.pci === "function" ? options.pci(props) : options.pci;
  const size = options.size ?? mainBytes(declared(resolve()));
  const create = (instance: string, port: Port, given?: Given) => {
    const props = resolve(given);
    const pci = declared(props);
    const fn = pci === undefined ? null : new PciFunction(name, pci, irqs, port);
    const store = new StateStore<Fields>(
      fn === null ? options.state : { ...options.state, ...fn.fields },
    );
    fn?.bind(store.state);
    const behaviour = build(store.state as StateOf<S>, fn?.port ?? port, props);
    return new DeviceInstance(instance, type, store, behaviour, fn);
  };
  const type: DeviceType = {
    name,
    doc,
    source,
    size,
    props: specs,
    irqs,
    drives,
    compatible,
    bus: options.pci === undefined ? "mmio" : "pci",
    create,
    check: () => void create(name, POWERED_OFF),
    node(n, given) {
      if (compatible.length === 0) return null;
      const extra = options.dt?.(n, resolve(given)) ?? {};
      const wired: DtProps = n.irqs.length === 0
        ? {}
        : { interrupts: [...n.irqs], "interrupt-parent": n.plic };
      const reg = [...cells64(n.addr), ...cells64(n.sizeBytes)];
      return {
        name: `${options.node ?? name}@${n.addr.toString(16)}`,
        props: { compatible, reg, ...wired, ...extra },
        children: [],
      };
    },
    rootNodes: (n, given) =>
      Object.entries(options.rootNodes?.(n, resolve(given)) ?? {})
        .map(([node, props]) => ({ name: node, props, children: [] })),
  };
  return type;
}

function checkOptions(
  name: string,
  o: Pick<DeviceOptions<Fields, Props>, "doc" | "source" | "size" | "irqs"> & { pci?: unknown },
): void {
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
    throw new Error(`device "${name}": expected a name of a-z, 0-9, _ and -, from a letter on`);
  }
  for (const key of ["doc", "source"] as const) {
    if (!o[key]) throw new Error(`${name}: ${key} is empty, expected a sentence`);
  }
  const size = o.size ?? (o.pci === undefined ? NaN : 1);
  if (!Number.isInteger(size) || size < 1) {
    throw new Error(`${name}: size is ${o.size}, expected the bytes of its region`);
  }
  const irqs = o.irqs ?? 0;
  if (!Number.isInteger(irqs) || irqs < 0) {
    throw new Error(`${name}: irqs is ${irqs}, expected a count of lines`);
  }
}

/** Bytes of the space that `regs` of a PCI function make: of the largest BAR that maps it. */
function mainBytes(pci: PciDeclaration | undefined): number {
  const main = (pci?.bars ?? []).filter((b) => b.space === undefined);
  return Math.max(4, ...main.map((b) => b.repeat ?? b.size));
}

/** The port while `build` runs: nothing outside exists yet. */
const POWERED_OFF = new Proxy({}, {
  get(_, key) {
    throw new Error(`port.${String(key)} was used while the device was built: use it in settle`);
  },
}) as Port;

/** State as a machine handles it, whatever its fields. */
type Persistent = Pick<StateStore<Fields>, "reset" | "save" | "load" | "check">;

/** A device in a machine. */
export class DeviceInstance {
  /** Names of the registers of all regions; position = code. */
  readonly regs: readonly string[];
  /** What `regs` and `raw` make; `read` and `write` mean it. */
  readonly main: Region;
  /** The main region, those of `spaces`, and configuration space, last, if it is a PCI function. */
  readonly regions: readonly Region[];
  readonly #store: Persistent;
  readonly #behaviour: Behaviour;
  readonly #settled: () => void;

  constructor(
    readonly name: string,
    readonly type: DeviceType,
    store: Persistent,
    behaviour: Behaviour,
    readonly pci: PciFunction | null,
  ) {
    this.#store = store;
    this.#behaviour = behaviour;
    const settle = behaviour.settle ?? (() => {});
    this.#settled = pci === null
      ? () => {
        settle();
        store.check(name);
      }
      : () => {
        pci.settle();
        settle();
        store.check(name);
      };
    const names = new RegisterNames(type.name);
    const region = (name: string, sizeBytes: number, space: Space) =>
      new Region(type.name, name, sizeBytes, space, names, this.#settled);
    this.main = region("regs", type.size, behaviour);
    this.regions = [
      this.main,
      ...(pci?.spaces(behaviour.spaces ?? {}) ?? []).map((s) => region(s.name, s.sizeBytes, s)),
      ...(pci === null ? [] : [
        region("config", CONFIG_BYTES, { raw: pci.config, regs: behaviour.config }),
      ]),
    ];
    this.regs = names.all;
  }

  /** A region by its name: `regs`, one of `spaces`, `msix` or `config`. */
  region(name: string): Region {
    const found = this.regions.find((r) => r.name === name);
    if (found === undefined) throw new Error(`${this.name} has no region "${name}"`);
    return found;
  }

  /** Upper 32 bits of what `read` returned last. */
  get hi(): number {
    return this.main.hi;
  }
  /** Code of the register that the last access meant, -1 for none. */
  get reg(): number {
    return this.main.reg;
  }
  read(at: number, size: number): number {
    return this.main.read(at, size);
  }
  write(at: number, size: number, lo: number, hi = 0): void {
    this.main.write(at, size, lo, hi);
  }
  peek(at: number, size: number): bigint | undefined {
    return this.main.peek(at, size);
  }
  regAt(at: number, size: number, write: boolean): number {
    return this.main.regAt(at, size, write);
  }
  get registers(): readonly RegisterInfo[] {
    return this.main.registers;
  }

  /** Power on, or a reset of the whole machine: its pending events are gone. */
  reset(): void {
    this.#store.reset();
    this.pci?.remapped();
    this.#settled();
  }

  save(): Uint8Array {
    return this.#store.save();
  }

  /** Takes over saved state; pending events and wire levels are restored by their owner before. */
  load(saved: Uint8Array): void {
    try {
      this.#store.load(saved);
    } catch (e) {
      throw new Error(`${this.name}: ${(e as Error).message}`, { cause: e });
    }
    this.pci?.remapped();
    this.#settled();
  }

  /** Is it an interrupt controller, with lines coming in? */
  get takesLines(): boolean {
    return this.#behaviour.lines !== undefined;
  }

  get inputs(): string[] {
    return Object.keys(this.#behaviour.input ?? {});
  }

  /** Bytes that the channel can take now. */
  canInput(channel: string): number {
    this.#channel(channel);
    return this.#behaviour.canInput?.[channel]?.() ?? Number.MAX_SAFE_INTEGER;
  }

  input(channel: string, data: Uint8Array): void {
    this.#channel(channel)(data);
    this.#settled();
  }

  #channel(channel: string): (data: Uint8Array) => void {
    const take = this.#behaviour.input?.[channel];
    if (take === undefined) {
      const known = this.inputs.join(", ") || "none";
      throw new Error(`${this.name} has no input "${channel}"; it has: ${known}`);
    }
    return take;
  }

  event(name: string, arg = 0): void {
    const take = this.#behaviour.events?.[name];
    if (take === undefined) {
      const known = Object.keys(this.#behaviour.events ?? {}).join(", ") || "none";
      throw new Error(`${this.name} asked for event "${name}"; it declares: ${known}`);
    }
    take(arg);
    this.#settled();
  }

  line(line: number, level: boolean): void {
    if (!this.#behaviour.lines) throw new Error(`${this.name} has no input lines`);
    this.#behaviour.lines(line, level);
    this.#settled();
  }
}
