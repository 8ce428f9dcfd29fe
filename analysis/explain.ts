/**
 * One plain sentence on what made the difference between two runs, from their figures alone: the
 * registers that work is handed over by where these explain the difference, else the kinds of exit
 * whose number per unit of work changed most.
 * @module
 */
import type { Comparison, ExitKind, RunFigures } from "./comparison.ts";
import { sumExits } from "./comparison.ts";
import { rate, ratio, size } from "./format.ts";

/** Runs nearer than this are called alike. */
const ALIKE = 1.02;
/** The part of the difference that a register must account for to be named as its cause. */
const DECISIVE = 0.4;
/** Less than this part of the difference is not worth a word. */
const NOTABLE = 0.1;
/** Bytes per access that still count as one byte. */
const ONE_BYTE = [0.8, 1.25] as const;

/** False where exits were not recorded, so that a count of none says nothing. */
export const hasExits = (run: RunFigures): boolean => !run.missing.includes("exit");

/** How many exits a run takes for a unit of work: per KiB, or in all when no work is known. */
export function exitRate(run: RunFigures): number {
  const exits = sumExits(run.kinds);
  return run.bytes > 0 ? exits * 1024 / run.bytes : exits;
}

/** The runs with the most and the fewest exits for their work; in all where some work is not known. */
export function extremes(runs: readonly RunFigures[]): [RunFigures, RunFigures] {
  const known = runs.every((run) => run.bytes > 0);
  const scaled = known ? runs : runs.map((run) => ({ ...run, bytes: 0 }));
  const ranked = [...scaled].sort((a, b) => exitRate(b) - exitRate(a));
  return [ranked[0]!, ranked.at(-1)!];
}

/** The sentence on the runs with the most and the fewest exits for their work. */
export function explain({ runs }: Comparison): string {
  const silent = runs.filter((run) => !hasExits(run)).map(({ run }) => run);
  if (silent.length > 0) {
    return `${silent.join(" and ")} ${
      silent.length > 1 ? "were" : "was"
    } recorded without the table exit: how many exits it took is not known.`;
  }
  const known = runs.every((run) => run.bytes > 0);
  const [most, least] = extremes(runs);
  if (exitRate(most) === 0) return "None of these runs took an exit.";
  if (exitRate(most) < exitRate(least) * ALIKE) {
    return `${subject(least, most)} and ${subject(most, least)} took ${
      exitRate(most) === exitRate(least) ? "the same" : "nearly the same"
    } number of exits${amount(runs)}: ${rate(exitRate(most))}${known ? " per KiB" : ""}.`;
  }
  const times = exitRate(least) === 0
    ? "no exits where the other took some"
    : `${ratio(exitRate(most), exitRate(least))} fewer exits`;
  const verdict = `${subject(least, most)} took ${times}${amount(runs)}`;
  return `${verdict}${because(most, least)}.`;
}

/** A run by its device where that tells it apart, else by its name. */
function subject(run: RunFigures, other: RunFigures): string {
  return run.device !== null && run.device !== other.device ? run.device : run.run;
}

function amount(runs: readonly RunFigures[]): string {
  const bytes = runs.map((run) => run.bytes);
  if (bytes.some((b) => b === 0)) return "";
  return bytes.every((b) => b === bytes[0]) ? ` for the same ${size(bytes[0]!)}` : " per KiB";
}

function because(most: RunFigures, least: RunFigures): string {
  const difference = exitRate(most) - exitRate(least);
  const change = handoverRate(most) - handoverRate(least);
  if (most.bytes > 0 && least.bytes > 0 && change >= DECISIVE * difference) {
    const other = subject(most, least);
    return ` because it ${handsOver(least)}, where ${other} ${handsOver(most)}`;
  }
  const causes = contributions(most, least).slice(0, 2)
    .filter((c) => c.more - c.less >= NOTABLE * difference);
  const unit = most.bytes > 0 ? " per KiB" : "";
  const listed = causes.map((c) =>
    `${c.name} (${c.less === 0 ? "none" : rate(c.less)} against ${rate(c.more)}${unit})`
  );
  return listed.length === 0 ? "" : `, mostly because of fewer exits for ${listed.join(" and ")}`;
}

