/**
 * From loaded traces to a chapter: every figure's query asked, the answer put in words, the set-up read
 * from the manifests.
 * @module
 */
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { collect, type Comparison, flatten, sumExits } from "../comparison.ts";
import type { Engine } from "../engine.ts";
import { exitRate, explain, hasExits, kindName } from "../explain.ts";
import { count, rate, time } from "../format.ts";
import type { Session } from "../open.ts";
import { jsonInteger, records, type Value } from "../rows.ts";
import { whatIsMissing } from "../unrecorded.ts";
import { DEVICE_FIGURES } from "./device_figures.ts";
import { share } from "./figure_rows.ts";
import { EXIT_FIGURES } from "./figures.ts";
import type { Cell, Chapter, Context, Figure, FilledFigure, Row, SetupRow } from "./model.ts";
import { besides } from "./published.ts";

export const FIGURES: readonly Figure[] = [...EXIT_FIGURES, ...DEVICE_FIGURES];

export interface Asked {
  readonly id: string;
  readonly question: string;
  readonly paths: readonly string[];
  /** What is to be said with the answer; null for nothing. */
  readonly remark: string | null;
  /** Commands that record them, where they are known. */
  readonly commands: readonly string[];
}

/** Everything that a report says of these traces. */
export async function collectChapter(session: Session, asked: Asked): Promise<Chapter> {
  const comparison = await collect(session);
  const figures: FilledFigure[] = [];
  const absent: Chapter["absent"][number][] = [];
  const context = { runs: session.names };
  for (const figure of FIGURES) {
    const filled = await fillFigure(session.engine, figure, context);
    const missing = await whatIsMissing(session, figure.sql);
    if (filled === null) absent.push({ title: figure.title, why: missing ?? figure.absent });
    else if (missing === null) figures.push(filled);
    else figures.push({ ...filled, finding: `${filled.finding} But ${missing}.` });
  }
  return {
    ...asked,
    answer: session.names.length > 1 ? explain(comparison) : describeOne(comparison),
    runs: session.names,
    comparison,
    figures,
    absent,
    published: await besides(session.engine),
    setup: setupOf(session),
  };
}

/** Asks the figure's query; null when it has no rows. */
export async function fillFigure(
  engine: Engine,
  figure: Figure,
  context: Context,
): Promise<FilledFigure | null> {
  const rows = records(await engine.query(figure.sql)).map(plainRow);
  return rows.length === 0 ? null : { figure, rows, finding: figure.finding(rows, context) };
}

/** A sentence on a single run. */
export function describeOne({ runs }: Comparison): string {
  const [run] = runs;
  if (!hasExits(run)) return `${run.run} was recorded without the table exit.`;
  const exits = sumExits(run.kinds);
  if (exits === 0) return `${run.run} took no exit at work.`;
  const groups = Map.groupBy(run.kinds, kindName);
  const [dearest] = [...groups].map(([name, kinds]) => ({ name, exits: sumExits(kinds) }))
    .sort((a, b) => b.exits - a.exits || (a.name < b.name ? -1 : 1));
  const per = run.bytes > 0 ? `${rate(exitRate(run))} exits per KiB` : `${count(exits)} exits`;
  return `${run.run} took ${per} within ${time(run.workNs)} of virtual time, ${
    share(dearest.exits, exits)
  } of them for ${dearest.name}.`;
}

function plainRow(row: Record<string, Value>): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
}

function plain(value: Value): Cell {
  if (typeof value === "bigint") return jsonInteger(value);
  return value instanceof Uint8Array ? null : value;
}

/** Set-up and digests, what differs first. */
function setupOf({ readers }: Session): SetupRow[] {
  const flat = readers.map(({ manifest }) => {
    const { tool, version, schema_version, clean_end, end, commit, digest } = manifest;
    const leaves = new Map<string, string>([
      ["recorded by", `${tool} ${version}, schema ${schema_version}`],
      ["ended", clean_end ? `${end?.kind ?? "closed"}, code ${end?.code ?? 0}` : "not cleanly"],
      ["virtual time", time(commit.time_ns)],
      ["rows", count(EVENT_TABLES.reduce((sum, t) => sum + (manifest.tables[t]?.rows ?? 0), 0))],
      ["digest of the trace", digest],
    ]);
    flatten("", manifest.machine, leaves);
    const named = new Set(leaves.values());
    for (const { path, sha256 } of manifest.files) {
      if (!named.has(sha256)) leaves.set(`${path} sha256`, sha256);
    }
    return leaves;
  });
  const keys = [...new Set(flat.flatMap((leaves) => [...leaves.keys()]))];
  const rows = keys.map((what) => {
    const values = flat.map((leaves) => leaves.get(what) ?? "—");
    return { what, values, differs: values.some((value) => value !== values[0]) };
  });
  return [...rows.filter((row) => row.differs), ...rows.filter((row) => !row.differs)];
}
