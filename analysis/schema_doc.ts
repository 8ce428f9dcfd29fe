/**
 * The documented schema: tables from `core/trace`, views and macros from the headers of the library, with
 * their sentences. `query --explain-schema` prints it, and SCHEMA.md is its Markdown.
 * @module
 */
import { type Column, EVENT_TABLES, TABLE_NAMES, TABLES } from "../core/trace/schema.ts";
import { type LibraryEntry, type Macro, macros, views } from "./library.ts";
import { renderMarkdown } from "./output.ts";
import type { ColumnTypes } from "./view_types.ts";
import { wrap } from "./wrap.ts";

interface ColumnDoc {
  readonly name: string;
  /** For codes the type of their names. Views' are left out where nobody asked the engine. */
  readonly type?: string;
  readonly nullable?: boolean;
  /** Names that a code stands for, where all traces share them. */
  readonly codes?: string;
  readonly doc: string;
}

export interface SchemaDoc {
  readonly tables: readonly {
    readonly name: string;
    readonly doc: string;
    readonly columns: readonly ColumnDoc[];
  }[];
  readonly views: readonly (Omit<LibraryEntry, "sql" | "columns"> & {
    readonly columns: readonly ColumnDoc[];
  })[];
  readonly macros: readonly Omit<Macro, "sql">[];
}

const RUN: ColumnDoc = { name: "run", type: "text", nullable: false, doc: "Name of the trace." };
const TYPES: Partial<Record<Column["type"], string>> = {
  wide: "u64",
  utf8: "text",
  binary: "bytes",
};

/** Everything there is to ask. */
export function schemaDoc(types?: ColumnTypes): SchemaDoc {
  const columns = (table: keyof typeof TABLES): ColumnDoc[] => {
    const declared: Readonly<Record<string, Column>> = TABLES[table].columns;
    return [
      RUN,
      ...Object.entries(declared).map(([name, { type, nullable, codes, doc }]) => ({
        name,
        type: codes === null ? TYPES[type] ?? type : "text",
        nullable,
        ...(codes !== null && { codes }),
        doc,
      })),
    ];
  };
  return {
    tables: TABLE_NAMES.map((name) => ({ name, doc: TABLES[name].doc, columns: columns(name) })),
    views: views().map(({ sql: _, ...view }) => ({
      ...view,
      columns: view.columns.map(({ name, doc }) =>
        typed(name, doc, types?.get(`${view.name}.${name}`))
      ),
    })).sort((a, b) => a.name < b.name ? -1 : 1),
    macros: macros().map(({ sql: _, ...macro }) => macro),
  };
}

const typed = (name: string, doc: string, type: string | undefined): ColumnDoc =>
  type === undefined ? { name, doc } : { name, type, doc };

/** One table or view for the prompt; null when there is none of that name. */
export function describeEntry(name: string, width: number, types?: ColumnTypes): string | null {
  const doc = schemaDoc(types);
  const table = doc.tables.find((t) => t.name === name);
  if (table !== undefined) return entryText(table.name, [table.doc], table.columns, width);
  const view = doc.views.find((v) => v.name === name);
  if (view !== undefined) return entryText(view.name, viewNotes(view), view.columns, width);
  const macro = doc.macros.find((m) => m.name.split("(")[0] === name);
  return macro === undefined ? null : entryText(macro.name, [macro.doc], [], width);
}

const viewNotes = (view: SchemaDoc["views"][number]): string[] => [
  view.doc,
  `Grain: ${view.grain}`,
  `Time: ${view.time}`,
  `Reads: ${view.reads.join(", ")}.`,
];

function entryText(
  name: string,
  notes: readonly string[],
  columns: readonly ColumnDoc[],
  width: number,
): string {
  const left = 4 + Math.max(0, ...columns.map((column) => column.name.length));
  const fold = (text: string, indent: number) =>
    wrap(text, Math.max(20, width - indent)).join(`\n${" ".repeat(indent)}`);
  return [
    name,
    ...notes.map((note) => `  ${fold(note, 2)}`),
    ...columns.map((column) =>
      `  ${column.name.padEnd(left - 2)}${fold(`${column.doc}${remark(column)}`, left)}`
    ),
  ].join("\n") + "\n";
}

