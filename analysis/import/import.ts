/**
 * `import`: files of a host's tracing, in order, to one trace of ours.
 * @module
 */
import { DirectTrace } from "../../core/trace/direct_trace.ts";
import { removeTrace } from "../../core/trace/create_trace.ts";
import { TraceDirectory } from "../../core/trace/directory.ts";
import type { FileDigest, Recording } from "../../core/trace/manifest.ts";
import { DEFAULT_BATCH_ROWS, Trace } from "../../core/trace/trace.ts";
import type { EventTable } from "../../core/trace/schema.ts";
import { AnalysisError } from "../errors.ts";
import { count, size } from "../format.ts";
import { type Output, standardOutput } from "../output.ts";
import { detect, type Format, FORMATS, HEAD_BYTES } from "./detect.ts";
import { HostTrace } from "./host_trace.ts";
import { KvmText } from "./kvm_text.ts";
import { QemuLog } from "./qemu_log.ts";
import { Simpletrace } from "./simpletrace.ts";
import { eachLine, Source } from "./source.ts";
import { type Remark, Tally } from "./tally.ts";

export interface ImportOptions {
  /** Files of one format and one clock, in order. */
  readonly files: readonly string[];
  /** Trace directory to write. */
  readonly output: string;
  /** Null: by content. */
  readonly format?: Format | null;
  readonly force?: boolean;
  /** Version of the tool, for the manifest. */
  readonly version: string;
}

/** What an import was of, in the manifest's `machine`. */
export interface Imported {
  imported: {
    format: Format;
    lines: number;
    understood: number;
    not_understood: number;
    /** Names of exits that a host of this kind prints; null when there are none. */
    arch: string | null;
    /** Host time of the first event in the file's clock; null where lines tell no time. */
    first_event: string | null;
    vcpus: { vcpu: number; tid: number }[];
  };
}

/** Tables that rows come from. */
const TABLES: Record<Format, EventTable[]> = {
  kvm: ["exit", "access", "irq"],
  qemu: ["exit", "access", "vring", "request"],
  simpletrace: ["exit", "access", "vring", "request"],
};
const PATIENCE_MS = 1000;

/** Returns the exit code: 0, or 1 when nothing at all was understood. Throws AnalysisError, TraceError. */
export function runImport(options: ImportOptions, output: Output = standardOutput()): number {
  const sources = options.files.map((file) => new Source(file));
  try {
    const format = formatOf(sources, options.format ?? null);
    const tally = new Tally();
    const machine = { imported: { format } } as Imported;
    const files: FileDigest[] = [];
    // Both are filled in before the manifest is written for the last time.
    const recording: Recording = {
      version: options.version,
      machine,
      files,
      batch_rows: DEFAULT_BATCH_ROWS,
      event_tables: [...TABLES[format], "input"],
    };
    const directory = new TraceDirectory(options.output, recording, { force: options.force });
    const trace = new DirectTrace(directory, { tables: TABLES[format] });
    const host = new HostTrace(trace, tally);
    try {
      read(format, sources, host, tally, files, output);
      host.end();
      machine.imported = describe(format, host, tally);
      trace.close({ kind: "imported", code: 0 });
    } catch (error) {
      directory.abandon();
      removeTrace(options.output);
      throw error;
    }
    output.write(summary(options, tally, format, trace));
    return tally.understood > 0 || tally.lines === 0 ? 0 : 1;
  } finally {
    output.progress(null);
    for (const source of sources) source.abandon();
  }
}

/** One clock, one format: the order of events over files of two hosts would be made up. */
function formatOf(sources: readonly Source[], forced: Format | null): Format {
  if (forced !== null) return forced;
  const formats = sources.map((source) => detect(source.peek(HEAD_BYTES), source.path));
  const other = formats.findIndex((format) => format !== formats[0]);
  if (other < 0) return formats[0];
  throw new AnalysisError(
    `${sources[0].path} is ${FORMATS[formats[0]]}, ${sources[other].path} is ${
      FORMATS[formats[other]]
    }.`,
    "Import them one by one, and name both traces to query or compare.",
  );
}

