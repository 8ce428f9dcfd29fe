/**
 * Opens a trace directory: its manifest, its committed bytes in slices that any Arrow reader takes, and
 * decoded rows. Nothing beyond the committed bytes is ever handed out, except inputs (see `inputs`).
 * @module
 */
import { existsSync } from "node:fs";
import * as arrow from "apache-arrow";
import { END_OF_STREAM, schemaMessage } from "./arrow_stream.ts";
import { TraceError } from "./error.ts";
import { MANIFEST, type Manifest, parseManifest, tableFile, TEMPORARY } from "./manifest.ts";
import { columnsOf, type ReadRow } from "./rows.ts";
import { type CodeKind, TABLE_NAMES, type TableName } from "./schema.ts";
import { concatenate, TableFile } from "./table_file.ts";

const DEFAULT_SLICE_BYTES = 16 << 20;

export class TraceReader {
  /** Tables whose checksum was found to agree. */
  readonly #checked = new Set<TableName>();

  private constructor(readonly path: string, readonly manifest: Manifest) {}

  /** Throws TraceError when `path` is no trace, or one that cannot be read. */
  static open(path: string): TraceReader {
    const reader = new TraceReader(path, parseManifest(readManifest(path), path));
    for (const table of TABLE_NAMES) reader.#openFile(table)?.close();
    return reader;
  }

  rowCount(table: TableName): number {
    return this.manifest.tables[table]?.rows ?? 0;
  }

  /**
   * The table as Arrow streams, each with schema and end marker, of whole batches up to `sliceBytes`
   * (a larger batch stands alone). At least one, even without rows.
   */
  *slices(
    table: TableName,
    sliceBytes = DEFAULT_SLICE_BYTES,
  ): Generator<Uint8Array<ArrayBuffer>> {
    const file = this.openTable(table);
    if (file === null) return yield concatenate(schemaMessage(table), END_OF_STREAM);
    try {
      yield* file.slices(sliceBytes);
    } finally {
      file.close();
    }
  }

  *batches(table: TableName): Generator<arrow.RecordBatch> {
    for (const slice of this.slices(table)) yield* this.#decode(table, slice);
  }

  /** Rows in the order of the file, which is the order of writing, not always that of seq. */
  *rows<T extends TableName>(table: T): Generator<ReadRow<T>> {
    for (const batch of this.batches(table)) yield* batchRows(table, batch);
  }

  /** Rows from the last to the first, a batch at a time: for who needs only the end of a large table. */
  *rowsBackwards<T extends TableName>(table: T): Generator<ReadRow<T>> {
    const file = this.openTable(table);
    if (file === null) return;
    try {
      const messages = [...file.messages()];
      const first = messages.find((m) => m.isSchema);
      const schema = first ? file.read(first.at, first.bytes) : schemaMessage(table);
      for (const span of messages.filter((m) => !m.isSchema).reverse()) {
        const stream = concatenate(schema, file.read(span.at, span.bytes));
        for (const batch of this.#decode(table, stream).reverse()) {
          yield* [...batchRows(table, batch)].reverse();
        }
      }
    } finally {
      file.close();
    }
  }

  /**
   * Every input that took effect, in order: the committed rows and, when the recording was killed,
   * those that had been made durable since its last flush.
   */
  *inputs(): Generator<ReadRow<"input">> {
    yield* this.rows("input");
    yield* this.lateInputs().rows;
  }

  /** Inputs made durable after the last flush, and where in the file the last of them ends. */
  lateInputs(): { rows: ReadRow<"input">[]; end: number } {
    const file = this.openTable("input");
    const late = { rows: [] as ReadRow<"input">[], end: file?.committed ?? 0 };
    if (file === null) return late;
    try {
      // What a loss of power left half-written reads as zeros: seq must go on rising.
      let lastSeq = this.manifest.commit.seq - 1;
      for (const span of this.manifest.clean_end ? [] : file.uncommitted()) {
        const bytes = file.read(span.at, span.bytes);
        for (const row of decodeRows("input", concatenate(schemaMessage("input"), bytes))) {
          if (row.seq <= lastSeq) return late;
          lastSeq = row.seq;
          late.rows.push(row);
        }
        late.end = span.at + span.bytes;
      }
    } catch {
      // A batch that does not decode was never finished, so nothing after it took effect.
    } finally {
      file.close();
    }
    return late;
  }

