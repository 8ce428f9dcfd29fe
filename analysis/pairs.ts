/**
 * Traces of one guest doing the same work on different devices, operation by operation: exits by whom
 * they are for, and the work inside the device beside them. All figures are read from the view library.
 * @module
 */
import { type Engine, openEngine } from "./engine.ts";
import { count, rate, size, time } from "./format.ts";
import { openTraces, type Session } from "./open.ts";
import { type Grid, indent, type Output, renderTable, standardOutput } from "./output.ts";
import { records, type Value } from "./rows.ts";
import { wrap } from "./wrap.ts";

/** One trace of a pair, and what its device is called. */
export interface PairSide {
  readonly trace: string;
  readonly title: string;
}

/** Exits of one kind for an operation, on the average. */
export interface RegisterFigure {
  readonly device: string | null;
  /** Register, or the reason of an exit that is no access. */
  readonly name: string;
  readonly direction: string | null;
  readonly each: number;
}

/** What one operation took on one side, on the average; an operation is a request or a write. */
export interface OperationFigures {
  readonly operations: number;
  readonly exits: number;
  /** Exits for registers of the side's own device. */
  readonly device: number;
  /** Exits for registers of others: the interrupt controller. */
  readonly others: number;
  /** Exits that are no accesses. */
  readonly plain: number;
  /** Instructions of the device's own processor. */
  readonly instructions: number;
  readonly fetches: number;
  readonly descriptors: number;
  readonly dma: number;
  readonly ns: number;
  readonly registers: readonly RegisterFigure[];
}

/** A region that all sides went through. */
export interface Operation {
  readonly label: string;
  /** "write of 4 KiB". */
  readonly title: string;
  /** What is counted: requests that the devices completed, or writes of the guest where one has none. */
  readonly unit: "request" | "write";
  /** One for each side. */
  readonly sides: readonly OperationFigures[];
}

export interface PairFigures {
  readonly titles: readonly string[];
  readonly operations: readonly Operation[];
}

type Row = Record<string, Value>;
const number = (value: Value | undefined): number => Number(value ?? 0);

const REGIONS = `
  SELECT run, label, sum(bytes) AS bytes, sum(end_ns - begin_ns) AS ns, min(begin_seq) AS first
  FROM region WHERE bytes > 0 GROUP BY ALL ORDER BY run, first`;
const EXITS = `
  SELECT run, label, device, coalesce(register, reason) AS name, direction, sum(exits) AS exits
  FROM exits_by_region GROUP BY ALL ORDER BY exits DESC, device, name, direction`;
/** The device that served a region is the one that completed most requests in it. */
const SERVED = `
  SELECT run, label, device, sum(requests) AS requests,
    sum(requests * instructions) AS instructions, sum(requests * table_fetches) AS fetches,
    sum(requests * descriptors) AS descriptors, sum(requests * dma) AS dma
  FROM internals_by_region GROUP BY run, label, device
  QUALIFY row_number() OVER (PARTITION BY run, label ORDER BY sum(requests) DESC, device) = 1`;
/** Of a device without requests: the one that its transmit register tells. */
const MOVED = "SELECT run, device FROM device_work ORDER BY bytes DESC, device";

/** "write of 4 KiB" of "write-4096"; a label without a size is the name of its work. */
function titleOf(label: string): string {
  const [, what, bytes] = /^(.*)-(\d+)$/.exec(label) ?? [];
  return what === undefined ? label : `${what} of ${size(Number(bytes))}`;
}

/** Bytes of one operation, as the label tells them. */
const bytesOf = (label: string): number => Number(/-(\d+)$/.exec(label)?.[1] ?? 0);

export async function pairFigures(
  { engine, names }: Session,
  titles: readonly string[],
): Promise<PairFigures> {
  const ask = async (sql: string): Promise<Row[]> => records(await engine.query(sql));
  const [regions, exits, served, moved] = [
    await ask(REGIONS),
    await ask(EXITS),
    await ask(SERVED),
    await ask(MOVED),
  ];
  const of = (rows: Row[], run: string, label: string) =>
    rows.filter((row) => row.run === run && row.label === label);
  const labels = regions.filter((row) => row.run === names[0]).map((row) => row.label as string);
  const shared = labels.filter((l) => names.every((run) => of(regions, run, l).length > 0));
  const operations = shared.map((label): Operation => {
    const each = names.map((run) => of(served, run, label)[0]);
    const requests = each.every((row) => row !== undefined);
    const sides = names.map((run, i) => {
      const [region] = of(regions, run, label);
      const device = each[i]?.device ?? moved.find((row) => row.run === run)?.device ?? null;
      const operations = requests
        ? number(each[i]!.requests)
        : number(region!.bytes) / bytesOf(label);
      return operationFigures(operations, device, region!, each[i], of(exits, run, label));
    });
    return { label, title: titleOf(label), unit: requests ? "request" : "write", sides };
  });
  return { titles, operations };
}