const perUnit = (exits: number, run: RunFigures): number =>
  run.bytes > 0 ? exits * 1024 / run.bytes : exits;

function isHandover(kind: ExitKind, run: RunFigures): boolean {
  return run.handover !== null && kind.device === run.device &&
    kind.register === run.handover.register && kind.direction === run.handover.direction;
}

function handoverRate(run: RunFigures): number {
  return perUnit(sumExits(run.kinds.filter((kind) => isHandover(kind, run))), run);
}

/** "needs a THR write for every byte", "passes 16 bytes to 4 KiB per QueueNotify write". */
function handsOver(run: RunFigures): string {
  if (run.handover === null || handoverRate(run) === 0) return "needs no register access for data";
  const access = `${run.handover.register} ${run.handover.direction}`;
  const each = bytesPerHandover(run);
  const [least, most] = [Math.min(...each), Math.max(...each)];
  if (least >= ONE_BYTE[0] && most <= ONE_BYTE[1]) {
    return `needs ${article(access)} ${access} for every byte`;
  }
  if (most < 1) return `needs ${rate(1 / most)} ${access}s for every byte`;
  const span = most < 1.5 * least ? size(tidy((least + most) / 2)) : sizeSpan(least, most);
  return `passes ${span} per ${access}`;
}

/** In each region where marks bound the work, as the sizes of writes differ there; else over all. */
function bytesPerHandover(run: RunFigures): number[] {
  const regions = run.regions.map(({ label, bytes }) => {
    const kinds = run.kinds.filter((kind) => kind.label === label && isHandover(kind, run));
    return bytes / sumExits(kinds);
  });
  const finite = regions.filter((bytes) => Number.isFinite(bytes));
  return finite.length > 0 ? finite : [1024 / handoverRate(run)];
}

/** Whole bytes where the mean is all but whole: a few accesses more must not read as 15.9. */
const tidy = (bytes: number): number => {
  const whole = Math.round(bytes);
  return Math.abs(bytes - whole) <= 0.02 * bytes ? whole : bytes;
};

const sizeSpan = (least: number, most: number): string =>
  `${size(tidy(least))} to ${size(tidy(most))}`;

const article = (word: string): string => /^[aeiou]/i.test(word) ? "an" : "a";

export interface Contribution {
  /** E.g. `uart0.txdata write`, or the reason of exits that are no accesses. */
  readonly name: string;
  /** Per unit of work, in the run with more exits. */
  readonly more: number;
  readonly less: number;
}

/** What the difference is made of, the largest part first. */
export function contributions(most: RunFigures, least: RunFigures): Contribution[] {
  const nameIn = namesFor(most, least);
  const rates = (run: RunFigures): Map<string, number> => {
    const groups = Map.groupBy(run.kinds, (kind) => nameIn(run, kind));
    return new Map([...groups].map(([name, kinds]) => [name, perUnit(sumExits(kinds), run)]));
  };
  const [more, less] = [rates(most), rates(least)];
  return [...new Set([...more.keys(), ...less.keys()])]
    .map((name) => ({ name, more: more.get(name) ?? 0, less: less.get(name) ?? 0 }))
    .sort((a, b) => (b.more - b.less) - (a.more - a.less));
}

/**
 * Names that set like against like. Two devices that hand work over by different registers have
 * registers of different names for the same purpose: those are compared as groups, or else every
 * register of one would count as spared by the other.
 */
function namesFor(most: RunFigures, least: RunFigures) {
  const [ours, theirs] = [most.handover, least.handover];
  const alike = ours === null || theirs === null ||
    ours.register === theirs.register && ours.direction === theirs.direction;
  return (run: RunFigures, kind: ExitKind): string => {
    if (alike || kind.device === null || kind.device !== run.device) return kindName(kind);
    return isHandover(kind, run)
      ? `${most.device}.${ours.register} ${ours.direction}`
      : `other registers of ${most.device}`;
  };
}

export function kindName(kind: ExitKind): string {
  if (kind.device === null) return kind.reason;
  return `${kind.device}.${kind.register ?? "(undeclared)"} ${kind.direction}`;
}
