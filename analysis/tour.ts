/**
 * The tour that `query` gives without SQL: tables, views and macros with their sentences, and queries
 * to try, all derived from the schema and the headers of the library.
 * @module
 */
import { EVENT_TABLES, TABLE_NAMES, TABLES } from "../core/trace/schema.ts";
import { type LibraryEntry, macros, views } from "./library.ts";
import type { Session } from "./open.ts";
import { wrap } from "./wrap.ts";

const INDENT = 2;

/** The tour over the loaded traces, in lines of at most `width` characters. */
export async function tour(session: Session, width: number): Promise<string> {
  const room = Math.min(width, 100);
  const counts = await rowCounts(session);
  const library = views();
  const tables = TABLE_NAMES.map((table): Line => ({
    name: table,
    rows: counts.get(table)!,
    doc: TABLES[table].doc,
  }));
  const sections = [
    `Traces: ${session.names.join(", ")}`,
    heading("Tables", "codes by name; the codes themselves are in raw.TABLE") +
    lines(tables, room),
    heading("Views", "each begins with the column run, the trace's name") +
    lines(library.map((view) => ({ name: view.name, doc: view.doc })), room),
    heading("Macros", "") + lines(macros().map((m) => ({ name: m.name, doc: m.doc })), room),
    heading("To try", "give one as the last argument; a table's or view's name alone will do") +
    (await examples(session, library)).map((sql) => `${" ".repeat(INDENT)}${sql}\n`).join(""),
    wrap(
      'DESCRIBE NAME lists columns. offset is a word of SQL: write "offset".',
      room,
    ).join("\n"),
  ];
  return sections.map((section) => section.trimEnd()).join("\n\n") + "\n";
}

interface Line {
  readonly name: string;
  readonly doc: string;
  /** A count, or why there is none. */
  readonly rows?: string;
}

async function rowCounts(session: Session): Promise<Map<string, string>> {
  const counts = TABLE_NAMES.map((table) => `(SELECT count(*) FROM raw."${table}")`);
  const result = await session.engine.query(`SELECT ${counts.join(", ")}`);
  const recorded = new Set<string>(
    session.readers.flatMap(({ manifest }) => manifest.event_tables ?? EVENT_TABLES),
  );
  const isEvent = (table: string) => (EVENT_TABLES as readonly string[]).includes(table);
  return new Map(TABLE_NAMES.map((table, i) => [
    table,
    isEvent(table) && !recorded.has(table)
      ? "not recorded"
      : (result.rows[0]![i] as bigint).toLocaleString("en"),
  ]));
}

function heading(title: string, remark: string): string {
  return remark === "" ? `${title}\n` : `${title} (${remark})\n`;
}

/** Name, rows and sentence; the sentence goes on below itself where it is long. */
function lines(entries: readonly Line[], width: number): string {
  const name = Math.min(24, Math.max(...entries.map((entry) => entry.name.length)));
  const counted = entries.some((entry) => entry.rows !== undefined);
  const left = INDENT + name + (counted ? 13 : 0) + 2;
  return entries.map((entry) => {
    const count = counted ? entry.rows!.padStart(13) : "";
    const first = `${" ".repeat(INDENT)}${entry.name.padEnd(name)}${count}  `;
    const text = wrap(entry.doc, width - left).join(`\n${" ".repeat(left)}`);
    const fits = first.length <= left;
    return `${first.trimEnd()}${
      fits ? " ".repeat(left - first.trimEnd().length) : `\n${" ".repeat(left)}`
    }${text}\n`;
  }).join("");
}

async function examples(
  session: Session,
  library: readonly LibraryEntry[],
): Promise<string[]> {
  const region = await session.engine.query("SELECT label FROM region LIMIT 1");
  const label = (region.rows[0]?.[0] ?? "LABEL") as string;
  return [
    "SELECT reason, count(*) FROM exit GROUP BY 1",
    ...library.flatMap(({ name, example }) =>
      example === null || example === `SELECT * FROM ${name}` ? [] : [example]
    ),
    ...macros().flatMap(({ example }) =>
      example === null ? [] : [example.replaceAll("'LABEL'", `'${label}'`)]
    ),
  ];
}
