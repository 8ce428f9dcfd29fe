/**
 * Register accesses and virtqueue events counted twice: in our trace and in QEMU's.
 *
 * What both machines have bounds the regions: the guest reads the test finisher at every mark (`fence=`).
 * @module
 */
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
  /** Accesses to registers of virtio devices from reset to power-off, probing of empty slots too. */
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

/** What stands at which address: where the guest put a BAR is in our trace, as it is in QEMU's. */
class Names {
  readonly #at = new Map<number, { device: string; register: string }>();

  constructor(reader: TraceReader) {
    const [devices, registers] = [reader.names("device"), reader.names("register")];
    for (const e of reader.rows("exit")) {
      if (e.gpa === null || e.device === null || e.register === null) continue;
      // One that may be read byte by byte has its name at each offset.
      this.#at.set(e.gpa, { device: devices[e.device], register: registers[e.register] });
    }
  }

  access({ addr, sizeBytes, write }: RegisterAccess): Step {
    const at = this.#at.get(addr);
    const place = at === undefined ? `0x${addr.toString(16)}` : `${at.device}.${at.register}`;
    return {
      name: `${place} ${write ? "write" : "read"} ${sizeBytes}`,
      device: at?.device ?? null,
    };
  }
}

function* ourSteps(reader: TraceReader, names: Names): Generator<Step | "fence"> {
  const events = reader.names("vring_event");
  const accesses = [...reader.rows("exit")].filter((e) => e.device !== null && e.size !== null)
    .map((e) => ({ seq: e.seq, step: { addr: e.gpa!, sizeBytes: e.size!, write: e.write! } }));
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
  trace: readonly Traced[],
): { ours: Account; theirs: Account } {
  const reader = TraceReader.open(directory);
  const names = new Names(reader);
  return {
    ours: account(ourSteps(reader, names)),
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
