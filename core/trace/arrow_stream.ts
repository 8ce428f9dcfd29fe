/**
 * Arrow IPC streams (Arrow columnar format 1.x, "IPC Streaming Format"), written message by message:
 * the schema when the stream opens, a record batch per flush, the end-of-stream marker when it closes.
 * Uncompressed; no dictionaries: enumerations are codes. Numbers of fields and unions are those of
 * Arrow's Schema.fbs and Message.fbs; fields are given in the order in which apache-arrow writes them, so
 * that both make the same bytes.
 * @module
 */
import { FlatBuffer, type Place } from "./flatbuffer.ts";
import { columnsOf } from "./rows.ts";
import {
  type Code,
  CODES,
  type Column,
  type Columns,
  type ColumnType,
  SCHEMA_VERSION,
  type TableName,
  TABLES,
} from "./schema.ts";

/** Ends a stream: a continuation marker and a length of 0. */
export const END_OF_STREAM: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/** Before a message's metadata: the continuation marker and their length. */
const PREFIX_BYTES = 8;
/** MetadataVersion.V5. */
const VERSION = 4;
/** MessageHeader: what a message holds. */
const HEADER = { schema: 1, recordBatch: 3 } as const;
/** Type: the union's numbers, with the widths of integers. */
const TYPE = { int: 2, binary: 4, utf8: 5, bool: 6 } as const;
const TYPES: Record<ColumnType, { type: number; bits?: number; signed?: boolean }> = {
  u8: { type: TYPE.int, bits: 8 },
  u16: { type: TYPE.int, bits: 16 },
  u32: { type: TYPE.int, bits: 32 },
  u64: { type: TYPE.int, bits: 64 },
  wide: { type: TYPE.int, bits: 64 },
  i32: { type: TYPE.int, bits: 32, signed: true },
  bool: { type: TYPE.bool },
  utf8: { type: TYPE.utf8 },
  binary: { type: TYPE.binary },
};

/** The message of table Message: its prefix and its metadata, padded so that the body begins at a multiple of 8. */
function message(f: FlatBuffer, header: number, content: Place, bodyBytes: number): Uint8Array {
  const metadata = f.finish(f.table([
    [0, "i16", VERSION],
    [2, "ref", content],
    [1, "u8", header],
    [3, "i64", bodyBytes],
  ]));
  const bytes = new Uint8Array(PREFIX_BYTES + (metadata.length + 7 & ~7));
  new Int32Array(bytes.buffer, 0, 2).set([-1, bytes.length - PREFIX_BYTES]);
  bytes.set(metadata, PREFIX_BYTES);
  return bytes;
}

/** A vector of table KeyValue. */
function keyValues(f: FlatBuffer, pairs: readonly (readonly [string, string])[]): Place {
  return f.refs(pairs.map(([key, value]) => {
    const [k, v] = [f.text(key), f.text(value)];
    return f.table([[0, "ref", k], [1, "ref", v]]);
  }));
}

/** Sentences and shared codes travel in the schema's metadata. */
function metadataOf(column: Column): [string, string][] {
  const { codes } = column;
  if (codes === null) return [["doc", column.doc]];
  const shared = (CODES as Record<string, readonly Code[]>)[codes] as readonly Code[] | undefined;
  return [
    ["doc", column.doc],
    ["kind", codes],
    ...shared ? [["codes", JSON.stringify(shared.map((c) => c.name))] as [string, string]] : [],
  ];
}

/** Table Field. */
function field(f: FlatBuffer, name: string, column: Column): Place {
  const { type, bits = 0, signed = false } = TYPES[column.type];
  const typeAt = f.table([[0, "i32", bits], [1, "u8", Number(signed)]]);
  const children = f.refs([]);
  const metadata = keyValues(f, metadataOf(column));
  const nameAt = f.text(name);
  return f.table([
    [3, "ref", typeAt],
    [2, "u8", type],
    [5, "ref", children],
    [1, "u8", Number(column.nullable)],
    [0, "ref", nameAt],
    [6, "ref", metadata],
  ]);
}

/** The schema message of `table`. */
export function schemaMessage(table: TableName, columns: Columns = "all"): Uint8Array {
  const f = new FlatBuffer();
  const fields = f.refs(columnsOf(table, columns).map(([name, c]) => field(f, name, c)));
  const metadata = keyValues(f, [
    ["table", table],
    ["doc", TABLES[table].doc],
    ["schema_version", String(SCHEMA_VERSION)],
  ]);
  return message(f, HEADER.schema, f.table([[1, "ref", fields], [2, "ref", metadata]]), 0);
}

/** A column of a batch: how many nulls it holds, and its buffers, each padded to a multiple of 8. */
export interface ColumnData {
  readonly nulls: number;
  readonly buffers: readonly Uint8Array[];
}

/** Encodes batches. */
export class BatchEncoder {
  readonly #flat = new FlatBuffer();

  /** The message in parts: its head, and the buffers of `columns` as they are. */
  batch(columns: readonly ColumnData[], rows: number): Uint8Array[] {
    const buffers = columns.flatMap((c) => c.buffers);
    return [this.#head(columns, buffers, rows), ...buffers];
  }

  /** Table RecordBatch, with its structs FieldNode and Buffer. */
  #head(columns: readonly ColumnData[], buffers: readonly Uint8Array[], rows: number): Uint8Array {
    const f = this.#flat;
    f.clear();
    let bodyBytes = 0;
    const regions = buffers.map(({ length }): [number, number] => {
      bodyBytes += length;
      return [bodyBytes - length, length];
    });
    const nodes = f.pairs(columns.map((c) => [rows, c.nulls]));
    const places = f.pairs(regions);
    const batch = f.table([[0, "i64", rows], [1, "ref", nodes], [2, "ref", places]]);
    return message(f, HEADER.recordBatch, batch, bodyBytes);
  }
}
