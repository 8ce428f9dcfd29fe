/**
 * Results of native DuckDB as the Arrow stream that the WebAssembly engine gives: the same types, so that
 * everything behind the engine is the same code.
 * @module
 */
import * as arrow from "apache-arrow";
import type { NativeChunk, NativeType } from "./node_api.ts";

interface Conversion {
  readonly type: arrow.DataType;
  /** DuckDB's value to what Arrow's builder takes; nulls do not come here. */
  convert(value: unknown): unknown;
}

const same = (value: unknown) => value;
const PLAIN: Readonly<Record<string, () => arrow.DataType>> = {
  BOOLEAN: () => new arrow.Bool(),
  TINYINT: () => new arrow.Int8(),
  SMALLINT: () => new arrow.Int16(),
  INTEGER: () => new arrow.Int32(),
  BIGINT: () => new arrow.Int64(),
  UTINYINT: () => new arrow.Uint8(),
  USMALLINT: () => new arrow.Uint16(),
  UINTEGER: () => new arrow.Uint32(),
  UBIGINT: () => new arrow.Uint64(),
  FLOAT: () => new arrow.Float32(),
  DOUBLE: () => new arrow.Float64(),
  VARCHAR: () => new arrow.Utf8(),
};
const HUGE_DIGITS = 38;
const MICROSECONDS = 1000n;
const DAY_MS = 86_400_000;

function conversion(type: NativeType): Conversion {
  const name = type.toString();
  const plain = PLAIN[name];
  if (plain !== undefined) return { type: plain(), convert: same };
  if (name === "BLOB") {
    return { type: new arrow.Binary(), convert: (v) => (v as { bytes: Uint8Array }).bytes };
  }
  if (name === "HUGEINT" || name === "UHUGEINT") {
    return { type: new arrow.Decimal(0, HUGE_DIGITS), convert: (v) => words(v as bigint) };
  }
  if (name.startsWith("DECIMAL")) {
    const { width, scale } = type as unknown as { width: number; scale: number };
    const convert = (v: unknown) => words((v as { value: bigint }).value);
    return { type: new arrow.Decimal(scale, width), convert };
  }
  if (name === "TIMESTAMP") {
    const convert = (v: unknown) => Number((v as { micros: bigint }).micros / MICROSECONDS);
    return { type: new arrow.TimestampMillisecond(), convert };
  }
  if (name === "DATE") {
    return {
      type: new arrow.DateMillisecond(),
      convert: (v) => (v as { days: number }).days * DAY_MS,
    };
  }
  return nested(type, name) ?? { type: new arrow.Utf8(), convert: String };
}

function nested(type: NativeType, name: string): Conversion | null {
  const inner = type as unknown as { valueType?: NativeType; entryNames?: string[] };
  if (name.endsWith("[]") && inner.valueType) {
    const of = conversion(inner.valueType);
    const items = (v: unknown) => (v as { items: readonly unknown[] }).items;
    return {
      type: new arrow.List(new arrow.Field("item", of.type, true)),
      convert: (v) => items(v).map((item) => item === null ? null : of.convert(item)),
    };
  }
  if (!name.startsWith("STRUCT") || !inner.entryNames) return null;
  const names = inner.entryNames;
  const types = (type as unknown as { entryTypes: NativeType[] }).entryTypes.map(conversion);
  return {
    type: new arrow.Struct(names.map((n, i) => new arrow.Field(n, types[i].type, true))),
    convert: (v) => {
      const { entries } = v as { entries: Record<string, unknown> };
      return Object.fromEntries(names.map((n, i) => {
        const entry = entries[n];
        return [n, entry === null ? null : types[i].convert(entry)];
      }));
    },
  };
}

/** 128 bits, little-endian, in two's complement. */
function words(value: bigint): Uint32Array {
  const bits = BigInt.asUintN(128, value);
  return Uint32Array.from({ length: 4 }, (_, i) => Number(bits >> BigInt(32 * i) & 0xffffffffn));
}

export function toArrow(
  names: readonly string[],
  types: readonly NativeType[],
  chunks: readonly NativeChunk[],
): Uint8Array {
  const conversions = types.map(conversion);
  const schema = new arrow.Schema(
    names.map((name, i) => new arrow.Field(name, conversions[i].type, true)),
  );
  const batches = chunks.map((chunk) => {
    const children = conversions.map(({ type, convert }, i) => {
      const values = chunk.getColumnValues(i).map((v) => v === null ? null : convert(v));
      return arrow.vectorFromArray(values, type).data[0];
    });
    const type = new arrow.Struct(schema.fields);
    const data = arrow.makeData({ type, length: chunk.rowCount, nullCount: 0, children });
    return new arrow.RecordBatch(schema, data);
  });
  return arrow.tableToIPC(new arrow.Table(schema, batches), "stream");
}
