/**
 * Query results as plain values: Arrow in, rows out. 64-bit integers become `bigint`, so nothing is
 * rounded on its way to the reader.
 * @module
 */
import { DataType, type Decimal, RecordBatch, tableFromIPC, type Vector } from "apache-arrow";

/** What one cell holds. Lists and structs arrive as JSON text, dates as ISO 8601. */
export type Value = null | boolean | number | bigint | string | Uint8Array;

export interface ResultColumn {
  readonly name: string;
  /** Arrow's name of the type, e.g. `Uint64`. */
  readonly type: string;
  /** True for numbers, which tables set flush right. */
  readonly numeric: boolean;
}

export interface Result {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Value[])[];
}

/** Decodes one Arrow IPC stream. */
export function decode(stream: Uint8Array): Result {
  const table = tableFromIPC(stream);
  const columns = table.schema.fields.map((field) => ({
    name: field.name,
    type: String(field.type),
    numeric: isNumeric(field.type),
  }));
  const rows: Value[][] = [];
  for (const batch of table.batches) appendRows(batch, rows);
  return { columns, rows };
}

/** The rows as objects keyed by column name. */
export function records(result: Result): Record<string, Value>[] {
  return result.rows.map((row) =>
    Object.fromEntries(result.columns.map((column, i) => [column.name, row[i]]))
  );
}

function appendRows(batch: RecordBatch, rows: Value[][]): void {
  const width = batch.schema.fields.length;
  const first = rows.length;
  for (let i = 0; i < batch.numRows; i++) rows.push(new Array<Value>(width));
  for (let c = 0; c < width; c++) {
    const vector = batch.getChildAt(c) as Vector;
    const read = reader(vector.type);
    for (let i = 0; i < batch.numRows; i++) {
      const value = vector.get(i);
      rows[first + i]![c] = value === null ? null : read(value);
    }
  }
}

function isNumeric(type: DataType): boolean {
  return DataType.isInt(type) || DataType.isFloat(type) || DataType.isDecimal(type);
}

function reader(type: DataType): (value: unknown) => Value {
  if (DataType.isDecimal(type)) return (value) => decimal(value as Uint32Array, type);
  if (DataType.isDate(type) || DataType.isTimestamp(type)) {
    return (value) => new Date(Number(value)).toISOString();
  }
  if (DataType.isInt(type) || DataType.isFloat(type) || DataType.isBool(type)) {
    return (value) => value as Value;
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isDictionary(type)) {
    return (value) => String(value);
  }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) {
    return (value) => (value as Uint8Array).slice();
  }
  return (value) => JSON.stringify(value, (_, inner) => plain(inner));
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? jsonInteger(value) : value;
}

/** A JSON number where it is exact, a string where it would be rounded. */
export function jsonInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** 128 bits, little-endian two's complement; DuckDB's HUGEINT has scale 0. */
function decimal(words: Uint32Array, type: Decimal): number | bigint {
  let unscaled = 0n;
  for (let i = words.length - 1; i >= 0; i--) unscaled = (unscaled << 32n) | BigInt(words[i]!);
  unscaled = BigInt.asIntN(32 * words.length, unscaled);
  return type.scale === 0 ? unscaled : Number(unscaled) / 10 ** type.scale;
}
