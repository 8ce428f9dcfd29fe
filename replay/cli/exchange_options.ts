/**
 * Options of `import` and `export`, and of the engine, as `main.ts` parses them.
 * @module
 */
import { object } from "@optique/core/constructs";
import type { Message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { say } from "./say.ts";
import * as values from "./values.ts";

const doc = (description: Message) => ({ description });

/** Of every command that asks traces. */
export const engineOption = withDefault(
  option("--engine", choice(["auto", "wasm", "native"], { metavar: "ENGINE" }), {
    description: say`DuckDB as WebAssembly, which is always there, or native, which npm brings when
      it is first asked for. auto: native from 1.5 GiB of trace on.`,
  }),
  "auto",
);

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
