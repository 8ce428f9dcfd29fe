/**
 * Register accesses and virtqueue events counted twice: in our trace and in QEMU's.
 *
 * What both machines have bounds the regions: the guest reads the test finisher at every mark (`fence=`).
 * @module
 */
import { type Placed, placeDevices } from "../../core/board/virt.ts";
import type { MachineSpec } from "../../core/board/spec.ts";
import { TraceReader } from "../../core/trace/reader.ts";
import type { RegisterAccess, Traced } from "./qemu.ts";

/** The finisher's register, which reads as 0 on both. */
export const FENCE = 0x10_0000;
/** What the guest marks, in order: each region is between two fences. */
const REGIONS = ["write", "read"] as const;
/** Only ours has it. */
const OURS_ALONE = "marker";

/** Counts by what is counted: "virtio-blk0.QueueNotify write". */
export type Counts = Map<string, number>;

/** Counts of each part of a run. */
export interface Account {
  /** Accesses to virtio-mmio registers from reset to power-off, probing of empty slots too. */
  readonly run: Counts;
  /** All accesses, and virtqueue events, of each region. */
  readonly regions: Readonly<Record<string, Counts>>;
}

/** Trace points of QEMU and events of ours that say the same. */
const EVENTS: Readonly<Record<string, string>> = {
  virtqueue_pop: "pop",
  virtqueue_flush: "push",
  virtio_notify: "interrupt",
};

interface Step {
  readonly name: string;
  readonly device: string | null;
}

class Names {
  readonly #placed: readonly Placed[];
  /** Names of registers by device and offset, as our trace has them. */
  readonly #registers = new Map<string, string>();

  constructor(spec: MachineSpec, reader: TraceReader) {
    this.#placed = placeDevices(spec, new Map());
    const [devices, registers] = [reader.names("device"), reader.names("register")];
    for (const a of reader.rows("access")) {
      if (a.register === null) continue;
      this.#registers.set(`${devices[a.device]}+${a.offset}`, registers[a.register]);
    }
  }

  access({ addr, sizeBytes, write }: RegisterAccess): Step {
    const at = this.#placed.find((p) => addr >= p.addr && addr < p.addr + p.type.size);
    const device = at?.name ?? null;
    const offset = addr - (at?.addr ?? 0);
    const register = this.#registers.get(`${device}+${offset}`) ?? `0x${offset.toString(16)}`;
    const place = device === null ? `0x${addr.toString(16)}` : `${device}.${register}`;
    // A register of several bytes may be read one by one, in the order of their offsets.
    return { name: `${place} ${write ? "write" : "read"} ${sizeBytes}`, device };
  }
}

function* ourSteps(
  reader: TraceReader,
  names: Names,
  spec: MachineSpec,
): Generator<Step | "fence"> {
  const devices = reader.names("device");
  const events = reader.names("vring_event");
  const bases = new Map(placeDevices(spec, new Map()).map((p) => [p.name, p.addr]));
  const accesses = [...reader.rows("access")].map((a) => ({
    seq: a.seq,
    step: {
      addr: (bases.get(devices[a.device]) ?? 0) + a.offset,
      sizeBytes: a.size,
      write: a.write,
    },
  }));
  const counted = new Set(Object.values(EVENTS));
  const rings = [...reader.rows("vring")].filter((v) => counted.has(events[v.event]))
    .map((v) => ({ seq: v.seq, step: { name: `virtqueue ${events[v.event]}`, device: null } }));
  for (const { step } of [...accesses, ...rings].sort((a, b) => a.seq - b.seq)) {
    if ("name" in step) yield step;
    else yield step.addr === FENCE && !step.write ? "fence" : names.access(step);
  }
}

function* theirSteps(trace: readonly Traced[], names: Names): Generator<Step | "fence"> {
  for (const t of trace) {
    if ("event" in t) {
      if (t.event in EVENTS) yield { name: `virtqueue ${EVENTS[t.event]}`, device: null };
    } else yield t.addr === FENCE && !t.write ? "fence" : names.access(t);
  }
}

function account(steps: Iterable<Step | "fence">): Account {
  const count = (counts: Counts, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  const run: Counts = new Map();
  const regions = Object.fromEntries(REGIONS.map((r) => [r, new Map() as Counts]));
  let fences = 0;
  for (const step of steps) {
    if (step === "fence") fences++;
    else if (step.device !== OURS_ALONE) {
      if (step.device?.startsWith("virtio")) count(run, step.name);
      // Regions lie behind the first and the third fence; powering off reads the register again.
      const region = fences % 2 === 1 ? REGIONS[(fences - 1) / 2] : undefined;
      if (region !== undefined) count(regions[region], step.name);
    }
  }
  if (fences < 2 * REGIONS.length) throw new Error(`only ${fences} fences in a run`);
  return { run, regions };
}

/** What our recording in `directory` and QEMU's trace count. */
export function accounts(
  directory: string,
  spec: MachineSpec,
  trace: readonly Traced[],
): { ours: Account; theirs: Account } {
  const reader = TraceReader.open(directory);
  const names = new Names(spec, reader);
  return {
    ours: account(ourSteps(reader, names, spec)),
    theirs: account(theirSteps(trace, names)),
  };
}

/** One line of the comparison. */
export interface Line {
  readonly part: string;
  readonly name: string;
  readonly ours: number;
  readonly theirs: number;
}

/** Every count of either, most first. */
export function compared({ ours, theirs }: { ours: Account; theirs: Account }): Line[] {
  const parts: [string, Counts, Counts][] = [
    ...REGIONS.map((r): [string, Counts, Counts] => [r, ours.regions[r], theirs.regions[r]]),
    ["whole run", ours.run, theirs.run],
  ];
  return parts.flatMap(([part, a, b]) =>
    [...new Set([...a.keys(), ...b.keys()])]
      .map((name) => ({ part, name, ours: a.get(name) ?? 0, theirs: b.get(name) ?? 0 }))
      .sort((x, y) => y.ours - x.ours || (x.name < y.name ? -1 : 1))
  );
}
