/**
 * What the transports share: from a virtio device's declaration to its properties, its state and its
 * core; a transport adds registers and a bus.
 * @module
 */
import {
  type Behaviour,
  type Fields,
  type Port,
  prop,
  type Props,
  type PropsOf,
  records,
  type Reg,
  type StateOf,
  u32,
} from "../mmio/device.ts";
import { coreFields, type CoreOptions, type Interrupts, VirtioCore } from "./core.ts";
import {
  COMMON_FEATURES,
  type ConfigField,
  type Feature,
  featureProp,
  INTERRUPT,
  type VirtioDevice,
} from "./virtio.ts";

const LATENCY = {
  latency: prop.u32(1000, "Virtual ns that a request takes; 0 serves it within the exit."),
};
const SUPPRESS = {
  suppress: prop.flag(false, "Ask for no kicks while they tell nothing: poll while busy."),
};

type Features = Readonly<Record<string, Feature>>;

const withheldBy = (features: Features) =>
  Object.entries(features).flatMap(([name, f]) => {
    const property = featureProp(name, f);
    return property === null ? [] : [{ name, property, f }];
  });

/** One flag per feature that can be withheld. */
function featureProps(features: Features): Props {
  return Object.fromEntries(
    withheldBy(features).map(({ name, property, f }) => [
      property,
      prop.flag(true, `Offer ${name} (Virtio 1.2 ${f.spec}).`),
    ]),
  );
}

function coreOptions(features: Features, props: PropsOf<Props>): CoreOptions {
  const off = withheldBy(features).filter(({ property }) => props[property] === false);
  return {
    latencyNs: props.latency as number | undefined ?? 0,
    suppress: props.suppress as boolean,
    withheld: new Set(off.map(({ name }) => name)),
  };
}

/** Fields of the core and of a transport; what a reset by the driver clears, and what it does not. */
type DriverState<T extends Fields> = StateOf<ReturnType<typeof coreFields>> & StateOf<T>;
type KeptState<K extends Fields> = { configGeneration: number } & StateOf<K>;

/** A device in parts, for a transport to put registers before. */
export interface Parts<T extends Fields, K extends Fields> {
  readonly s: DriverState<T>;
  readonly kept: KeptState<K>;
  readonly core: VirtioCore;
  /** Of the device configuration space, those that exist. */
  readonly fields: readonly ConfigField[];
  /** All of the behaviour but registers. */
  readonly behaviour: Omit<Behaviour, "regs">;
}

/** How a transport wants its core, given the state that it declared. */
export interface Wiring<T extends Fields> {
  readonly legacy: (s: DriverState<T>) => boolean;
  readonly needsVersion1: boolean;
  readonly interrupts: (s: DriverState<T>) => Interrupts;
}

/** Interrupts by a line: a bit says which, and holds the line up (`core.settle`). */
export function byLine(s: { interruptStatus: number }, port: Port): Interrupts {
  return {
    used() {
      s.interruptStatus |= INTERRUPT.USED_BUFFER;
      return port.signal();
    },
    configuration() {
      s.interruptStatus |= INTERRUPT.CONFIGURATION_CHANGE;
      port.signal();
    },
  };
}

/** A virtio device as the framework wants it declared, with the state that a transport adds. */
export function declared<
  const S extends Fields,
  const K extends Fields,
  const P extends Props,
  const F extends string,
  const TS extends Fields,
  const TK extends Fields,
>(d: VirtioDevice<S, K, P, F>, driverFields: TS, keptFields: TK) {
  const features: Features = { ...COMMON_FEATURES, ...d.features };
  // What the driver's reset clears and what it does not; each is one record, cleared as a whole.
  const driver = records(1, {
    ...coreFields(d.queues),
    ...driverFields as Fields,
    own: records(1, d.state),
  });
  const kept = records(1, {
    configGeneration: u32(),
    ...keptFields as Fields,
    own: records(1, d.kept),
  });
  type State = StateOf<{ driver: typeof driver; kept: typeof kept }>;
  const bays = d.drives ?? 0;
  return {
    drives: bays,
    props: {
      ...SUPPRESS,
      ...bays > 0 ? {} : LATENCY,
      ...featureProps(features),
      ...d.props,
    } as Props,
    state: { driver, kept },
    assemble(state: State, port: Port, props: PropsOf<Props>, wiring: Wiring<TS>): Parts<TS, TK> {
      const s = state.driver[0] as unknown as DriverState<TS> & { own: readonly StateOf<S>[] };
      const k = state.kept[0] as unknown as KeptState<TK> & { own: readonly StateOf<K>[] };
      const core = new VirtioCore({
        queues: d.queues.slice(0, d.queueCount?.(props as PropsOf<P>)),
        features: d.features,
        state: s,
        port,
        options: coreOptions(features, props),
        legacy: () => wiring.legacy(s),
        needsVersion1: wiring.needsVersion1,
        interrupts: wiring.interrupts(s),
        clear: () => driver.clear(state.driver),
        nextGeneration: () => void k.configGeneration++,
      });
      const own = core.behaviour = d.build(s.own[0], k.own[0], core, props as PropsOf<P>);
      return {
        s,
        kept: k,
        core,
        fields: (own.config ?? []).filter((f) => !f.feature || core.offers(f.feature)),
        behaviour: {
          input: mapValues(
            own.input ?? {},
            (take) => (data: Uint8Array) => core.receive(() => take(data)),
          ),
          canInput: own.canInput ?? {},
          events: { complete: (queue) => core.complete(queue) },
          settle: () => core.settle(),
        },
      };
    },
  };
}

function mapValues<A, B>(o: Readonly<Record<string, A>>, f: (a: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(o).map(([k, v]) => [k, f(v)]));
}

/** A field of the device configuration space as a register; it answers accesses up to its width. */
export function configReg(f: ConfigField, at: number, name = f.name): Reg {
  const sizes = ([1, 2, 4] as const).filter((n) => n <= f.size);
  if (f.size !== 8) return { at, name, size: f.size, sizes, get: f.get, set: f.set };
  return { at, name, size: 8, sizes, get: f.get };
}

/** Bytes of the configuration space across its fields; legacy drivers may use any width (§4.2.4). */
export function readAcross(fields: readonly ConfigField[], at: number, size: number): number {
  let v = 0;
  for (let i = 0; i < Math.min(size, 4); i++) {
    const f = fields.find((f) => at + i >= f.at && at + i < f.at + f.size);
    if (f) v += Math.floor(f.get() / 2 ** (8 * (at + i - f.at))) % 256 * 2 ** (8 * i);
  }
  return v;
}
