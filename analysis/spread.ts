/**
 * Comparing many runs: groups of runs that differ only in what was swept (seeds, latencies), each figure
 * as median and range over its group, and the ratio of the medians.
 * @module
 */
import { dirname } from "node:path";
import type { Comparison, RunFigures } from "./comparison.ts";
import { sumExits } from "./comparison.ts";
import { AnalysisError } from "./errors.ts";
import { hasExits, kindName } from "./explain.ts";
import { rate, ratio, time } from "./format.ts";
import { fits, type Grid, indent, renderBlocks, renderMarkdown, renderTable } from "./output.ts";
import { sweepPoint } from "./sweep_names.ts";
import { wrap } from "./wrap.ts";

export interface Group {
  readonly label: string;
  readonly runs: readonly RunFigures[];
}

export interface Figure {
  readonly name: string;
  /** Of each group: null where no run of it has the figure. */
  readonly spreads: readonly (Spread | null)[];
  show(value: number): string;
}

export interface Spread {
  readonly runs: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Groups by the values of the swept name `by`, or without it by the folder that a trace lies in, where
 * every trace is one of a sweep. Null when these are single runs.
 */
export function groupRuns(
  runs: readonly RunFigures[],
  paths: readonly string[],
  by: string | null,
): Group[] | null {
  const points = runs.map((run) => sweepPoint(run.run));
  if (by === null && !points.every((point) => point !== null)) return null;
  const labels = runs.map((run, i) => {
    if (by === null) return dirname(paths[i]!);
    const value = points[i]?.get(by);
    if (value !== undefined) return `${by}=${value}`;
    const known = [...new Set(points.flatMap((point) => [...(point?.keys() ?? [])]))];
    throw new AnalysisError(
      `${run.run} does not say what "${by}" was.`,
      known.length === 0
        ? "Only traces of record --sweep are grouped by what was swept."
        : `Group by one of ${known.join(", ")}.`,
    );
  });
  const groups = Map.groupBy(runs.keys(), (i) => labels[i]!);
  return [...groups].map(([label, members]) => ({ label, runs: members.map((i) => runs[i]!) }));
}

/**
 * What differs in the set-up: inside groups (this is what was swept, and what follows from it), and
 * between groups whose runs agree.
 */
export function differences({ runs, setup }: Comparison, groups: readonly Group[]): string[] {
  const index = new Map(runs.map((run, i) => [run.run, i]));
  const valuesOf = (
    group: Group,
    values: readonly string[],
  ) => [...new Set(group.runs.map((run) => values[index.get(run.run)!]!))];
  const inside = setup.filter(({ values }) => groups.some((g) => valuesOf(g, values).length > 1));
  const between = setup.filter((item) => !inside.includes(item));
  return [
    ...(inside.length === 0
      ? []
      : [`Differs inside groups: ${inside.map(({ what }) => what).join(", ")}.`]),
    ...between.map(({ what, values }) =>
      `Differs between groups: ${what} (${
        groups.map((group) =>
          `${group.label}: ${valuesOf(group, values)[0]!.slice(0, LONGEST_VALUE)}`
        ).join(", ")
      }).`
    ),
  ];
}

/** Characters of a value of the set-up: digests go on. */
const LONGEST_VALUE = 24;
/** Registers in the table. */
const REGISTERS = 8;

/** The figures of a comparison, each spread over the runs of its group. */
export function figures(groups: readonly Group[]): Figure[] {
  const figure = (
    name: string,
    of: (run: RunFigures) => number | null | undefined,
    show: (value: number) => string,
  ): Figure => ({ name, spreads: groups.map((group) => spread(group.runs.map(of))), show });
  const runs = groups.flatMap((group) => group.runs);
  const names = <T>(all: readonly T[], of: (item: T) => string) => [...new Set(all.map(of))];
  const latencies = names(runs.flatMap((run) => run.latencies), (l) => `${l.device} ${l.kind}`);
  const profiles = names(
    runs.flatMap((run) => run.costs.filter((c) => c.ns > 0)),
    (c) => c.profile,
  );
  const perKib = (run: RunFigures) =>
    hasExits(run) && run.bytes > 0 ? sumExits(run.kinds) * 1024 / run.bytes : null;
  const all = [
    figure("exits per KiB", perKib, rate),
    figure(
      "exits per request",
      (run) => hasExits(run) && run.requests > 0 ? sumExits(run.kinds) / run.requests : null,
      rate,
    ),
    figure("exits at work", (run) => hasExits(run) ? sumExits(run.kinds) : null, whole),
    figure("virtual time at work", (run) => run.workNs, time),
    figure("instructions", (run) => run.icount, inMillions),
    ...latencies.flatMap((name) =>
      (["p50", "p99", "max"] as const).map((of) =>
        figure(
          `${name}: ${of}`,
          (run) => run.latencies.find((l) => `${l.device} ${l.kind}` === name)?.[of],
          time,
        )
      )
    ),
    ...profiles.map((profile) =>
      figure(
        `cost, ${profile}${assumed(runs, profile)}`,
        (run) => run.costs.find((cost) => cost.profile === profile)?.ns,
        time,
      )
    ),
    ...registers(runs).map((name) =>
      figure(
        name,
        (run) =>
          hasExits(run) ? sumExits(run.kinds.filter((kind) => kindName(kind) === name)) : null,
        whole,
      )
    ),
  ];
  return all.filter(({ spreads }) => spreads.some((s) => s !== null));
}

/** A median of counts may lie between two. */
const whole = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 1 });
const inMillions = (value: number): string =>
  value >= 1e6 ? `${rate(value / 1e6)} M` : whole(value);

