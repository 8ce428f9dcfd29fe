/**
 * How the traces of a sweep are called: `latency=20us,seed=3.trace`. Recording writes these names, and
 * comparing reads from them what was swept.
 * @module
 */

/** What one run of a sweep was given, by name. */
export type SweepPoint = ReadonlyMap<string, string>;

export const sweepName = (point: SweepPoint): string =>
  [...point].map(([name, value]) => `${name}=${value.replace(/[^\w.+-]/g, "_")}`).join(",");

/** Null for a name that no sweep gave. */
export function sweepPoint(name: string): SweepPoint | null {
  const parts = name.replace(/#\d+$/, "").split(",").map((part) =>
    /^([a-z][\w-]*)=(.+)$/i.exec(part)
  );
  return parts.every((part) => part !== null)
    ? new Map(parts.map((part) => [part![1]!, part![2]!]))
    : null;
}
