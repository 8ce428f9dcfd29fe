/**
 * A table's columns in Arrow's memory layout: values, a bit per value that is set when it is not null,
 * offsets for text and bytes. They lie in a WebAssembly memory, where generated code (take_code.ts) stores
 * rows.
 *
 * Invariants: validity bits of rows to come are 1 and their bools 0, so that only a null and a true cost a
 * store; in what `data` returns all bits and bytes past the last row are 0, as is the value under a null,
 * so that the bytes written depend on the rows alone and never on what a buffer held before.
 * @module
 */
import type { ColumnData } from "./arrow_stream.ts";
import { hasBytes, NONE } from "./log.ts";
import { columnsOf } from "./rows.ts";
import { type Column, type Columns, type TableName, VALUE_BYTES } from "./schema.ts";

const PAGE = 65536;
const LINE = 64;
const FIRST_ROWS = 1024;
const FIRST_BYTES = 1024;

const aligned = (bytes: number, to: number) => Math.ceil(bytes / to) * to;
/** Bytes of a bitmap over `rows` rows, padded as Arrow asks. */
const bitmapBytes = (rows: number) => aligned(rows, 64) / 8;

/**
 * Where columns lie. What is outgrown is left lying: together that is less than what took its place,
 * since each is twice as large as the one before.
 */
export class ColumnMemory {
  readonly memory = new WebAssembly.Memory({ initial: 1 });
  #used = LINE;
  /** All of it, until it grows. */
  bytes = new Uint8Array(this.memory.buffer);
  words = new Uint32Array(this.memory.buffer);

  /** Address of so many new bytes, all 0. */
  take(bytes: number): number {
    const at = this.#used;
    this.#used = aligned(at + bytes, LINE);
    const missing = this.#used - this.bytes.length;
    if (missing > 0) {
      this.memory.grow(Math.ceil(Math.max(missing, this.bytes.length) / PAGE));
      this.bytes = new Uint8Array(this.memory.buffer);
      this.words = new Uint32Array(this.memory.buffer);
    }
    return at;
  }

  /** The bytes at `from`, and room for more behind them. */
  move(from: number, bytes: number, room: number): number {
    const to = this.take(room);
    this.bytes.copyWithin(to, from, from + bytes);
    return to;
  }
}

/** Addresses in a table's header: its rows, how many there is room for, and its columns. */
export const ROWS = 0;
export const CAPACITY = 4;
const FIRST_COLUMN = 8;
const COLUMN_BYTES = 16;

/** In a column's part of the header: addresses of its values or offsets, validity and text bytes. */
export const VALUES = 0;
export const VALID = 4;
export const TEXT = 8;
/** Bytes that there is room for at `TEXT`. */
export const TEXT_ROOM = 12;

/** The rows of one table since the last flush. */
export class TableColumns {
  readonly declared: readonly [string, Column][];
  /** Address of the header. Without rows nothing else takes memory. */
  readonly header: number;

  constructor(readonly memory: ColumnMemory, readonly table: TableName, columns: Columns) {
    this.declared = columnsOf(table, columns);
    this.header = memory.take(FIRST_COLUMN + this.declared.length * COLUMN_BYTES);
  }

  /** Address of column `i` in the header. */
  at(i: number): number {
    return this.header + FIRST_COLUMN + i * COLUMN_BYTES;
  }

  get rows(): number {
    return this.#word(this.header + ROWS);
  }

