/**
 * What figures do with the rows of their queries: sums, shares, parts laid end to end, sentences.
 * @module
 */
import { rate } from "../format.ts";
import { distinct, kindColour } from "./charts.ts";
import type { LegendItem, Row } from "./model.ts";

export const number = (row: Row | undefined, field: string): number => Number(row?.[field] ?? 0);
export const text = (row: Row | undefined, field: string): string => String(row?.[field] ?? "");
export const total = (rows: readonly Row[], field: string): number =>
  rows.reduce((sum, row) => sum + number(row, field), 0);
export const share = (part: number, whole: number): string =>
  whole === 0 ? "0 %" : `${rate(100 * part / whole)} %`;
export const of = (rows: readonly Row[], field: string, value: unknown): Row[] =>
  rows.filter((row) => row[field] === value);

/** A sentence with more parts than this is read by nobody. */
const MOST_SAID = 4;

/** "A; B." with the first few parts, and where the rest is. */
export function some(parts: readonly string[]): string {
  const rest = parts.length > MOST_SAID ? "; the rest is in the table" : "";
  return `${parts.slice(0, MOST_SAID).join("; ")}${rest}.`;
}

/** Reasons keep their colour from figure to figure: the order is the schema's. */
const REASONS = ["mmio", "pio", "stage2_fault", "hypercall", "wfi", "external_interrupt"];
const reasonColour = (reason: string): string => {
  const at = REASONS.indexOf(reason);
  return kindColour(at < 0 ? REASONS.length : at);
};
export const reasonLegend = (rows: readonly Row[]): LegendItem[] => {
  const present = distinct(rows, "reason");
  const known = REASONS.filter((reason) => present.includes(reason));
  return [...known, ...present.filter((reason) => !REASONS.includes(reason))]
    .map((name) => ({ name, colour: reasonColour(name) }));
};

/** Parts laid end to end within each `bar`, in the order of the rows. */
export function laid(rows: readonly Row[], group: (row: Row) => string, field: string): Row[] {
  const reached = new Map<string, number>();
  return rows.map((row) => {
    const from = reached.get(group(row)) ?? 0;
    const to = from + number(row, field);
    reached.set(group(row), to);
    return { ...row, from, to };
  });
}
