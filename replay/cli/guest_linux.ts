/**
 * `--guest linux`: from the options to a stock kernel with the workload's initial RAM file system,
 * fetched or found where `--guest-dir` says.
 * @module
 */
import type { GuestRef, SerialKind } from "../../core/board/spec.ts";
import { CACHE_VARIABLE, cacheFolder } from "../guests/cache.ts";
import { cachedDebian, cachedName, fetchDebian, type FetchView } from "../guests/debian.ts";
import {
  cachedInitramfs,
  DRIVERS,
  FILES_MODULES,
  findLinux,
  type LinuxFiles,
} from "../guests/linux.ts";
import { UserError } from "./errors.ts";
import type { RecordArguments } from "./machine_spec.ts";
import { formatSize } from "./values.ts";

/** Guests that are fetched, not bundled. */
export const GUESTS = ["linux"] as const;

/** What Linux calls its console on each serial device. */
const CONSOLE: Readonly<Record<SerialKind, string>> = {
  "16550": "ttyS0",
  sifive: "ttySIF0",
  virtio: "hvc0",
};

/**
 * The kernel's tests of its own cryptography, 1.1 G instructions in a thread of its own, would go on beside
 * the work. `--append cryptomgr.notests=0` lets them.
 */
const NO_SELF_TESTS = "cryptomgr.notests";

/** The command line before what the user appends. */
function commandLine(a: RecordArguments): string {
  const kind = a.serial?.kind ?? "16550";
  // virtio_mmio is a module: until it is loaded, the hypervisor's SBI prints what the kernel says.
  const early = kind === "virtio" && a.bios === "builtin" ? ["earlycon=sbi"] : [];
  const own = a.append === undefined ? [] : [a.append];
  const disk = a.drive[0]?.options.if === "scsi" ? ["disk=sda"] : [];
  return [...early, `console=${CONSOLE[kind]}`, NO_SELF_TESTS, ...disk, ...own].join(" ");
}

/** A line that is drawn again on a terminal; elsewhere one line at each quarter. */
class FetchProgress implements FetchView {
  #quarter = 0;
  readonly #live = Deno.stderr.isTerminal();

  say(sentence: string): void {
    console.error(`exitscope: ${sentence}`);
  }

  fetched(bytes: number, ofBytes: number): void {
    const text = `exitscope: ${Math.floor(bytes / 1e6)} of ${Math.ceil(ofBytes / 1e6)} MB`;
    const quarter = Math.floor(4 * bytes / ofBytes);
    if (this.#live) {
      Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}${bytes === ofBytes ? "\n" : ""}`));
    } else if (quarter > this.#quarter) console.error(text);
    this.#quarter = quarter;
  }
}

async function filesFor(a: RecordArguments): Promise<{ files: LinuxFiles; guest: GuestRef }> {
  if (a.guestDir !== undefined) {
    return { files: findLinux(a.guestDir), guest: { name: "linux", packages: [] } };
  }
  let found = cachedDebian();
  if (found === null) {
    console.error(
      `exitscope: the guest linux is kept in ${cacheFolder()} (${CACHE_VARIABLE} names another folder)`,
    );
    found = await fetchDebian(new FetchProgress());
  }
  const files = { ...found.files, kernel: cachedName(found.files.kernel) };
  return { files, guest: { name: "linux", packages: found.packages } };
}

function checkChoices(a: RecordArguments): void {
  const clash = [["--kernel", a.kernel], ["--initrd", a.initrd]].find(([, v]) => v !== undefined);
  if (clash !== undefined) {
    throw new UserError(
      `--guest linux brings its own kernel and initial RAM disk, and ${clash[0]} another`,
      `Leave out ${clash[0]} or --guest.`,
    );
  }
  if (a.bios === "none") {
    throw new UserError(
      "Linux runs in S-mode and needs firmware below it",
      "Use --bios builtin, or the path of OpenSBI's fw_dynamic.bin.",
    );
  }
  if (a.memory < LEAST_MEMORY) {
    throw new UserError(
      `--guest linux needs more than ${formatSize(a.memory)} of RAM`,
      `Give --memory ${formatSize(LEAST_MEMORY)} or more.`,
    );
  }
}

/** Drivers for what the machine has beyond virtio, and for what the guest is asked to do. */
function moreModules(a: RecordArguments): string[] {
  const devices = a.device.map((d) => d.use).filter((use) => use in DRIVERS);
  const hasScsi = a.drive.some((d) => d.options.if === "scsi");
  const hasPciDisk = a.drive.some((d) => d.options.bus === "pci");
  const hasFiles = /(^| )run=files( |$)/.test(a.append ?? "");
  const uses = [
    ...devices,
    // A drive goes to the controller that there is.
    ...hasScsi && !devices.some((use) => DRIVERS[use].includes("sd_mod")) ? ["lsi53c895a"] : [],
    ...hasPciDisk ? ["virtio-blk-pci"] : [],
  ];
  return [...new Set(uses.flatMap((use) => DRIVERS[use])), ...hasFiles ? FILES_MODULES : []];
}

/** The disk that the guest works on when nobody gives one. */
const SCRATCH = { path: null, options: { size: "16M" } };
const LEAST_MEMORY = 96 * 2 ** 20;

/** The options of a machine that runs the guest, and what the manifest says of it. */
export async function linuxGuest(
  a: RecordArguments,
): Promise<{ options: RecordArguments; guest: GuestRef }> {
  checkChoices(a);
  const { files, guest } = await filesFor(a);
  const initrd = cachedInitramfs(files, moreModules(a));
  const drive = a.drive.length === 0 ? [SCRATCH] : a.drive;
  return { options: { ...a, kernel: files.kernel, initrd, append: commandLine(a), drive }, guest };
}
