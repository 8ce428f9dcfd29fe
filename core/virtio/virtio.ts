/**
 * How a virtio device is declared: its features, queues, configuration space and work, whatever
 * transport carries it. Source: Virtio 1.2 §2, §5, §6.
 * @module
 */
import type { Drive, Fields, Props, PropsOf, RequestRow, StateOf } from "../mmio/device.ts";
import type { Chain, Fault } from "./virtqueue.ts";

/** §2.1: bits of the device status field. */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** §4.2.2: bits of InterruptStatus; virtio-pci's ISR status has the same (§4.1.4.5). */
export const INTERRUPT = { USED_BUFFER: 1, CONFIGURATION_CHANGE: 2 } as const;

export interface Feature {
  bit: number;
  /** Where the specification defines it. */
  spec: string;
  /**
   * Property that withholds it: `event_idx=off`. Unless said, its own name: VIRTIO_BLK_F_SEG_MAX is
   * withheld by `seg_max=off`. null: every device offers it (§6.1).
   */
  prop?: string | null;
  /** Interface that offers it; both unless said. */
  only?: "modern" | "legacy";
  /** Feature without which it is not offered. */
  needs?: string;
}

/** §6: features of the rings and transports, offered by every device. */
export const COMMON_FEATURES = {
  VIRTIO_F_ANY_LAYOUT: { bit: 27, spec: "§6.3", only: "legacy" },
  VIRTIO_F_INDIRECT_DESC: { bit: 28, spec: "§2.7.5.3", prop: "indirect" },
  VIRTIO_F_EVENT_IDX: { bit: 29, spec: "§2.7.7, §2.7.10" },
  VIRTIO_F_VERSION_1: { bit: 32, spec: "§6", only: "modern", prop: null },
} as const satisfies Record<string, Feature>;

/** The property that withholds a feature; null for none. */
export const featureProp = (name: string, f: Feature): string | null =>
  f.prop !== undefined ? f.prop : name.replace(/^VIRTIO_([A-Z]+_)?F_/, "").toLowerCase();

export interface QueueDeclaration {
  name: string;
  /** A power of two. */
  maxSize: number;
  /** Most payload bytes of one chain; more is a fault. */
  maxBytes: number;
  /**
   * `request`: the driver asks, so a chain is popped at the kick, served after the latency and
   * pushed. `buffer`: the driver lends memory, which waits in the ring until the device has data.
   */
  use: "request" | "buffer";
  /** Requests are served one after the other rather than all at once. */
  serial?: boolean;
}

/** A field of the device configuration space (§2.5); `get` is pure. */
export interface ConfigField {
  /** It exists when this feature is offered. */
  feature?: string;
  at: number;
  name: string;
  size: 1 | 2 | 4 | 8;
  get: () => number;
  set?: (v: number) => void;
}

/** How a request ended. */
export interface Served {
  kind: RequestRow["kind"];
  status: RequestRow["status"];
  /** Payload bytes moved. */
  bytes: number;
  /** Bytes stored into the device-writable part, from its start. */
  written: number;
  /** Of a SCSI command that is known. */
  command?: RequestRow["command"];
}

export interface VirtioBehaviour {
  config?: ConfigField[];
  /**
   * A feature that this instance does not offer, whatever its declaration says. Pure. One with
   * configuration fields is asked for while the device is built: from properties alone.
   */
  lacks?: (feature: string) => boolean;
  /**
   * A chain of a `request` queue was popped: reads what of it must be known by now, and tells when its
   * work will be done, in virtual ns. Without it, that is after the latency.
   */
  begin?: (queue: number, chain: Chain) => number | Fault;
  /** Does the work of a chain, whose latency has passed. */
  serve: (queue: number, chain: Chain) => Served;
  /** The driver took a queue out of service: its chains in flight are forgotten. */
  stopped?: (queue: number) => void;
  /** A `buffer` queue may hold new buffers. */
  available?: (queue: number) => void;
  input?: Record<string, (data: Uint8Array) => void>;
  canInput?: Record<string, () => number>;
}

