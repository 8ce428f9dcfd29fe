/**
 * Exitscope's command line: argument parsing and nothing else. What a command does lives in
 * `replay/cli/` and `analysis/`, loaded when it is asked for, so that `--help` answers at once.
 * @module
 */
import { object, or } from "@optique/core/constructs";
import { formatMessage, type Message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { parseSync } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { extractOptionNames, type Usage } from "@optique/core/usage";
import { run } from "@optique/run";
import { describe, EXIT, readerIsGone } from "./replay/cli/errors.ts";
import { lines, say } from "./replay/cli/say.ts";
import { nearest } from "./replay/cli/suggest.ts";
import { PAIR_NAMES } from "./replay/cli/pair_names.ts";
import { SUITE_NAMES } from "./replay/cli/suite_names.ts";
import * as values from "./replay/cli/values.ts";
import { VERSION } from "./replay/version.ts";

const doc = (description: Message) => ({ description });

const logOptions = {
  log: optional(option("--log", values.logItems, {
    description: say`Print events as lines while they happen. LIST: ${values.LOG_ITEM_LIST}.`,
  })),
  logFile: optional(option("--log-file", values.file("FILE"), {
    description: say`Write them to FILE instead of standard error.`,
  })),
};
const cpu = withDefault(
  option("--cpu", choice(["interpreter", "compiled", "lockstep"], { metavar: "HOW" }), {
    description: say`How the harts execute; no trace tells. compiled: hot guest code becomes
      WebAssembly. lockstep: both at once, compared all the time.`,
  }),
  "compiled",
);

const recordOptions = object({
  command: constant("record"),
  output: optional(option("-o", "--output", values.file("NAME.trace"), {
    description: say`Directory to write the trace to. Default: traces/GUEST-SERIAL.trace, with a
      number when that exists.`,
  })),
  kernel: optional(option("-k", "--kernel", values.file("FILE"), {
    description: say`Guest to run: an ELF, a Linux Image, or raw bytes, which start 2 MiB into RAM
      (with --bios none: at its start); bundled:NAME for one of ours (serial, block, bench,
      flops, pci, edu, trap, mmode, panic, legacy_blk).`,
  })),
  compare: optional(option("--compare", choice(PAIR_NAMES, { metavar: "PAIR" }), {
    description: say`Record the same work on a fully virtualized device and on paravirtual ones, and
      compare: serial, block (disks), scsi (controllers), edu (ways to wait). With --guest linux, by
      stock drivers: block or scsi.`,
  })),
  guest: optional(option("--guest", choice(["linux"], { metavar: "NAME" }), {
    description:
      say`Guest that is fetched and kept in the cache, instead of --kernel. linux: Debian's
      kernel for riscv64, which writes and reads a disk, checks the data and powers off.`,
  })),
  guestDir: optional(option("--guest-dir", values.file("DIR"), {
    description: say`Folder with the guest's files, where apt cannot fetch them: kernel, static
      busybox, modules.`,
  })),
  load: multiple(option("--load", values.load, {
    description: say`Also place FILE, as it is, at this guest-physical address. Repeatable.`,
  })),
  bios: withDefault(
    option("--bios", values.file("builtin|none|FILE"), {
      description: say`Firmware. builtin: the hypervisor starts the kernel in S-mode and serves
        SBI calls. none: the guest starts in M-mode at the start of RAM. FILE: so does FILE.`,
    }),
    "builtin",
  ),
  append: optional(option("--append", string({ metavar: "TEXT" }), {
    description: say`Kernel command line (/chosen/bootargs).`,
  })),
  initrd: optional(option("--initrd", values.file("FILE"), {
    description: say`Initial RAM disk, announced in /chosen.`,
  })),
  symbols: multiple(option("--symbols", values.file("FILE"), {
    description: say`Names for the guest's code that its kernel does not bring: a vmlinux (ELF) or a
      System.map. Not loaded. Repeatable. A Linux Image's own names are read from guest memory.`,
  })),
  dumpDtb: optional(option("--dump-dtb", values.file("FILE"), {
    description: say`Write the device tree of this machine to FILE and stop.`,
  })),
  memory: withDefault(
    option("-m", "--memory", values.size, doc(say`Guest RAM: 128M, 2G…`)),
    128 * 2 ** 20,
  ),
  harts: withDefault(option("--harts", values.count, doc(say`Harts (virtual CPUs).`)), 1),
  period: optional(option("--period", values.period, {
    description: say`Virtual time that an instruction takes. Default: 1ns. A guest that spins until
      a timer fires, as xv6 does, is through sooner with more.`,
  })),
  isa: optional(option("--isa", string({ metavar: "ISA" }), {
    description:
      say`What the harts have, such as rv64imac_zba_sstc_sv39; the rest is illegal and not
      in the device tree. Default: everything, as core/cpu/README.md lists it.`,
  })),
  serial: optional(option("--serial", values.serial, {
    description: say`Serial device that the guest's console goes through: sifive, 16550 or virtio,
      with ,PROPERTY=VALUE for its properties. Default: 16550.`,
  })),
  device: multiple(option("--device", values.device, {
    description: say`Plug in a device: a type, or a file that declares one, then
      ,addr=0x…,irq=N,PROPERTY=VALUE, or ,slot=N for one of PCI. Repeatable.`,
  })),
  drive: multiple(option("--drive", values.drive, {
    description: say`Attach a disk: a raw image, which is never changed, or size=64M for a blank
      one; then ,latency=20us,bandwidth=500M,readonly=on,write=on (changes the image),slot=N,
      num_queues=N,legacy=on and others of virtio-blk's, or if=scsi for a disk behind an LSI
      53C895A. Repeatable.`,
  })),
  hypervisor: optional(
    option("--hypervisor", choice(["kvm-riscv", "kvm-x86", "none"], { metavar: "PROFILE" }), {
      description: say`Whose names, rules and prices the exits get: a model, not a measurement.
        Default: kvm-riscv; none with M-mode firmware.`,
    }),
  ),
  stage2Page: withDefault(
    option("--stage2-page", choice(["4k", "2m"], { metavar: "SIZE" }), {
      description: say`Page size with which the hypervisor maps RAM at first touch.`,
    }),
    "4k",
  ),
  costs: optional(option("--costs", string({ metavar: "PROFILE" }), {
    description: say`Charge every exit its price of this cost profile in virtual time.`,
  })),
  rtc: optional(option("--rtc", values.instant, {
    description:
      say`What the real-time clock says at reset: now, or a date such as 2026-01-31T12:00.
      Default: the start of 2025, so that two recordings are alike.`,
  })),
  untilIcount: optional(option("--until-icount", values.count, {
    description: say`Stop when the harts together have executed N instructions.`,
  })),
  untilOutput: optional(option("--until-output", values.regex, {
    description: say`Stop when the console's output matches.`,
  })),
  answer: multiple(option("--answer", values.answer, {
    description: say`Type TEXT once the console's current line matches PATTERN; \n, \r, \t and \xHH
      are escapes. Repeatable, in order: '--answer' 'login: $=>root\n'.`,
  })),
  timeout: optional(option("--timeout", values.seconds, {
    description: say`Stop after so many seconds of the host's clock, with exit code 3.`,
  })),
  panic: optional(option("--panic", values.panic, {
    description:
      say`The line that a guest's panic begins with; it ends the run with exit code 3, the
      last events and the registers. Default: the panics of Linux, OpenSBI, xv6, rCore and U-Boot.
      off: nobody looks for one.`,
  })),
  ...logOptions,
  traceTables: optional(option("--trace-tables", values.tables, {
    description: say`Tables to write, comma between. Default: all. input is always written:
      replay needs it.`,
  })),
  traceLimit: optional(option("--trace-limit", values.size, {
    description: say`Stop, cleanly, when the trace has this many bytes.`,
  })),
  cpu,
  profile: option("--profile", {
    description: say`At the end, say where the host's time went, and which code of the guest was
      executed most: sampled at exact instruction counts. The trace stays the same.`,
  }),
  force: option("-f", "--force", doc(say`Replace a trace, or a --log-file, that exists.`)),
});

const between = optional(option("--between", values.between, {
  description: say`Only what lies between two marks: a region's LABEL, or the labels of two marks.`,
}));

const queryOptions = object({
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
});

const compareOptions = object({
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
  between,
});

const reportOptions = object({
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

const inspectOptions = object({
  command: constant("inspect"),
  trace: argument(values.file("TRACE"), doc(say`Directory that record wrote.`)),
});

const importOptions = object({
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

const replayOptions = object({
  command: constant("replay"),
  trace: argument(values.file("TRACE"), doc(say`Directory that record wrote.`)),
  verify: option("--verify", {
    description: say`Compare every byte with the recording on the way; exit code 1 and the first
      difference when one differs.`,
  }),
  ...logOptions,
  cpu,
  force: option("-f", "--force", doc(say`Replace a --log-file that exists.`)),
});

export const parser = or(
  command("record", recordOptions, {
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
  command("query", queryOptions, {
    brief: say`Ask traces a question in SQL; without SQL, a tour of tables and views.`,
    description: say`Loads the traces into DuckDB, with the view library, and prints the answer of
      one SQL statement. Without SQL: what there is to ask, and on a terminal a prompt. Several
      traces are told apart by the column run.`,
    footer: lines('Example: query traces/a.trace "SELECT reason, count(*) FROM exit GROUP BY 1"'),
  }),
  command("compare", compareOptions, {
    brief: say`Say what differs between traces and which registers make the difference.`,
    description: say`Sets traces side by side: machine, work done, exits by reason and by
      register, exits per KiB, interrupts, virtual time.`,
  }),
  command("report", reportOptions, {
    brief: say`Write a self-contained report: plots, numbers, the SQL behind them.`,
    description: say`Writes one file about the traces: the answer in a sentence, plots (in HTML),
      tables, set-up and digests, the SQL behind each figure, published numbers beside ours. The HTML
      has no scripts and asks for nothing. The first HTML report fetches the plotting library.`,
    footer: lines(
      "Example: report traces/serial-sifive.trace traces/serial-virtio.trace -o serial.html",
    ),
  }),
  command("inspect", inspectOptions, {
    brief: say`Show what a trace is: machine, guest, counts, digests, clean end or not.`,
  }),
  command("import", importOptions, {
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
  command("replay", replayOptions, {
    brief: say`Run a recording again; with --verify, prove that it gives the same bytes.`,
  }),
  {
    errors: {
      noMatch: say`Name a command: record, query, compare, report, inspect, import or replay`,
    },
  },
);

const COMMANDS: Record<string, { usage: Usage }> = {
  record: recordOptions,
  query: queryOptions,
  compare: compareOptions,
  report: reportOptions,
  inspect: inspectOptions,
  import: importOptions,
  replay: replayOptions,
  completion: { usage: [] },
};

/** The option that a mistyped one, quoted in `error`, comes nearest to. */
function meant(error: string): string {
  const unknown = /^Unexpected option .*`(--[^`=]+)/.exec(error)?.[1];
  const usage = COMMANDS[Deno.args[0]]?.usage ?? [];
  const found = unknown ? nearest(unknown, [...extractOptionNames(usage), "--help"]) : null;
  return found === null ? "" : `. Did you mean \`${found}\`?`;
}

/** Optique shows usage and hints on lines of their own; an error is one line here. */
function printUsageError(shown: string): void {
  if (!shown.startsWith("Error:")) return;
  const line = shown.slice("Error:".length).trim().replace(/\s*\n\s*/g, " ").replace(/\.$/, "");
  const words = Deno.args[0] in COMMANDS ? [Deno.args[0]] : [];
  console.error(
    `exitscope: ${line}${meant(line)} (see ${["exitscope", ...words, "--help"].join(" ")})`,
  );
}

type Parsed = ReturnType<typeof parse>;

function parse() {
  return run(parser, {
    programName: "exitscope",
    args: Deno.args,
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

/** What \`record\` would be asked for by these words, for commands that record. */
function recordArguments(words: readonly string[]) {
  const parsed = parseSync(recordOptions, words);
  if (!parsed.success) throw new Error(`record ${words.join(" ")}: ${formatMessage(parsed.error)}`);
  return parsed.value;
}

/** `deno task` runs in the project's folder; names on the command line mean the caller's. */
function enterCallersFolder(): void {
  const folder = Deno.env.get("EXITSCOPE_CWD");
  if (folder) Deno.chdir(folder);
}

async function execute(parsed: Parsed): Promise<number> {
  switch (parsed.command) {
    case "record":
      return await (await import("./replay/cli/record.ts")).runRecord(parsed);
    case "replay":
      return await (await import("./replay/cli/replay.ts")).runReplay(parsed);
    case "report":
      return await (await import("./replay/cli/report.ts")).runReport(parsed, recordArguments);
    default:
      return await (await import("./replay/cli/analyse.ts")).runAnalysis(parsed);
  }
}

async function main(): Promise<number> {
  try {
    enterCallersFolder();
    return await execute(parse());
  } catch (error) {
    if (readerIsGone(error)) return EXIT.ok;
    const { text, exitCode } = describe(error, Deno.env.get("EXITSCOPE_DEBUG") === "1");
    console.error(text);
    return exitCode;
  }
}

if (import.meta.main) Deno.exit(await main());