  /** Names of the codes of `kind`; position = code. */
  names(kind: CodeKind): string[] {
    const names: string[] = [];
    for (const row of this.rows("name")) if (row.kind === kind) names[row.code] = row.name;
    return names;
  }

  /** Reads and decodes every committed byte; throws TraceError on the first thing that is wrong. */
  check(): void {
    for (const table of TABLE_NAMES) {
      let rows = 0;
      for (const batch of this.batches(table)) rows += batch.numRows;
      if (rows !== this.rowCount(table)) {
        throw new TraceError(
          `${this.path}: table ${table} holds ${rows} rows, the manifest says ${
            this.rowCount(table)
          }`,
          "The trace was changed after it was recorded; record it again.",
        );
      }
    }
  }

  /**
   * The table's file, to be closed by the caller; null when the trace is older than the table. The
   * first opening of a table reads it whole and throws TraceError when it was damaged.
   */
  openTable(table: TableName): TableFile | null {
    const file = this.#openFile(table);
    if (file === null || this.#checked.has(table)) return file;
    try {
      file.check(this.manifest.tables[table]!.crc32);
    } catch (error) {
      file.close();
      throw error;
    }
    this.#checked.add(table);
    return file;
  }

  #openFile(table: TableName): TableFile | null {
    const entry = this.manifest.tables[table];
    if (entry === undefined) return null;
    const path = `${this.path}/${tableFile(table)}`;
    let file: TableFile;
    try {
      file = new TableFile(table, path, entry.bytes);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new TraceError(`${path} is missing`, "Copy the whole directory, or record it again.");
      }
      throw new TraceError(`${path}: ${(error as Error).message}`, "Check that you may read it.");
    }
    if (file.size < entry.bytes) {
      file.close();
      throw new TraceError(
        `${path} is cut off: ${file.size} bytes of ${entry.bytes}`,
        "Copy the whole directory, or record it again.",
      );
    }
    return file;
  }

  #decode(table: TableName, stream: Uint8Array): arrow.RecordBatch[] {
    try {
      return decode(stream);
    } catch (error) {
      throw new TraceError(
        `${this.path}/${tableFile(table)} is damaged: ${(error as Error).message}`,
        "The file was changed after it was recorded; record it again.",
      );
    }
  }
}

function readManifest(path: string): string {
  try {
    return Deno.readTextFileSync(`${path}/${MANIFEST}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      const next = readNext(path);
      if (next !== null) return next;
      const what = existsSync(path) ? `is no trace: it has no ${MANIFEST}` : "does not exist";
      throw new TraceError(`${path} ${what}`, "Give a directory that `record` wrote.");
    }
    throw new TraceError(
      `${path}/${MANIFEST}: ${(error as Error).message}`,
      "Check that you may read it.",
    );
  }
}

/** The manifest that was about to take its place when the recording was killed; null when it is not whole. */
function readNext(path: string): string | null {
  try {
    const text = Deno.readTextFileSync(`${path}/${TEMPORARY}`);
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}

/** The record batches of a stream of this project's own making; a missing end marker is no error. */
export function decode(stream: Uint8Array): arrow.RecordBatch[] {
  return arrow.tableFromIPC(stream).batches.filter((batch) => batch.numRows > 0);
}

function* decodeRows<T extends TableName>(table: T, stream: Uint8Array): Generator<ReadRow<T>> {
  for (const batch of decode(stream)) yield* batchRows(table, batch);
}

/** The rows of one batch, decoded. */
export function* batchRows<T extends TableName>(
  table: T,
  batch: arrow.RecordBatch,
): Generator<ReadRow<T>> {
  const columns = columnsOf(table).map(([name, { type }]) => ({
    name,
    narrow: type === "u64",
    vector: batch.getChild(name),
  }));
  for (let i = 0; i < batch.numRows; i++) {
    const row: Record<string, unknown> = {};
    for (const { name, narrow, vector } of columns) {
      const value = vector?.get(i) ?? null;
      row[name] = narrow && value !== null ? Number(value) : value;
    }
    yield row as ReadRow<T>;
  }
}
