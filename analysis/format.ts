/**
 * Numbers for people: thousands separators, binary sizes, virtual times, ratios.
 * @module
 */

export const count = (value: number): string => value.toLocaleString("en");

/** Three significant digits below 1000, whole above. */
export function rate(value: number): string {
  if (value < 0) return `-${rate(-value)}`;
  if (value >= 999.5) return count(Math.round(value));
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

/** "31 ×", "8.1 ×"; how many times `more` is `less`. */
export function ratio(more: number, less: number): string {
  if (more === less) return "1 ×";
  if (less === 0) return "∞";
  const times = more / less;
  return `${times >= 9.95 ? count(Math.round(times)) : times.toFixed(times >= 0.995 ? 1 : 2)} ×`;
}

const SIZES = ["bytes", "KiB", "MiB", "GiB"];

/** "16 bytes", "4 KiB", "31.9 bytes". */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < SIZES.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = Number.isInteger(value) ? 0 : 1;
  const name = value === 1 && unit === 0 ? "byte" : SIZES[unit];
  return `${value.toFixed(digits)} ${name}`;
}

const TIMES: [number, string][] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

/** "3.93 ms" of virtual time. */
export function time(ns: number): string {
  const [scale, unit] = TIMES.find(([least]) => ns >= least) ?? [1, "ns"];
  return `${scale === 1 ? ns.toFixed(0) : rate(ns / scale)} ${unit}`;
}
