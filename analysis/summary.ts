/**
 * What a run did between its marks: payload, requests, virtual time and exits of each region, by reason
 * and by device register. The regions stand side by side.
 * @module
 */
import type { Engine } from "./engine.ts";
import { count, rate, size, time } from "./format.ts";
import { openTraces, type Session } from "./open.ts";
import { type Grid, indent, type Output, renderTable, standardOutput } from "./output.ts";
import { records, type Value } from "./rows.ts";

export interface SummaryOptions {
  readonly trace: string;
  /** An engine started earlier; it is emptied first, and stays the caller's to close. */
  readonly engine?: Promise<Engine>;
}

const DEFAULT_WIDTH = 100;
const NONE = "—";

/** Regions of one label count as one; `first` orders them. */
const REGIONS = `
  SELECT label, sum(bytes) AS bytes, sum(end_ns - begin_ns) AS ns, min(begin_seq) AS first
  FROM region GROUP BY label ORDER BY first`;
const REQUESTS = `
  SELECT label, count(*) AS requests, avg(complete_ns - submit_ns) AS latency
  FROM request JOIN region USING (run) WHERE seq > begin_seq AND seq < end_seq GROUP BY label`;
const EXITS = `
  SELECT label, reason, device, register, direction, sum(exits) AS exits FROM exits_by_region
  GROUP BY ALL ORDER BY exits DESC, reason, device, register, direction`;

type Row = Record<string, Value>;
const number = (value: Value | undefined): number => Number(value ?? 0);

/** Prints the summary; nothing for a run without regions. */
export async function runSummary(
  options: SummaryOptions,
  output: Output = standardOutput(),
): Promise<void> {
  const session = await openTraces([options.trace], output, { engine: options.engine });
  try {
    const width = Number.isFinite(output.width) ? output.width : DEFAULT_WIDTH;
    const text = await summary(session, width);
    // It follows what the guest printed.
    if (text !== "") output.write(`\n${text}`);
  } finally {
    session.close();
  }
}

async function summary({ engine }: Session, width: number): Promise<string> {
  const ask = async (sql: string): Promise<Row[]> => records(await engine.query(sql));
  const regions = await ask(REGIONS);
  if (regions.length === 0) return "";
  const labels = regions.map((r) => r.label as string);
  const exits = await ask(EXITS);
  const grids: [string, Grid][] = [
    ["Between the marks", figures(regions, await ask(REQUESTS), exits)],
    ["Exits by reason", exitGrid(labels, exits, (e) => e.reason as string)],
    ["Exits by device register", exitGrid(labels, exits, registerOf)],
  ];
  return grids.filter(([, grid]) => grid.rows.length > 0)
    .map(([title, grid]) => `${title}\n${indent(renderTable(grid, width - 2))}`).join("\n");
}

/** "uart0.THR write"; null for an exit that is no access to a register. */
const registerOf = (e: Row): string | null =>
  e.register === null ? null : `${e.device}.${e.register} ${e.direction}`;

function figures(regions: Row[], requests: Row[], exits: Row[]): Grid {
  const rows = regions.map((region) => {
    const moved = requests.find((r) => r.label === region.label);
    const all = exits.filter((e) => e.label === region.label)
      .reduce((sum, e) => sum + number(e.exits), 0);
    return { region, moved, all };
  });
  const lines: [string, (row: typeof rows[number]) => string][] = [
    ["payload", ({ region }) => size(number(region.bytes))],
    ["requests", ({ moved }) => count(number(moved?.requests))],
    ["latency, mean", ({ moved }) => moved ? time(number(moved.latency)) : NONE],
    ["virtual time", ({ region }) => time(number(region.ns))],
    ["exits", ({ all }) => count(all)],
    ["exits per request", ({ moved, all }) => moved ? rate(all / number(moved.requests)) : NONE],
  ];
  return {
    head: ["", ...regions.map((r) => r.label as string)],
    right: [false, ...regions.map(() => true)],
    rows: lines.map(([name, show]) => [name, ...rows.map(show)]),
  };
}

/** Exits of each region by what `nameOf` calls them, the most frequent first. */
function exitGrid(labels: string[], exits: Row[], nameOf: (e: Row) => string | null): Grid {
  const named = Map.groupBy(exits, nameOf);
  named.delete(null);
  const cells = (group: Row[]) =>
    labels.map((label) =>
      group.filter((e) => e.label === label).reduce((sum, e) => sum + number(e.exits), 0)
    );
  const rows = [...named].map(([name, group]) => ({ name: name!, cells: cells(group) }))
    .sort((a, b) => Math.max(...b.cells) - Math.max(...a.cells));
  return {
    head: ["", ...labels],
    right: [false, ...labels.map(() => true)],
    rows: rows.map(({ name, cells }) => [name, ...cells.map((n) => n === 0 ? NONE : count(n))]),
  };
}
