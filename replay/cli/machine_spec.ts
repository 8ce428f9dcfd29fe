/**
 * From `record`'s options to the machine: reads the files named, and says which of them is at fault.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  DEFAULT_SPEC,
  type DeviceSpec,
  type FileRef,
  type MachineSpec,
  type SerialKind,
} from "../../core/board/spec.ts";
import { COST_PROFILES } from "../../core/vmm/costs.ts";
import type { EventTable } from "../../core/trace/schema.ts";
import { UserError } from "./errors.ts";
import { nearest } from "./suggest.ts";
import type { DeviceArgument, LoadArgument, SerialArgument } from "./values.ts";

/** What `record` was asked for, as parsed. */
export interface RecordArguments {
  readonly output?: string;
  readonly kernel?: string;
  readonly load: readonly LoadArgument[];
  readonly bios: string;
  readonly append?: string;
  readonly initrd?: string;
  readonly dumpDtb?: string;
  readonly memory: number;
  readonly harts: number;
  readonly serial?: SerialArgument;
  readonly device: readonly DeviceArgument[];
  readonly hypervisor?: MachineSpec["hypervisor"];
  readonly stage2Page: MachineSpec["stage2Page"];
  readonly costs?: string;
  readonly rtc?: number;
  readonly untilIcount?: number;
  readonly untilOutput?: RegExp;
  readonly timeout?: number;
  readonly traceTables?: readonly EventTable[];
  readonly traceLimit?: number;
  readonly force: boolean;
}

/** The machine and the bytes of every file it names, by `FileRef.path`. */
export interface Recipe {
  spec: MachineSpec;
  files: Map<string, Uint8Array>;
}

/** Guests that come with the project, as `bundled:NAME`. */
export const BUNDLED = ["serial", "bench", "trap", "mmode"];

const MAX_HARTS = 8;
const MIN_MEMORY = 2 ** 20;
const MAX_MEMORY = 3 * 2 ** 30;
const PAGE = 4096;

/** The file that `path` names on this host. */
function hostPath(path: string): string {
  if (!path.startsWith("bundled:")) return path;
  const name = path.slice("bundled:".length);
  if (!BUNDLED.includes(name)) {
    const meant = nearest(name, BUNDLED);
    throw new UserError(
      `There is no bundled guest "${name}"`,
      meant ? `Did you mean bundled:${meant}?` : `Choose one of ${BUNDLED.join(", ")}.`,
    );
  }
  return fileURLToPath(new URL(`../../fixtures/guests/${name}.elf`, import.meta.url));
}

const READ_FIXES: [new (message?: string) => Error, string, string][] = [
  [Deno.errors.NotFound, "No such file", "Check the path given to OPTION."],
  [Deno.errors.IsADirectory, "This is a folder", "Give OPTION a file."],
  [Deno.errors.PermissionDenied, "Not allowed to read", "Check who may read the file for OPTION."],
];

/** The bytes of `path`, which `option` named. */
export function readNamed(path: string, option: string): Uint8Array {
  try {
    return Deno.readFileSync(hostPath(path));
  } catch (error) {
    const known = READ_FIXES.find(([kind]) => error instanceof kind);
    if (known === undefined) throw error;
    throw new UserError(`${known[1]}: ${path}`, known[2].replace("OPTION", option));
  }
}

class Files {
  readonly bytes = new Map<string, Uint8Array>();

  /** Reads `path`; an empty file is refused, since it can be none of what a machine loads. */
  ref(path: string, option: string): FileRef {
    const bytes = readNamed(path, option);
    if (bytes.length === 0) {
      throw new UserError(`${path} is empty`, `Give ${option} a file with contents.`);
    }
    this.bytes.set(path, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { path, sha256, bytes: bytes.length };
  }

  optional(path: string | undefined, option: string): FileRef | null {
    return path === undefined ? null : this.ref(path, option);
  }
}

const isFile = (use: string) => /[./\\]/.test(use);

function checkKnobs(a: RecordArguments): void {
  if (a.harts > MAX_HARTS) {
    throw new UserError(`${a.harts} harts are too many`, `Give --harts 1 to ${MAX_HARTS}.`);
  }
  if (a.memory < MIN_MEMORY || a.memory > MAX_MEMORY || a.memory % PAGE !== 0) {
    throw new UserError(
      `A guest cannot have ${a.memory} bytes of RAM`,
      "Give --memory 1M to 3G, a multiple of 4 KiB.",
    );
  }
  if (a.costs !== undefined && !COST_PROFILES.includes(a.costs)) {
    throw new UserError(
      `There is no cost profile "${a.costs}"`,
      `Give --costs one of ${COST_PROFILES.join(", ")}.`,
    );
  }
  if (a.bios !== "builtin" && (a.hypervisor ?? "none") !== "none") {
    throw new UserError(
      `M-mode firmware (--bios ${a.bios}) runs under no hypervisor`,
      "Leave --hypervisor out, or use --bios builtin.",
    );
  }
}

/** True when the options leave the choice of guest to us. */
export const usesBundledGuest = (a: RecordArguments) =>
  a.kernel === undefined && a.load.length === 0 && (a.bios === "builtin" || a.bios === "none");

function kernelOf(a: RecordArguments): string | undefined {
  if (!usesBundledGuest(a)) return a.kernel;
  return a.bios === "none" ? "bundled:mmode" : "bundled:serial";
}

function deviceOf(files: Files, d: DeviceArgument): DeviceSpec {
  const file = isFile(d.use) ? files.ref(d.use, "--device") : null;
  return { use: d.use, file, addr: d.addr, irq: d.irq, props: d.props };
}

/** Reads what `a` names and describes the machine; `serial` and `append` fill in what it left out. */
export function machineFor(
  a: RecordArguments,
  fallback: { serial?: SerialKind; append?: string } = {},
): Recipe {
  checkKnobs(a);
  const files = new Files();
  const firmware = a.bios !== "builtin" && a.bios !== "none";
  const spec: MachineSpec = {
    ...DEFAULT_SPEC,
    memoryBytes: a.memory,
    harts: a.harts,
    serial: a.serial?.kind ?? fallback.serial ?? DEFAULT_SPEC.serial,
    serialProps: a.serial?.props ?? {},
    bios: firmware ? files.ref(a.bios, "--bios") : a.bios as "builtin" | "none",
    kernel: files.optional(kernelOf(a), "--kernel"),
    loads: a.load.map((l) => ({ file: files.ref(l.path, "--load"), addr: l.addr })),
    initrd: files.optional(a.initrd, "--initrd"),
    append: a.append ?? fallback.append ?? DEFAULT_SPEC.append,
    hypervisor: a.hypervisor ?? (a.bios === "builtin" ? DEFAULT_SPEC.hypervisor : "none"),
    stage2Page: a.stage2Page,
    costs: a.costs ?? null,
    devices: a.device.map((d) => deviceOf(files, d)),
    rtcStartNs: a.rtc ?? DEFAULT_SPEC.rtcStartNs,
  };
  return { spec, files: files.bytes };
}
