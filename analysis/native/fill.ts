/**
 * Arrow batches into native DuckDB: chunks of 2,048 rows, column by column, by copying memory. DuckDB's
 * vectors have Arrow's layout for numbers and for validity bits; booleans are bytes there, and texts are
 * assigned one by one.
 * @module
 */
import { DataType, type RecordBatch, type Vector } from "apache-arrow";

// The packages are fetched when asked for, and so are not there to be checked against: what is used of
// them is declared here.
export interface Appender {
  appendDataChunk(chunk: unknown): void;
  closeSync(): void;
}
export interface NativeChunk {
  readonly chunk: unknown;
  rowCount: number;
  reset(): void;
  getColumnValues(column: number): unknown[];
}
export interface NativeType {
  readonly typeId: number;
  toString(): string;
}
interface NativeResult {
  columnNames(): string[];
  columnTypes(): NativeType[];
  fetchAllChunks(): Promise<NativeChunk[]>;
}
interface Connection {
  run(sql: string, values?: unknown[]): Promise<NativeResult>;
  createAppender(table: string, schema: string): Promise<Appender>;
  closeSync(): void;
}
interface Instance {
  connect(): Promise<Connection>;
  closeSync(): void;
}
export interface NodeApi {
  DuckDBInstance: { create(path: string): Promise<Instance> };
  DuckDBDataChunk: { create(types: readonly NativeType[]): NativeChunk };
  DuckDBBlobValue: new (bytes: Uint8Array) => unknown;
  [type: string]: unknown;
}
export interface NodeBindings {
  data_chunk_get_vector(chunk: unknown, column: number): unknown;
  vector_ensure_validity_writable(vector: unknown): void;
  vector_assign_string_element_len(vector: unknown, row: number, bytes: Uint8Array): void;
  copy_data_to_vector(
    vector: unknown,
    targetAt: number,
    source: ArrayBufferLike,
    sourceAt: number,
    bytes: number,
  ): void;
  copy_data_to_vector_validity(
    vector: unknown,
    targetAt: number,
    source: ArrayBufferLike,
    sourceAt: number,
    bytes: number,
  ): void;
}

/** Rows of a vector. */
const CHUNK_ROWS = 2048;

const SQL_INTEGERS: Readonly<Record<string, string>> = {
  Int8: "TINYINT",
  Int16: "SMALLINT",
  Int32: "INTEGER",
  Int64: "BIGINT",
  Uint8: "UTINYINT",
  Uint16: "USMALLINT",
  Uint32: "UINTEGER",
  Uint64: "UBIGINT",
};

/** DuckDB's type for what traces hold. */
export function sqlType(type: DataType): string {
  if (DataType.isBool(type)) return "BOOLEAN";
  if (DataType.isUtf8(type)) return "VARCHAR";
  if (DataType.isBinary(type)) return "BLOB";
  const integer = SQL_INTEGERS[String(type)];
  if (integer === undefined) throw new Error(`no column of a trace is ${type}`);
  return integer;
}

const SINGLETONS: Readonly<Record<string, string>> = { ...SQL_INTEGERS, Bool: "BOOLEAN" };

function nativeType(api: NodeApi, type: DataType): NativeType {
  const name = DataType.isUtf8(type)
    ? "VARCHAR"
    : DataType.isBinary(type)
    ? "BLOB"
    : SINGLETONS[String(type)];
  return api[name] as NativeType;
}

/** Appends all rows of `batch`. */
export function fill(
  { api, bindings }: { api: NodeApi; bindings: NodeBindings },
  appender: Appender,
  batch: RecordBatch,
): void {
  const columns = batch.schema.fields.map((_, i) => batch.getChildAt(i) as Vector);
  const chunk = api.DuckDBDataChunk.create(columns.map((c) => nativeType(api, c.type)));
  const copiers = columns.map((column) => copier(bindings, column));
  for (let from = 0; from < batch.numRows; from += CHUNK_ROWS) {
    const rows = Math.min(CHUNK_ROWS, batch.numRows - from);
    if (from > 0) chunk.reset();
    chunk.rowCount = rows;
    copiers.forEach((copy, i) => copy(bindings.data_chunk_get_vector(chunk.chunk, i), from, rows));
    appender.appendDataChunk(chunk);
  }
}

type Copy = (vector: unknown, from: number, rows: number) => void;

/** `from` is a multiple of 2,048, so bits begin with a byte. */
function copier(bindings: NodeBindings, column: Vector): Copy {
  const values = valuesCopier(bindings, column);
  const data = column.data[0];
  if (column.nullCount === 0) return values;
  const bitmap = data.nullBitmap;
  return (vector, from, rows) => {
    bindings.vector_ensure_validity_writable(vector);
    const bytes = (rows + 7) >>> 3;
    const at = bitmap.byteOffset + (from >>> 3);
    bindings.copy_data_to_vector_validity(vector, 0, bitmap.buffer, at, bytes);
    values(vector, from, rows);
  };
}

function valuesCopier(bindings: NodeBindings, column: Vector): Copy {
  const { type, data: [data] } = column;
  if (DataType.isBool(type)) {
    const bits = data.values as Uint8Array;
    const bytes = new Uint8Array(CHUNK_ROWS);
    return (vector, from, rows) => {
      for (let i = 0; i < rows; i++) bytes[i] = bits[(from + i) >>> 3] >>> ((from + i) & 7) & 1;
      bindings.copy_data_to_vector(vector, 0, bytes.buffer, 0, rows);
    };
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const bytes = data.values as unknown as Uint8Array;
    const offsets = data.valueOffsets;
    return (vector, from, rows) => {
      for (let i = 0; i < rows; i++) {
        const value = bytes.subarray(offsets[from + i], offsets[from + i + 1]);
        bindings.vector_assign_string_element_len(vector, i, value);
      }
    };
  }
  const { buffer, byteOffset, BYTES_PER_ELEMENT: width } = data.values as Uint32Array;
  return (vector, from, rows) => {
    bindings.copy_data_to_vector(vector, 0, buffer, byteOffset + from * width, rows * width);
  };
}
