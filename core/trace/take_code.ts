/**
 * Generates, per layout of records, the WebAssembly that stores their rows into columns: a run of records
 * in one call, and a value for a load of its lane, one of its column's address, and a store. JavaScript
 * checks each lane and each store for its place in an array besides.
 *
 * Memory 0 is the columns', memory 1 the log's. What a template says of columns that its records have no
 * field for lies in memory 0 too: a bit for each that is null, then the values.
 * @module
 */
import { type Code, i32, i64, memoryCopyFrom, select } from "../cpu/wasm/code.ts";
import { type Func, type Label, Module } from "../cpu/wasm/module.ts";
import { CAPACITY, ROWS, type TableColumns, TEXT, TEXT_ROOM, VALID, VALUES } from "./columns.ts";
import {
  type Constants,
  hasBytes,
  hasTwoLanes,
  type Layout,
  NONE,
  type RecordField,
} from "./log.ts";
import { type Column, VALUE_BYTES } from "./schema.ts";

/** Takes records from `at` on, up to `end`; returns where it stopped. Both are addresses in the log. */
export type Take = (at: number, end: number) => number;
const SIGNATURE = [["i32", "i32"], ["i32"]] as const;

/**
 * Address of the pointer to what is known of kinds: of each, the place of its `Take` in the table, 0
 * while it has none, then the address of its constants.
 */
export const KINDS = 0;
export const KIND_BYTES = 8;
const CONSTANTS = 4;

const LOG = 1;
const NULLS_BYTES = 8;

/** Columns that a template speaks for, in the order of their values. */
function constantNames(tables: readonly TableColumns[], layout: Layout): string[] {
  const names = new Set(tables.flatMap((t) => t.declared.map(([name]) => name)));
  for (const { name } of layout.fields) names.delete(name);
  if (layout.tables.length > 1) names.delete("exit_seq");
  return [...names];
}

/** What a template's records are stored with, as it lies in memory. */
export function constantWords(
  tables: readonly TableColumns[],
  layout: Layout,
  constants: Constants,
): Uint32Array {
  const names = constantNames(tables, layout);
  const words = new Uint32Array((NULLS_BYTES + names.length * 8) / 4);
  names.forEach((name, i) => {
    const value = constants[name] ?? 0;
    if (constants[name] === null) words[0] |= 1 << i;
    words.set([value, Math.floor(value / 2 ** 32)], NULLS_BYTES / 4 + i * 2);
  });
  return words;
}

/** A column's value. */
interface Value {
  /** 32 bits, or 64 of a column that has two lanes. */
  readonly code: Code;
  /** Not 0 when it is null. */
  readonly isNull?: Code;
  /** True when `code` is 0 for a null. */
  readonly isZeroed?: boolean;
}

/** Where a row goes: its index, and of its bits the byte and the place in it. */
interface Row {
  readonly table: TableColumns;
  readonly index: Code;
  readonly byte: Code;
  readonly bit: Code;
}

const { const: int } = i32;
const plus = (code: Code, bytes: number) => bytes === 0 ? code : i32.add(code, int(bytes));
/** Bytes of whole lanes. */
const wholeLanes = (bytes: Code) => i32.and(i32.add(bytes, int(3)), int(~3));

/** The code for one layout: its tables' rows, as far as they are kept, from the record at local 0. */
class Taker {
  readonly #names: readonly string[];
  readonly #record: Code;

  constructor(
    readonly f: Func,
    readonly layout: Layout,
    readonly tables: readonly TableColumns[],
    /** Address of the constants of the record's kind. */
    readonly constants: Code,
  ) {
    this.#names = constantNames(tables, layout);
    this.#record = f.get(0);
  }

