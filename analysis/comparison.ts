/**
 * What a comparison of traces rests on: the figures of each run, read from the view library, and what
 * differs between the machines. Everything printed about a comparison is computed from this.
 * @module
 */
import { EVENT_TABLES } from "../core/trace/schema.ts";
import type { Session } from "./open.ts";
import { records, type Value } from "./rows.ts";

/** A line that stays up is raised once and handled as often as the driver claims it. */
export interface DeviceInterrupts {
  readonly device: string;
  /** Rises of its line. */
  readonly raised: number;
  /** Claims by the driver. */
  readonly handled: number;
}

/** Exits of one kind while a run did its work. */
export interface ExitKind {
  readonly label: string | null;
  readonly reason: string;
  readonly device: string | null;
  readonly register: string | null;
  readonly direction: string | null;
  readonly exits: number;
}

export interface RegionFigures {
  readonly label: string;
  readonly bytes: number;
  readonly ns: number;
  readonly exits: number;
}

export interface RunFigures {
  readonly run: string;
  /** Payload bytes of the work; 0 when not known. */
  readonly bytes: number;
  /** Where `bytes` comes from: marks, devices or nothing. */
  readonly basis: string;
  /** All exits of the run. */
  readonly exits: number;
  /** Exits while the work was done, by kind. */
  readonly kinds: readonly ExitKind[];
  readonly regions: readonly RegionFigures[];
  /** By device; null when these were not recorded. */
  readonly interrupts: readonly DeviceInterrupts[] | null;
  /** Virtual ns of the work; of the whole run where no region bounds it. */
  readonly workNs: number;
  readonly totalNs: number;
  /** Instructions of all harts up to their last exits; null when not known. */
  readonly icount: number | null;
  /** The device that moved the most payload, else the one that exited most; null without any. */
  readonly device: string | null;
  /** Its register that work is handed over by. */
  readonly handover: Handover | null;
  readonly costs: readonly Cost[];
  /** By device and kind of request. */
  readonly latencies: readonly Latency[];
  /** Prices behind `costs`, of kinds of exit that occurred. */
  readonly prices: readonly Price[];
  /** Requests completed at work. */
  readonly requests: number;
  /** Event tables that were not recorded: their figures are not known, which is not 0. */
  readonly missing: readonly string[];
}

/** How long requests of a device and kind took, in virtual ns. */
export interface Latency {
  readonly device: string;
  readonly kind: string;
  readonly requests: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Requests that shared their device's time with another. */
  readonly overlapping: number;
}

/** A price that some exit was charged. */
export interface Price {
  readonly profile: string;
  readonly reason: string;
  readonly handler: string;
  readonly ns: number;
  /** What all exits that it was charged for come to. */
  readonly totalNs: number;
  readonly measured: boolean;
  readonly source: string;
}

export interface Handover {
  readonly register: string;
  readonly direction: string;
}

/** What all exits of a run would cost under a profile. */
export interface Cost {
  readonly profile: string;
  readonly ns: number;
  /** True when every price is a published measurement. */
  readonly measured: boolean;
  /** Exits without a price. */
  readonly unpriced: number;
}

export interface SetupDifference {
  readonly what: string;
  readonly values: readonly string[];
}

export interface Comparison {
  readonly runs: readonly RunFigures[];
  readonly setup: readonly SetupDifference[];
}

type Row = Record<string, Value>;

export async function collect(session: Session): Promise<Comparison> {
  const { engine, names } = session;
  const ask = async (sql: string): Promise<(run: string) => Row[]> => {
    const rows = Map.groupBy(records(await engine.query(sql)), (row) => row.run as string);
    return (run) => rows.get(run) ?? [];
  };
  const answers = {
    work: await ask("FROM work"),
    exits: await ask(
      "SELECT run, sum(exits) AS exits, sum(icount) AS icount FROM virtual_time GROUP BY run",
    ),
    kinds: await ask("FROM exits_at_work"),
    regions: await ask(`
      SELECT run, label, sum(bytes) AS bytes, sum(end_ns - begin_ns) AS ns, min(begin_seq) AS first
      FROM region WHERE bytes > 0 GROUP BY run, label ORDER BY run, first`),
    interrupts: await ask(`
      SELECT run, device, sum(raised) AS raised, sum(acknowledged) AS handled
      FROM interrupts GROUP BY ALL ORDER BY device`),
    moved: await ask("FROM device_work ORDER BY bytes DESC, device"),
    started: await ask(`
      SELECT r.run, r.device, e.register, e.write, count(*) AS times
      FROM request r JOIN exit e ON e.run = r.run AND e.seq = r.kick_exit_seq
      WHERE e.register IS NOT NULL GROUP BY ALL ORDER BY times DESC`),
    latencies: await ask("FROM latency_percentiles"),
    prices: await ask("FROM exit_cost WHERE each_ns IS NOT NULL ORDER BY profile, exits DESC"),
    perWork: await ask("FROM exits_per_work"),
    costs: await ask(`
      SELECT run, profile, coalesce(sum(total_ns), 0) AS ns, coalesce(bool_and(measured), true)
        AS measured, coalesce(sum(exits) FILTER (each_ns IS NULL), 0) AS unpriced
      FROM exit_cost GROUP BY ALL ORDER BY profile`),
  };
  const runs = names.map((run, i) => {
    const { manifest } = session.readers[i]!;
    const recorded: readonly string[] = manifest.event_tables ?? EVENT_TABLES;
    const forRun = Object.fromEntries(
      Object.entries(answers).map(([key, rows]) => [key, rows(run)]),
    ) as Record<keyof typeof answers, Row[]>;
    const known = figures(run, forRun, manifest.commit.time_ns);
    const bare = (manifest.machine as { hypervisor?: string })?.hypervisor === "none";
    return {
      ...known,
      icount: manifest.end?.executed ?? known.icount,
      interrupts: recorded.includes("irq") ? known.interrupts : null,
      missing: EVENT_TABLES.filter((table) => !recorded.includes(table)),
      // Under no hypervisor there is nobody to charge for an exit.
      costs: bare ? [] : known.costs,
      prices: bare ? [] : known.prices,
    };
  });
  return { runs, setup: setupDifferences(session) };
}

