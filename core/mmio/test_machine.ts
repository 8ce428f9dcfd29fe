/**
 * The smallest machine around one device, for tests: RAM, a clock that tests move, an event queue, wires
 * and a log of everything that left the device.
 * @module
 */
import type { DeviceInstance, DeviceType, PropValue } from "./device.ts";
import { type Drive, makeDrive, overlayMedium, seededMedium } from "./medium.ts";
import { RamMemory } from "./memory.ts";
import type { DeviceTrace, Port } from "./port.ts";
import { rowOf } from "../trace/alike.ts";
import { Wire } from "./wire.ts";

export const RAM_BASE = 0x8000_0000;
const GUARD_BYTES = 256;
const GUARD = 0xa5;

interface Pending {
  atNs: number;
  name: string;
  arg: number;
}

/** Everything about the machine that a checkpoint would hold. */
export interface Saved {
  readonly device: Uint8Array;
  readonly ram: Uint8Array;
  readonly pending: readonly Pending[];
  readonly levels: readonly boolean[];
  readonly nowNs: number;
  readonly nextRequest: number;
  readonly seq: number;
  readonly drives: readonly Uint8Array[];
}

function testDrive(index: number): Drive {
  const medium = overlayMedium(seededMedium(256 * 1024, index + 1));
  return makeDrive(`drive${index}`, medium, { latencyNs: 500, bandwidth: 2 ** 30 });
}

export class TestMachine {
  readonly ram: Uint8Array;
  /** RAM with what lies around it in the host's memory. */
  readonly #host: Uint8Array;
  readonly dev: DeviceInstance;
  readonly wires: Wire[];
  readonly drives: readonly Drive[];
  /** What left the device, in order: `irq 0 raise`, `out 41`, `vring {…}`. */
  readonly log: string[] = [];
  readonly outBytes: number[] = [];
  nowNs = 0;
  #pending: Pending[] = [];
  #seq = 0;
  #nextRequest = 1;

  constructor(
    type: DeviceType,
    o: {
      props?: Readonly<Record<string, PropValue>>;
      ramBytes?: number;
      name?: string;
      /** Default: one of 256 KiB for each bay. */
      drives?: readonly Drive[];
      /** Where the device's first line leads. */
      drive?: (level: boolean) => void;
    } = {},
  ) {
    const ramBytes = o.ramBytes ?? 0x10000;
    this.#host = new Uint8Array(ramBytes + 2 * GUARD_BYTES).fill(GUARD);
    this.ram = this.#host.subarray(GUARD_BYTES, GUARD_BYTES + ramBytes).fill(0);
    this.wires = Array.from({ length: Math.max(type.irqs, 1) }, (_, line) =>
      new Wire(
        (event) => this.#row("irq", { event, line, path: "wire" }),
        (level) => {
          this.log.push(`line ${line} ${level ? "up" : "down"}`);
          if (line === 0) o.drive?.(level);
        },
      ));
    this.drives = o.drives ?? Array.from({ length: type.drives }, (_, i) => testDrive(i));
    this.dev = type.create(o.name ?? `${type.name}0`, this.#port(), o.props);
    this.dev.reset();
  }

  #row(table: string, row: object): number {
    this.log.push(`${table} ${JSON.stringify(row)}`);
    return this.#seq++;
  }

