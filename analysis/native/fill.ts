/**
 * Arrow batches into native DuckDB: vectors of 2,048 rows, column by column, by copying memory. DuckDB's
 * vectors have Arrow's layout for numbers and for validity bits; booleans are bytes there, and texts are
 * assigned one by one.
 * @module
 */
import { DataType, type RecordBatch, type Vector } from "apache-arrow";
import type { NativeChunk, NodeBindings } from "./node_api.ts";

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

/** The rows of some batches, handed out once, a chunk at a time. */
export class Rows {
  readonly #bindings: NodeBindings;
  readonly #batches: readonly RecordBatch[];
  #copiers: readonly Copy[] = [];
  #batch = -1;
  /** The next row of the batch. */
  #at = 0;

  constructor(bindings: NodeBindings, batches: readonly RecordBatch[]) {
    this.#bindings = bindings;
    this.#batches = batches.filter((batch) => batch.numRows > 0);
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  /** Fills an empty chunk; after the last row it stays empty. */
  fill(chunk: NativeChunk): void {
    let batch = this.#batches[this.#batch];
    if (batch === undefined || this.#at === batch.numRows) {
      batch = this.#batches[++this.#batch];
      if (batch === undefined) return;
      this.#at = 0;
      const from = batch;
      this.#copiers = from.schema.fields.map((_, i) =>
        copier(this.#bindings, from.getChildAt(i) as Vector)
      );
    }
    const rows = Math.min(CHUNK_ROWS, batch.numRows - this.#at);
    this.#copiers.forEach((copy, i) =>
      copy(this.#bindings.data_chunk_get_vector(chunk.chunk, i), this.#at, rows)
    );
    chunk.rowCount = rows;
    this.#at += rows;
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
