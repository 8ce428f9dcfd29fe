/**
 * Which format a file is in, by its content: how it begins for binary ones, what most of its first lines
 * are for text.
 * @module
 */
import { AnalysisError } from "../errors.ts";
import { simpletraceHeader } from "./simpletrace.ts";

export const FORMATS = {
  kvm: "perf script, trace-cmd report or ftrace's trace, with tracepoints of KVM",
  qemu: "QEMU's log backend",
  simpletrace: "QEMU's simpletrace, version 4",
} as const;
export type Format = keyof typeof FORMATS;

const KVM_LINE = /\s\d+\.\d{1,9}:\s+(\w+:)?\w+:/;
const QEMU_LINE = /^(\d+@\d+\.\d{6}:)?[a-z][a-z0-9]*_[a-z0-9_]+ [a-z_]+[: ]/;
/** Bytes that are looked at. */
export const HEAD_BYTES = 64 * 1024;
const LINES = 200;

/** Throws AnalysisError where none is likely. */
export function detect(head: Uint8Array, path: string): Format {
  if (simpletraceHeader(head) !== null) return "simpletrace";
  const text = new TextDecoder().decode(head);
  const lines = text.split("\n").slice(0, LINES).filter((line) => !/^\s*(#|$)/.test(line));
  const kvm = lines.filter((line) => KVM_LINE.test(line)).length;
  const qemu = lines.filter((line) => QEMU_LINE.test(line)).length;
  if (kvm === 0 && qemu === 0) {
    const what = head.length === 0
      ? "is empty"
      : head.includes(0)
      ? "is binary and no simpletrace file"
      : "holds no line of a trace in its first 200";
    const fix = head.includes(0)
      ? "Turn perf.data or trace.dat into text with `perf script` or `trace-cmd report` first."
      : "Give the output of `perf script`, `trace-cmd report` or QEMU's tracing, or pass --format.";
    throw new AnalysisError(`${path} ${what}.`, fix);
  }
  return kvm >= qemu ? "kvm" : "qemu";
}
