/**
 * The guest `linux`: a kernel, its modules and busybox from a folder, and the initial RAM file system that
 * makes them a workload (fixtures/guests/linux/init).
 * @module
 */
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { InputError } from "../files.ts";
import { sha256Hex } from "../sha256.ts";
import { CACHED, cachedPath, writeWhole } from "./cache.ts";
import { cpio, type CpioEntry } from "./cpio.ts";
import { inOrder, type Module, moduleName } from "./modules.ts";
import { noise } from "./noise.ts";

/** A package that files come from, as the archive's index names it. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Where the guest's files are. */
export interface LinuxFiles {
  readonly kernel: string;
  readonly busybox: string;
  /** Path of each module, by its name with underscores. */
  readonly modules: ReadonlyMap<string, string>;
  /** Modules that are part of the kernel; null when nobody knows. */
  readonly builtin: ReadonlySet<string> | null;
}

/** Drivers that the guest cannot do without, and those that it loads where they are. */
export const MODULES = ["virtio_mmio", "virtio_blk"];
const MORE_MODULES = ["virtio_rng"];
/** Drivers of devices beyond those, and of the file system of `run=files`. */
export const DRIVERS: Readonly<Record<string, readonly string[]>> = {
  "lsi53c895a": ["sd_mod", "sym53c8xx"],
  "virtio-blk-pci": ["virtio_pci"],
  "virtio-console-pci": ["virtio_pci"],
  "virtio-rng-pci": ["virtio_pci"],
  "virtio-scsi": ["sd_mod", "virtio_scsi"],
  "virtio-scsi-pci": ["sd_mod", "virtio_pci", "virtio_scsi"],
};
export const FILES_MODULES = ["crc32c_generic", "ext4"];

/** Programs that `init` starts; a shell gets all of busybox. */
const APPLETS = ["sh", "busybox", "mount", "insmod", "devmem", "od", "dd", "cat", "head", "cmp"]
  .concat("stat", "crc32", "poweroff", "setsid", "cttyhack", "sleep", "mke2fs", "umount", "cp");

export const PAYLOAD_BYTES = 4 * 2 ** 20;
const INIT = new URL("../../fixtures/guests/linux/init", import.meta.url);

const KERNEL = /^(vmlinux|vmlinuz|Image)([-.].*)?$/;
const MODULE = /^(.+)\.ko(\.xz|\.gz)?$/;

/** What the guest writes and expects to read. */
export const payload = (bytes = PAYLOAD_BYTES): Uint8Array => noise(bytes);

function* walk(folder: string): Generator<string> {
  for (const entry of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

function builtinOf(path: string | undefined): ReadonlySet<string> | null {
  if (path === undefined) return null;
  const lines = Deno.readTextFileSync(path).split("\n");
  return new Set(lines.map((l) => moduleName(basename(l).replace(MODULE, "$1"))));
}

/** What `--guest-dir` must hold. */
export const WANTED =
  "a riscv64 kernel (vmlinux-*, vmlinuz-* or Image), busybox (static), and its " +
  `modules (${MODULES.join(".ko, ")}.ko, also .ko.xz or .ko.gz)`;

/** Finds the guest's files in a folder, however deep. Throws InputError for what is missing. */
export function findLinux(folder: string): LinuxFiles {
  let paths: string[];
  try {
    paths = [...walk(folder)];
  } catch (e) {
    throw new InputError(
      `cannot read the guest's folder ${folder}: ${(e as Error).message}`,
      `put there ${WANTED}`,
    );
  }
  const named = (pattern: RegExp) => paths.filter((path) => pattern.test(basename(path)));
  const modules = new Map(
    named(MODULE).map((path) => [moduleName(MODULE.exec(basename(path))![1]), path]),
  );
  const [kernel] = named(KERNEL);
  const [busybox] = named(/^busybox$/);
  const builtin = builtinOf(named(/^modules\.builtin$/)[0]);
  const missing = MODULES.filter((m) => !modules.has(m) && !builtin?.has(m)).map((m) => `${m}.ko`);
  if (busybox === undefined) missing.unshift("busybox");
  if (kernel === undefined) missing.unshift("a kernel");
  if (missing.length > 0) {
    throw new InputError(`${folder} lacks ${missing.join(", ")}`, `put there ${WANTED}`);
  }
  return { kernel, busybox, modules, builtin };
}

function xzDecompressed(path: string): Uint8Array {
  try {
    const { success, stdout } = new Deno.Command("xz", { args: ["-dc", "--", path] }).outputSync();
    if (success) return stdout;
  } catch (e) {
    if (!(e instanceof Deno.errors.NotFound)) throw e;
    throw new InputError(
      `${path} is compressed with xz, which is not installed`,
      "install xz-utils",
    );
  }
  throw new InputError(`${path} is damaged: xz cannot read it`, "put a whole one there");
}

function readModule(path: string): Uint8Array {
  if (path.endsWith(".xz")) return xzDecompressed(path);
  const bytes = Deno.readFileSync(path);
  return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

/** `wanted` and what they need, in the order in which they can be loaded. */
export function modulesOf(files: LinuxFiles, wanted = [...MODULES, ...MORE_MODULES]): Module[] {
  return inOrder(wanted, (name) => {
    const path = files.modules.get(name);
    return path === undefined ? null : readModule(path);
  });
}

/** The initial RAM file system, with `more` modules; the same files give the same bytes. */
export function initramfs(files: LinuxFiles, more: readonly string[] = []): Uint8Array {
  const wanted = [...MODULES, ...MORE_MODULES, ...more];
  const modules = modulesOf(files, wanted).map(({ name, elf }, i): CpioEntry => ({
    name: `modules/${String(i).padStart(2, "0")}-${name}.ko`,
    kind: "file",
    bytes: elf,
  }));
  return cpio([
    { name: "init", kind: "file", executable: true, bytes: Deno.readFileSync(INIT) },
    {
      name: "bin/busybox",
      kind: "file",
      executable: true,
      bytes: Deno.readFileSync(files.busybox),
    },
    ...APPLETS.filter((a) => a !== "busybox").map((a): CpioEntry => (
      { name: `bin/${a}`, kind: "link", to: "busybox" }
    )),
    // What the kernel opens for the first process.
    { name: "dev/console", kind: "character", major: 5, minor: 1 },
    { name: "dev/null", kind: "character", major: 1, minor: 3 },
    { name: "dev/kmsg", kind: "character", major: 1, minor: 11 },
    { name: "proc", kind: "directory" },
    { name: "sys", kind: "directory" },
    { name: "mnt", kind: "directory" },
    ...modules,
    { name: "payload", kind: "file", bytes: payload() },
  ]);
}

/** Builds the initial RAM file system into the cache; the name that a manifest has for it. */
export function cachedInitramfs(files: LinuxFiles, more: readonly string[] = []): string {
  const bytes = initramfs(files, more);
  const digest = sha256Hex(bytes);
  const name = `${CACHED}linux/initramfs-${digest.slice(0, 16)}.cpio`;
  const path = cachedPath(name);
  if (!holds(path, bytes.length)) writeWhole(path, bytes);
  return name;
}

/** A file of the cache is whole or absent: its length tells whether somebody cut it since. */
function holds(path: string, sizeBytes: number): boolean {
  try {
    return Deno.statSync(path).size === sizeBytes;
  } catch {
    return false;
  }
}
