/**
 * The guest `linux` on an LSI 53C895A, and the same under QEMU, which counts SCRIPTS and commands by its
 * own trace points.
 * @module
 */
import { join } from "node:path";
import type { MachineSpec } from "../../core/board/spec.ts";
import { linuxGuest } from "../../replay/cli/guest_linux.ts";
import { machineFor, type Recipe } from "../../replay/cli/machine_spec.ts";
import { readInput } from "../../replay/files.ts";
import { DISK_BYTES, OPENSBI } from "./guest.ts";
import { consoleOf } from "./qemu.ts";

/** A machine whose one disk is behind an LSI 53C895A. */
export async function scsiMachine(
  m: { bios: "builtin" | "opensbi"; append?: string },
): Promise<Recipe> {
  const { options, guest } = await linuxGuest({
    guest: "linux",
    load: [],
    bios: m.bios === "opensbi" ? OPENSBI : m.bios,
    memory: 128 * 2 ** 20,
    harts: 1,
    append: m.append,
    device: [],
    drive: [{ path: null, options: { size: String(DISK_BYTES), if: "scsi" } }],
    stage2Page: "4k",
    cpu: "compiled",
    force: false,
  });
  return machineFor(options, { guest });
}

/** A SCSI command as QEMU saw it begin, and the SCRIPTS instructions until the next one did. */
export interface QemuCommand {
  readonly opcode: number;
  readonly bytes: number;
  readonly instructions: number;
}

export interface QemuScsi {
  readonly console: string;
  readonly commands: readonly QemuCommand[];
}

function commandsIn(log: string): QemuCommand[] {
  const commands: { opcode: number; bytes: number; instructions: number }[] = [];
  for (const line of log.split("\n")) {
    const parsed = /^scsi_req_parsed .*command (\d+) dir \d+ length (\d+)/.exec(line);
    if (parsed) {
      commands.push({ opcode: Number(parsed[1]), bytes: Number(parsed[2]), instructions: 0 });
    } else if (line.startsWith("lsi_execute_script ") && commands.length > 0) {
      commands.at(-1)!.instructions++;
    }
  }
  return commands;
}

/** Runs QEMU to the guest's end. Throws when it has not powered off by itself. */
export async function runQemuScsi(folder: string, spec: MachineSpec): Promise<QemuScsi> {
  const [disk, events, log, initrd, kernel] = [
    "disk.img",
    "events",
    "trace.log",
    "initrd",
    "kernel",
  ]
    .map((n) => join(folder, n));
  Deno.writeFileSync(disk, new Uint8Array());
  Deno.truncateSync(disk, DISK_BYTES);
  Deno.writeTextFileSync(events, "lsi_execute_script\nscsi_req_parsed\n");
  Deno.writeFileSync(initrd, readInput(spec.initrd!.path, "initrd").bytes);
  Deno.writeFileSync(kernel, readInput(spec.kernel!.path, "kernel").bytes);
  const console = await consoleOf(folder, [
    ...["-icount", "shift=0", "-machine", "virt", "-cpu", "rv64,h=off,pmu-num=0", "-nographic"],
    ...["-nodefaults", "-m", `${spec.memoryBytes / 2 ** 20}M`],
    ...["-bios", OPENSBI, "-kernel", kernel, "-initrd", initrd, "-append", spec.append],
    ...["-rtc", `base=${new Date(spec.rtcStartNs / 1e6).toISOString().slice(0, 19)}`],
    ...["-drive", `file=${disk},if=none,id=disk,format=raw`],
    ...["-device", "lsi53c895a", "-device", "scsi-hd,drive=disk"],
    ...["-trace", `events=${events}`, "-D", log],
  ]);
  return { console, commands: commandsIn(Deno.readTextFileSync(log)) };
}

/** The lines of a console that are about disks and their controller, without times and names. */
export function scsiLines(console: string): string[] {
  return console.replaceAll("\r", "").split("\n")
    .filter((line) => /\] (sym\d|sym53c8xx|scsi|sd |SCSI)/.test(line))
    .map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""))
    .map((line) => line.replace(/Direct-Access .* PQ/, "Direct-Access NAME PQ"))
    .map((line) => line.replace(/irq \d+/, "irq N"))
    // Their target leaves a negotiation unanswered; ours rejects it, and the driver says what it got.
    .filter((line) => !/^scsi target\S+ asynchronous$/.test(line));
}