function operationFigures(
  operations: number,
  device: Value,
  region: Row,
  served: Row | undefined,
  exits: readonly Row[],
): OperationFigures {
  const registers = exits.map((row): RegisterFigure => ({
    device: row.device as string | null,
    name: row.name as string,
    direction: row.direction as string | null,
    each: number(row.exits) / operations,
  }));
  const sum = (of: (r: RegisterFigure) => boolean) =>
    registers.filter(of).reduce((total, r) => total + r.each, 0);
  return {
    operations,
    exits: sum(() => true),
    device: sum((r) => r.device !== null && r.device === device),
    others: sum((r) => r.device !== null && r.device !== device),
    plain: sum((r) => r.device === null),
    instructions: number(served?.instructions) / operations,
    fetches: number(served?.fetches) / operations,
    descriptors: number(served?.descriptors) / operations,
    dma: number(served?.dma) / operations,
    ns: number(region.ns) / operations,
    registers: registers.map((r) => r.device === device ? { ...r, device: OWN } : r),
  };
}

/** Stands for the side's own device, whatever its name. */
const OWN = "";
const NONE = "—";
/** Means are rarely whole; those that are need no decimals. */
function mean(value: number): string {
  if (Math.abs(value - Math.round(value)) < 1e-9) return count(Math.round(value));
  return value < 0.005 ? "< 0.01" : rate(value);
}
const some = (value: number): string => value === 0 ? NONE : mean(value);

interface Column {
  readonly name: string;
  show(f: OperationFigures): string;
}

const COLUMNS: readonly Column[] = [
  { name: "exits", show: (f) => some(f.exits) },
  { name: "own", show: (f) => some(f.device) },
  { name: "others", show: (f) => some(f.others + f.plain) },
  { name: "insns", show: (f) => some(f.instructions) },
  { name: "fetch", show: (f) => some(f.fetches) },
  { name: "descr", show: (f) => some(f.descriptors) },
  { name: "DMA", show: (f) => some(f.dma) },
  { name: "time", show: (f) => time(f.ns) },
];
const TIMES: Column = { name: "times", show: (f) => count(f.operations) };

/** A row per operation and side; `lead` goes before them, on the first row of each group. */
function operationRows(
  lead: readonly string[],
  titles: readonly string[],
  { title, sides }: Operation,
  columns: readonly Column[],
): string[][] {
  return sides.map((side, i) => [
    ...[...lead, title.replace(" of ", " ")].map((text) => i === 0 ? text : ""),
    titles[i]!,
    ...columns.map(({ show }) => show(side)),
  ]);
}

const head = (lead: readonly string[], columns: readonly Column[]) => ({
  head: [...lead, "operation", "device", ...columns.map(({ name }) => name)],
  right: [...lead.map(() => false), false, false, ...columns.map(() => true)],
});

const LEGEND =
  "Means of one operation. Exits: all; for the device's own registers; others (interrupt controller, " +
  "waiting). Inside the device, without any exit: instructions of its own (SCRIPTS), operands they " +
  "fetch, descriptors read, accesses to guest memory (DMA). Virtual time, the guest's own work included.";

/** The table of one pair, then the registers behind its first operation. */
function pairTable({ titles, operations }: PairFigures, width: number): string {
  const columns = [TIMES, ...COLUMNS];
  const rows = operations.flatMap((o) => operationRows([], titles, o, columns));
  const [first] = operations;
  const parts = [
    indent(renderTable({ ...head([], columns), rows }, width - 2)),
    `${wrap(LEGEND, width).join("\n")}\n`,
  ];
  if (first !== undefined) {
    const title = `Exits of one ${first.title}`;
    parts.push(`${title}\n${indent(renderTable(registerGrid(titles, first), width - 2))}`);
  }
  return parts.join("\n");
}

