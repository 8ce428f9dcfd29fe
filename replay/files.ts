/**
 * The files a machine is built from: read once, pinned by digest, found again by a replay.
 * @module
 */
import type { DeviceType } from "../core/mmio/device.ts";
import type { FileRef, MachineSpec } from "../core/board/spec.ts";
import { CACHED, cachedPath } from "./guests/cache.ts";
import { sha256Hex, sha256Later } from "./sha256.ts";

/** Bad input, with what to do about it: shown as one line, exit code 2. */
export class InputError extends Error {
  override name = "InputError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}

const BUNDLED = "bundled:";
const GUESTS = new URL("../fixtures/guests/", import.meta.url);

const GUEST_FILE = /^(.*)\.(?:elf|bin)$/;

/** File names of the guests that come with the project, by what stands behind `bundled:`. */
export function bundledGuests(): Map<string, string> {
  const names = [...Deno.readDirSync(GUESTS)].map((entry) => GUEST_FILE.exec(entry.name));
  return new Map(names.flatMap((m) => m === null ? [] : [[m[1], m[0]]]));
}

function locate(path: string): string | URL {
  if (path.startsWith(CACHED)) return cachedPath(path);
  if (!path.startsWith(BUNDLED)) return path;
  const name = path.slice(BUNDLED.length);
  return new URL(bundledGuests().get(name) ?? name, GUESTS);
}

/** Files by the path that a MachineSpec names them with. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** A file that a machine is to be built from. */
export interface Input {
  readonly ref: FileRef;
  readonly bytes: Uint8Array;
}

function read(path: string, what: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(locate(path));
  } catch (e) {
    const why = e instanceof Deno.errors.NotFound ? "there is no such file" : (e as Error).message;
    const fix = path.startsWith(CACHED)
      ? "`record --guest linux` fetches it; EXITSCOPE_CACHE names the folder it was kept in"
      : "check the path";
    throw new InputError(`cannot read ${what} ${path}: ${why}`, fix);
  }
}

const inputOf = (path: string, bytes: Uint8Array, sha256: string): Input => ({
  ref: { path, sha256, bytes: bytes.length },
  bytes,
});

/** Reads it at once. */
export function readInput(path: string, what: string): Input {
  const bytes = read(path, what);
  return inputOf(path, bytes, sha256Hex(bytes));
}

/** The same for who can wait: sooner done. */
export async function readInputLater(path: string, what: string): Promise<Input> {
  const bytes = read(path, what);
  return inputOf(path, bytes, await sha256Later(bytes));
}

/** Every file that `spec` names, with what it is for. */
export function* filesOf(spec: MachineSpec): Generator<[FileRef, string]> {
  if (spec.kernel) yield [spec.kernel, "kernel"];
  if (typeof spec.bios === "object") yield [spec.bios, "bios"];
  if (spec.initrd) yield [spec.initrd, "initrd"];
  for (const { file } of spec.loads) yield [file, "load"];
  for (const { file } of spec.devices) if (file) yield [file, "device"];
  for (const file of spec.symbols ?? []) yield [file, "symbols"];
}

/** What a manifest lists as a machine's files: those above, and images small enough to have a digest. */
export function* listedFiles(spec: MachineSpec): Generator<FileRef> {
  for (const [file] of filesOf(spec)) yield file;
  for (const { path, sha256, sizeBytes } of spec.drives ?? []) {
    if (path !== null && sha256 !== null) yield { path, sha256, bytes: sizeBytes };
  }
}

/** Reads what a recorded machine was built from; a file that changed since is refused. */
export function readRecorded(spec: MachineSpec): Files {
  const files = new Map<string, Uint8Array>();
  for (const [ref, what] of filesOf(spec)) {
    const { ref: now, bytes } = readInput(ref.path, what);
    if (now.sha256 !== ref.sha256) {
      throw new InputError(
        `${what} ${ref.path} is not the file that was recorded: sha256 is ` +
          `${now.sha256.slice(0, 12)}…, the trace has ${ref.sha256.slice(0, 12)}…`,
        "put the recorded version back, or record again",
      );
    }
    files.set(ref.path, bytes);
  }
  return files;
}

const urlOf = (path: string) => new URL(path, `file://${Deno.cwd()}/`).href;

/**
 * What broke a run, where it arose in the user's own device file: as an error that says so. Anything else
 * as it is.
 */
export function deviceFault(spec: MachineSpec, error: unknown): unknown {
  if (!(error instanceof Error) || "fix" in error) return error;
  for (const { use, file } of spec.devices) {
    if (file === null) continue;
    const frames = (error.stack ?? "").split(`${urlOf(use)}:`);
    if (frames.length === 1) continue;
    const fault = new InputError(
      `the device file ${use} failed in line ${parseInt(frames[1])}: ${error.message}`,
      "mend it there; EXITSCOPE_DEBUG=1 shows how it came there",
    );
    fault.stack = error.stack;
    return fault;
  }
  return error;
}

/** Device types from users' own files, by path: each file's default export is one. */
export async function loadDeviceTypes(spec: MachineSpec): Promise<Map<string, DeviceType>> {
  const types = new Map<string, DeviceType>();
  for (const { use, file } of spec.devices) {
    if (file === null) continue;
    let module: { default?: unknown };
    try {
      module = await import(urlOf(use));
      (module.default as Partial<DeviceType> | undefined)?.check?.();
    } catch (e) {
      throw new InputError(
        `cannot load the device file ${use}: ${(e as Error).message.split("\n")[0]}`,
        "see core/mmio/TUTORIAL.md for what such a file contains",
      );
    }
    const type = module.default as DeviceType | undefined;
    if (typeof type?.name !== "string" || typeof type.create !== "function") {
      throw new InputError(
        `${use} has no device as its default export`,
        "write `export default device(…)`, as core/mmio/TUTORIAL.md shows",
      );
    }
    types.set(use, type);
  }
  return types;
}
