/**
 * The whole command line: every command with its help, completion for shells, and what is said of words
 * that are not understood. `main.ts` loads it where a command's own options do not suffice.
 * @module
 */
import { or } from "@optique/core/constructs";
import { command } from "@optique/core/primitives";
import { extractOptionNames } from "@optique/core/usage";
import { run } from "@optique/run";
import { VERSION } from "../version.ts";
import { EXIT } from "./errors.ts";
import type { RecordArguments } from "./machine_spec.ts";
import { COMMANDS, OPTIONS, type Parsed } from "./options.ts";
import { lines, mistake, say } from "./say.ts";
import { nearest } from "./suggest.ts";

export const parser = or(
  command("record", OPTIONS.record(), {
    brief: say`Run a guest and record every exit; without options, the demonstration.`,
    description: say`Runs a guest and records every VM exit, device access, virtqueue event, DMA,
      interrupt and request. Without options that say which guest,
      bundled guests do the same work on fully virtualized and on paravirtual devices, pair by pair, and
      the traces are compared.`,
    usageLine: [{ type: "optional", terms: [{ type: "literal", value: "OPTION" }] }, {
      type: "ellipsis",
    }],
    footer: lines(
      "Console: the terminal is the guest's. Ctrl-A X quits, Ctrl-A C opens the monitor, Ctrl-A H helps.",
      "Exit code: the guest's own (0 on power-off; N when it reports failure N to the test finisher),",
      "so 1 to 3 may also come from the guest; else 2 usage, 3 the guest failed or ran out of time.",
      "The line on standard error says which.",
    ),
  }),
  command("query", OPTIONS.query(), {
    brief: say`Ask traces a question in SQL; without SQL, a tour of tables and views.`,
    description: say`Loads the traces into DuckDB, with the view library, and prints the answer of
      one SQL statement. Without SQL: what there is to ask, and on a terminal a prompt. Several
      traces are told apart by the column run.`,
    footer: lines('Example: query traces/a.trace "SELECT reason, count(*) FROM exit GROUP BY 1"'),
  }),
  command("compare", OPTIONS.compare(), {
    brief: say`Say what differs between traces and which registers make the difference.`,
    description: say`Sets traces side by side: machine, work done, exits by reason and by
      register, exits per KiB, interrupts, virtual time.`,
  }),
  command("report", OPTIONS.report(), {
    brief: say`Write a self-contained report: plots, numbers, the SQL behind them.`,
    description: say`Writes one file about the traces: the answer in a sentence, plots (in HTML),
      tables, set-up and digests, the SQL behind each figure, published numbers beside ours. The HTML
      has no scripts and asks for nothing. The first HTML report fetches the plotting library.`,
    footer: lines(
      "Example: report traces/serial-sifive.trace traces/serial-virtio.trace -o serial.html",
    ),
  }),
  command("budget", OPTIONS.budget(), {
    brief: say`Hold traces to a budget; exit code 1 and the offender where one is exceeded.`,
    description: say`Asks the traces each rule of a file: a named metric or a SQL query, and what it
      may be at most or at least.`,
    footer: lines("Example: budget traces/*.trace --file fixtures/budgets/serial.json"),
  }),
  command("inspect", OPTIONS.inspect(), {
    brief: say`Show what a trace is: machine, guest, counts, digests, clean end or not.`,
  }),
  command("import", OPTIONS.import(), {
    brief: say`Turn a real host's trace (perf, trace-cmd, QEMU) into one to query and compare.`,
    description: say`Reads what tracing on a host wrote and makes a trace of it. Lines that are not
      understood are counted and shown, never guessed.`,
    footer: lines(
      "On the host: perf record -a -e 'kvm:*' sleep 10; perf script > host.txt",
      "         or: trace-cmd record -e kvm sleep 10; trace-cmd report > host.txt",
      "         or: qemu-system-… -trace 'memory_region_ops_*' -trace 'virtio_*' -D host.txt",
      "Exit code: 1 when no line was understood.",
    ),
  }),
  command("export", OPTIONS.export(), {
    brief: say`Write traces as Perfetto, Parquet, CSV or Arrow files.`,
    footer: lines("Example: export traces/a.trace --to perfetto -o a.perfetto-trace"),
  }),
  command("replay", OPTIONS.replay(), {
    brief: say`Run a recording again; with --verify, prove that it gives the same bytes.`,
  }),
  {
    errors: {
      noMatch: say`Name a command: record, query, compare, budget, report, inspect, import, export
        or replay`,
    },
  },
);

/** The option that a mistyped one, quoted in `error`, comes nearest to. */
function meant(error: string): string {
  const unknown = /^Unexpected option .*`(--[^`=]+)/.exec(error)?.[1];
  const usage = COMMANDS.get(Deno.args[0])?.().usage ?? [];
  const found = unknown ? nearest(unknown, [...extractOptionNames(usage), "--help"]) : null;
  return found === null ? "" : `. Did you mean \`${found}\`?`;
}

/** Optique shows usage and hints on lines of their own; an error is one line here. */
function printUsageError(shown: string): void {
  const line = mistake(shown);
  if (line === null) return;
  const [name] = Deno.args;
  const words = COMMANDS.has(name) || name === "completion" ? [name] : [];
  console.error(
    `exitscope: ${line}${meant(line)} (see ${["exitscope", ...words, "--help"].join(" ")})`,
  );
}

/** Prints help, completion or a mistake, and ends the process, where that is what the words come to. */
export function parse(args: readonly string[]): Parsed {
  return run(parser, {
    programName: "exitscope",
    args,
    help: "both",
    version: { value: VERSION, option: true, command: true },
    completion: "command",
    aboveError: "none",
    errorExitCode: EXIT.usage,
    stderr: printUsageError,
    showDefault: true,
    showChoices: true,
    termWidth: "auto",
    maxWidth: Deno.stdout.isTerminal() ? undefined : 100,
    usageLine: [{ type: "literal", value: "COMMAND" }, { type: "ellipsis" }],
    brief: say`What a VM exit costs, and why, down to the register.`,
    footer: lines(
      "Exit codes: 0 fine, 1 the answer is no, 2 usage, 3 the guest failed or ran out of time.",
      "EXITSCOPE_DEBUG=1 shows where an error arose.",
    ),
  });
}

/** What `record` is asked for by these words, for commands that record. */
export function parseRecord(words: readonly string[]): RecordArguments {
  const parsed = parse(["record", ...words]);
  if (parsed.command !== "record") throw new Error("record was parsed as something else");
  return parsed;
}
