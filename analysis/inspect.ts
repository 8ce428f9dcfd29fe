/**
 * `inspect`: what a trace is, from its manifest, after every committed byte has been read and checked:
 * how it ended, machine, guest, devices, rows and bytes of every table, digests.
 * @module
 */
import type { Manifest } from "../core/trace/manifest.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { EVENT_TABLES, TABLE_NAMES, type TableName } from "../core/trace/schema.ts";
import { flatten } from "./comparison.ts";
import { count, rate, size, time } from "./format.ts";
import { committedBytes } from "./open.ts";
import { type Grid, indent, type Output, renderTable, standardOutput } from "./output.ts";

export interface InspectOptions {
  readonly trace: string;
  readonly format?: "table" | "json";
}

const DEFAULT_WIDTH = 100;

/** Returns the exit code, 0; throws TraceError when the trace cannot be read or is damaged. */
export function runInspect(
  options: InspectOptions,
  output: Output = standardOutput(),
): Promise<number> {
  const reader = TraceReader.open(options.trace);
  verify(reader, output);
  const report = describe(reader);
  if (options.format === "json") output.write(JSON.stringify(report, null, 2) + "\n");
  else output.write(render(report, Number.isFinite(output.width) ? output.width : DEFAULT_WIDTH));
  return Promise.resolve(0);
}

/** The reader compares checksums as slices go by. */
function verify(reader: TraceReader, output: Output): void {
  const total = committedBytes(reader);
  let done = 0;
  for (const table of TABLE_NAMES) {
    for (const slice of reader.slices(table)) {
      done += slice.byteLength;
      output.progress(
        `Checking ${size(total)}: ${Math.min(100, Math.floor(100 * done / total))} %`,
      );
    }
  }
  output.progress(null);
}

interface TableReport {
  readonly table: TableName;
  readonly recorded: boolean;
  readonly rows: number;
  readonly bytes: number;
}

interface Report {
  readonly path: string;
  readonly manifest: Manifest;
  readonly devices: readonly string[];
  readonly tables: readonly TableReport[];
  readonly events: number;
  readonly bytes: number;
  /** Null without events. */
  readonly bytesPerEvent: number | null;
}

function describe(reader: TraceReader): Report {
  const { manifest } = reader;
  const recorded: readonly string[] = manifest.event_tables ?? EVENT_TABLES;
  const tables = TABLE_NAMES.map((table) => ({
    table,
    recorded: !(EVENT_TABLES as string[]).includes(table) || recorded.includes(table),
    rows: reader.rowCount(table),
    bytes: manifest.tables[table]?.bytes ?? 0,
  }));
  const events = tables.filter(({ table }) => (EVENT_TABLES as string[]).includes(table));
  const rows = events.reduce((sum, table) => sum + table.rows, 0);
  const bytes = events.reduce((sum, table) => sum + table.bytes, 0);
  return {
    path: reader.path,
    manifest,
    devices: reader.names("device"),
    tables,
    events: rows,
    bytes: committedBytes(reader),
    bytesPerEvent: rows === 0 ? null : bytes / rows,
  };
}

function render(report: Report, width: number): string {
  const { manifest } = report;
  const machine = new Map<string, string>();
  flatten("", manifest.machine, machine);
  const sections: [string, [string, string][]][] = [
    [report.path, [
      ["ended", ending(manifest)],
      ["virtual time", time(manifest.commit.time_ns)],
      ["events", count(report.events)],
      ["size", `${size(report.bytes)}${perEvent(report)}`],
      ["recorded by", `${manifest.tool} ${manifest.version}, schema ${manifest.schema_version}`],
      ["digest", manifest.digest],
      ["checksums", "every table matches"],
    ]],
    ["Machine", [...machine]],
    ["Files", manifest.files.map((f) => [f.path, `${size(f.bytes)}, sha256 ${f.sha256}`])],
    ["Devices", report.devices.length === 0 ? [] : [["", report.devices.join(", ")]]],
  ];
  const text = sections.filter(([, lines]) => lines.length > 0).map(([title, lines]) => {
    const label = Math.max(...lines.map(([name]) => name.length));
    return `${title}\n${
      lines.map(([name, value]) => fold(name.padEnd(label), value, width)).join("")
    }`;
  });
  return [...text, `Tables\n${indent(renderTable(tableGrid(report), width - 2))}`].join("\n");
}

/** A label and its value, which goes on below itself; values without blanks stay whole. */
function fold(label: string, value: string, width: number): string {
  const lead = `  ${label}${label === "" ? "" : "  "}`;
  const words = value.split(" ");
  let out = lead;
  let column = lead.length;
  for (const [i, word] of words.entries()) {
    if (i > 0 && column + 1 + word.length > width) {
      out += `\n${" ".repeat(lead.length)}`;
      column = lead.length;
    } else if (i > 0) {
      out += " ";
      column++;
    }
    out += word;
    column += word.length;
  }
  return out + "\n";
}

function ending({ clean_end, end, commit }: Manifest): string {
  if (!clean_end) {
    return `not cleanly: it was killed or is still running; complete up to seq ${
      count(commit.seq)
    }`;
  }
  return end === null ? "cleanly" : `cleanly: ${end.kind}, code ${end.code}`;
}

function perEvent({ bytesPerEvent }: Report): string {
  return bytesPerEvent === null ? "" : `, ${rate(bytesPerEvent)} bytes per event`;
}

function tableGrid({ tables }: Report): Grid {
  return {
    head: ["table", "rows", "bytes", "bytes per row"],
    right: [false, true, true, true],
    rows: tables.map(({ table, recorded, rows, bytes }) => [
      table,
      recorded ? count(rows) : "switched off",
      recorded ? count(bytes) : "",
      rows === 0 ? "" : rate(bytes / rows),
    ]),
  };
}
