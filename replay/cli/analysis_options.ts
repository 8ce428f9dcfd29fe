/** Options of the commands that read traces; `main.ts` puts them together with the others. @module */
import { object } from "@optique/core/constructs";
import type { Message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { say } from "./say.ts";
import { SUITE_NAMES } from "./suite_names.ts";
import * as values from "./values.ts";

const doc = (description: Message) => ({ description });

const between = optional(option("--between", values.between, {
  description: say`Only what lies between two marks: a region's LABEL, or the labels of two marks.`,
}));
const engineOption = withDefault(
  option("--engine", choice(["auto", "wasm", "native"], { metavar: "ENGINE" }), {
    description: say`DuckDB as WebAssembly, which is always there, or native, which npm brings when
      it is first asked for. auto: native from 1.5 GiB of trace on.`,
  }),
  "auto",
);

export const queryOptions = object({
  command: constant("query"),
  words: multiple(
    argument(values.file("TRACE|SQL"), {
      description:
        say`Traces, or patterns or folders of traces, then one SQL statement in quotes (or
        a view's name).`,
    }),
  ),
  format: withDefault(
    option(
      "--format",
      choice(["table", "csv", "json", "markdown", "arrow"], { metavar: "FORMAT" }),
      {
        description: say`How to print the answer; arrow is an IPC stream of bytes.`,
      },
    ),
    "table",
  ),
  file: optional(option("-F", "--file", values.file("FILE.sql"), {
    description: say`Read the SQL from FILE instead.`,
  })),
  param: multiple(option("--param", values.parameter, {
    description: say`What $NAME in the SQL stands for: a number, true, false, null, or text.
      Repeatable.`,
  })),
  between,
  interactive: option("-i", "--interactive", {
    description: say`Give a prompt: statements up to their semicolon, .help for commands. On a
      terminal it follows the tour; without one, statements are read from standard input.`,
  }),
  explainSchema: option("--explain-schema", {
    description:
      say`Print every table, view and macro with a sentence per column, and stop. No trace
      is needed; --format table, markdown or json.`,
  }),
  engine: engineOption,
});

export const compareOptions = object({
  command: constant("compare"),
  traces: multiple(argument(values.file("TRACE"), doc(say`Directory that record wrote.`)), {
    min: 1,
    errors: { tooFew: say`Name two traces to compare, or more` },
  }),
  format: withDefault(
    option("--format", choice(["table", "markdown", "json"], { metavar: "FORMAT" }), {
      description: say`How to print the comparison.`,
    }),
    "table",
  ),
  by: optional(option("--by", string({ metavar: "NAME" }), {
    description: say`Of traces that record --sweep made: one group for each value of NAME, and each
      figure as median and range over its group. Without it, a group for each folder.`,
  })),
  between,
  engine: engineOption,
});

export const reportOptions = object({
  command: constant("report"),
  traces: multiple(argument(values.file("TRACE"), doc(say`Directories that record wrote.`))),
  output: withDefault(
    option("-o", "--output", values.file("FILE"), {
      description: say`File to write; its ending says the format: .html, .md, .json or .csv.`,
    }),
    "report.html",
  ),
  format: optional(
    option("--format", choice(["html", "md", "json", "csv"], { metavar: "FORMAT" }), {
      description: say`Format, where the file's ending does not say it.`,
    }),
  ),
  title: optional(option("--title", string({ metavar: "TEXT" }), {
    description: say`What the report is called.`,
  })),
  suite: optional(option("--suite", choice(SUITE_NAMES, { metavar: "SUITE" }), {
    description:
      say`Record every pair of the suite, into the folder traces, and report on them all.`,
  })),
  force: option(
    "-f",
    "--force",
    doc(say`Replace the file, and the suite's traces, if they exist.`),
  ),
});

export const budgetOptions = object({
  command: constant("budget"),
  traces: multiple(argument(values.file("TRACE"), doc(say`Traces to hold to the budget.`)), {
    min: 1,
    errors: { tooFew: say`Name a trace to hold to the budget` },
  }),
  file: option("-F", "--file", values.file("BUDGET.json"), {
    description: say`Rules: {"rules": [{"name", "metric" and "where" or "sql", "max", "min",
      "runs"}]}; see analysis/README.md.`,
  }),
  format: withDefault(
    option("--format", choice(["table", "junit", "github"], { metavar: "FORMAT" }), {
      description: say`How to print the verdicts: github gives workflow annotations.`,
    }),
    "table",
  ),
  between,
});

export const inspectOptions = object({
  command: constant("inspect"),
  trace: argument(values.file("TRACE"), doc(say`Directory that record wrote.`)),
});

export const importOptions = object({
  command: constant("import"),
  files: multiple(
    argument(values.file("FILE"), {
      description:
        say`Text of perf script, trace-cmd report or ftrace's trace with KVM's tracepoints,
        QEMU's trace log, or a simpletrace file; several are parts of one trace, in order.`,
    }),
    { min: 1, errors: { tooFew: say`Name a file to import` } },
  ),
  output: option("-o", "--output", values.file("NAME.trace"), {
    description: say`Directory to write the trace to.`,
  }),
  format: optional(
    option("--format", choice(["kvm", "qemu", "simpletrace"], { metavar: "FORMAT" }), {
      description: say`What the files are. Default: told by their content.`,
    }),
  ),
  force: option("-f", "--force", doc(say`Replace a trace that exists.`)),
});

export const exportOptions = object({
  command: constant("export"),
  traces: multiple(argument(values.file("TRACE"), doc(say`Trace directories.`)), {
    min: 1,
    errors: { tooFew: say`Name a trace to export` },
  }),
  to: option("--to", choice(["perfetto", "parquet", "csv", "arrow"], { metavar: "FORMAT" }), {
    description: say`perfetto: one file of tracks. parquet, csv, arrow: a folder with a file per
      table; parquet is written by native DuckDB, which npm brings when it is first asked for.`,
  }),
  output: option("-o", "--output", values.file("OUT"), {
    description: say`File or folder to write.`,
  }),
  tables: optional(option("--tables", values.tables, {
    description: say`Tables to write, comma between. Default: all that have rows.`,
  })),
  host: optional(option("--host", string({ metavar: "NAME" }), {
    description: say`Parquet in folders host=NAME/run=TRACE, to be joined with those of others.`,
  })),
  engine: engineOption,
});
