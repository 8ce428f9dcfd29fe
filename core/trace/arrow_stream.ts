/**
 * Arrow IPC streams (Arrow columnar format 1.x, "IPC Streaming Format"), written message by message:
 * the schema when the stream opens, a record batch per flush, the end-of-stream marker when it closes.
 * Uncompressed; no dictionaries: enumerations are codes.
 * @module
 */
import * as arrow from "apache-arrow";
import type { ColumnBuffer } from "./columns.ts";
import { ARROW_TYPES } from "./columns.ts";
import { columnsOf } from "./rows.ts";
import {
  type Code,
  CODES,
  type Columns,
  SCHEMA_VERSION,
  type TableName,
  TABLES,
} from "./schema.ts";

/** Ends a stream: a continuation marker and a length of 0. */
export const END_OF_STREAM: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/** The Arrow schema of `table`; sentences and shared codes travel in its metadata. */
export function arrowSchema(table: TableName, columns: Columns = "all"): arrow.Schema {
  const fields = columnsOf(table, columns).map(([name, column]) => {
    const metadata = new Map([["doc", column.doc]]);
    if (column.codes !== null) {
      metadata.set("kind", column.codes);
      const shared: readonly Code[] | undefined = (CODES as Record<string, readonly Code[]>)[
        column.codes
      ];
      if (shared) metadata.set("codes", JSON.stringify(shared.map((c) => c.name)));
    }
    return new arrow.Field(name, ARROW_TYPES[column.type](), column.nullable, metadata);
  });
  return new arrow.Schema(
    fields,
    new Map([
      ["table", table],
      ["doc", TABLES[table].doc],
      ["schema_version", String(SCHEMA_VERSION)],
    ]),
  );
}

/** Bytes that pile up until they are taken; the memory is used again. */
class Pile {
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;

  add(chunk: ArrayBufferView): void {
    const end = this.#length + chunk.byteLength;
    if (end > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      bytes.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = bytes;
    }
    this.#bytes.set(
      new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength),
      this.#length,
    );
    this.#length = end;
  }

  /** Valid until the next `add`. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }
}

/** apache-arrow's stream writer with a synchronous end: its own sink is an asynchronous queue. */
class PileWriter extends arrow.RecordBatchStreamWriter {
  constructor(readonly pile: Pile) {
    super();
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (this._started && chunk.byteLength > 0) this.pile.add(chunk);
    return this;
  }

  /** Drops the list of block positions, which only the file format needs and which grows for ever. */
  forgetBlocks(): void {
    this._recordBatchBlocks.length = 0;
  }
}

/** Encodes one table. Every result is valid until the next call. */
export class StreamEncoder {
  readonly #schema: arrow.Schema;
  readonly #pile = new Pile();
  readonly #writer = new PileWriter(this.#pile);

  constructor(table: TableName, columns: Columns = "all") {
    this.#schema = arrowSchema(table, columns);
  }

  open(): Uint8Array {
    this.#writer.reset(undefined, this.#schema);
    return this.#pile.take();
  }

  batch(columns: ColumnBuffer[], rows: number): Uint8Array {
    const data = arrow.makeData({
      type: new arrow.Struct(this.#schema.fields),
      length: rows,
      nullCount: 0,
      children: columns.map((c) => c.data(rows)),
    });
    this.#writer.write(new arrow.RecordBatch(this.#schema, data));
    this.#writer.forgetBlocks();
    return this.#pile.take();
  }
}

/** The schema message of `table` alone. */
export function schemaMessage(table: TableName): Uint8Array {
  return new StreamEncoder(table).open().slice();
}