function read(
  format: Format,
  sources: readonly Source[],
  host: HostTrace,
  tally: Tally,
  files: FileDigest[],
  output: Output,
): void {
  const total = sources.reduce((sum, source) => sum + source.sizeBytes, 0);
  const start = performance.now();
  const piece = () => {
    if (performance.now() - start < PATIENCE_MS) return;
    const done = sources.reduce((sum, source) => sum + source.bytesRead, 0);
    const part = total === 0 ? 100 : Math.floor(100 * done / total);
    output.progress(`Importing ${size(total)}: ${part} %`);
  };
  const reader = format === "simpletrace"
    ? new Simpletrace(host, tally)
    : format === "qemu"
    ? new QemuLog(host, tally)
    : new KvmText(host, tally);
  for (const source of sources) {
    tally.file = source.path;
    tally.line = 0;
    if (reader instanceof Simpletrace) reader.read(source, piece);
    else eachLine(source, (bytes, from, to) => reader.line(bytes, from, to), piece);
    files.push(source.close());
  }
}

function describe(format: Format, host: HostTrace, tally: Tally): Imported["imported"] {
  const { base } = host;
  return {
    format,
    lines: tally.lines,
    understood: tally.understood,
    not_understood: tally.refused,
    arch: architecture(host.hwReasons.texts),
    first_event: base === null
      ? null
      : `${base.seconds}.${String(Math.round(base.ns)).padStart(9, "0")}`,
    vcpus: [...host.vcpus].sort((a, b) => a.vcpu - b.vcpu),
  };
}

/** Told by the names of exits, which no two architectures share. */
const ARCHITECTURES: readonly [string, RegExp][] = [
  ["x86 (VMX)", /^(EPT_|EXTERNAL_INTERRUPT|IO_INSTRUCTION|EXCEPTION_NMI|CPUID|HLT|MSR_)/],
  ["x86 (SVM)", /^(npf|vintr|hlt|interrupt|msr|ioio|io|cpuid|hypercall|.* excp)$/],
  ["arm64", /^(DABT_|IABT_|WFx|HVC64|SYS64|IRQ)/],
  ["riscv64", /(GUEST_PAGE_FAULT|VIRTUAL_INST_FAULT|SUPERVISOR_SYSCALL|^S_EXT|^S_TIMER)$/],
];

function architecture(names: readonly string[]): string | null {
  return ARCHITECTURES.find(([, form]) => names.some((name) => form.test(name)))?.[0] ?? null;
}

function summary(options: ImportOptions, tally: Tally, format: Format, trace: Trace): string {
  const unit = format === "simpletrace" ? "records" : "lines";
  const files = options.files.length === 1 ? options.files[0] : `${options.files.length} files`;
  const lines = [
    `${files}: ${FORMATS[format]}`,
    `${count(tally.lines)} ${unit}: ${count(tally.understood)} understood, ${
      count(tally.refused)
    } not understood`,
    ...remarks("Not understood", tally.notUnderstood, unit),
    ...remarks("Understood, without a row", tally.leftOut, unit),
    `${options.output}: ${count(trace.seq)} rows, ${size(trace.bytes)}`,
  ];
  return lines.join("\n") + "\n";
}

function remarks(title: string, of: ReadonlyMap<string, Remark>, unit: string): string[] {
  if (of.size === 0) return [];
  const sorted = [...of.values()].sort((a, b) => b.count - a.count || (a.what < b.what ? -1 : 1));
  return [
    `${title}:`,
    ...sorted.flatMap(({ what, count: n, file, first, sample }) => [
      `  ${count(n)} × ${what}`,
      `    first: ${file}, ${unit.slice(0, -1)} ${first}: ${sample}`,
    ]),
  ];
}