  #trace(): DeviceTrace {
    const row = (table: string) => (r: object) => void this.#row(table, r);
    const nextRequestId = () => this.#nextRequest++;
    return {
      vringRows: (event, queue, cells) => (...values) => {
        const row = Object.entries(rowOf("vring", {}, cells, values));
        const given = Object.fromEntries(row.filter(([, value]) => value !== null));
        this.#row("vring", { event, queue, ...given });
      },
      dma: row("dma"),
      step: row("step"),
      request: row("request"),
      mark: row("mark"),
      irq: (r) => this.#row("irq", r),
      nextRequestId,
      served: (kind, bytes) => {
        this.#row("request", { id: nextRequestId(), kind, bytes, at: this.nowNs });
      },
      icount: 0,
      exitSeq: null,
    };
  }

  #port(): Port {
    const say = (...words: unknown[]) => void this.log.push(words.join(" "));
    return {
      irq: (level, line = 0) => this.wires[line].set(level),
      signal: (line = 0) => this.wires[line].signal(),
      messages: () => false,
      message: () => -1,
      bar: () => null,
      now: () => this.nowNs,
      timer: (name, atNs, arg = 0) => {
        say("timer", name, atNs, arg);
        this.#pending = this.#pending.filter((p) => p.name !== name || p.arg !== arg);
        if (atNs !== null) this.#pending.push({ atNs, name, arg });
      },
      out: (bytes) => {
        const all = typeof bytes === "number" ? [bytes & 0xff] : [...bytes];
        this.outBytes.push(...all);
        say("out", all);
      },
      stop: (kind, code) => say("stop", kind, code),
      hartIrq: (hart, bit, level) => say("hart", hart, bit, level),
      inputSpace: () => say("inputSpace"),
      drive: (index) => this.drives.at(index) ?? null,
      mem: new RamMemory(this.ram, RAM_BASE),
      trace: this.#trace(),
    };
  }

  get outText(): string {
    return new TextDecoder().decode(Uint8Array.from(this.outBytes));
  }

  /** Pending events, the next one first. */
  get pending(): readonly Pending[] {
    return this.#pending.toSorted((a, b) => a.atNs - b.atNs || (a.name < b.name ? -1 : 1));
  }

  /** Moves the clock on, serving at most `maxEvents` events that fall due; returns how many. */
  advance(ns: number, maxEvents = 1000): number {
    const until = this.nowNs + ns;
    let served = 0;
    while (served < maxEvents) {
      const next = this.pending[0];
      if (next === undefined || next.atNs > until) break;
      this.#pending = this.#pending.filter((p) => p !== next);
      this.nowNs = Math.max(this.nowNs, next.atNs);
      this.dev.event(next.name, next.arg);
      served++;
    }
    this.nowNs = until;
    return served;
  }

  /** A reset of the whole machine; the clock goes on. */
  reset(): void {
    this.#pending = [];
    this.dev.reset();
  }

  /** A machine as this one, but for the state of its device. */
  continueFrom(other: TestMachine): void {
    this.ram.set(other.ram);
    this.nowNs = other.nowNs;
    this.#loadDrives(other.drives.map((d) => d.save()));
    this.#nextRequest = other.#nextRequest;
    this.#seq = other.#seq;
  }

  /** Is the host's memory around RAM as it was? */
  get guarded(): boolean {
    const { length } = this.#host;
    return this.#host.every((v, i) => v === GUARD || i >= GUARD_BYTES && i < length - GUARD_BYTES);
  }

  read(at: number, size = 4): number {
    return this.dev.read(at, size);
  }

  write(at: number, v: number, size = 4): void {
    this.dev.write(at, size, v >>> 0, Math.floor(v / 2 ** 32) >>> 0);
  }

  save(): Saved {
    return {
      device: this.dev.save(),
      ram: this.ram.slice(),
      pending: structuredClone(this.#pending),
      levels: this.wires.map((w) => w.level),
      nowNs: this.nowNs,
      nextRequest: this.#nextRequest,
      seq: this.#seq,
      drives: this.drives.map((d) => d.save()),
    };
  }

  #loadDrives(saved: readonly Uint8Array[]): void {
    saved.forEach((bytes, i) => this.drives[i].load(bytes));
  }

  /** The device last: its `settle` finds wires and events as they were. */
  load(saved: Saved): void {
    this.ram.set(saved.ram);
    this.#pending = structuredClone([...saved.pending]);
    saved.levels.forEach((level, i) => this.wires[i].level = level);
    this.nowNs = saved.nowNs;
    this.#nextRequest = saved.nextRequest;
    this.#seq = saved.seq;
    this.#loadDrives(saved.drives);
    this.dev.load(saved.device);
  }
}
