/**
 * Measuring on a machine that does other things too: what is compared runs in turns, A B A B, and the
 * median of the ratios of neighbours is the figure, with the range beside it.
 * @module
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

export const ratios = (a: readonly number[], b: readonly number[]): Spread =>
  spread(a.map((value, i) => value / b[i]));

/** `1.12 (1.09–1.20)` */
export function show({ median, min, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

const TASK = `/proc/self/task/${Deno.pid}/schedstat`;

/** ms of CPU that the main thread has used, null where the system does not tell. */
export function mainThreadMs(): number | null {
  try {
    return Number(Deno.readTextFileSync(TASK).split(" ")[0]) / 1e6;
  } catch {
    return null;
  }
}

/** Rows of cells under a head, the first column to the left and the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)));
  const line = (cells: readonly string[]) =>
    "  " + cells.map((c, i) => i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i])).join("  ");
  return [line(head), line(widths.map((w) => "-".repeat(w))), ...rows.map(line)].join("\n");
}
