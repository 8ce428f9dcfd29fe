/**
 * From `record`'s options to the machine: reads the files named, and says which of them is at fault.
 * @module
 */
import {
  DEFAULT_SPEC,
  type DeviceSpec,
  type FileRef,
  type GuestRef,
  type MachineSpec,
  type SerialKind,
} from "../../core/board/spec.ts";
import { type CpuMode, extensionsOf, ISA } from "../../core/cpu/mod.ts";
import { COST_PROFILES } from "../../core/vmm/costs.ts";
import type { EventTable } from "../../core/trace/schema.ts";
import type { Answer } from "../answers.ts";
import { bundledGuests, readInputLater } from "../files.ts";
import { drivesOf } from "./drive.ts";
import { UserError } from "./errors.ts";
import type { PairName } from "./pair_names.ts";
import { nearest } from "./suggest.ts";
import type { DeviceArgument, DriveArgument, LoadArgument, SerialArgument } from "./values.ts";

/** What `record` was asked for, as parsed. */
export interface RecordArguments {
  readonly output?: string;
  readonly kernel?: string;
  /** The pair to record and compare. */
  readonly compare?: PairName;
  readonly guest?: "linux";
  readonly guestDir?: string;
  readonly load: readonly LoadArgument[];
  readonly bios: string;
  readonly append?: string;
  readonly initrd?: string;
  readonly symbols?: readonly string[];
  readonly dumpDtb?: string;
  readonly memory: number;
  readonly harts: number;
  readonly period?: number;
  readonly isa?: string;
  readonly serial?: SerialArgument;
  readonly device: readonly DeviceArgument[];
  readonly drive: readonly DriveArgument[];
  readonly hypervisor?: MachineSpec["hypervisor"];
  readonly stage2Page: MachineSpec["stage2Page"];
  readonly costs?: string;
  readonly rtc?: number;
  readonly untilIcount?: number;
  readonly untilOutput?: RegExp;
  readonly answer?: readonly Answer[];
  readonly timeout?: number;
  readonly panic?: { readonly begins: RegExp | null };
  readonly log?: readonly EventTable[];
  readonly logFile?: string;
  readonly traceTables?: readonly EventTable[];
  readonly traceLimit?: number;
  readonly force: boolean;
  readonly cpu?: CpuMode;
  readonly profile?: boolean;
}

/** The machine and the bytes of every file it names, by `FileRef.path`. */
export interface Recipe {
  spec: MachineSpec;
  files: Map<string, Uint8Array>;
}

function checkBundled(path: string): void {
  const name = /^bundled:(.*)/.exec(path)?.[1];
  const known = name === undefined ? [] : [...bundledGuests().keys()].sort();
  if (name === undefined || known.includes(name)) return;
  const meant = nearest(name, known);
  throw new UserError(
    `There is no bundled guest "${name}"`,
    meant ? `Did you mean bundled:${meant}?` : `Choose one of ${known.join(", ")}.`,
  );
}

class Files {
  readonly bytes = new Map<string, Uint8Array>();

  /** Reads `path`; an empty file is refused, since it can be none of what a machine loads. */
  async ref(path: string, option: string): Promise<FileRef> {
    checkBundled(path);
    const { ref, bytes } = await readInputLater(path, option);
    if (bytes.length === 0) {
      throw new UserError(`${option}: ${path} is empty`, "Give a file with contents.");
    }
    this.bytes.set(path, bytes);
    return ref;
  }

  async optional(path: string | undefined, option: string): Promise<FileRef | null> {
    return path === undefined ? null : await this.ref(path, option);
  }
}

function isaOf(a: RecordArguments): string | null {
  if (a.isa === undefined) return null;
  try {
    extensionsOf(a.isa);
    return a.isa;
  } catch (e) {
    const why = (e as Error).message;
    throw new UserError(`--isa: ${why}`, `Give one such as ${ISA}.`);
  }
}

const isFile = (use: string) => /[./\\]/.test(use);

function checkCosts(a: RecordArguments): void {
  if (a.costs !== undefined && !COST_PROFILES.includes(a.costs)) {
    throw new UserError(
      `There is no cost profile "${a.costs}"`,
      `Give --costs one of ${COST_PROFILES.join(", ")}.`,
    );
  }
}

/** True when the options leave the choice of guest to us. */
export const usesBundledGuest = (a: RecordArguments) =>
  a.kernel === undefined && a.load.length === 0 && (a.bios === "builtin" || a.bios === "none");

function kernelOf(a: RecordArguments): string | undefined {
  if (!usesBundledGuest(a)) return a.kernel;
  if (a.bios === "none") return "bundled:mmode";
  return a.drive.length > 0 ? "bundled:block" : "bundled:serial";
}

async function deviceOf(files: Files, d: DeviceArgument): Promise<DeviceSpec> {
  const file = isFile(d.use) ? await files.ref(d.use, "--device") : null;
  return { use: d.use, file, addr: d.addr, irq: d.irq, slot: d.slot, props: d.props };
}

/** One after the other, so that the first that is wrong is the one complained of. */
async function each<T, U>(list: readonly T[], make: (item: T) => Promise<U>): Promise<U[]> {
  const made: U[] = [];
  for (const item of list) made.push(await make(item));
  return made;
}

/** Reads what `a` names and describes the machine; `serial` and `append` fill in what it left out. */
export async function machineFor(
  a: RecordArguments,
  fallback: { serial?: SerialKind; append?: string; guest?: GuestRef } = {},
): Promise<Recipe> {
  checkCosts(a);
  const files = new Files();
  const firmware = a.bios !== "builtin" && a.bios !== "none";
  const spec: MachineSpec = {
    ...DEFAULT_SPEC,
    memoryBytes: a.memory,
    harts: a.harts,
    nsPerInsn: a.period ?? DEFAULT_SPEC.nsPerInsn,
    isa: isaOf(a),
    serial: a.serial?.kind ?? fallback.serial ?? DEFAULT_SPEC.serial,
    serialProps: a.serial?.props ?? {},
    bios: firmware ? await files.ref(a.bios, "--bios") : a.bios as "builtin" | "none",
    kernel: await files.optional(kernelOf(a), "--kernel"),
    loads: await each(a.load, async (l) => ({
      file: await files.ref(l.path, "--load"),
      addr: l.addr,
    })),
    initrd: await files.optional(a.initrd, "--initrd"),
    ...(fallback.guest && { guest: fallback.guest }),
    append: a.append ?? fallback.append ?? DEFAULT_SPEC.append,
    hypervisor: a.hypervisor ?? (a.bios === "builtin" ? DEFAULT_SPEC.hypervisor : "none"),
    stage2Page: a.stage2Page,
    costs: a.costs ?? null,
    devices: await each(a.device, (d) => deviceOf(files, d)),
    drives: drivesOf(a.drive),
    rtcStartNs: a.rtc ?? DEFAULT_SPEC.rtcStartNs,
    ...(a.symbols && a.symbols.length > 0 &&
      { symbols: await each(a.symbols, (path) => files.ref(path, "--symbols")) }),
  };
  return { spec, files: files.bytes };
}