  #word(at: number): number {
    return this.memory.words[at >>> 2];
  }

  get isFull(): boolean {
    return this.rows === this.#word(this.header + CAPACITY);
  }

  /** Makes room for as many rows again. */
  grow(): void {
    const { memory, header } = this;
    const rows = this.#word(header + CAPACITY);
    const capacity = Math.max(FIRST_ROWS, rows * 2);
    this.declared.forEach(([, column], i) => {
      const at = this.at(i);
      // A line of their own between columns: at the same place in every page they would share few
      // sets of a cache.
      const values = memory.move(
        this.#word(at + VALUES),
        rows === 0 ? 0 : valueBytes(column, rows),
        valueBytes(column, capacity) + (i % 16 + 1) * LINE,
      );
      memory.words[(at + VALUES) >>> 2] = values;
      if (!column.nullable) return;
      const [held, room] = [bitmapBytes(rows), bitmapBytes(capacity)];
      const valid = memory.move(this.#word(at + VALID), held, room);
      memory.bytes.fill(0xff, valid + held, valid + room);
      memory.words[(at + VALID) >>> 2] = valid;
    });
    memory.words[(header + CAPACITY) >>> 2] = capacity;
  }

  /** Makes room in column `name` for a text of so many bytes, or for a null; false when it has that. */
  growText(name: string, length: number): boolean {
    const { memory } = this;
    const i = this.declared.findIndex(([n]) => n === name);
    if (length === NONE) return false;
    const at = this.at(i);
    const end = this.#word(this.#word(at + VALUES) + this.rows * 4);
    const room = this.#word(at + TEXT_ROOM);
    if (end + length <= room) return false;
    const larger = Math.max(FIRST_BYTES, room * 2, aligned(end + length, LINE));
    const text = memory.move(this.#word(at + TEXT), end, larger);
    memory.words[(at + TEXT) >>> 2] = text;
    memory.words[(at + TEXT_ROOM) >>> 2] = larger;
    return true;
  }

  /** All rows. Shares this memory until the next row or `reset`. */
  data(): ColumnData[] {
    const { rows } = this;
    return this.declared.map(([, column], i) => {
      const at = this.at(i);
      const values = this.#part(this.#word(at + VALUES), valueBytes(column, rows));
      const { nulls, bitmap } = this.#validity(at, column);
      if (!hasBytes(column)) return { nulls, buffers: [bitmap, values] };
      const length = this.#word(this.#word(at + VALUES) + rows * 4);
      return { nulls, buffers: [bitmap, values, this.#part(this.#word(at + TEXT), length)] };
    });
  }

  /** Bytes as they are written: up to a multiple of 8, with zeros. */
  #part(at: number, length: number): Uint8Array {
    const end = at + aligned(length, 8);
    this.memory.bytes.fill(0, at + length, end);
    return this.memory.bytes.subarray(at, end);
  }

  /** The bitmap is left out where nothing is null. */
  #validity(at: number, column: Column): { nulls: number; bitmap: Uint8Array } {
    const { rows } = this;
    const start = this.#word(at + VALID);
    if (!column.nullable) return { nulls: 0, bitmap: this.#part(start, 0) };
    const bitmap = this.memory.bytes.subarray(start, start + bitmapBytes(rows));
    bitmap.fill(0, (rows + 7) >>> 3);
    if (rows & 7) bitmap[rows >>> 3] &= (1 << (rows & 7)) - 1;
    const nulls = rows - countOnes(bitmap);
    return { nulls, bitmap: nulls === 0 ? bitmap.subarray(0, 0) : bitmap };
  }

  /** Forgets all rows. */
  reset(): void {
    const { memory, rows } = this;
    this.declared.forEach(([, column], i) => {
      const fill = (part: number, byte: number) => {
        const start = this.#word(this.at(i) + part);
        memory.bytes.fill(byte, start, start + bitmapBytes(rows));
      };
      if (column.nullable) fill(VALID, 0xff);
      if (column.type === "bool") fill(VALUES, 0);
    });
    memory.words[(this.header + ROWS) >>> 2] = 0;
  }
}

/** Of values, or of offsets, which are one more than rows. */
function valueBytes(column: Column, rows: number): number {
  if (column.type === "bool") return bitmapBytes(rows);
  return VALUE_BYTES[column.type] * (hasBytes(column) ? rows + 1 : rows);
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