/** Each side's accesses to registers, its own first, then those of others, then what is no access. */
function registerGrid(titles: readonly string[], { sides }: Operation): Grid {
  const rank = (r: RegisterFigure) => r.device === OWN ? 0 : r.device === null ? 2 : 1;
  const rows = sides.flatMap(({ registers }, i) => {
    const groups = Map.groupBy(
      [...registers].sort((a, b) => rank(a) - rank(b)),
      (r) => r.device === OWN || r.device === null ? r.name : `${r.device}.${r.name}`,
    );
    return [...groups].map(([name, group], nth) => {
      const of = (direction: string | null) =>
        some(group.filter((r) => r.direction === direction).reduce((sum, r) => sum + r.each, 0));
      return [nth === 0 ? titles[i]! : "", name, of("read"), of("write"), of(null)];
    });
  });
  return {
    head: ["", "register, or reason", "reads", "writes", "neither"],
    right: [false, false, true, true, true],
    rows,
  };
}

const listed = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;

/** "30.1 instructions and 6.01 operands"; null for a device that did nothing that can be counted. */
function insideOf(f: OperationFigures): string | null {
  const work: [number, string][] = [
    [f.instructions, "instructions"],
    [f.fetches, "operands"],
    [f.descriptors, "descriptors"],
    [f.dma, "accesses to memory"],
  ];
  const parts = work.filter(([n]) => n > 0).map(([n, what]) => `${mean(n)} ${what}`);
  return parts.length === 0 ? null : listed(parts);
}

/** How much dearer the first side is than the last one. */
const gap = ({ sides }: Operation): number => sides[0]!.exits / sides.at(-1)!.exits;
/** Another operation is worth a word when the first side is so many times dearer, or cheaper, there. */
const NOTABLE = 2;

/** One sentence on where the cost of the first operation lies: exits, and work inside the devices. */
export function pairSentence({ titles, operations }: PairFigures): string {
  const [first, ...more] = operations;
  if (first === undefined) return "These runs have no work in common.";
  const { sides, title } = first;
  const takes = sides.map((s, i) => `${mean(s.exits)}${i === 0 ? " exits" : ""} on ${titles[i]}`);
  const own = listed(sides.map((s) => mean(s.device)));
  const change = (o: Operation) => Math.max(gap(o) / gap(first), gap(first) / gap(o));
  const others = more.filter((o) => change(o) >= NOTABLE)
    .map((o) => `; a ${o.title} takes ${listed(o.sides.map((s) => mean(s.exits)))}`);
  const inside = sides.flatMap((s, i) => {
    const work = insideOf(s);
    return work === null ? [] : [`${titles[i]} ${work}`];
  });
  return `A ${title} takes ${listed(takes)}, of which ${own} are for the device's own registers` +
    `${others.join("")}${inside.length === 0 ? "" : `; inside the device: ${inside.join("; ")}`}.`;
}

/** Opens the traces of a pair and reads its figures; the engine stays the caller's. */
export async function readPair(
  sides: readonly PairSide[],
  engine: Promise<Engine> = openEngine(),
  output: Output = standardOutput(),
): Promise<PairFigures> {
  const session = await openTraces(sides.map((s) => s.trace), output, { engine });
  return await pairFigures(session, sides.map((s) => s.title));
}

const DEFAULT_WIDTH = 100;
const widthOf = (output: Output) => Number.isFinite(output.width) ? output.width : DEFAULT_WIDTH;

/** Prints a pair: its table, the registers of its first operation, and one sentence. */
export function printPair(figures: PairFigures, output: Output = standardOutput()): void {
  const width = widthOf(output);
  output.write(`${pairTable(figures, width)}\n${wrap(pairSentence(figures), width).join("\n")}\n`);
}

/** Prints every pair by its first operation, a row for each device, and one sentence for each pair. */
export function printPairs(
  pairs: readonly { readonly name: string; readonly figures: PairFigures }[],
  output: Output = standardOutput(),
): void {
  const width = widthOf(output);
  const rows = pairs.flatMap(({ name, figures: { titles, operations } }) =>
    operationRows([name], titles, operations[0]!, COLUMNS)
  );
  const sentences = pairs.map(({ name, figures }) =>
    wrap(`${name}: ${pairSentence(figures)}`, width).join("\n")
  );
  const table = renderTable({ ...head(["pair"], COLUMNS), rows }, width - 2);
  output.write(`${indent(table)}\n${wrap(LEGEND, width).join("\n")}\n\n`);
  output.write(`${sentences.join("\n")}\n`);
}
