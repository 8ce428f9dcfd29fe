/**
 * How answers are printed: tables by cli-table3 without boxes, CSV (RFC 4180), JSON, Markdown.
 * @module
 */
import Table from "cli-table3";
import { jsonInteger, type Result, type Value } from "./rows.ts";

/** Where a command writes; tests give one of their own. */
export interface Output {
  /** Characters a line may have; Infinity when nobody looks. */
  readonly width: number;
  write(data: string | Uint8Array): void;
  /** A remark beside the answer, such as what was left out. */
  note(text: string): void;
  /** Shows how far work is, in place of what it showed before; null takes it away. */
  progress(text: string | null): void;
}

/** Standard output and standard error. */
export function standardOutput(): Output {
  const encoder = new TextEncoder();
  return {
    width: Deno.stdout.isTerminal() ? Deno.consoleSize().columns || Infinity : Infinity,
    write(data) {
      let rest = typeof data === "string" ? encoder.encode(data) : data;
      while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
    },
    note: (text) => console.error(text),
    progress(text) {
      if (!Deno.stderr.isTerminal()) return;
      Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text ?? ""}`));
    },
  };
}

/** An {@link Output} that keeps what is written, for tests and for callers that want the text. */
export function textOutput(width = 100): Output & { text: string; notes: string[] } {
  const decoder = new TextDecoder();
  return {
    width,
    text: "",
    notes: [],
    write(data) {
      this.text += typeof data === "string" ? data : decoder.decode(data);
    },
    note(text) {
      this.notes.push(text);
    },
    progress() {},
  };
}

/** A table ready for print. */
export interface Grid {
  readonly head: readonly string[];
  /** True for the columns that stand flush right. */
  readonly right: readonly boolean[];
  readonly rows: readonly (readonly string[])[];
}

export const indent = (text: string): string => text.replace(/^(?=.)/gm, "  ");

const NO_BOX = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "─",
  "mid-mid": "  ",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};
const GAP = NO_BOX.middle.length;
/** Below this a cell says too little to be worth its column. */
const NARROWEST = 8;

/** The grid as lines of at most `width` characters: long cells are cut, or each row is laid on its side. */
export function renderTable(grid: Grid, width: number): string {
  const widths = fit(naturalWidths(grid), grid.right, width);
  if (widths === null) return renderRecords(grid, width);
  const table = new Table({
    head: grid.head.map((cell, c) => cut(cell, widths[c]!)),
    colAligns: grid.right.map((right) => right ? "right" : "left"),
    chars: NO_BOX,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 0 },
  });
  for (const row of grid.rows) table.push(row.map((cell, c) => cut(cell, widths[c]!)));
  return table.toString().split("\n").map((line) => line.trimEnd() + "\n").join("");
}

/** Widths that fit, taken from the widest text columns first; null when they cannot. */
function fit(natural: number[], right: readonly boolean[], width: number): number[] | null {
  const widths = [...natural];
  const total = () => widths.reduce((sum, w) => sum + w, 0) + GAP * (widths.length - 1);
  while (total() > width) {
    const widest = widths.reduce(
      (best, w, c) => !right[c] && w > (widths[best] ?? 0) ? c : best,
      -1,
    );
    if (widest < 0 || widths[widest]! <= NARROWEST) return null;
    widths[widest]! -= Math.min(total() - width, widths[widest]! - NARROWEST, 4);
  }
  return widths;
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

/** True when nothing of it need be cut. */
export const fits = (grid: Grid, width: number): boolean =>
  naturalWidths(grid).reduce((sum, w) => sum + w + GAP, -GAP) <= width;

const naturalWidths = ({ head, rows }: Grid): number[] =>
  head.map((name, c) => rows.reduce((most, row) => Math.max(most, row[c]!.length), name.length));

/** Room for the first column of a table in blocks. */
const BLOCK_NAME = 40;

/**
 * The grid as {@link renderTable}, or, where it is too wide, as blocks of columns below each other, each
 * with the first column beside it.
 */
export function renderBlocks(grid: Grid, width: number): string {
  const [first = 0, ...others] = naturalWidths(grid);
  const name = Math.min(first, BLOCK_NAME);
  if (fits(grid, width) || name + GAP + Math.max(0, ...others) > width) {
    return renderTable(grid, width);
  }
  const blocks: number[][] = [];
  let room = 0;
  for (const [i, natural] of others.entries()) {
    if (room < GAP + natural) {
      blocks.push([]);
      room = width - name;
    }
    blocks.at(-1)!.push(i + 1);
    room -= GAP + natural;
  }
  return blocks.map((columns) => {
    const pick = <T>(all: readonly T[]): T[] => [0, ...columns].map((c) => all[c]!);
    const rows = grid.rows.map(pick);
    return renderTable({ head: pick(grid.head), right: pick(grid.right), rows }, width);
  }).join("\n");
}

/** Rows laid on their sides fill a screen soon. */
const RECORDS = 50;

function renderRecords(grid: Grid, width: number): string {
  const more = grid.rows.length - RECORDS;
  const label = Math.max(...grid.head.map((head) => head.length));
  const room = Math.max(NARROWEST, width - label - GAP);
  const shown = grid.rows.slice(0, RECORDS).map((row, i) =>
    [
      `— row ${i + 1} —`,
      ...row.map((cell, c) => `${grid.head[c]!.padEnd(label + GAP)}${cut(cell, room)}`),
    ].map((line) => line.trimEnd() + "\n").join("")
  ).join("");
  return more > 0
    ? `${shown}— ${more} more rows; a wider terminal sets them as a table —\n`
    : shown;
}

export function renderMarkdown(grid: Grid): string {
  const escape = (cell: string) => cell.replaceAll("|", "\\|").replaceAll("\n", " ");
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(grid.head.map(escape)) +
    line(grid.right.map((right) => right ? "---:" : "---")) +
    grid.rows.map((row) => line(row.map(escape))).join("");
}

/** A result as a grid, 64-bit numbers in full. */
export function gridOf(result: Result): Grid {
  return {
    head: result.columns.map((column) => column.name),
    right: result.columns.map((column) => column.numeric),
    rows: result.rows.map((row) => row.map((cell) => display(cell).replace(/\s*\n\s*/g, " "))),
  };
}

function display(value: Value): string {
  if (value === null) return "";
  if (value instanceof Uint8Array) return hexBytes(value);
  if (typeof value === "number" && !Number.isInteger(value)) {
    return String(Number(value.toPrecision(9)));
  }
  return String(value);
}

const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function renderCsv(result: Result, withHead = true): string {
  const field = (value: Value): string => {
    const plain = value instanceof Uint8Array ? hexBytes(value) : String(value ?? "");
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const lines = result.rows.map((row) => row.map(field).join(",") + "\n");
  const head = result.columns.map((column) => field(column.name)).join(",") + "\n";
  return (withHead ? head : "") + lines.join("");
}

/** An array of objects, a row a line. Integers beyond 2^53 become strings, not wrong numbers. */
export function renderJson(result: Result): string {
  const names = result.columns.map((column) => column.name);
  const rows = result.rows.map((row) =>
    "  " + JSON.stringify(Object.fromEntries(row.map((cell, c) => [names[c]!, jsonValue(cell)])))
  );
  return rows.length === 0 ? "[]\n" : `[\n${rows.join(",\n")}\n]\n`;
}

function jsonValue(value: Value): Exclude<Value, bigint | Uint8Array> {
  if (typeof value === "bigint") return jsonInteger(value);
  return value instanceof Uint8Array ? hexBytes(value) : value;
}
