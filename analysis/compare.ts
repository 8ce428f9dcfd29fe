/**
 * `compare`: two or more traces side by side. It shows what differs in the set-up before any figure,
 * measures by the work done, and ends with the sentence of {@link explain}.
 * @module
 */
import { collect, type Comparison, type RunFigures, sumExits } from "./comparison.ts";
import type { Engine, EngineChoice } from "./engine.ts";
import { AnalysisError } from "./errors.ts";
import { contributions, exitRate, explain, extremes, hasExits, kindName } from "./explain.ts";
import { count, rate, ratio, size, time } from "./format.ts";
import { openTraces } from "./open.ts";
import {
  type Grid,
  indent,
  type Output,
  renderBlocks,
  renderMarkdown,
  standardOutput,
} from "./output.ts";
import { TraceReader } from "../core/trace/reader.ts";
import type { Between } from "./between.ts";
import { groupRuns, renderSpread } from "./spread.ts";
import { whileWaiting } from "./waiting.ts";
import { wrap } from "./wrap.ts";

export interface CompareOptions {
  /** Two trace directories or more; ratios are against the first. */
  readonly traces: readonly string[];
  readonly format?: "table" | "markdown" | "json";
  /** The swept name that traces of a sweep are grouped by; else their folder is. */
  readonly by?: string;
  /** Only what lies between two marks. */
  readonly between?: Between | null;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  readonly engine?: Promise<Engine>;
  /** Which to start when none was; by default by size. */
  readonly choice?: EngineChoice;
}

/** Registers in the table; the rest is summed up in one line. */
const REGISTERS = 12;
const DEFAULT_WIDTH = 100;
/** Characters of a run's name that still head a column. */
const LONGEST_NAME = 16;

/** Returns the exit code, 0; throws AnalysisError or TraceError for what cannot be compared. */
export async function runCompare(
  options: CompareOptions,
  output: Output = standardOutput(),
): Promise<number> {
  if (options.traces.length < 2) {
    for (const path of options.traces) TraceReader.open(path); // It may not even be one.
    throw new AnalysisError("One trace cannot be compared.", "Name two traces or more.");
  }
  const { engine, between, choice } = options;
  const session = await openTraces(options.traces, output, { engine, between, choice });
  try {
    const comparison = await whileWaiting(output, "Comparing", collect(session));
    const groups = groupRuns(comparison.runs, options.traces, options.by ?? null);
    if (groups !== null) {
      const width = Number.isFinite(output.width) ? output.width : DEFAULT_WIDTH;
      output.write(renderSpread(comparison, groups, options.format ?? "table", width));
      return 0;
    }
    output.write(render(comparison, options.format ?? "table", output.width));
    return 0;
  } finally {
    session.close();
  }
}

function render(
  comparison: Comparison,
  format: NonNullable<CompareOptions["format"]>,
  width: number,
): string {
  const sentence = explain(comparison);
  if (format === "json") return JSON.stringify({ ...comparison, sentence }, null, 2) + "\n";
  const { legend, labelled } = abbreviated(comparison);
  const parts = sections(labelled);
  if (format === "markdown") {
    return legend.map((line) => `- ${line}\n`).join("") + (legend.length > 0 ? "\n" : "") +
      parts.map(({ title, grid, notes = [] }) =>
        `### ${title}\n\n${grid === null ? "" : `${renderMarkdown(grid)}\n`}${
          notes.length > 0 ? `${notes.join("\n\n")}\n\n` : ""
        }`
      ).join("") +
      `**${sentence}**\n`;
  }
  const room = Number.isFinite(width) ? width : DEFAULT_WIDTH;
  return legend.map((line) => `${line}\n`).join("") + (legend.length > 0 ? "\n" : "") +
    parts.map(({ title, grid, notes = [] }) => {
      const below = notes.map((note) => `  ${wrap(note, room - 2).join("\n  ")}\n`).join("");
      const table = grid === null ? "" : indent(renderBlocks(grid, room - 2));
      return `${title}\n${table}${below}\n`;
    }).join("") +
    wrap(sentence, room).join("\n") + "\n";
}

