/**
 * Suites of recordings that `report --suite` makes: questions, as data, each with the recordings that
 * answer it, in the words of `record`'s command line. The pairs of the demonstration come first.
 * @module
 */
import { PAIRS } from "./demonstration.ts";
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
  readonly sides: readonly SuiteSide[];
  /** True when every side's console must bring the guest's payload unchanged. */
  readonly payloadOnConsole: boolean;
}

const demonstrated: readonly Question[] = PAIRS.map(({ question, append, sides }) => ({
  id: sides[0].name.replace(/-.*/, ""),
  question,
  sides: sides.map(({ name, serial }) => ({
    name,
    words: ["--serial", serial, "--append", append],
  })),
  payloadOnConsole: true,
}));

const DISK = "size=1M,latency=20us,bandwidth=500M";

/** The guest reads back what it wrote and compares checksums; it fails when they differ. */
const disk: Question = {
  id: "disk",
  question: "What does a paravirtual disk cost, by size of request?",
  sides: [{ name: "disk-virtio", words: ["--kernel", "bundled:block", "--drive", DISK] }],
  payloadOnConsole: false,
};

export const SUITES: Readonly<Record<SuiteName, readonly Question[]>> = {
  standard: [...demonstrated, disk],
};