/** Bytes of one part of a chain, counted from the start of that part. */
export interface Span {
  at: number;
  bytes: number;
  /** They are the request's header, no payload. */
  framing?: boolean;
}

/** A device's way to its queues and out; all else it does through its own state. */
export interface VirtioPort<F extends string> {
  has(feature: F | keyof typeof COMMON_FEATURES): boolean;
  /** The driver has set the device up and it may use this queue. */
  live(queue: number): boolean;
  /** The next chain of a `buffer` queue; `null` when none waits or the driver broke a rule. */
  pop(queue: number): Chain | null;
  /** Serves a popped chain of a `buffer` queue at once. */
  finish(queue: number, chain: Chain): void;
  /** Says that the device waits for buffers, or no longer does. */
  wantBuffers(queue: number, wanted: boolean): void;
  /** Virtual ns. */
  now(): number;
  /** The drive in one of the device's bays, null for an empty one. */
  drive(bay?: number): Drive | null;
  /** Chains of a `request` queue whose time has not come, the next one first. */
  waiting(queue: number): readonly Chain[];
  /** Serves one of them now. */
  hasten(queue: number, chain: Chain): void;
  /** Copies the device-readable part of a chain, or what lies in it of `span`. */
  read(chain: Chain, span?: Span): Uint8Array;
  /**
   * Stores into the device-writable part, from its start or from `at`; returns how many bytes
   * fitted. `framing`: they are no payload.
   */
  write(chain: Chain, data: Uint8Array, at?: number, framing?: boolean): number;
  /**
   * As `read`, but shows the bytes where they lie in guest memory: pieces of it, each with its offset
   * in what was asked for. They are not to be kept.
   */
  lend(chain: Chain, span: Span, take: (piece: Uint8Array, from: number) => void): void;
  /**
   * As `write`, but has the bytes stored where they lie in guest memory: `put` fills each piece
   * wholly. Returns how many bytes fitted.
   */
  fill(chain: Chain, bytes: number, put: (piece: Uint8Array, from: number) => void): number;
  out(data: Uint8Array | number): void;
  /** The outside may hand in input again. */
  inputSpace(): void;
  /** Fields of this feature were changed from outside; a driver that negotiated it is told (§2.5). */
  configChanged(feature: F): void;
}

export interface VirtioDevice<
  S extends Fields = Fields,
  K extends Fields = Fields,
  P extends Props = Props,
  F extends string = string,
> {
  name: string;
  /** §5: the device type. */
  id: number;
  doc: string;
  source: string;
  features: Record<F, Feature>;
  queues: readonly QueueDeclaration[];
  /** How many of them an instance has; all unless said. */
  queueCount?: (props: PropsOf<P>) => number;
  /** Bays for drives, whose time its requests take instead of the property `latency`. */
  drives?: number;
  /** State that a reset by the driver clears. */
  state: S;
  /** State that only a reset of the machine clears. */
  kept: K;
  props: P;
  build: (
    s: StateOf<S>,
    kept: StateOf<K>,
    v: VirtioPort<F>,
    props: PropsOf<P>,
  ) => VirtioBehaviour;
}

/** Declares a virtio device; a transport makes a device type of it. */
export function virtioDevice<
  const S extends Fields,
  const K extends Fields,
  const P extends Props,
  const F extends string,
>(d: VirtioDevice<S, K, P, F>): VirtioDevice<S, K, P, F> {
  for (const { name, maxSize } of d.queues) {
    if (maxSize < 1 || maxSize > 32768 || (maxSize & (maxSize - 1)) !== 0) {
      throw new Error(`${d.name}: ${name} has size ${maxSize}, expected a power of two to 32768`);
    }
  }
  return d;
}

/** A feature as a transport finds it: which of two 32-bit words, and which bit of it. */
export function featureWord(bit: number): { word: 0 | 1; mask: number } {
  return { word: bit < 32 ? 0 : 1, mask: (1 << (bit & 31)) >>> 0 };
}
