/**
 * `--log`: events as lines while they happen. They come from the very calls that write the trace's
 * rows, so what is logged is what is recorded, and logging changes no byte of a trace.
 * @module
 */
import type { Board } from "../core/board/build.ts";
import { SymbolTable } from "../core/board/symbols.ts";
import { columnsOf } from "../core/trace/rows.ts";
import {
  type CodeKind,
  EVENT_TABLES,
  type EventTable,
  type TableName,
} from "../core/trace/schema.ts";
import type { Watch } from "../core/trace/trace.ts";
import { eventLine, type Fields, type Names } from "./event_text.ts";

/** Text kept before it is written out, in characters. */
const HELD = 1 << 15;
/** Where Linux for RISC-V has its own code: the upper half. */
const KERNEL_HALF = 1n << 63n;
/** Looks into guest memory for names, each after twice as many unknown places as the one before. */
const MAX_LOOKS = 8;
const FIRST_LOOK = 1;

const WIDE = new Map(
  EVENT_TABLES.map((table) => [
    table,
    columnsOf(table).filter(([, c]) => c.type === "wide").map(([name]) => name),
  ]),
);
const NULLABLE = new Map(
  EVENT_TABLES.map((table) => [
    table,
    columnsOf(table).filter(([, c]) => c.nullable).map(([name]) => name),
  ]),
);

/** A row for the writer as `Fields`: nulls where columns were left out, wide lanes put together. */
function fieldsOf(table: EventTable, row: Fields, clock: Float64Array): Fields {
  const fields: Record<string, unknown> = { ...row, time_ns: clock[0], vcpu: clock[2] };
  for (const name of NULLABLE.get(table)!) fields[name] ??= null;
  for (const name of WIDE.get(table)!) {
    if (fields[name] === null) continue;
    const hi = BigInt((row[`${name}_hi`] as number | undefined ?? 0) >>> 0);
    fields[name] = hi << 32n | BigInt((row[name] as number) >>> 0);
  }
  return fields;
}

export class EventLog implements Names {
  readonly #tables: ReadonlySet<TableName>;
  readonly #write: (text: string) => void;
  readonly #codes = new Map<string, string[]>();
  readonly #symbols = new SymbolTable();
  #board: Board | null = null;
  #held = "";
  #unknown = 0;
  #nextLook = FIRST_LOOK;
  #looks = 0;

  /** `write` gets whole lines. */
  constructor(items: readonly EventTable[], write: (text: string) => void) {
    this.#tables = new Set(items);
    this.#write = write;
  }

  /** Given to the trace. */
  readonly watch: Watch = (table, row, _seq, clock) => {
    if (table === "name") this.#learn(row);
    if (!this.#tables.has(table)) return;
    const event = table as EventTable;
    this.#held += eventLine(event, fieldsOf(event, row, clock), this) + "\n";
    if (this.#held.length > HELD) this.flush();
  };

  /** From now on code has names. */
  attach(board: Board): void {
    this.#board = board;
    this.#symbols.add(board.symbols.table.all);
  }

  flush(): void {
    if (this.#held !== "") this.#write(this.#held);
    this.#held = "";
  }

  #learn(row: Fields): void {
    const { kind, code, name } = row as { kind: string; code: number; name: string };
    const names = this.#codes.get(kind) ?? [];
    names[code] = name;
    this.#codes.set(kind, names);
  }

  code(kind: CodeKind, code: unknown): string {
    return this.#codes.get(kind)?.[code as number] ?? "?";
  }

  symbol(pc: bigint): string | null {
    const found = this.#symbols.describe(pc);
    if (found !== null || this.#board === null || pc < KERNEL_HALF) return found;
    return this.#lookForNames() ? this.#symbols.describe(pc) : null;
  }

  /** The kernel's own table may be in guest memory, and modules come later: a look now and then. */
  #lookForNames(): boolean {
    if (++this.#unknown < this.#nextLook || this.#looks === MAX_LOOKS) return false;
    this.#nextLook *= 2;
    this.#looks++;
    const found = this.#board!.symbols.findKernel();
    return "symbols" in found && this.#symbols.add(found.symbols).length > 0;
  }
}
