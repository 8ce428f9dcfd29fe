/**
 * Tables that a query reads and a trace does not hold, because it was recorded without them: an answer
 * without rows says why.
 *
 * What is read is asked of DuckDB, in its plan before anything is optimized away: so views and macros count
 * for what they are made of, and a column that is called like a table for none.
 * @module
 */
import { EVENT_TABLES } from "../core/trace/schema.ts";
import type { Session } from "./open.ts";

type Loaded = Pick<Session, "engine" | "names" | "readers">;

/** A sentence for each trace that lacks something which `sql` reads. */
export async function missingTables({ engine, names, readers }: Loaded, sql: string) {
  const traces = readers.map(({ manifest }, i) => {
    const recorded = manifest.event_tables ?? EVENT_TABLES;
    const { imported } = (manifest.machine ?? {}) as { imported?: { format: string } };
    const missing = EVENT_TABLES.filter((table) => !recorded.includes(table));
    return { name: names[i]!, recorded, missing, format: imported?.format ?? null };
  });
  if (traces.every(({ missing }) => missing.length === 0)) return [];
  const read = await tablesOf(engine, sql);
  return traces.flatMap(({ name, recorded, missing, format }) => {
    const wanted = missing.filter((table) => read.has(table));
    if (wanted.length === 0) return [];
    const tables = wanted.join(", ");
    if (format !== null) {
      return [
        `${name} has no rows of ${tables}, which the query reads: ${format} tells nothing of them.`,
      ];
    }
    const all = EVENT_TABLES.filter((table) =>
      table !== "input" && (recorded.includes(table) || wanted.includes(table))
    );
    return [
      `${name} was recorded without ${tables}, which the query reads; ` +
      `record it with --trace-tables ${all.join(",")}, or without this option for all.`,
    ];
  });
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
