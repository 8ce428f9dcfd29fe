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
function likeness({ table, fields: r }: Row, names: Names, console: string | null): string {
  if (r.device !== null && names.code("device", r.device) === console) return "console";
  const what = table === "exit"
    ? [r.reason, r.device, r.register, r.write, r.device === null ? r.value : null]
    : table === "irq"
    ? [r.event, r.path, r.line]
    : [r.kind, r.device];
  return [table, ...what].join(" ");
}

/** Which events to show. */
export interface Before {
  /** seq of the first event that is not looked at. */
  readonly seq: number;
  /** Device that printed what is shown anyway: its events in a row count as one. */
  readonly console: string | null;
  readonly count: number;
}

/** The last events before a moment, in their order; those alike in a row count as one. */
export function lastEvents(
  directory: string,
  { seq, console, count }: Before,
  symbol: Names["symbol"],
): string[] {
  const reader = TraceReader.open(directory);
  const names = namesOf(reader, symbol);
  const runs: { last: Row; like: string; more: number }[] = [];
  let looked = 0;
  for (const row of backwards(reader, seq)) {
    if (++looked > MAX_ROWS) break;
    const run = runs.at(-1);
    const like = likeness(row, names, console);
    if (run !== undefined && like === run.like) {
      run.more++;
    } else if (runs.length === count) {
      break;
    } else {
      runs.push({ last: row, like, more: 0 });
    }
  }
  return runs.reverse().map(({ last: { table, fields }, more }) => {
    const before = more === 0 ? "" : ` (after ${more.toLocaleString("en-US")} like it)`;
    return eventLine(table, fields, names) + before;
  });
}
