/**
 * From `record`'s options to the machine: reads the files named, and says which of them is at fault.
 * @module
 */
import {
  DEFAULT_SPEC,
  type DeviceSpec,
  type FileRef,
  type MachineSpec,
  type SerialKind,
} from "../../core/board/spec.ts";
import { type CpuMode, extensionsOf, ISA } from "../../core/cpu/mod.ts";
import { COST_PROFILES } from "../../core/vmm/costs.ts";
import type { EventTable } from "../../core/trace/schema.ts";
import { readInput } from "../files.ts";
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
  readonly isa?: string;
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
  readonly cpu: CpuMode;
}

/** The machine and the bytes of every file it names, by `FileRef.path`. */
export interface Recipe {
  spec: MachineSpec;
  files: Map<string, Uint8Array>;
}

/** Guests that come with the project, as `bundled:NAME`. */
export function bundledGuests(): string[] {
  return [...Deno.readDirSync(new URL("../../fixtures/guests/", import.meta.url))]
    .flatMap((entry) => entry.name.endsWith(".elf") ? [entry.name.slice(0, -".elf".length)] : [])
    .sort();
}

function checkBundled(path: string): void {
  const name = /^bundled:(.*)/.exec(path)?.[1];
  const known = name === undefined ? [] : bundledGuests();
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
  ref(path: string, option: string): FileRef {
    checkBundled(path);
    const { ref, bytes } = readInput(path, option);
    if (bytes.length === 0) {
      throw new UserError(`${option}: ${path} is empty`, "Give a file with contents.");
    }
    this.bytes.set(path, bytes);
    return ref;
  }

  optional(path: string | undefined, option: string): FileRef | null {
    return path === undefined ? null : this.ref(path, option);
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
  checkCosts(a);
  const files = new Files();
  const firmware = a.bios !== "builtin" && a.bios !== "none";
  const spec: MachineSpec = {
    ...DEFAULT_SPEC,
    memoryBytes: a.memory,
    harts: a.harts,
    isa: isaOf(a),
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
