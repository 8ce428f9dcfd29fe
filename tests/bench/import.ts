/**
 * How fast hosts' traces are read: the samples of fixtures/host_traces/ over and over, time going on, in
 * a file of its own.
 * @module
 */
import { cpuUsage } from "node:process";
import { runImport } from "../../analysis/import/import.ts";
import { textOutput } from "../../analysis/output.ts";
import { SimpletraceFile } from "../import/simpletrace_file.ts";
import { table } from "./measure.ts";

const LINES = 1_000_000;
const SAMPLES = new URL("../../fixtures/host_traces/", import.meta.url);

/** Each round of a sample is this much later than the one before. */
const ROUND_S = 1;

/** Writes the sample's events over and over, with their timestamps moved on. */
function repeat(name: string, path: string, stamp: RegExp): number {
  const lines = Deno.readTextFileSync(new URL(name, SAMPLES)).split("\n").filter((line) =>
    stamp.test(line)
  );
  const rounds = Math.ceil(LINES / lines.length);
  const file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const encoder = new TextEncoder();
  for (let round = 0; round < rounds; round++) {
    const text = lines.map((line) =>
      line.replace(stamp, (_, before, seconds, rest) =>
        `${before}${Number(seconds) + round * ROUND_S}${rest}`)
    ).join("\n") + "\n";
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) {
      at += file.writeSync(bytes.subarray(at));
    }
  }
  file.close();
  return rounds * lines.length;
}

/** A round of four events, over and over. */
function simpletrace(path: string): number {
  const whole = new SimpletraceFile();
  const names = [
    "memory_region_ops_write",
    "virtio_queue_notify",
    "virtqueue_pop",
    "virtqueue_fill",
  ];
  names.forEach((name, id) => whole.mapping(BigInt(id), name));
  const file = Deno.openSync(path, { write: true, create: true, truncate: true });
  file.writeSync(whole.bytes);
  const header = new SimpletraceFile().bytes.length;
  const batch = 250;
  const batches = LINES / names.length / batch;
  for (let n = 0; n < batches; n++) {
    const events = new SimpletraceFile();
    for (let i = 0; i < batch; i++) {
      const ns = BigInt(n * batch + i) * 4000n;
      events.event(0n, ns, 0n, 1n, 0xfebf3000n, 0n, 2n, "virtio-pci-notify");
      events.event(1n, ns + 1000n, 0x1000n, 0n, 0x2000n);
      events.event(2n, ns + 2000n, 0x2000n, 0x3000n, 1n, 2n);
      events.event(3n, ns + 3000n, 0x2000n, 0x3000n, 1n, 0n);
    }
    file.writeSync(events.bytes.subarray(header));
  }
  file.close();
  return LINES + names.length;
}

const KVM_STAMP = /^(.*\s)(\d+)(\.\d{6,9}: )/;
const QEMU_STAMP = /^(\d+@)(\d+)(\.\d{6}:)/;

export function imports(folder: string): Promise<string> {
  const kinds: [string, (path: string) => number][] = [
    ["perf script, VMX", (path) => repeat("perf_vmx.txt", path, KVM_STAMP)],
    ["ftrace, arm64", (path) => repeat("ftrace_arm64.txt", path, KVM_STAMP)],
    ["QEMU's log", (path) => repeat("qemu_log.txt", path, QEMU_STAMP)],
    ["simpletrace", simpletrace],
  ];
  const rows = kinds.map(([name, write]) => {
    const path = `${folder}/host`;
    const lines = write(path);
    const { size } = Deno.statSync(path);
    const [start, before] = [performance.now(), cpuUsage()];
    runImport(
      { files: [path], output: `${folder}/host.trace`, version: "0", force: true },
      textOutput(),
    );
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = cpuUsage(before);
    Deno.removeSync(`${folder}/host.trace`, { recursive: true });
    return [
      name,
      (lines / 1e6).toFixed(1),
      (size / 1e6).toFixed(0),
      (lines / seconds / 1e6).toFixed(2),
      (lines / (user + system)).toFixed(2),
      (size / seconds / 1e6).toFixed(0),
    ];
  });
  const head = ["", "M lines", "MB", "M lines/s", "M lines/CPU s", "MB/s"];
  return Promise.resolve(`Reading traces of hosts\n${table(head, rows)}`);
}