const assumed = (runs: readonly RunFigures[], profile: string): string =>
  runs.some((run) => run.costs.some((c) => c.profile === profile && !c.measured))
    ? " (assumed prices)"
    : "";

/** The kinds of exit that occurred most. */
function registers(runs: readonly RunFigures[]): string[] {
  const kinds = Map.groupBy(runs.flatMap((run) => run.kinds), kindName);
  return [...kinds].sort((a, b) => sumExits(b[1]) - sumExits(a[1]) || (a[0] < b[0] ? -1 : 1))
    .slice(0, REGISTERS).map(([name]) => name);
}

export function spread(values: readonly (number | null | undefined)[]): Spread | null {
  const sorted = values.filter((v) => v !== null && v !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = (sorted.length - 1) / 2;
  return {
    runs: sorted.length,
    median: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2,
    min: sorted[0]!,
    max: sorted.at(-1)!,
  };
}

/** "7.00 (6.90–7.20)"; a range of nothing is left out. */
export function showSpread(s: Spread | null, show: (value: number) => string): string {
  if (s === null) return NONE;
  const range = showRange(s, show);
  return range === "" ? show(s.median) : `${show(s.median)} (${range})`;
}

const NONE = "—";

/** "15.5–61.6 µs", "536 µs–4.38 ms": a unit that both share is said once; empty for a range of nothing. */
function showRange({ min, max }: Spread, show: (value: number) => string): string {
  const [least, most] = [show(min), show(max)];
  if (least === most) return "";
  const unit = / \D+$/.exec(most)?.[0] ?? "";
  return `${least.endsWith(unit) ? least.slice(0, least.length - unit.length) : least}–${most}`;
}

/** "seed=" where every label begins with it: said once, in the corner. */
function sharedName(groups: readonly Group[]): string {
  const name = /^\w[\w-]*=/.exec(groups[0]!.label)?.[0] ?? "";
  return groups.every(({ label }) => label.startsWith(name)) ? name : "";
}

interface Cells {
  readonly corner: string;
  show(spread: Spread | null, figure: Figure): string;
}

/** A row per figure, a column per group, and ratios of the medians where they are asked for. */
function grid(
  groups: readonly Group[],
  all: readonly Figure[],
  cells: Cells,
  ratios: boolean,
): Grid {
  const name = sharedName(groups);
  const labels = groups.map(({ label }) => label.slice(name.length));
  const [first, ...others] = labels;
  const times = !ratios
    ? []
    : others.length === 1
    ? ["ratio"]
    : others.map((label) => `${first} ÷ ${label}`);
  return {
    head: [name === "" ? cells.corner : `${cells.corner}, ${name}`, ...labels, ...times],
    right: [false, ...groups.map(() => true), ...times.map(() => true)],
    rows: all.map((figure) => [
      figure.name,
      ...figure.spreads.map((s) => cells.show(s, figure)),
      ...(ratios ? figure.spreads.slice(1) : []).map((s) => ratioTo(figure.spreads[0]!, s)),
    ]),
  };
}

const ratioTo = (first: Spread | null, s: Spread | null): string =>
  s !== null && first !== null && s.median > 0 && first.median > 0
    ? ratio(first.median, s.median)
    : "";

const BOTH: Cells = { corner: "median (range)", show: (s, { show }) => showSpread(s, show) };
const MEDIANS: Cells = {
  corner: "median",
  show: (s, { show }) => s === null ? NONE : show(s.median),
};
const RANGES: Cells = {
  corner: "range",
  show: (s, { show }) => s === null ? NONE : showRange(s, show) || show(s.median),
};

export const spreadGrid = (groups: readonly Group[], all: readonly Figure[]): Grid =>
  grid(groups, all, BOTH, true);

/** One table, or, where it is too wide, the medians and below them the ranges. */
function spreadTables(groups: readonly Group[], all: readonly Figure[], width: number): string {
  const whole = spreadGrid(groups, all);
  if (fits(whole, width)) return renderTable(whole, width);
  const spreading = all.filter(({ spreads }) => spreads.some((s) => s !== null && s.min !== s.max));
  const ranges = grid(groups, spreading, RANGES, false);
  return [grid(groups, all, MEDIANS, true), ...spreading.length === 0 ? [] : [ranges]]
    .map((part) => renderBlocks(part, width)).join("\n");
}

/** The comparison of groups in the form asked for. */
export function renderSpread(
  comparison: Comparison,
  groups: readonly Group[],
  format: "table" | "markdown" | "json",
  width: number,
): string {
  const all = figures(groups);
  const remarks = differences(comparison, groups);
  if (format === "json") {
    return JSON.stringify(
      {
        groups: groups.map(({ label, runs }) => ({ label, runs: runs.map((run) => run.run) })),
        figures: all.map(({ name, spreads }) => ({ name, spreads })),
        remarks,
      },
      null,
      2,
    ) + "\n";
  }
  const sizes = groups.map(({ label, runs }) => {
    const names = [...new Set(runs.flatMap((run) => [...(sweepPoint(run.run)?.keys() ?? [])]))];
    return `${label}: ${runs.length} runs${names.length > 0 ? `, swept: ${names.join(", ")}` : ""}`;
  });
  const lines = [...sizes, ...remarks];
  return format === "markdown"
    ? `${lines.map((line) => `- ${line}\n`).join("")}\n${renderMarkdown(spreadGrid(groups, all))}`
    : `${lines.map((line) => `${wrap(line, width).join("\n  ")}\n`).join("")}\n${
      indent(spreadTables(groups, all, width - 2))
    }`;
}
