/**
 * The last events before a moment, from a trace's tables: what a guest did before it gave up.
 * @module
 */
import { TraceReader } from "../core/trace/reader.ts";
import type { CodeKind, EventTable } from "../core/trace/schema.ts";
import { eventLine, type Fields, type Names } from "./event_text.ts";

const SHOWN: readonly EventTable[] = ["exit", "irq", "request"];
/** Rows looked at, at most: a console may take many for a line. */
const MAX_ROWS = 200_000;

interface Row {
  readonly table: EventTable;
  readonly fields: Fields;
}

/** Names as the trace itself has them, and of code as `symbol` says. */
export function namesOf(reader: TraceReader, symbol: Names["symbol"]): Names {
  const codes = new Map<CodeKind, string[]>();
  return {
    symbol,
    code(kind, code) {
      if (!codes.has(kind)) codes.set(kind, reader.names(kind));
      return codes.get(kind)![code as number] ?? "?";
    },
  };
}

/** Rows of several tables before `seq`, the latest first. */
function* backwards(reader: TraceReader, seq: number): Generator<Row> {
  const heads = SHOWN.map((table) => {
    const rows = reader.rowsBackwards(table);
    return { table, rows, next: rows.next() };
  });
  for (;;) {
    const open = heads.filter((h) => !h.next.done);
    if (open.length === 0) return;
    const latest = open.reduce((a, b) => seqOf(b.next.value) > seqOf(a.next.value) ? b : a);
    const fields = latest.next.value as unknown as Fields;
    latest.next = latest.rows.next();
    if (seqOf(fields) < seq) yield { table: latest.table, fields };
  }
}

const seqOf = (row: unknown) => (row as { seq: number }).seq;

/** What a row is one more of: a run of these is shown as one. */
function likeness({ table, fields: r }: Row): string {
  if (table === "exit") return `exit ${r.device === null ? `reason ${r.reason}` : r.device}`;
  if (table === "irq") return `irq ${r.event} ${r.path} ${r.line}`;
  return `${table} ${r.kind} ${r.device}`;
}

/**
 * The last `count` events before `seq`, in their order. Accesses to one device in a row count as one,
 * as do other events of one kind.
 */
export function lastEvents(
  directory: string,
  seq: number,
  count: number,
  symbol: Names["symbol"],
): string[] {
  const reader = TraceReader.open(directory);
  const names = namesOf(reader, symbol);
  const runs: { last: Row; more: number }[] = [];
  let looked = 0;
  for (const row of backwards(reader, seq)) {
    if (++looked > MAX_ROWS) break;
    const run = runs.at(-1);
    if (run !== undefined && likeness(row) === likeness(run.last)) {
      run.more++;
    } else if (runs.length === count) {
      break;
    } else {
      runs.push({ last: row, more: 0 });
    }
  }
  return runs.reverse().map(({ last: { table, fields }, more }) => {
    const before = more === 0 ? "" : ` (after ${more.toLocaleString("en-US")} more like it)`;
    return eventLine(table, fields, names) + before;
  });
}
