/**
 * Questions limited to what lies between two marks: every event table, and with it every view, macro and
 * comparison, then holds these rows only. Marks are found once, and become constant ranges of `seq`.
 *
 * What the guest does to set a mark (accesses to the marker) is left out. A request belongs where its row
 * stands: where it completed. An interrupt raised before the first mark and handled after it is cut.
 * @module
 */
import type { Between } from "./between.ts";
import type { Engine } from "./engine.ts";
import { AnalysisError } from "./errors.ts";
import { records } from "./rows.ts";

/** Pairs of `seq`, of a mark and the next one, in order. */
export type Scope = readonly (readonly [bigint, bigint])[];

/** The ranges of each run; throws where a run has none, naming the marks that it has. */
export async function scopesOf(
  engine: Engine,
  names: readonly string[],
  between: Between,
): Promise<Scope[]> {
  return await Promise.all(names.map(async (name, run) => {
    const marks = records(await engine.query(`SELECT seq, label FROM run${run}.mark ORDER BY seq`))
      .map(({ seq, label }) => ({ seq: seq as bigint, label: label as string }));
    const scope = ranges(marks, between);
    if (scope.length > 0) return scope;
    const labels = [...new Set(marks.map(({ label }) => label))].slice(0, 8);
    throw new AnalysisError(
      `${name} has nothing between the marks "${between.from}" and "${between.to}"`,
      labels.length === 0
        ? "It has no marks at all: ask without --between."
        : `Its marks are: ${labels.join(", ")}. Give a region's name, or FROM..TO.`,
    );
  }));
}

function ranges(
  marks: readonly { seq: bigint; label: string }[],
  { from, to }: Between,
): [bigint, bigint][] {
  const found: [bigint, bigint][] = [];
  let begin: bigint | null = null;
  for (const { seq, label } of marks) {
    if (begin !== null && matches(label, to)) {
      found.push([begin, seq]);
      begin = null;
    }
    if (matches(label, from)) begin ??= seq;
  }
  return found;
}

/** Marks say "X begin" or "begin X"; both are the same. */
function matches(label: string, wanted: string): boolean {
  const turned = /^(.*) (begin|end)$/.exec(wanted);
  return label === wanted || turned !== null && label === `${turned[2]} ${turned[1]}`;
}

/** SQL that holds for rows inside the scope; for marks, the bounds themselves are inside. */
export function condition(scope: Scope, bounds: boolean): string {
  const [after, before] = bounds ? [">=", "<="] : [">", "<"];
  const parts = scope.map(([from, to]) => `seq ${after} ${from} AND seq ${before} ${to}`);
  return `(${parts.join(" OR ")})`;
}
