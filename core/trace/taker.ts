/**
 * From records to columns: instances of the generated code (take_code.ts) over one log, made when the
 * first record of their kind comes.
 * @module
 */
import { type ColumnMemory, type TableColumns } from "./columns.ts";
import { type Constants, hasBytes, type Layout, layoutOf, type RecordName } from "./log.ts";
import type { TableName } from "./schema.ts";
import { constantWords, KIND_BYTES, KINDS, type Take, takeAllCode, takeCode } from "./take_code.ts";

/** What is done with all records that have the same columns in the same lanes. */
interface Shape {
  readonly layout: Layout;
  /** Those of its tables whose rows are kept. */
  readonly tables: readonly TableColumns[];
  /** Place of its code in the table. */
  readonly slot: number;
}

interface Kind {
  readonly record: RecordName;
  readonly constants: Constants | null;
  /** Null until a record has come. */
  shape: Shape | null;
}

export class Taker {
  readonly #columns: ColumnMemory;
  readonly #log: WebAssembly.Memory;
  readonly #tables: ReadonlyMap<TableName, TableColumns>;
  readonly #functions = new WebAssembly.Table({ element: "anyfunc", initial: 1 });
  readonly #takeAll: Take;
  readonly #shapes = new Map<string, Shape>();
  readonly #kinds: (Kind | null)[] = [];
  /** Kinds that there is room for at the pointer to them. */
  #room = 0;

  /** `tables` are those whose rows are kept; rows of others go no further. */
  constructor(
    columns: ColumnMemory,
    log: WebAssembly.Memory,
    tables: ReadonlyMap<TableName, TableColumns>,
  ) {
    this.#columns = columns;
    this.#log = log;
    this.#tables = tables;
    this.#takeAll = this.#instance(takeAllCode());
  }

  #instance(code: Uint8Array<ArrayBuffer>): Take {
    const { memory } = this.#columns;
    const env = { memory, log: this.#log, table: this.#functions };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env });
    return exports.take as Take;
  }

  /** The next kind is this; null is one of records that are no rows. */
  add(kind: { readonly record: RecordName; readonly constants: Constants | null } | null): void {
    const { words } = this.#columns;
    if (this.#kinds.length === this.#room) {
      const bytes = this.#room * KIND_BYTES;
      this.#room = Math.max(64, this.#room * 2);
      const at = this.#columns.move(words[KINDS >>> 2], bytes, this.#room * KIND_BYTES);
      this.#columns.words[KINDS >>> 2] = at;
    }
    this.#kinds.push(kind === null ? null : { ...kind, shape: null });
  }

  /** Takes rows from `at` on, up to `end` or to a record that is no row, whose address it returns. */
  take(at: number, end: number, lanes: Uint32Array): number {
    for (;;) {
      at = this.#takeAll(at, end);
      if (at === end) return end;
      const kind = this.#kinds[lanes[at >>> 2]];
      if (kind === null) return at;
      if (kind.shape !== null) makeRoom(kind.shape, lanes, at >>> 2);
      else this.#begin(kind);
    }
  }

  /** The first record of a kind has come. */
  #begin(kind: Kind): void {
    const key = `${kind.record} ${Object.keys(kind.constants ?? {}).sort()}`;
    let shape = this.#shapes.get(key);
    if (shape === undefined) this.#shapes.set(key, shape = this.#shape(kind));
    kind.shape = shape;
    const words = constantWords(shape.tables, shape.layout, kind.constants ?? {});
    const constants = this.#columns.take(words.byteLength);
    this.#columns.words.set(words, constants >>> 2);
    const at = this.#columns.words[KINDS >>> 2] + this.#kinds.indexOf(kind) * KIND_BYTES;
    this.#columns.words.set([shape.slot, constants], at >>> 2);
  }

  #shape({ record, constants }: Kind): Shape {
    const layout = layoutOf(record, constants);
    const tables = layout.tables.flatMap((t) => this.#tables.get(t) ?? []);
    const slot = this.#functions.grow(1);
    this.#functions.set(slot, this.#instance(takeCode(layout, tables, slot)));
    return { layout, tables, slot };
  }
}

/** The record at lane `at` found no room in a table. */
function makeRoom({ layout, tables }: Shape, lanes: Uint32Array, at: number): void {
  let grown = false;
  for (const table of tables) {
    if (table.isFull) {
      table.grow();
      grown = true;
    }
    for (const { name, column, at: field } of layout.fields) {
      if (hasBytes(column) && table.growText(name, lanes[at + field])) grown = true;
    }
  }
  if (!grown) throw new Error(`record of kind ${lanes[at]} is not taken and there is room`);
}
