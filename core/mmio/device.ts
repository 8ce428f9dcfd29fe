/**
 * The device framework: a device declares its state, registers and properties once; dispatch, reset,
 * save, load, peek, names and its device-tree node are derived. A device of your own, in a file outside
 * the project, imports this module as `exitscope/device`.
 * @module
 */
import { cells64, type DtContext, type DtNode, type DtProps } from "./dt.ts";
import type { Port } from "./port.ts";
import { type Props, type PropsOf, type PropValue, resolveProps } from "./props.ts";
import { type Binding, type Reg, type RegisterInfo, RegisterMap } from "./registers.ts";
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
export type { Reg, RegisterInfo } from "./registers.ts";
export type { DtContext, DtNode, DtProps, DtValue } from "./dt.ts";
export type { GuestMemory } from "./memory.ts";
export type {
  DeviceTrace,
  DmaRow,
  IrqRow,
  MarkRow,
  Port,
  RequestRow,
  StepRow,
  VringRow,
} from "./port.ts";

/** What a device does, given its state. */
export interface Behaviour {
  readonly regs: readonly Reg[];
  /** Offsets that no register covers, for spaces laid out elsewhere; `read` is pure. */
  readonly raw?: {
    read(at: number, size: number): number;
    write(at: number, size: number, v: number): void;
  };
  /**
   * Byte lanes: an access of 2 or 4 bytes that no register answers as a whole means its halves, the
   * lower one first. The trace names it after the register of its first byte.
   */
  readonly lanes?: boolean;
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
  /** Bytes of the region. */
  readonly size: number;
  readonly state: S;
  readonly props?: P;
  /** For the device tree, most specific first; without it the device has no node. */
  readonly compatible?: readonly string[];
  /** Generic name of the node (Devicetree Specification §2.2.2), default the device's name. */
  readonly node?: string;
  /** Interrupt lines, default 0. */
  readonly irqs?: number;
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
  readonly compatible: readonly string[];
  /** A powered-off device; `reset` powers it on. `name` is the instance: `uart0`. */
  create(name: string, port: Port, props?: Readonly<Record<string, PropValue>>): DeviceInstance;
  /** Its node, null without `compatible`. */
  node(n: DtContext, props?: Readonly<Record<string, PropValue>>): DtNode | null;
  rootNodes(n: DtContext, props?: Readonly<Record<string, PropValue>>): DtNode[];
}

