/**
 * Growing column buffers in Arrow's memory layout: values, a bit per value that is set when it is not
 * null, offsets for text and bytes. The generated appenders write into them directly.
 *
 * Invariants: validity bits of rows to come are 1, so that only a null costs a store; in what `data`
 * returns the bits past the last row are 0, as is the value under a null, so that the bytes written
 * depend on the rows alone and never on what a buffer held before.
 * @module
 */
import type { ColumnData } from "./arrow_stream.ts";
import type { Column, ColumnType } from "./schema.ts";

type Fixed = Exclude<ColumnType, "bool" | "utf8" | "binary">;
type Words = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/** Element type and elements per row: 64-bit values are pairs of 32-bit lanes, low lane first. */
const WORDS: Record<Fixed, { make: (n: number) => Words; lanes: 1 | 2 }> = {
  u8: { make: (n) => new Uint8Array(n), lanes: 1 },
  u16: { make: (n) => new Uint16Array(n), lanes: 1 },
  u32: { make: (n) => new Uint32Array(n), lanes: 1 },
  i32: { make: (n) => new Int32Array(n), lanes: 1 },
  u64: { make: (n) => new Uint32Array(n), lanes: 2 },
  wide: { make: (n) => new Uint32Array(n), lanes: 2 },
};

/** Bytes of a bitmap over `rows` rows, padded to 8 as Arrow asks. */
const bitmapBytes = (rows: number) => ((rows + 63) >>> 6) * 8;

function grown<W extends Words>(old: W, fresh: W): W {
  fresh.set(old);
  return fresh;
}

function countOnes(bits: Uint8Array): number {
  const words = new Uint32Array(bits.buffer, bits.byteOffset, bits.byteLength >>> 2);
  let ones = 0;
  for (let i = 0; i < words.length; i++) {
    let w = words[i];
    w -= (w >>> 1) & 0x55555555;
    w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
    ones += Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return ones;
}

const NOTHING = new Uint8Array(0);

const bytesOf = (words: Words, length: number) =>
  new Uint8Array(words.buffer, 0, length * words.BYTES_PER_ELEMENT);

function clearBeyond(bits: Uint8Array, rows: number): void {
  bits.fill(0, (rows + 7) >>> 3);
  if (rows & 7) bits[rows >>> 3] &= (1 << (rows & 7)) - 1;
}

/** One column's rows since the last flush. `capacity` is a multiple of 64 rows. */
export abstract class ColumnBuffer {
  /** Validity bits, cleared by a null; empty when the column is not nullable. */
  valid: Uint8Array;

  constructor(protected readonly column: Column, capacity: number) {
    this.valid = new Uint8Array(column.nullable ? bitmapBytes(capacity) : 0).fill(0xff);
  }

  static make(column: Column, capacity: number): ColumnBuffer {
    if (column.type === "bool") return new BitBuffer(column, capacity);
    if (column.type === "utf8" || column.type === "binary") {
      return new BytesBuffer(column, capacity);
    }
    return new FixedBuffer(column, column.type, capacity);
  }

  grow(capacity: number): void {
    if (this.column.nullable) {
      this.valid = grown(this.valid, new Uint8Array(bitmapBytes(capacity)).fill(0xff));
    }
  }

  /** Forgets `rows` rows. */
  reset(rows: number): void {
    this.valid.fill(0xff, 0, bitmapBytes(rows));
  }

  /** All `rows` rows, sharing this buffer's memory until `reset`, which must come before more rows. */
  abstract data(rows: number): ColumnData;

  /** Validity comes first; a column without nulls has an empty bitmap. */
  protected withValidity(rows: number, ...buffers: readonly Uint8Array[]): ColumnData {
    const nullable = this.valid.length > 0;
    const bitmap = this.valid.subarray(0, bitmapBytes(rows));
    if (nullable) clearBeyond(bitmap, rows);
    const nulls = nullable ? rows - countOnes(bitmap) : 0;
    return { nulls, buffers: [nulls === 0 ? NOTHING : bitmap, ...buffers] };
  }
}

export class FixedBuffer extends ColumnBuffer {
  values: Words;
  readonly #shape: (typeof WORDS)[Fixed];

  constructor(column: Column, type: Fixed, capacity: number) {
    super(column, capacity);
    this.#shape = WORDS[type];
    this.values = this.#shape.make(capacity * this.#shape.lanes);
  }

  override grow(capacity: number): void {
    super.grow(capacity);
    this.values = grown(this.values, this.#shape.make(capacity * this.#shape.lanes));
  }

  data(rows: number): ColumnData {
    return this.withValidity(rows, bytesOf(this.values, rows * this.#shape.lanes));
  }
}

export class BitBuffer extends ColumnBuffer {
  values: Uint8Array;

  constructor(column: Column, capacity: number) {
    super(column, capacity);
    this.values = new Uint8Array(bitmapBytes(capacity));
  }

  override grow(capacity: number): void {
    super.grow(capacity);
    this.values = grown(this.values, new Uint8Array(bitmapBytes(capacity)));
  }

  override reset(rows: number): void {
    super.reset(rows);
    this.values.fill(0, 0, bitmapBytes(rows));
  }

  data(rows: number): ColumnData {
    return this.withValidity(rows, this.values.subarray(0, bitmapBytes(rows)));
  }
}

export class BytesBuffer extends ColumnBuffer {
  #offsets: Int32Array;
  #bytes = new Uint8Array(1024);

  constructor(column: Column, capacity: number) {
    super(column, capacity);
    this.#offsets = new Int32Array(capacity + 1);
  }

  override grow(capacity: number): void {
    super.grow(capacity);
    this.#offsets = grown(this.#offsets, new Int32Array(capacity + 1));
  }

  /** Stores row `row`; a null is stored as nothing. Rows come in order. */
  put(row: number, value: Uint8Array | null): void {
    const at = this.#offsets[row];
    const length = value?.length ?? 0;
    this.#reserve(at + length);
    if (value !== null) this.#bytes.set(value, at);
    this.#offsets[row + 1] = at + length;
  }

  data(rows: number): ColumnData {
    const bytes = this.#bytes.subarray(0, this.#offsets[rows]);
    return this.withValidity(rows, bytesOf(this.#offsets, rows + 1), bytes);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(bytes, this.#bytes.length * 2)));
  }
}