/** Two runs of short names head their columns themselves; else letters do, and a legend explains. */
function abbreviated(comparison: Comparison): { legend: string[]; labelled: Comparison } {
  const { runs } = comparison;
  if (runs.length === 2 && runs.every((run) => run.run.length <= LONGEST_NAME)) {
    return { legend: [], labelled: comparison };
  }
  const letter = (i: number) => i < 26 ? String.fromCharCode(65 + i) : `#${i + 1}`;
  return {
    legend: runs.map((run, i) => `${letter(i)} = ${run.run}`),
    labelled: { ...comparison, runs: runs.map((run, i) => ({ ...run, run: letter(i) })) },
  };
}

interface Section {
  readonly title: string;
  /** Null where lines say it all. */
  readonly grid: Grid | null;
  /** Lines below the table. */
  readonly notes?: readonly string[];
}

function sections(comparison: Comparison): Section[] {
  const { runs } = comparison;
  return [
    setup(comparison),
    work(runs),
    regions(runs),
    reasons(runs),
    devices(runs),
    registers(runs),
    causes(runs),
    interrupts(runs),
    latencies(runs),
    costs(runs),
    prices(runs),
    unknown(runs),
  ].filter((section) => section !== null);
}

type Runs = readonly RunFigures[];

function setup({ runs, setup }: Comparison): Section | null {
  if (setup.length === 0) return null;
  return {
    title: "Set-up: what differs",
    grid: {
      head: ["", ...runs.map((run) => run.run)],
      right: [false, ...runs.map(() => false)],
      rows: setup.map(({ what, values }) => [
        what,
        ...values.map((value) => what.endsWith("sha256") ? value.slice(0, 12) : value),
      ]),
    },
  };
}

/** A table with a figure per run, and how many times that of each other run the first one's is. */
function figureTable(runs: Runs, rows: readonly FigureRow[]): Grid {
  const others = runs.slice(1);
  const times = others.length === 1
    ? ["ratio"]
    : others.map((run) => `${runs[0]!.run} ÷ ${run.run}`);
  return {
    head: ["", ...runs.map((run) => run.run), ...times],
    right: [false, ...runs.map(() => true), ...times.map(() => true)],
    rows: rows.map(({ name, values, show, plain }) => [
      name,
      ...values.map((value) => value === null ? "—" : show(value)),
      ...values.slice(1).map((value) =>
        plain || !value || !values[0] ? "" : ratio(values[0], value)
      ),
    ]),
  };
}

interface FigureRow {
  readonly name: string;
  readonly values: readonly (number | null)[];
  show(value: number): string;
  /** No ratio. */
  readonly plain?: boolean;
}

function work(runs: Runs): Section {
  const of = (value: (run: RunFigures) => number | null) => runs.map(value);
  const known = runs.some((run) => run.bytes > 0);
  const perKib = (run: RunFigures) => run.bytes > 0 ? toldOf(run, exitRate(run)) : null;
  const atWork = (run: RunFigures) => toldOf(run, sumExits(run.kinds));
  const perRequest = (run: RunFigures) =>
    run.requests > 0 ? toldOf(run, sumExits(run.kinds) / run.requests) : null;
  const rows: FigureRow[] = [
    ...(known
      ? [
        { name: "payload moved", values: of((run) => run.bytes || null), show: size, plain: true },
        { name: "exits per KiB", values: of(perKib), show: rate },
        { name: "exits at work", values: of(atWork), show: count },
        { name: "virtual time at work", values: of((run) => run.workNs), show: time },
      ]
      : []),
    ...(runs.some((run) => run.requests > 0)
      ? [{ name: "exits per request", values: of(perRequest), show: rate }]
      : []),
    { name: "exits, whole run", values: of((run) => toldOf(run, run.exits)), show: count },
    {
      name: "interrupts handled",
      values: of((run) => run.interrupts?.reduce((sum, d) => sum + d.handled, 0) ?? null),
      show: count,
    },
    { name: "instructions", values: of((run) => run.icount), show: count },
    { name: "virtual time", values: of((run) => run.totalNs), show: time },
  ];
  return {
    title: known ? "Work and exits" : "Exits (work not known)",
    grid: figureTable(runs, rows),
  };
}

function regions(runs: Runs): Section | null {
  const labels = [...new Set(runs.flatMap((run) => run.regions.map((region) => region.label)))];
  if (labels.length === 0) return null;
  const rows = labels.flatMap((label): FigureRow[] => {
    const found = runs.map((run) => run.regions.find((region) => region.label === label) ?? null);
    return [
      {
        name: `${label}: exits per KiB`,
        values: found.map((region, i) =>
          region && toldOf(runs[i]!, region.exits * 1024 / region.bytes)
        ),
        show: rate,
      },
      { name: `${label}: virtual time`, values: found.map((r) => r && r.ns), show: time },
    ];
  });
  return { title: "By region", grid: figureTable(runs, rows) };
}

