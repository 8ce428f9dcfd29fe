/**
 * Suites of recordings that `report --suite` makes: questions, as data, each with the recordings that
 * answer it, in the words of `record`'s command line.
 * @module
 */
import { LINUX_PAIRS, onLinux, type Pair, type PairCheck, PAIRS, type Side } from "./pairs.ts";
import type { SuiteName } from "./suite_names.ts";

export interface SuiteSide {
  /** Of its trace, in the folder of traces. */
  readonly name: string;
  /** Options of `record` that make it. */
  readonly words: readonly string[];
}

export interface Question {
  readonly id: string;
  readonly question: string;
  /** What is to be said with the answer; null for nothing. */
  readonly remark: string | null;
  readonly sides: readonly SuiteSide[];
  /** How the guest's data are seen to have arrived. */
  readonly check: PairCheck;
}

const option = (name: string, value: string | undefined) =>
  value === undefined ? [] : [`--${name}`, value];

function wordsOf(pair: Pair, side: Side, guest: readonly string[]): string[] {
  const append = [pair.append, side.append].filter((words) => words !== undefined).join(" ");
  return [
    ...guest,
    ...option("serial", side.serial),
    ...option("drive", side.drive),
    ...option("device", side.device),
    ...option("costs", pair.costs),
    ...option("append", append),
  ];
}

const questionOf = (pair: Pair, guest: readonly string[]) => ({
  question: pair.question,
  remark: pair.remark ?? null,
  sides: pair.sides.map((side) => ({ name: side.name, words: wordsOf(pair, side, guest) })),
  check: pair.check,
});

const bundled: readonly Question[] = PAIRS.map((pair) => ({
  id: pair.name,
  ...questionOf(pair, option("kernel", pair.kernel)),
}));

/** Stock drivers, which nobody here wrote. */
const linux: readonly Question[] = PAIRS.filter(({ name }) => LINUX_PAIRS.includes(name))
  .map((pair) => ({
    id: `linux-${pair.name}`,
    ...questionOf(onLinux(pair), option("guest", "linux")),
    question: `On stock Linux: ${pair.question}`,
  }));

export const SUITES: Readonly<Record<SuiteName, readonly Question[]>> = {
  standard: bundled,
  linux,
  all: [...bundled, ...linux],
};
