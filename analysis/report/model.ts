/**
 * What a report is made of, before anything is drawn or written: figures with their rows, chapters,
 * set-up, commands. HTML, Markdown, JSON and CSV are written from these values alone, and the same
 * traces give the same bytes: there is no date, no host and no duration of the host in them.
 * @module
 */
import type { Comparison } from "../comparison.ts";
import type { PublishedRow } from "./published.ts";

export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

/** A column of a figure's table. */
export interface FigureColumn {
  /** Name in the rows. */
  readonly field: string;
  readonly head: string;
  /** How a value is written; text without it. Columns that have one stand flush right. */
  readonly show?: (value: number) => string;
}

export interface LegendItem {
  readonly name: string;
  /** A colour of the style sheet, such as `run-1`. */
  readonly colour: string;
}

/** A vega-lite specification: JSON, colours as `var(--name)` of the style sheet. */
export type Spec = Readonly<Record<string, unknown>>;

/** How much room a plot has. */
export interface Room {
  /** Pixels across. */
  readonly width: number;
  /** True on a phone. */
  readonly narrow: boolean;
}

/** What figures know beside their rows. */
export interface Context {
  /** In the order given: colours go by it. */
  readonly runs: readonly string[];
}

/** A figure, as data: one query, one plot, one table, one sentence on what was found. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  /** What the plot shows and how to read it. */
  readonly reading: string;
  /** One statement over tables and views, ordered to the last column. */
  readonly sql: string;
  readonly columns: readonly FigureColumn[];
  /** What is said in place of the figure when the query has no rows. */
  readonly absent: string;
  /** The rows that the table shows, where these are not all. */
  readonly tabled?: (rows: readonly Row[]) => readonly Row[];
  /** What these rows say, in a plain sentence with its figures. */
  finding(rows: readonly Row[], context: Context): string;
  legend(rows: readonly Row[], context: Context): readonly LegendItem[];
  spec(rows: readonly Row[], room: Room, context: Context): Spec;
}

/** A figure with the rows of its query; never empty. */
export interface FilledFigure {
  readonly figure: Figure;
  readonly rows: readonly Row[];
  readonly finding: string;
}

export interface SetupRow {
  readonly what: string;
  /** One per run. */
  readonly values: readonly string[];
  /** True when the runs do not agree. */
  readonly differs: boolean;
}

/** One question and the traces that answer it. */
export interface Chapter {
  readonly id: string;
  readonly question: string;
  /** The plain-language answer. */
  readonly answer: string;
  readonly runs: readonly string[];
  /** The traces' directories, as they were given. */
  readonly paths: readonly string[];
  /** What is to be said with the answer; null for nothing. */
  readonly remark: string | null;
  /** Commands that record them, where they are known. */
  readonly commands: readonly string[];
  readonly comparison: Comparison;
  readonly figures: readonly FilledFigure[];
  /** Figures without rows: title and why. */
  readonly absent: readonly { readonly title: string; readonly why: string }[];
  readonly published: readonly PublishedRow[];
  readonly setup: readonly SetupRow[];
}

export interface Report {
  readonly title: string;
  /** Version of the tool that wrote it. */
  readonly version: string;
  /** Command that makes it again. */
  readonly command: string;
  readonly chapters: readonly Chapter[];
}
