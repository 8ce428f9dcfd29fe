/**
 * Tables that a query reads and a trace does not hold, because it was recorded without them: an answer
 * without rows says why.
 *
 * What is read is asked of DuckDB, in its plan before anything is optimized away: so views and macros count
 * for what they are made of, and a column that is called like a table for none.
 * @module
 */
import { EVENT_TABLES, type EventTable } from "../core/trace/schema.ts";
import type { Session } from "./open.ts";

type Loaded = Pick<Session, "engine" | "names" | "readers">;

/** What one trace lacks. */
interface Lack {
  readonly run: string;
  /** Tables that are read and that it was not recorded with. */
  readonly missing: readonly EventTable[];
  readonly recorded: readonly EventTable[];
  /** What it was imported from; null for a recording. */
  readonly format: string | null;
}

/** A sentence for each trace that lacks something which `sql` reads. */
export async function missingTables(session: Loaded, sql: string): Promise<string[]> {
  return (await lacks(session, sql)).map(({ run, missing, recorded, format }) => {
    const tables = missing.join(", ");
    if (format !== null) {
      return `${run} has no rows of ${tables}, which the query reads: ${format} tells nothing of them.`;
    }
    const all = EVENT_TABLES.filter((table) =>
      table !== "input" && (recorded.includes(table) || missing.includes(table))
    );
    return `${run} was recorded without ${tables}, which the query reads; ` +
      `record it with --trace-tables ${all.join(",")}, or without this option for all.`;
  });
}

/** The same as part of a sentence, "a was recorded without irq and b without irq, vring"; null for nothing. */
export async function whatIsMissing(session: Loaded, sql: string): Promise<string | null> {
  const [first, ...rest] = await lacks(session, sql);
  if (first === undefined) return null;
  const told = rest.map(({ run, missing }) => ` and ${run} without ${missing.join(", ")}`);
  return `${first.run} was recorded without ${first.missing.join(", ")}${told.join("")}`;
}

async function lacks({ engine, names, readers }: Loaded, sql: string): Promise<Lack[]> {
  const traces = readers.map(({ manifest }, i): Lack => {
    const recorded = manifest.event_tables ?? EVENT_TABLES;
    const { imported } = (manifest.machine ?? {}) as { imported?: { format: string } };
    const missing = EVENT_TABLES.filter((table) => !recorded.includes(table));
    return { run: names[i]!, missing, recorded, format: imported?.format ?? null };
  });
  if (traces.every(({ missing }) => missing.length === 0)) return [];
  const read = await tablesOf(engine, sql);
  return traces
    .map((trace) => ({ ...trace, missing: trace.missing.filter((table) => read.has(table)) }))
    .filter(({ missing }) => missing.length > 0);
}

/** Tables that the statement reads; none of what has no plan. */
async function tablesOf(engine: Session["engine"], sql: string): Promise<Set<string>> {
  await engine.query("SET explain_output = 'all'");
  try {
    const { rows } = await engine.query(`EXPLAIN (FORMAT json) ${sql}`);
    const plan = String(rows.find(([key]) => key === "logical_plan")?.[1] ?? "[]");
    const read = new Set<string>();
    JSON.parse(plan, (key, value) => {
      // exit, memory.run0.exit, memory.run0."access".
      if (key === "Table") read.add(/(\w+)"?$/.exec(value)![1]!);
      return value;
    });
    return read;
  } catch {
    return new Set();
  } finally {
    await engine.query("RESET explain_output");
  }
}