function remark({ type, nullable }: ColumnDoc): string {
  if (type === undefined) return "";
  return nullable ? ` [${type}, may be null]` : ` [${type}]`;
}

/** The schema in the form asked for; text keeps to `width`. */
export function renderSchema(
  format: "table" | "markdown" | "json",
  width: number,
  types: ColumnTypes,
): string {
  const doc = schemaDoc(types);
  if (format === "json") return JSON.stringify(doc, null, 2) + "\n";
  return format === "markdown" ? markdown(doc) : text(doc, Math.min(width, 100));
}

function text(doc: SchemaDoc, width: number): string {
  const parts = [
    ...doc.tables.map((t) => entryText(`table ${t.name}`, [t.doc], t.columns, width)),
    ...doc.views.map((v) => entryText(`view ${v.name}`, viewNotes(v), v.columns, width)),
    ...doc.macros.map((m) => entryText(`macro ${m.name}`, [m.doc], [], width)),
  ];
  return parts.join("\n");
}

const HEAD = `<!-- deno-fmt-ignore-file -->
<!-- Made by: deno task query --explain-schema --format markdown. A test holds it to its sources. -->

# The SQL surface

Everything that \`deno task query\` answers from: tables as the recorder writes them
(\`core/trace/schema.ts\`), views (\`analysis/views/*.sql\`) and macros (\`analysis/macros.sql\`).

- Every row says in \`run\` which trace it is of. Every row of an event has \`seq\`, one order over all
  tables of a trace.
- Codes stand in \`raw.TABLE\`, their names in \`TABLE\`. \`KIND_name(run, code)\` names a code: count
  codes first, name what is left, where rows are many.
- \`query --between LABEL\` limits every table, view and macro to what lies between the marks
  \`LABEL begin\` and \`LABEL end\`; \`--between FROM..TO\` to what lies between two other marks. Inside
  one query, \`between_marks('TABLE', 'LABEL')\` does it for one table.
- Types: \`u64\` is an unsigned integer of 64 bits, \`i64\` a signed one, \`f64\` a floating-point number.
- Spans overlap: regions nest, requests share a device. Views that join over spans have a column
  \`overlapped\` (or a count \`overlapping\`): where it is true, sums count some time or exits twice.
- \`offset\` is a word of SQL: write \`"offset"\`.
`;

function markdown(doc: SchemaDoc): string {
  const grid = (columns: readonly ColumnDoc[]) => {
    const typed = columns.some((column) => column.type !== undefined);
    return renderMarkdown({
      head: ["column", ...(typed ? ["type"] : []), "meaning"],
      right: [false, ...(typed ? [false] : []), false],
      rows: columns.map(({ name, type, nullable, doc }) => [
        `\`${name}\``,
        ...(typed ? [`${type}${nullable ? ", null" : ""}`] : []),
        doc,
      ]),
    });
  };
  const events: readonly string[] = EVENT_TABLES;
  const tables = doc.tables.map((t) =>
    `### ${t.name}\n\n${t.doc}${events.includes(t.name) ? "" : " Always written."}\n\n${
      grid(t.columns)
    }`
  );
  const viewParts = doc.views.map((v) =>
    `### ${v.name}\n\n${v.doc}\n\n- Grain: ${v.grain}\n- Time: ${v.time}\n- Reads: ${
      v.reads.join(", ")
    }.\n${v.example === null ? "" : `- Try: \`${v.example}\`\n`}\n${grid(v.columns)}`
  );
  const macroParts = doc.macros.map((m) =>
    `### ${m.name}\n\n${m.doc}${m.example === null ? "" : `\n\nTry: \`${m.example}\``}\n`
  );
  return [
    HEAD,
    "## Tables\n",
    ...tables,
    "## Views\n",
    ...viewParts,
    "## Macros\n",
    ...macroParts,
  ].join("\n");
}