const number = (value: Value | undefined): number => Number(value ?? 0);

type Answers = Record<
  | ("work" | "exits" | "kinds" | "regions" | "interrupts" | "moved" | "started")
  | ("costs" | "latencies" | "prices" | "perWork"),
  Row[]
>;

function figures(run: string, rows: Answers, totalNs: number): RunFigures {
  const kinds = rows.kinds.map((row) => ({
    ...(row as unknown as ExitKind),
    exits: number(row.exits),
  }));
  const regions = rows.regions.map((row) => ({
    label: row.label as string,
    bytes: number(row.bytes),
    ns: number(row.ns),
    exits: sumExits(kinds.filter((kind) => kind.label === row.label)),
  }));
  const interrupts = rows.interrupts
    .map(({ device, raised, handled }) => ({
      device: String(device ?? "unknown"),
      raised: number(raised),
      handled: number(handled),
    }))
    .filter(({ raised, handled }) => raised + handled > 0);
  const device = (rows.moved[0]?.device ?? dearestDevice(kinds)) as string | null;
  const icount = rows.exits[0]?.icount ?? null;
  return {
    run,
    bytes: number(rows.work[0]?.bytes),
    basis: rows.work[0]?.basis as string ?? "nothing",
    exits: number(rows.exits[0]?.exits),
    kinds,
    regions,
    interrupts,
    workNs: regions.length > 0 ? regions.reduce((sum, region) => sum + region.ns, 0) : totalNs,
    totalNs,
    icount: icount === null ? null : number(icount),
    device,
    handover: device === null ? null : handover(device, rows, kinds),
    costs: rows.costs.map((row) => ({
      profile: row.profile as string,
      ns: number(row.ns),
      measured: row.measured as boolean,
      unpriced: number(row.unpriced),
    })),
    latencies: rows.latencies.map(latencyOf),
    prices: rows.prices.map((row) => ({
      profile: row.profile as string,
      reason: row.reason as string,
      handler: row.handler as string,
      ns: number(row.each_ns),
      totalNs: number(row.total_ns),
      measured: row.measured as boolean,
      source: row.source as string,
    })),
    requests: number(rows.perWork[0]?.requests),
    missing: [],
  };
}

const latencyOf = (row: Row): Latency => ({
  device: row.device as string,
  kind: row.kind as string,
  requests: number(row.requests),
  p50: number(row.p50_ns),
  p90: number(row.p90_ns),
  p99: number(row.p99_ns),
  max: number(row.max_ns),
  overlapping: number(row.overlapping),
});

export const sumExits = (kinds: readonly { exits: number }[]): number =>
  kinds.reduce((sum, kind) => sum + kind.exits, 0);

function dearestDevice(kinds: readonly ExitKind[]): string | null {
  const devices = Map.groupBy(kinds.filter((kind) => kind.device !== null), (kind) => kind.device!);
  const ranked = [...devices].sort((a, b) => sumExits(b[1]) - sumExits(a[1]));
  return ranked[0]?.[0] ?? null;
}

/**
 * The register whose access starts the device's requests; without requests its transmit register;
 * without one the register it exits for most.
 */
function handover(
  device: string,
  { started, moved }: Answers,
  kinds: readonly ExitKind[],
): Handover | null {
  const start = started.find((row) => row.device === device);
  if (start !== undefined) {
    return { register: start.register as string, direction: start.write ? "write" : "read" };
  }
  const transmit = moved.find((row) => row.device === device)?.register;
  if (transmit) return { register: transmit as string, direction: "write" };
  const own = kinds.filter((kind) => kind.device === device && kind.register !== null);
  const groups = Map.groupBy(own, (kind) => `${kind.register} ${kind.direction}`);
  const most = [...groups.values()].sort((a, b) => sumExits(b) - sumExits(a))[0]?.[0];
  return most === undefined ? null : { register: most.register!, direction: most.direction! };
}

/** Leaves of the manifests' machines and files whose values are not the same in all runs. */
function setupDifferences(session: Session): SetupDifference[] {
  const flat = session.readers.map(({ manifest }) => {
    const leaves = new Map<string, string>();
    flatten("", manifest.machine, leaves);
    const named = new Set(leaves.values());
    for (const { path, sha256 } of manifest.files) {
      if (!named.has(sha256)) leaves.set(`${path}.sha256`, sha256);
    }
    leaves.set("exitscope", manifest.version);
    leaves.set("end", manifest.clean_end ? manifest.end?.kind ?? "closed" : "killed");
    return leaves;
  });
  const keys = new Set(flat.flatMap((leaves) => [...leaves.keys()]));
  return [...keys].map((what) => ({ what, values: flat.map((leaves) => leaves.get(what) ?? "—") }))
    .filter(({ values }) => values.some((value) => value !== values[0]));
}

/** Collects the leaves of a JSON value under dotted paths. */
export function flatten(path: string, value: unknown, leaves: Map<string, string>): void {
  if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      flatten(path === "" ? key : `${path}.${key}`, inner, leaves);
    }
  } else if (path !== "") {
    leaves.set(path, String(value));
  }
}
