/**
 * The options of every command, as data; `command_line.ts` makes the command line of them.
 * @module
 */
import { object } from "@optique/core/constructs";
import type { Message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { InferValue, Parser } from "@optique/core/parser";
import { argument, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { PAIR_NAMES } from "./pair_names.ts";
import { say } from "./say.ts";
import { SUITE_NAMES } from "./suite_names.ts";
import * as values from "./values.ts";

const doc = (description: Message) => ({ description });

const logOptions = () => ({
  log: optional(option("--log", values.logItems, {
    description: say`Print events as lines while they happen. LIST: ${values.LOG_ITEM_LIST}.`,
  })),
  logFile: optional(option("--log-file", values.file("FILE"), {
    description: say`Write them to FILE instead of standard error.`,
  })),
});
const cpu = () =>
  withDefault(
    option("--cpu", choice(["interpreter", "compiled", "lockstep"], { metavar: "HOW" }), {
      description: say`How the harts execute; no trace tells. compiled: hot guest code becomes
      WebAssembly. lockstep: both at once, compared all the time.`,
    }),
    "compiled",
  );

/** What runs. */
const guestOptions = () => ({
  output: optional(option("-o", "--output", values.file("NAME.trace"), {
    description: say`Directory to write the trace to. Default: traces/GUEST-SERIAL.trace, with a
      number when that exists.`,
  })),
  kernel: optional(option("-k", "--kernel", values.file("FILE"), {
    description: say`Guest to run: an ELF, a Linux Image, or raw bytes, which start 2 MiB into RAM
      (with --bios none: at its start); bundled:NAME for one of ours (serial, block, bench,
      flops, speed, pci, edu, trap, mmode, panic, legacy_blk).`,
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
});

/** What it runs on. */
const machineOptions = () => ({
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
      one; then ,latency=20us,bandwidth=500M,readonly=on,write=on (changes the image),bus=pci,slot=N,
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
});

/** How long it runs, and what becomes of it. */
const runOptions = () => ({
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
  ...logOptions(),
  traceTables: optional(option("--trace-tables", values.tables, {
    description: say`Tables to write, comma between. Default: all. input is always written:
      replay needs it.`,
  })),
  traceLimit: optional(option("--trace-limit", values.size, {
    description: say`Stop, cleanly, when the trace has this many bytes.`,
  })),
  cpu: cpu(),
  sweep: multiple(option("--sweep", string({ metavar: "NAME=VALUES" }), {
    description: say`Record every combination of values into the folder -o, quietly:
      seed=1..10,latency=10us,20us. A value takes the place of {NAME} in any option; a NAME that
      stands nowhere is the option --NAME.`,
  })),
  profile: option("--profile", {
    description: say`At the end, say where the host's time went, and which code of the guest was
      executed most: sampled at exact instruction counts. The trace stays the same.`,
  }),
  force: option("-f", "--force", doc(say`Replace a trace, or a --log-file, that exists.`)),
});

const recordOptions = () => ({
  command: constant("record"),
  ...guestOptions(),
  ...machineOptions(),
  ...runOptions(),
});
const SEVERAL = say`Traces, or patterns or folders of traces.`;

const between = () =>
  optional(option("--between", values.between, {
    description:
      say`Only what lies between two marks: a region's LABEL, or the labels of two marks.`,
  }));
const engineOption = () =>
  withDefault(
    option("--engine", choice(["auto", "wasm", "native"], { metavar: "ENGINE" }), {
      description:
        say`DuckDB as WebAssembly, which is always there, or native, which npm brings when
      it is first asked for. auto: native from 1.5 GiB of trace on.`,
    }),
    "auto",
  );

const queryOptions = () => ({
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
  between: between(),
  interactive: option("-i", "--interactive", {
    description: say`Give a prompt: statements up to their semicolon, .help for commands. On a
      terminal it follows the tour; without one, statements are read from standard input.`,
  }),
  explainSchema: option("--explain-schema", {
    description:
      say`Print every table, view and macro with a sentence per column, and stop. No trace
      is needed; --format table, markdown or json.`,
  }),
  engine: engineOption(),
});

const compareOptions = () => ({
  command: constant("compare"),
  traces: multiple(argument(values.file("TRACE"), doc(SEVERAL)), {
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
  between: between(),
  engine: engineOption(),
});

const reportOptions = () => ({
  command: constant("report"),
  traces: multiple(
    argument(values.file("TRACE"), doc(SEVERAL)),
  ),
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
    description: say`Record every pair of the suite, into the folder traces, and report on them
      all. standard: the bundled guests. linux: the disks of it under Debian's kernel, which
      apt fetches once (113 MB). all: both.`,
  })),
  between: between(),
  engine: engineOption(),
  force: option(
    "-f",
    "--force",
    doc(say`Replace the file, and the suite's traces, if they exist.`),
  ),
});

const budgetOptions = () => ({
  command: constant("budget"),
  traces: multiple(argument(values.file("TRACE"), doc(SEVERAL)), {
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
  between: between(),
  engine: engineOption(),
});

const inspectOptions = () => ({
  command: constant("inspect"),
  trace: argument(values.file("TRACE"), doc(say`Directory that record wrote.`)),
});

const importOptions = () => ({
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

const exportOptions = () => ({
  command: constant("export"),
  traces: multiple(argument(values.file("TRACE"), doc(SEVERAL)), {
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
  engine: engineOption(),
});

const replayOptions = () => ({
  command: constant("replay"),
  trace: argument(values.file("TRACE"), doc(say`Directory that record wrote.`)),
  verify: option("--verify", {
    description: say`Compare every byte with the recording on the way; exit code 1 and the first
      difference when one differs.`,
  }),
  ...logOptions(),
  cpu: cpu(),
  force: option("-f", "--force", doc(say`Replace a --log-file that exists.`)),
});

/** Makes the options of each command: of those only that are asked for. */
export const OPTIONS = {
  record: () => object(recordOptions()),
  query: () => object(queryOptions()),
  compare: () => object(compareOptions()),
  report: () => object(reportOptions()),
  budget: () => object(budgetOptions()),
  inspect: () => object(inspectOptions()),
  import: () => object(importOptions()),
  export: () => object(exportOptions()),
  replay: () => object(replayOptions()),
};

/** What a command line asks for. */
export type Parsed = InferValue<ReturnType<typeof OPTIONS[keyof typeof OPTIONS]>>;

/** OPTIONS by any word that may be a command's name. */
export const COMMANDS: ReadonlyMap<string, () => Parser<"sync", Parsed>> = new Map(
  Object.entries(OPTIONS),
);
