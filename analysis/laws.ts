/**
 * Laws that every sound trace obeys, as views of `laws/*.sql` that have no rows then.
 * @module
 */
import { EVENT_TABLES, TABLE_NAMES } from "../core/trace/schema.ts";
import type { Engine } from "./engine.ts";
import { laws } from "./library.ts";
import { createEntry } from "./load.ts";
import { type OpenOptions, openTraces } from "./open.ts";
import { textOutput } from "./output.ts";
import { records } from "./rows.ts";

export interface Violation {
  readonly law: string;
  readonly run: string;
  readonly seq: bigint;
  readonly problem: string;
}

export interface LawOptions {
  /** Event tables that the trace was recorded with; a law that reads another is left out. */
  recorded?: readonly string[];
  /** At most so many violations of each law. */
  limit?: number;
}

/** Runs every law over the loaded traces; an empty answer means that all of them hold. */
export async function checkLaws(engine: Engine, options: LawOptions = {}): Promise<Violation[]> {
  const { recorded, limit = 10 } = options;
  const violations: Violation[] = [];
  for (const law of laws()) {
    if (recorded && !law.reads.every((table) => table === "name" || recorded.includes(table))) {
      continue;
    }
    await createEntry(engine, law);
    const rows = records(await engine.query(`FROM ${law.name} ORDER BY run, seq LIMIT ${limit}`));
    for (const row of rows) violations.push({ law: law.name, ...row } as unknown as Violation);
  }
  return violations;
}

/** {@link checkLaws} on trace directories, with regard to the tables that each recorded. */
export async function checkTraces(
  paths: readonly string[],
  options: OpenOptions = {},
): Promise<Violation[]> {
  const tables: readonly string[] = TABLE_NAMES;
  const only = laws().flatMap((law) => law.reads).filter((name) => !tables.includes(name));
  const session = await openTraces(paths, textOutput(), { ...options, only });
  try {
    const recorded = EVENT_TABLES.filter((table) =>
      session.readers.every(({ manifest }) =>
        (manifest.event_tables ?? EVENT_TABLES).includes(table)
      )
    );
    return await checkLaws(session.engine, { recorded });
  } finally {
    session.close();
  }
}