  /** Leaves by `full` when a table has no room for the record. */
  leaveWhenFull(full: Label): void {
    const { f } = this;
    for (const table of this.tables) {
      const [rows, capacity] = [ROWS, CAPACITY].map((part) => i32.load(int(table.header + part)));
      f.brIf(full, i32.eq(rows, capacity));
      table.declared.forEach(([name, column], i) => {
        if (!hasBytes(column)) return;
        const room = i32.sub(
          this.#part(table, i, TEXT_ROOM),
          i32.load(this.#offset(table, i, rows)),
        );
        f.brIf(full, i32.gtU(this.#length(this.#field(name)!), room));
      });
    }
  }

  /** Stores the record's rows and goes on to the next. */
  take(): void {
    const { f } = this;
    for (const table of this.tables) f.scope(() => this.#storeRow(table));
    f.set(0, this.#tail(null));
  }

  #storeRow(table: TableColumns): void {
    const { f } = this;
    const rowsAt = int(table.header + ROWS);
    const index = f.bind("i32", i32.load(rowsAt));
    const byte = f.bind("i32", i32.shrU(index, int(3)));
    const bit = f.bind("i32", i32.and(index, int(7)));
    const row = { table, index, byte, bit };
    table.declared.forEach(([name, column], i) => {
      if (hasBytes(column)) this.#storeText(row, i, this.#field(name)!);
      else this.#storeValue(row, i, column, this.#value(table, name));
    });
    f.emit(i32.store(rowsAt, plus(index, 1)));
  }

  #storeValue(row: Row, i: number, column: Column, value: Value): void {
    const { f } = this;
    const { code, isNull, isZeroed } = value;
    if (!column.nullable || isNull === undefined) return this.#store(row, i, column, code);
    if (isZeroed) {
      f.if(isNull, () => this.#clearValid(row, i));
      return this.#store(row, i, column, code);
    }
    f.if(isNull, () => {
      this.#clearValid(row, i);
      if (column.type !== "bool") {
        this.#store(row, i, column, hasTwoLanes(column) ? i64.const(0) : int(0));
      }
    }, () => this.#store(row, i, column, code));
  }

  #store({ table, index, byte, bit }: Row, i: number, column: Column, value: Code): void {
    const { f } = this;
    const values = this.#part(table, i, VALUES);
    if (column.type === "bool") {
      const address = f.bind("i32", i32.add(values, byte));
      const set = i32.shl(i32.ne(value, int(0)), bit);
      return f.emit(i32.store8(address, i32.or(i32.load8u(address), set)));
    }
    const size = VALUE_BYTES[column.type];
    const address = i32.add(values, size === 1 ? index : i32.shl(index, int(Math.log2(size))));
    if (size === 8) f.emit(i64.store(address, value));
    else f.emit((size === 1 ? i32.store8 : size === 2 ? i32.store16 : i32.store)(address, value));
  }

  #clearValid({ table, byte, bit }: Row, i: number): void {
    const address = i32.add(this.#part(table, i, VALID), byte);
    const others = i32.xor(i32.shl(int(1), bit), int(-1));
    this.f.emit(i32.store8(address, i32.and(i32.load8u(address), others)));
  }

  #storeText(row: Row, i: number, field: RecordField): void {
    const { f } = this;
    const { table, index } = row;
    const length = this.#length(field);
    if (field.column.nullable) {
      f.if(i32.eq(this.#lane(field.at), int(NONE)), () => this.#clearValid(row, i));
    }
    const offset = this.#offset(table, i, index);
    const start = f.bind("i32", i32.load(offset));
    const to = i32.add(this.#part(table, i, TEXT), start);
    f.emit(memoryCopyFrom(LOG, to, this.#tail(field), length));
    f.emit(i32.store(offset, i32.add(start, length), 4));
  }

  /** The column's value stands in the record, beside that of the table before, or in its template. */
  #value(table: TableColumns, name: string): Value {
    const { layout } = this;
    if (table.table !== layout.tables[0]) {
      const first = i64.loadFrom(LOG, this.#record, this.#field("seq")!.at * 4);
      if (name === "exit_seq") return { code: first };
      if (name === "seq") return { code: i64.add(first, i64.const(1)) };
    }
    const column = table.declared.find(([n]) => n === name)![1];
    const field = this.#field(name);
    if (field === undefined) {
      const i = this.#names.indexOf(name);
      const load = hasTwoLanes(column) ? i64.load : i32.load;
      return {
        code: load(this.constants, NULLS_BYTES + i * 8),
        isNull: i32.and(i32.load(this.constants), int(1 << i)),
        isZeroed: true,
      };
    }
    const wide = hasTwoLanes(column);
    const code = wide ? i64.loadFrom(LOG, this.#record, field.at * 4) : this.#lane(field.at);
    if (field.presentAt !== null) return { code, isNull: i32.eqz(this.#lane(field.presentAt)) };
    const { type } = column;
    if (type === "u32" || type === "i32" || type === "wide") return { code };
    return { code, isNull: i32.eq(this.#lane(wide ? field.at + 1 : field.at), int(NONE)) };
  }

  #field(name: string): RecordField | undefined {
    return this.layout.fields.find((f) => f.name === name);
  }

  #lane(lane: number): Code {
    return i32.loadFrom(LOG, this.#record, lane * 4);
  }

  /** Bytes of a text; none of a null. */
  #length({ at }: RecordField): Code {
    return select(i32.eq(this.#lane(at), int(NONE)), int(0), this.#lane(at));
  }

  /** Where the text of `field` lies in the log, or with null the next record. */
  #tail(field: RecordField | null): Code {
    let tail = plus(this.#record, this.layout.lanes * 4);
    for (const other of this.layout.fields.filter((f) => hasBytes(f.column))) {
      if (other === field) break;
      tail = i32.add(tail, wholeLanes(this.#length(other)));
    }
    return tail;
  }

  #part(table: TableColumns, i: number, part: number): Code {
    return i32.load(int(table.at(i)), part);
  }

  /** Address of the offset at which a row's text begins; the next is where it ends. */
  #offset(table: TableColumns, i: number, row: Code): Code {
    return i32.add(this.#part(table, i, VALUES), i32.shl(row, int(2)));
  }
}

/** Address of what is known of the kind of the record at `record`. */
function kindOf(record: Code): Code {
  const kind = i32.shl(i32.loadFrom(LOG, record), int(Math.log2(KIND_BYTES)));
  return i32.add(i32.load(int(KINDS)), kind);
}

/**
 * A `Take` of records whose kinds have the place `slot` in the table: it stops before the first that has
 * another, or that a table has no room for.
 */
export function takeCode(
  layout: Layout,
  tables: readonly TableColumns[],
  slot: number,
): Uint8Array<ArrayBuffer> {
  const m = new Module({ min: 1 }, { shared: "log" });
  const f = m.export(m.func("take", ...SIGNATURE));
  const [record, end] = [f.get(0), f.get(1)];
  f.block((out) => {
    f.loop((again) => {
      f.brIf(out, i32.geU(record, end));
      const kind = f.bind("i32", kindOf(record));
      f.brIf(out, i32.ne(i32.load(kind), int(slot)));
      const taker = new Taker(f, layout, tables, f.bind("i32", i32.load(kind, CONSTANTS)));
      taker.leaveWhenFull(out);
      taker.take();
      f.br(again);
    });
  });
  f.return(record);
  return m.bytes();
}

/** A `Take` of all kinds, through the table: it stops where one of them cannot go on. */
export function takeAllCode(): Uint8Array<ArrayBuffer> {
  const m = new Module({ min: 1 }, { shared: "log", table: true });
  const f = m.export(m.func("take", ...SIGNATURE));
  const [record, end] = [f.get(0), f.get(1)];
  const before = f.temp("i32");
  f.block((out) => {
    f.loop((again) => {
      f.brIf(out, i32.geU(record, end));
      const slot = f.bind("i32", i32.load(kindOf(record)));
      f.brIf(out, i32.eqz(slot));
      f.set(before, record);
      f.set(0, f.callIndirect(m.type(...SIGNATURE), slot, record, end));
      f.brIf(again, i32.ne(record, f.get(before)));
    });
  });
  f.return(record);
  return m.bytes();
}
