/**
 * `export`: traces in formats of others. Perfetto is one file; Parquet, CSV and Arrow are a folder with a
 * file per table, in which codes stand by their names, as in `query`.
 * @module
 */
import { existsSync } from "node:fs";
import * as arrow from "apache-arrow";
import { EVENT_TABLES, REFERENCE_TABLES, type TableName } from "../../core/trace/schema.ts";
import type { EngineChoice } from "../engine.ts";
import { AnalysisError } from "../errors.ts";
import { count, size } from "../format.ts";
import { textLiteral } from "../literal.ts";
import { openTraces, type Session } from "../open.ts";
import { type Output, renderCsv, standardOutput } from "../output.ts";
import { decode } from "../rows.ts";
import { writePerfetto } from "./perfetto.ts";

export const EXPORT_FORMATS = ["perfetto", "parquet", "csv", "arrow"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportOptions {
  readonly traces: readonly string[];
  readonly to: ExportFormat;
  /** File for Perfetto, folder for the others; must not exist. */
  readonly output: string;
  /** Tables to write; all that have rows when left out. */
  readonly tables?: readonly string[];
  /** Parquet in folders host=…/run=…, with this name for the host. */
  readonly partitionHost?: string;
  readonly choice?: EngineChoice;
}

const TABLES: readonly TableName[] = [
  ...EVENT_TABLES,
  ...REFERENCE_TABLES.filter((table) => table !== "name"),
];
/** Rows fetched at a time where a table is written by us. */
const WINDOW = 250_000;

/** Returns the exit code, 0. Throws AnalysisError, TraceError. */
export async function runExport(
  options: ExportOptions,
  output: Output = standardOutput(),
): Promise<number> {
  const tables = tablesOf(options);
  if (existsSync(options.output)) {
    throw new AnalysisError(`${options.output} exists already.`, "Choose another name.");
  }
  // Only native DuckDB writes Parquet: the other has no such extension without a network.
  const choice = options.to === "parquet" ? "native" : options.choice;
  const session = await openTraces(options.traces, output, { choice });
  try {
    const written = options.to === "perfetto"
      ? await perfetto(session, options.output, output)
      : await writeTables(session, options, tables, output);
    output.progress(null);
    output.write(written);
    return 0;
  } finally {
    output.progress(null);
    session.close();
  }
}

function tablesOf({ tables, to, partitionHost }: ExportOptions): readonly TableName[] {
  const unknown = tables?.find((table) => !(TABLES as readonly string[]).includes(table));
  if (unknown !== undefined) {
    throw new AnalysisError(`There is no table ${unknown}.`, `Tables are ${TABLES.join(", ")}.`);
  }
  if (tables !== undefined && to === "perfetto") {
    throw new AnalysisError("Perfetto gets no tables.", "Leave out --tables.");
  }
  if (partitionHost !== undefined && to !== "parquet") {
    throw new AnalysisError(`${to} is not partitioned.`, "Use --to parquet, or leave out --host.");
  }
  return (tables as readonly TableName[] | undefined) ?? TABLES;
}

/** A new file; what the host says against it is told in one line. */
function create(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { write: true, createNew: true });
  } catch (error) {
    throw cannotWrite(path, error as Error);
  }
}

function createFolder(path: string): void {
  try {
    Deno.mkdirSync(path);
  } catch (error) {
    throw cannotWrite(path, error as Error);
  }
}

function cannotWrite(path: string, error: Error): AnalysisError {
  const why = error instanceof Deno.errors.NotFound ? "its folder does not exist" : error.message;
  return new AnalysisError(
    `Cannot write ${path}: ${why}.`,
    "Choose a folder that you may write to.",
  );
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}

async function perfetto(session: Session, path: string, output: Output): Promise<string> {
  const file = create(path);
  try {
    const progress = (part: number) =>
      output.progress(`Writing ${path}: ${Math.floor(100 * part)} %`);
    await writePerfetto(session.engine, session.names, (bytes) => writeAll(file, bytes), progress);
    return `${path}: ${size(file.statSync().size)}; open it at https://ui.perfetto.dev\n`;
  } finally {
    file.close();
  }
}

async function writeTables(
  session: Session,
  options: ExportOptions,
  tables: readonly TableName[],
  output: Output,
): Promise<string> {
  const { engine } = session;
  const { to, output: folder } = options;
  createFolder(folder);
  const lines: string[] = [];
  for (const table of tables) {
    const rows = Number((await engine.query(`SELECT count(*) FROM "${table}"`)).rows[0]![0]);
    if (rows === 0) continue;
    output.progress(`Writing ${table}: ${count(rows)} rows`);
    const path = `${folder}/${table}${options.partitionHost === undefined ? `.${to}` : ""}`;
    if (to === "parquet") await engine.query(copyStatement(table, path, options));
    else await writeFile(session, table, rows, path, to === "csv" ? csvSink : arrowSink);
    lines.push(`${path}: ${count(rows)} rows\n`);
  }
  if (lines.length === 0) return `${folder}: the traces have no rows in these tables\n`;
  return lines.join("");
}

function copyStatement(table: TableName, path: string, { partitionHost }: ExportOptions): string {
  const form = "FORMAT parquet, COMPRESSION zstd";
  if (partitionHost === undefined) {
    return `COPY (FROM "${table}") TO ${textLiteral(path)} (${form})`;
  }
  const rows = `SELECT ${textLiteral(partitionHost)} AS host, * FROM "${table}"`;
  return `COPY (${rows}) TO ${textLiteral(path)} (${form}, PARTITION_BY (host, run))`;
}

interface Sink {
  /** One Arrow stream of rows. */
  take(stream: Uint8Array): void;
  close(): void;
}

const csvSink = (file: Deno.FsFile): Sink => {
  const encoder = new TextEncoder();
  let first = true;
  return {
    take(stream) {
      const csv = renderCsv(decode(stream));
      writeAll(file, encoder.encode(first ? csv : csv.slice(csv.indexOf("\n") + 1)));
      first = false;
    },
    close() {},
  };
};

/** apache-arrow's file writer, whose own sink would keep the whole file in memory. */
class FileWriter extends arrow.RecordBatchFileWriter {
  constructor(readonly file: Deno.FsFile) {
    super();
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (!this._started || chunk.byteLength === 0) return this;
    const bytes = new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
    writeAll(this.file, bytes);
    this._position += bytes.length;
    return this;
  }
}

const arrowSink = (file: Deno.FsFile): Sink => {
  const writer = new FileWriter(file);
  let started = false;
  return {
    take(stream) {
      const { schema, batches } = arrow.tableFromIPC(stream);
      if (!started) writer.reset(undefined, schema);
      started = true;
      for (const batch of batches) if (batch.numRows > 0) writer.write(batch);
    },
    close: () => void writer.finish(),
  };
};

async function writeFile(
  { engine }: Session,
  table: TableName,
  rows: number,
  path: string,
  makeSink: (file: Deno.FsFile) => Sink,
): Promise<void> {
  const file = create(path);
  try {
    const sink = makeSink(file);
    for (let from = 0; from < rows; from += WINDOW) {
      sink.take(await engine.arrow(`FROM "${table}" LIMIT ${WINDOW} OFFSET ${from}`));
    }
    sink.close();
  } finally {
    file.close();
  }
}