/** Declares a device. A wrong declaration throws here: the message names the device and register. */
export function device<const S extends Fields, const P extends Props = Record<never, never>>(
  name: string,
  options: DeviceOptions<S, P>,
  build: (s: StateOf<S>, port: Port, props: PropsOf<P>) => Behaviour,
): DeviceType {
  checkOptions(name, options);
  const { doc, source, size, compatible = [], irqs = 0 } = options;
  const specs: Props = options.props ?? {};
  type Given = Readonly<Record<string, PropValue>>;
  const resolve = (given?: Given) => resolveProps(name, specs, given) as PropsOf<P>;
  const create = (instance: string, port: Port, given?: Given) => {
    const store = new StateStore(options.state);
    const behaviour = build(store.state, port, resolve(given));
    return new DeviceInstance(instance, type, store, behaviour);
  };
  const type: DeviceType = {
    name,
    doc,
    source,
    size,
    props: specs,
    irqs,
    compatible,
    create,
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
  create(name, POWERED_OFF); // A wrong register is told where it is declared.
  return type;
}

function checkOptions(
  name: string,
  o: Pick<DeviceOptions<Fields, Props>, "doc" | "source" | "size" | "irqs">,
): void {
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
    throw new Error(`device "${name}": expected a name of a-z, 0-9, _ and -, from a letter on`);
  }
  for (const key of ["doc", "source"] as const) {
    if (!o[key]) throw new Error(`${name}: ${key} is empty, expected a sentence`);
  }
  if (!Number.isInteger(o.size) || o.size < 1) {
    throw new Error(`${name}: size is ${o.size}, expected the bytes of its region`);
  }
  const irqs = o.irqs ?? 0;
  if (!Number.isInteger(irqs) || irqs < 0) {
    throw new Error(`${name}: irqs is ${irqs}, expected a count of lines`);
  }
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
  /** Upper 32 bits of what `read` returned last. */
  hi = 0;
  /** Code of the register that the last access meant, -1 for none. */
  reg = -1;
  /** Names of the registers; position = code. */
  readonly regs: readonly string[];
  readonly #store: Persistent;
  readonly #behaviour: Behaviour;
  readonly #map: RegisterMap;
  readonly #settle: () => void;

  constructor(
    readonly name: string,
    readonly type: DeviceType,
    store: Persistent,
    behaviour: Behaviour,
  ) {
    this.#store = store;
    this.#behaviour = behaviour;
    this.#map = new RegisterMap(type.name, behaviour.regs, type.size);
    this.#settle = behaviour.settle ?? (() => {});
    this.regs = this.#map.registers.map((r) => r.name);
  }

  #settled(): void {
    this.#settle();
    this.#store.check();
  }

  /** Lower 32 bits of the value, `hi` holds the rest. Nothing declared there: 0. */
  read(at: number, size: number): number {
    const value = this.#read(at, size);
    this.#settled();
    return value;
  }

  #read(at: number, size: number): number {
    const b = this.#map.find(at, size, false);
    this.hi = 0;
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      const low = this.#read(at, half);
      const first = this.reg;
      const high = this.#read(at + half, half);
      this.reg = first;
      return (low | high << half * 8) >>> 0;
    }
    if (b === null) {
      this.reg = -1;
      return this.#behaviour.raw ? mask(this.#behaviour.raw.read(at, size), size) : 0;
    }
    this.reg = b.code;
    const value = this.#value(b, at, size);
    if (b.onRead !== null) b.onRead(b.i);
    return value;
  }

  #halves(size: number): boolean {
    return this.#behaviour.lanes === true && (size === 2 || size === 4);
  }

  #value(b: Binding, at: number, size: number): number {
    if (b.get !== null) return mask(b.get(b.i) >>> ((at - b.start) * 8), size);
    if (b.getWide === null) return 0;
    const value = b.getWide(b.i);
    const hi = typeof value === "bigint"
      ? Number(BigInt.asUintN(32, value >> 32n))
      : Math.floor(value / 2 ** 32) >>> 0;
    const lo = typeof value === "bigint" ? Number(BigInt.asUintN(32, value)) : value >>> 0;
    if (size === 8) {
      this.hi = hi;
      return lo;
    }
    const part = at - b.start;
    return mask((part < 4 ? lo : hi) >>> ((part & 3) * 8), size);
  }

  write(at: number, size: number, lo: number, hi = 0): void {
    this.#write(at, size, lo, hi);
    this.#settled();
  }

  #write(at: number, size: number, lo: number, hi: number): void {
    const b = this.#map.find(at, size, true);
    const v = mask(lo, size);
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      this.#write(at, half, v, 0);
      const first = this.reg;
      this.#write(at + half, half, v >>> half * 8, 0);
      this.reg = first;
    } else if (b === null) {
      this.reg = -1;
      if (this.#behaviour.raw && size < 8) this.#behaviour.raw.write(at, size, v);
    } else {
      this.reg = b.code;
      if (b.set !== null) {
        const part = at - b.start;
        b.set(size === b.size ? v : merge(b.get!(b.i), v, part * 8, size), b.i, part + size);
      } else if (b.setWide !== null) {
        b.setWide(wideValue(b, at, size, v, hi), b.i);
      }
    }
  }

  /** What a read would return, without its effects; undefined where nothing is declared. */
  peek(at: number, size: number): bigint | undefined {
    const b = this.#map.find(at, size, false);
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      const low = this.peek(at, half), high = this.peek(at + half, half);
      if (low === undefined && high === undefined) return undefined;
      return (low ?? 0n) | (high ?? 0n) << BigInt(half * 8);
    }
    const hi = this.hi;
    this.hi = 0;
    const lo = b !== null
      ? this.#value(b, at, size)
      : this.#behaviour.raw && mask(this.#behaviour.raw.read(at, size), size);
    const value = lo === undefined ? undefined : BigInt(this.hi) << 32n | BigInt(lo);
    this.hi = hi;
    return value;
  }

  /** Code of the register that such an access would mean now, -1 for none. */
  regAt(at: number, size: number, write: boolean): number {
    const b = this.#map.find(at, size, write);
    return b !== null || !this.#halves(size) ? b?.code ?? -1 : this.regAt(at, size >> 1, write);
  }

  /** Power on, or a reset of the whole machine: its pending events are gone. */
  reset(): void {
    this.#store.reset();
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
    this.#settled();
  }

  get registers(): readonly RegisterInfo[] {
    return this.#map.registers;
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

function mask(v: number, size: number): number {
  return size === 1 ? v & 0xff : size === 2 ? v & 0xffff : v >>> 0;
}

function merge(old: number, v: number, shift: number, size: number): number {
  const part = mask(-1, size) << shift;
  return (old & ~part | v << shift) >>> 0;
}

function wideValue(b: Binding, at: number, size: number, lo: number, hi: number): bigint {
  if (size === 8) return BigInt(hi >>> 0) << 32n | BigInt(lo);
  const shift = BigInt(at - b.start) * 8n;
  const part = BigInt(mask(-1, size)) << shift;
  return BigInt.asUintN(64, BigInt(b.getWide!(b.i))) & ~part | BigInt(lo) << shift;
}
