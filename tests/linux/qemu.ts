/**
 * The same kernel, initial RAM disk and command line under QEMU, which counts register accesses and
 * virtqueue events by its own trace points.
 * @module
 */
import { join } from "node:path";
import type { MachineSpec } from "../../core/board/spec.ts";
import { readInput } from "../../replay/files.ts";
import { QEMU_LIMIT_SECONDS } from "../qemu_run.ts";
import { DISK_BYTES, type DiskDevice, OPENSBI } from "./guest.ts";

const QEMU = "qemu-system-riscv64";
const EVENTS = [
  "memory_region_ops_read",
  "memory_region_ops_write",
  "virtqueue_*",
  "virtio_notify",
];
/** Without what our harts do not have, so that the kernel says the same of them. */
const CPU = "rv64,h=off,pmu-num=0";

/** The interface of virtio-mmio that the disk has, or what it is behind. */
export type QemuDisk = "modern" | "legacy" | DiskDevice;

const MMIO_DISK = ["-device", "virtio-blk-device,drive=disk"];
const DISK_ARGUMENTS: Readonly<Record<QemuDisk, readonly string[]>> = {
  modern: MMIO_DISK,
  legacy: MMIO_DISK,
  // A notification through an ioeventfd would not be traced.
  "virtio-blk-pci": ["-device", "virtio-blk-pci,drive=disk,ioeventfd=off"],
  "virtio-scsi-pci": ["-device", "virtio-scsi-pci,ioeventfd=off", "-device", "scsi-hd,drive=disk"],
};

const CONFIG_SPACE = "'pcie-mmcfg-mmio'";
const ECAM = 0x3000_0000;

/** One access to a register of a device. */
export interface RegisterAccess {
  readonly addr: number;
  readonly sizeBytes: number;
  readonly write: boolean;
}

/** A line of the trace: an access, or another event by its name. */
export type Traced = RegisterAccess | { readonly event: string };

export interface QemuRun {
  readonly console: string;
  readonly trace: readonly Traced[];
}

function parseLine(line: string): Traced[] {
  const found =
    /^memory_region_ops_(read|write) cpu \d+ mr \S+ addr (0x[0-9a-f]+) value \S+ size (\d+)(.*)/
      .exec(line);
  if (found !== null) {
    // Configuration space is told by the offset in it.
    const base = found[4].includes(CONFIG_SPACE) ? ECAM : 0;
    const [write, addr, sizeBytes] = [found[1] === "write", Number(found[2]), Number(found[3])];
    return [{ addr: base + addr, sizeBytes, write }];
  }
  // Accesses without a CPU are QEMU's own, at reset.
  const event = /^(virt\w+) /.exec(line)?.[1];
  return event === undefined ? [] : [{ event }];
}

/** Virtual time as ours: an instruction a ns, however fast the host is. */
const COUNTED = ["-icount", "shift=0"];

/** Writes the guest's files into `folder`, with a blank disk, and names them to QEMU. */
function machineArguments(folder: string, spec: MachineSpec, disks: QemuDisk): string[] {
  const [disk, initrd, kernel] = ["disk.img", "initrd", "kernel"].map((n) => join(folder, n));
  Deno.writeFileSync(disk, new Uint8Array());
  Deno.truncateSync(disk, DISK_BYTES);
  Deno.writeFileSync(initrd, readInput(spec.initrd!.path, "initrd").bytes);
  Deno.writeFileSync(kernel, readInput(spec.kernel!.path, "kernel").bytes);
  return [
    ...["-machine", "virt", "-cpu", CPU, "-nographic", "-nodefaults"],
    ...["-smp", String(spec.harts), "-m", `${spec.memoryBytes / 2 ** 20}M`, "-bios", OPENSBI],
    ...["-kernel", kernel, "-initrd", initrd, "-append", spec.append],
    ...["-rtc", `base=${new Date(spec.rtcStartNs / 1e6).toISOString().slice(0, 19)}`],
    ...["-global", `virtio-mmio.force-legacy=${disks === "legacy"}`],
    ...DISK_ARGUMENTS[disks],
    ...spec.devices.filter((d) => d.use !== disks).flatMap((d) => ["-device", d.use]),
  ];
}

const diskArguments = (folder: string) => [
  "-drive",
  `file=${join(folder, "disk.img")},if=none,id=disk,format=raw`,
];

/** Writes QEMU's trace of accesses and queues into `folder`. */
function traceArguments(folder: string): string[] {
  const events = join(folder, "events");
  Deno.writeTextFileSync(events, EVENTS.join("\n") + "\n");
  return ["-trace", `events=${events}`, "-D", join(folder, "trace.log")];
}

/**
 * What the guest prints on its first UART until its end, kept in `folder`: a pipe whose reader is late
 * would hold up QEMU's UART, and the guest would see it. Throws when QEMU has not ended by itself.
 */
export async function consoleOf(folder: string, args: readonly string[]): Promise<string> {
  const file = join(folder, "console");
  Deno.writeTextFileSync(file, ""); // For a QEMU that refuses to start.
  const child = new Deno.Command(QEMU, {
    args: [...args, "-serial", `file:${file}`],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), QEMU_LIMIT_SECONDS * 1000);
  const { success, stderr } = await child.output();
  clearTimeout(timer);
  const console = Deno.readTextFileSync(file);
  if (!success) {
    throw new Error(`QEMU failed: ${new TextDecoder().decode(stderr)}\n${console.slice(-2000)}`);
  }
  return console;
}

/** Runs QEMU to the guest's end. Throws when it has not powered off by itself. */
export async function runQemu(
  folder: string,
  spec: MachineSpec,
  disks: QemuDisk,
): Promise<QemuRun> {
  const console = await consoleOf(folder, [
    ...COUNTED,
    ...machineArguments(folder, spec, disks),
    ...diskArguments(folder),
    ...traceArguments(folder),
  ]);
  const log = Deno.readTextFileSync(join(folder, "trace.log"));
  return { console, trace: log.split("\n").flatMap(parseLine) };
}

/** How QEMU runs where only its time counts. */
export const QEMU_WAYS = {
  "plain TCG": (folder: string) => diskArguments(folder),
  "-icount shift=0": (folder: string) => [...COUNTED, ...diskArguments(folder)],
  "-icount rr=record, -trace": (folder: string) => [
    ...["-icount", `shift=0,rr=record,rrfile=${join(folder, "replay.bin")}`],
    ...["-drive", `file=${join(folder, "disk.img")},if=none,snapshot=on,id=image,format=raw`],
    ...["-drive", "driver=blkreplay,if=none,image=image,id=disk"],
    ...traceArguments(folder),
  ],
} as const satisfies Record<string, (folder: string) => string[]>;

/** ms from QEMU's start to its end. */
export async function timeQemu(
  folder: string,
  spec: MachineSpec,
  way: keyof typeof QEMU_WAYS,
): Promise<number> {
  const args = [...machineArguments(folder, spec, "modern"), ...QEMU_WAYS[way](folder)];
  const start = performance.now();
  await consoleOf(folder, args);
  return performance.now() - start;
}
