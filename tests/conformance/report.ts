/**
 * What a conformance run says: a line per suite, then every program that did not pass.
 *
 * @module
 */
import Table from "cli-table3";
import { basename } from "node:path";
import { suiteOf } from "./program.ts";
import type { Answer } from "./worker.ts";

export type Verdict = "passed" | "failed" | "unclaimed" | "skipped";

/** A program that fails and was made for an extension that is not claimed is no failure of the CPU. */
export function verdict(a: Answer, claimed: ReadonlySet<string>): Verdict {
  if ("skip" in a) return "skipped";
  if ("error" in a) return "failed";
  if (a.outcome.end === "passed") return "passed";
  return missing(a, claimed).length > 0 ? "unclaimed" : "failed";
}
const missing = (a: Answer, claimed: ReadonlySet<string>) =>
  "needs" in a ? a.needs.filter((n) => !claimed.has(n)) : [];

function line(a: Answer): string {
  const name = basename(a.path);
  if ("error" in a) return `${name}: ${a.error}`;
  if ("skip" in a) return `${name}: no tohost`;
  const { end, test, insns, console } = a.outcome;
  const what = end === "timeout" ? `no result after ${insns} instructions` : `test ${test} failed`;
  const said = console ? `; it wrote ${JSON.stringify(console)}` : "";
  return `${name}: ${what}${said}`;
}

/** Programs by the features that they lack. */
function byFeature(of: readonly Answer[], claimed: ReadonlySet<string>): string[] {
  const groups = new Map<string, string[]>();
  for (const a of of) {
    const lacks = missing(a, claimed).join(", ");
    groups.set(lacks, [...groups.get(lacks) ?? [], basename(a.path)]);
  }
  return [...groups].map(([lacks, names]) => `${lacks}: ${names.join(" ")}`);
}

export interface Report {
  text: string;
  failed: number;
}

const COLUMNS: Verdict[] = ["passed", "failed", "unclaimed"];

export function report(answers: readonly Answer[], claimed: ReadonlySet<string>): Report {
  const suites = new Map<string, Record<Verdict, number>>();
  const total: Record<Verdict, number> = { passed: 0, failed: 0, unclaimed: 0, skipped: 0 };
  const failures: Answer[] = [];
  const unclaimed: Answer[] = [];
  for (const a of answers) {
    const v = verdict(a, claimed);
    total[v]++;
    if (v === "failed") failures.push(a);
    if (v === "unclaimed") unclaimed.push(a);
    if (v === "skipped") continue;
    const name = suiteOf(basename(a.path));
    const suite = suites.get(name) ?? { passed: 0, failed: 0, unclaimed: 0, skipped: 0 };
    suites.set(name, suite);
    suite[v]++;
  }
  const table = new Table({
    head: ["suite", "passed", "failed", "feature not claimed"],
    colAligns: ["left", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const [name, counts] of [...suites].sort()) {
    table.push([name, ...COLUMNS.map((c) => counts[c])]);
  }
  table.push(["all", ...COLUMNS.map((c) => total[c])]);
  const list = (heading: string, of: string[]) =>
    of.length > 0 ? [heading, ...of.map((l) => `  ${l}`)] : [];
  const text = [
    table.toString(),
    ...list("Failed:", failures.map(line)),
    ...list("Need a feature that is not claimed:", byFeature(unclaimed, claimed)),
  ];
  return { text: text.join("\n"), failed: total.failed };
}
