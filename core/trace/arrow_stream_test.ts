import assert from "node:assert/strict";
import * as arrow from "apache-arrow";
import { schemaMessage } from "./arrow_stream.ts";
import { DirectTrace } from "./direct_trace.ts";
import { Random, RandomMachine, SEED, withSeed } from "./random_trace.ts";
import { columnsOf } from "./rows.ts";
import { concatenate } from "./table_file.ts";
import {
  type Code,
  CODES,
  type Columns,
  type ColumnType,
  SCHEMA_VERSION,
  TABLE_NAMES,
  type TableName,
  TABLES,
} from "./schema.ts";

const here = "core/trace/arrow_stream_test.ts";
const WHICH: readonly Columns[] = ["all", "machine"];

const TYPES: Record<ColumnType, () => arrow.DataType> = {
  u8: () => new arrow.Uint8(),
  u16: () => new arrow.Uint16(),
  u32: () => new arrow.Uint32(),
  u64: () => new arrow.Uint64(),
  wide: () => new arrow.Uint64(),
  i32: () => new arrow.Int32(),
  bool: () => new arrow.Bool(),
  utf8: () => new arrow.Utf8(),
  binary: () => new arrow.Binary(),
};

function arrowSchema(table: TableName, columns: Columns): arrow.Schema {
  const fields = columnsOf(table, columns).map(([name, column]) => {
    const metadata = new Map([["doc", column.doc]]);
    if (column.codes !== null) {
      metadata.set("kind", column.codes);
      const shared = (CODES as Record<string, readonly Code[]>)[column.codes];
      if (shared) metadata.set("codes", JSON.stringify(shared.map((c) => c.name)));
    }
    return new arrow.Field(name, TYPES[column.type](), column.nullable, metadata);
  });
  const metadata = new Map<string, string>([["table", table], ["doc", TABLES[table].doc]]);
  return new arrow.Schema(fields, metadata.set("schema_version", String(SCHEMA_VERSION)));
}

/** What apache-arrow writes for `schema` and `batches`. */
function arrowStream(schema: arrow.Schema, batches: arrow.RecordBatch[]): Uint8Array {
  const writer = new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const batch of batches) writer.write(batch);
  writer.finish();
  return writer.toUint8Array(true);
}

/** Every table's stream of random rows, `batchRows` over all tables at a time. */
function streams(columns: Columns, batchRows: number, steps: number): Map<TableName, Uint8Array> {
  const parts = new Map<TableName, Uint8Array[]>(TABLE_NAMES.map((t) => [t, []]));
  const trace = new DirectTrace({
    write: (table, message) => void parts.get(table)!.push(concatenate(...message)),
    sync() {},
    commit() {},
    close() {},
  }, { columns, batchRows });
  if (steps > 0) {
    const machine = new RandomMachine(trace, new Random(SEED));
    for (let i = 0; i < steps; i++) machine.step();
  }
  trace.close();
  return new Map([...parts].map(([t, p]) => [t, new Uint8Array(p.flatMap((b) => [...b]))]));
}

for (const table of TABLE_NAMES) {
  Deno.test(`arrow stream: the schema of ${table} is what apache-arrow writes`, () => {
    for (const columns of WHICH) {
      const theirs = arrowStream(arrowSchema(table, columns), []).subarray(0, -8);
      assert.deepEqual(schemaMessage(table, columns), theirs);
    }
  });
}

// Without rows; single rows, so columns of nulls only; batches that end within a byte of a bitmap, and more.
for (const [batchRows, steps] of [[65536, 0], [1, 150], [7, 150], [64, 600], [65536, 2500]]) {
  Deno.test(`arrow stream: ${steps} random steps, ${batchRows} rows a batch, are what apache-arrow writes`, () =>
    withSeed(here, () => {
      for (const columns of WHICH) {
        for (const [table, ours] of streams(columns, batchRows, steps)) {
          const { schema, batches } = new arrow.Table(arrow.RecordBatchReader.from(ours).readAll());
          assert.equal(steps > 0 && batches.length === 0, false, `no row of ${table}`);
          assert.deepEqual(ours, arrowStream(schema, batches), `${table}, ${columns} columns`);
        }
      }
    }));
}