/** One row per group of exits at work, the most frequent first. */
function grouped(runs: Runs, nameOf: (kind: RunFigures["kinds"][number]) => string): FigureRow[] {
  const groups = runs.map((run) => Map.groupBy(run.kinds, nameOf));
  const names = [...new Set(groups.flatMap((group) => [...group.keys()]))];
  return names.map((name) => ({
    name,
    values: groups.map((group, i) => toldOf(runs[i]!, sumExits(group.get(name) ?? []))),
    show: count,
  })).sort((a, b) => highest(b.values) - highest(a.values) || (a.name < b.name ? -1 : 1));
}

/** A figure on exits; null, which is not 0, where none were recorded. */
const toldOf = <T>(run: RunFigures, value: T): T | null => hasExits(run) ? value : null;
const highest = (values: readonly (number | null)[]) => Math.max(...values.map((v) => v ?? 0));

const scope = (runs: Runs) => runs.some((run) => run.basis === "marks") ? ", at work" : "";

function reasons(runs: Runs): Section {
  const rows = grouped(runs, (kind) => kind.reason);
  return { title: `Exits by reason${scope(runs)}`, grid: figureTable(runs, rows) };
}

function devices(runs: Runs): Section | null {
  const rows = grouped(runs, (kind) => kind.device ?? "no device");
  if (rows.length < 2) return null;
  return { title: `Exits by device${scope(runs)}`, grid: figureTable(runs, rows) };
}

function registers(runs: Runs): Section | null {
  const accesses = runs.map((run) => ({
    ...run,
    kinds: run.kinds.filter((kind) => kind.device !== null),
  }));
  const all = grouped(accesses, kindName);
  if (all.length === 0) return null;
  const rest = all.slice(REGISTERS);
  const rows = all.slice(0, REGISTERS);
  if (rest.length > 0) {
    const values = runs.map((run, i) =>
      toldOf(run, rest.reduce((sum, row) => sum + (row.values[i] ?? 0), 0))
    );
    rows.push({ name: `${rest.length} more`, values, show: count, plain: true });
  }
  return { title: `Exits by device register${scope(runs)}`, grid: registerTable(runs, rows) };
}

/** Each count with its rate per KiB beside it where the work is known. */
function registerTable(runs: Runs, rows: readonly FigureRow[]): Grid {
  if (runs.some((run) => run.bytes === 0)) return figureTable(runs, rows);
  return {
    head: ["", ...runs.flatMap((run) => [run.run, "per KiB"])],
    right: [false, ...runs.flatMap(() => [true, true])],
    rows: rows.map(({ name, values }) => [
      name,
      ...values.flatMap((value, i) =>
        value ? [count(value), rate(value * 1024 / runs[i]!.bytes)] : ["—", ""]
      ),
    ]),
  };
}

/** Causes in the table that are worth a line: the rest is under a hundredth each. */
const NOTABLE_SHARE = 0.01;

/** What the difference between the run with most exits and that with fewest is made of, in order. */
function causes(all: Runs): Section | null {
  const runs = all.filter(hasExits);
  if (runs.length < 2) return null;
  const [most, least] = extremes(runs);
  const difference = exitRate(most) - exitRate(least);
  if (difference <= 0) return null;
  let explained = 0;
  const rows = contributions(most, least)
    .filter(({ more, less }) => Math.abs(more - less) >= NOTABLE_SHARE * difference)
    .map(({ name, more, less }) => {
      explained += more - less;
      return [name, rate(more), rate(less), rate(more - less)].concat(
        percent((more - less) / difference),
        percent(explained / difference),
      );
    });
  const unit = most.bytes > 0 ? ", exits per KiB" : "";
  return {
    title: `What explains the difference of ${most.run} to ${least.run}${unit}`,
    grid: {
      head: ["", most.run, least.run, "difference", "share", "together"],
      right: [false, true, true, true, true, true],
      rows,
    },
  };
}

const percent = (part: number): string => `${(100 * part).toFixed(part < 0.0995 ? 1 : 0)} %`;

