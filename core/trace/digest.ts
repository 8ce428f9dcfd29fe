/**
 * A digest of what a table says, whatever the batches it came in: SHA-256 over each column's values,
 * validity and lengths as if they were one long batch.
 * @module
 */
import { createHash } from "node:crypto";
import type { Data, RecordBatch } from "apache-arrow";
import type { TraceReader } from "./reader.ts";
import { columnsOf } from "./rows.ts";
import { type ColumnType, TABLE_NAMES, type TableName } from "./schema.ts";

class ColumnDigest {
  readonly #valid = createHash("sha256");
  readonly #lengths = createHash("sha256");
  readonly #values = createHash("sha256");

  constructor(readonly name: string, readonly type: ColumnType) {}

  add(data: Data): void {
    const rows = data.length;
    const valid = Uint8Array.from({ length: rows }, (_, i) => data.getValid(i) ? 1 : 0);
    this.#valid.update(valid);
    if (this.type === "utf8" || this.type === "binary") {
      const offsets = data.valueOffsets as Int32Array;
      this.#lengths.update(asBytes(Int32Array.from(valid, (_, i) => offsets[i + 1] - offsets[i])));
      this.#values.update(data.values.subarray(offsets[0], offsets[rows]));
    } else if (this.type === "bool") {
      const bits = data.values as Uint8Array;
      this.#values.update(valid.map((v, i) => v & (bits[i >> 3] >> (i & 7))));
    } else {
      this.#values.update(asBytes(withoutNulls(data.values.subarray(0, rows), valid)));
    }
  }

  hex(): string {
    const parts = [this.#valid, this.#lengths, this.#values].map((h) => h.digest("hex"));
    return [this.name, this.type, ...parts].join(" ");
  }
}

type Values = Uint8Array | Uint16Array | Uint32Array | Int32Array | BigUint64Array;

const asBytes = (a: Values) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** A copy in which a null's value is 0: what lies there is the writer's business. */
function withoutNulls(values: Values, valid: Uint8Array): Values {
  const copy = values.slice();
  const zero = copy instanceof BigUint64Array ? 0n : 0;
  for (let i = 0; i < valid.length; i++) if (valid[i] === 0) copy[i] = zero as never;
  return copy;
}

/** Digest of a table's rows, in hex. */
export function contentDigest(table: TableName, batches: Iterable<RecordBatch>): string {
  const columns = columnsOf(table).map(([name, { type }]) => new ColumnDigest(name, type));
  for (const batch of batches) {
    for (const column of columns) {
      const data = batch.getChild(column.name)?.data[0];
      if (data !== undefined) column.add(data);
    }
  }
  return createHash("sha256").update(columns.map((c) => c.hex()).join("\n")).digest("hex");
}

/** Digest of every table of a trace. */
export function traceDigests(reader: TraceReader): Record<TableName, string> {
  return Object.fromEntries(
    TABLE_NAMES.map((table) => [table, contentDigest(table, reader.batches(table))]),
  ) as Record<TableName, string>;
}
