/**
 * `manifest.json`: what was recorded, on what, how it ended, and how much of each table is committed.
 * Replaced whole at every flush, so the files as it describes them are a consistent prefix of the trace.
 * @module
 */
import { TraceError } from "./error.ts";
import { type EventTable, SCHEMA_VERSION, TABLE_NAMES, type TableName } from "./schema.ts";
import type { TraceEnd } from "./trace.ts";

export const MANIFEST = "manifest.json";
/** The next manifest while it is written; the only one for a moment, and then it is whole. */
export const TEMPORARY = `${MANIFEST}.tmp`;
export const TOOL = "exitscope";

export const tableFile = (table: TableName): string => `${table}.arrow`;

/** A file that the machine was given, as far as replay must recognize it. */
export interface FileDigest {
  path: string;
  sha256: string;
  bytes: number;
}

export interface TableManifest {
  rows: number;
  /** Committed bytes: what lies beyond them in the file is no part of the trace. */
  bytes: number;
  /** CRC-32 of the committed bytes. */
  crc32: number;
}

/** What the recorder knows when it starts. */
export interface Recording {
  /** Version of the tool that records. */
  version: string;
  /** The machine, as the board understands it (MachineSpec). */
  machine: unknown;
  files: FileDigest[];
  /** Rows per flush: with the same number replay writes the same bytes. */
  batch_rows: number;
  /** Event tables that were recorded, all when left out; others are empty because nobody asked. */
  event_tables?: EventTable[];
}

export interface Manifest extends Recording {
  schema_version: number;
  tool: string;
  /** True when the recording was closed; false while it runs and after it was killed. */
  clean_end: boolean;
  /** How it ended; null unless it ended cleanly. */
  end: TraceEnd | null;
  /** Where the trace stood at the last flush. */
  commit: { flushes: number; seq: number; time_ns: number; icount: number | null; vcpu: number };
  /** SHA-256 over the digest before and this flush's rows, bytes and CRCs of all tables, in hex. */
  digest: string;
  tables: Partial<Record<TableName, TableManifest>>;
}

const RERECORD = "Record it again; no part of it can be used.";

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;

/** Checks the text of a manifest; `where` names the trace in errors. Throws TraceError. */
export function parseManifest(text: string, where: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TraceError(`${where}: ${MANIFEST} is damaged: ${(error as Error).message}`, RERECORD);
  }
  const bad = (what: string) =>
    new TraceError(`${where}: ${MANIFEST} is damaged: ${what}`, RERECORD);
  if (!isObject(value) || value.tool !== TOOL || !isCount(value.schema_version)) {
    throw new TraceError(
      `${where}: ${MANIFEST} is not of an Exitscope trace`,
      "Give a directory that `record` wrote.",
    );
  }
  if ((value.schema_version as number) > SCHEMA_VERSION) {
    throw new TraceError(
      `${where}: schema version ${value.schema_version} is newer than ${SCHEMA_VERSION}, the newest known here`,
      `Use the version of Exitscope that wrote it (${value.version}) or a later one.`,
    );
  }
  if (!isObject(value.tables)) throw bad("no tables");
  if (!isObject(value.commit) || !isCount(value.commit.seq)) throw bad("no commit");
  if (typeof value.clean_end !== "boolean") throw bad("clean_end is missing");
  if (!Array.isArray(value.event_tables ?? [])) throw bad("event_tables");
  for (const table of TABLE_NAMES) {
    const entry = value.tables[table];
    if (entry === undefined) continue; // Written before the schema had this table.
    if (!isObject(entry) || ![entry.rows, entry.bytes, entry.crc32].every(isCount)) {
      throw bad(`table ${table}`);
    }
  }
  return value as unknown as Manifest;
}