/** Percentiles of each device and kind of request; runs without it show a dash. */
function latencies(runs: Runs): Section | null {
  const all = runs.flatMap((run) => run.latencies);
  const names = [...new Set(all.map(({ device, kind }) => `${device} ${kind}`))];
  if (names.length === 0) return null;
  const rows = names.flatMap((name) => {
    const found = runs.map((run) =>
      run.latencies.find(({ device, kind }) => `${device} ${kind}` === name) ?? null
    );
    return (["p50", "p90", "p99", "max"] as const).map((of): FigureRow => ({
      name: `${name}: ${of}`,
      values: found.map((latency) => latency && latency[of]),
      show: time,
    }));
  });
  const overlap = all.some(({ overlapping }) => overlapping > 0)
    ? "; requests overlap, so that they do not add up to time"
    : "";
  return {
    title: `Latency of requests, virtual time, whole run${overlap}`,
    grid: figureTable(runs, rows),
  };
}

function interrupts(runs: Runs): Section | null {
  const devices = [
    ...new Set(runs.flatMap((run) => run.interrupts?.map(({ device }) => device) ?? [])),
  ];
  if (devices.length === 0) return null;
  const row = (device: string, step: "raised" | "handled"): FigureRow => ({
    name: `${device} ${step}`,
    values: runs.map((run) =>
      run.interrupts && (run.interrupts.find((d) => d.device === device)?.[step] ?? 0)
    ),
    show: count,
  });
  const rows = devices.flatMap((device) => [row(device, "raised"), row(device, "handled")]);
  return { title: "Interrupts", grid: figureTable(runs, rows) };
}

function costs(runs: Runs): Section | null {
  const priced = runs.flatMap((run) => run.costs.filter((cost) => cost.ns > 0));
  const profiles = [...new Set(priced.map((cost) => cost.profile))];
  if (profiles.length === 0) return null;
  const rows = profiles.map((profile): FigureRow => {
    const found = runs.map((run) => run.costs.find((cost) => cost.profile === profile) ?? null);
    const assumed = found.some((cost) => cost !== null && !cost.measured);
    const partly = found.some((cost) => cost !== null && cost.unpriced > 0);
    const remarks = [assumed ? "assumed prices" : "", partly ? "not all priced" : ""].filter(
      Boolean,
    );
    const name = remarks.length === 0 ? profile : `${profile} (${remarks.join(", ")})`;
    return { name, values: found.map((cost) => cost && cost.ns), show: time };
  });
  return { title: "Modelled cost of all exits, host time", grid: figureTable(runs, rows) };
}

/** The prices that make the costs, each once, with what they rest on. */
function prices(runs: Runs): Section | null {
  const paid = runs.flatMap((run) => {
    const total = new Map(run.costs.map(({ profile, ns }) => [profile, ns]));
    return run.prices.filter(({ profile, totalNs }) =>
      totalNs > 0 && totalNs >= NOTABLE_SHARE * total.get(profile)!
    );
  });
  if (paid.length === 0) return null;
  const sorted = paid.toSorted((a, b) =>
    a.profile < b.profile ? -1 : a.profile > b.profile ? 1 : 0
  );
  const sources = [...new Set(sorted.map(({ source }) => source))];
  const rows = sorted.map((price) => [
    price.profile,
    `${price.reason} by ${price.handler}`,
    time(price.ns),
    price.measured ? "measured" : "assumed",
    `[${sources.indexOf(price.source) + 1}]`,
  ]);
  return {
    title: "Prices of an exit, of those that make a hundredth of the cost: a model",
    grid: {
      head: ["profile", "exit", "price", "", "source"],
      right: [false, false, true, false, false],
      rows: [...new Map(rows.map((row) => [row.join("\0"), row])).values()],
    },
    notes: sources.map((source, i) => `[${i + 1}] ${source}`),
  };
}

/** What is left out because a trace does not tell it. */
function unknown(runs: Runs): Section | null {
  const notes = [
    ...runs.filter((run) => run.missing.length > 0).map((run) =>
      `${run.run} was recorded without ${
        run.missing.join(", ")
      }: what rests on them is missing, not 0.`
    ),
    ...runs.filter((run) => run.bytes === 0).map((run) =>
      `${run.run}: its work is not known (no marks, requests or known transmit register), so that there ` +
      "are no rates."
    ),
  ];
  return notes.length === 0 ? null : { title: "Not known", grid: null, notes };
}
