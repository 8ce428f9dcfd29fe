/**
 * A row of the trace as a line that people read: `--log`, and the last events before a panic.
 * @module
 */
import { columnsOf } from "../core/trace/rows.ts";
import { type CodeKind, CODES, COMMON, type EventTable } from "../core/trace/schema.ts";

/** A row: codes as numbers, wide columns as bigints. */
export type Fields = Readonly<Record<string, unknown>>;

/** How to look up what a row refers to. */
export interface Names {
  /** A code's name; `?` for one that has none. */
  code(kind: CodeKind, code: unknown): string;
  /** `function+0x1c` of an address in the kernel's own mode, or null. */
  symbol(pc: bigint): string | null;
}

const USER_MODE = CODES.cpu_mode.findIndex((mode) => mode.name === "U");
const NS_WIDTH = 13;
const KIND_WIDTH = 7;

const hex = (v: unknown) => `0x${BigInt(v as number | bigint).toString(16)}`;

/** "label value" for what is there. */
const part = (label: string, value: unknown, show: (v: unknown) => string = String) =>
  value === null || value === undefined ? "" : `${label} ${show(value)}`;

const joined = (...parts: string[]) => parts.filter((p) => p !== "").join(" ");

const device = (r: Fields, n: Names) => r.device === null ? "" : n.code("device", r.device);

/** `uart0.THR`, or `uart0+0x8` where no register is declared. */
function place(r: Fields, n: Names): string {
  const name = device(r, n);
  if (r.register !== null) return `${name}.${n.code("register", r.register)}`;
  return r.offset === undefined ? name : `${name}+${hex(r.offset)}`;
}

function access(r: Fields, n: Names): string {
  const at = r.device === null ? part("at", r.gpa, hex) : place(r, n);
  const size = r.size === null ? "" : `${r.size === 1 ? "1 byte" : `${r.size} bytes`}`;
  const value = r.value === null ? "" : `= ${hex(r.value)}`;
  return joined(r.write ? "write" : "read", at, size, value);
}

/** Where the hart was: mode, pc, and its function in kernel code. */
export function whereabouts(r: Fields, n: Names): string {
  const pc = r.pc as bigint;
  const symbol = r.cpu_mode === USER_MODE ? null : n.symbol(pc);
  return joined(n.code("cpu_mode", r.cpu_mode), hex(pc), symbol ?? "");
}

function exit(r: Fields, n: Names): string {
  const what = r.write !== null ? access(r, n) : part("extension", r.value, hex);
  const hw = r.hw_reason === null ? "" : n.code("hw_reason", r.hw_reason);
  const served = joined(hw, n.code("handler", r.handler));
  return `${joined(n.code("reason", r.reason), what)} | ${served} | ${whereabouts(r, n)}`;
}

const request = (r: Fields) => part("request", r.request);

type Phrase = (r: Fields, n: Names) => string;

/** How each table's rows read. One without a phrase lists its columns. */
const PHRASES: { readonly [T in EventTable]?: Phrase } = {
  exit,
  access: (r, n) => joined(n.code("space", r.space), access(r, n)),
  vring: (r, n) =>
    joined(
      n.code("vring_event", r.event),
      device(r, n),
      part("queue", r.queue),
      part("head", r.head),
      part("desc", r.desc_index),
      part("gpa", r.gpa, hex),
      part("length", r.length),
      part("flags", r.flags, hex),
      part("avail_idx", r.avail_idx),
      part("used_idx", r.used_idx),
      request(r),
    ),
  dma: (r, n) =>
    joined(
      r.write ? "write" : "read",
      device(r, n),
      part("gpa", r.gpa, hex),
      `${r.bytes} bytes`,
      request(r),
    ),
  irq: (r, n) => joined(n.code("irq_event", r.event), device(r, n), line(r, n)),
  request: (r, n) =>
    joined(
      n.code("request_kind", r.kind),
      device(r, n),
      `id ${r.id}`,
      `${r.bytes} bytes`,
      n.code("request_status", r.status),
      `after ${Number(r.complete_ns) - Number(r.submit_ns)} ns`,
    ),
  mark: (r) => joined(JSON.stringify(r.label), String(r.number)),
  input: (r, n) =>
    joined(
      n.code("input_kind", r.kind),
      String(r.device ?? ""),
      String(r.channel),
      r.device === null ? "" : `${(r.data as Uint8Array).length} bytes`,
    ),
};

/** A trap knows only its cause; everything else is about a line. */
function line(r: Fields, n: Names): string {
  const what = n.code("irq_event", r.event) === "inject" ? "cause" : "line";
  return joined(part(what, r.line), n.code("irq_path", r.path));
}

function listed(table: EventTable, r: Fields, n: Names): string {
  const own = columnsOf(table).filter(([name]) => !(name in COMMON));
  return joined(...own.map(([name, { codes, type }]) => {
    const show = (v: unknown) => codes ? n.code(codes, v) : type === "wide" ? hex(v) : String(v);
    return part(name, r[name], show);
  }));
}

/** What happened, without when. */
export function eventText(table: EventTable, row: Fields, names: Names): string {
  return (PHRASES[table] ?? ((r, n) => listed(table, r, n)))(row, names);
}

/** One line: virtual ns, hart, kind of event, what happened. */
export function eventLine(table: EventTable, row: Fields, names: Names): string {
  const when = String(row.time_ns).padStart(NS_WIDTH);
  return `${when} ${row.vcpu} ${table.padEnd(KIND_WIDTH)} ${eventText(table, row, names)}`;
}
