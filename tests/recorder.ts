/**
 * Recording in tests: a scripted world around `record`, temporary trace directories, and the bytes that
 * two runs are compared by.
 * @module
 */
import { createHash } from "node:crypto";
import { DEFAULT_SPEC, type MachineSpec } from "../core/board/spec.ts";
import { TABLE_NAMES, type TableName } from "../core/trace/schema.ts";
import { readInput } from "../replay/files.ts";
import {
  record,
  type RecordHost,
  type RecordOptions,
  type RecordResult,
} from "../replay/record.ts";

/** The machine that most tests record: the bundled guest with little work. */
export function serialSpec(change: Partial<MachineSpec> = {}): MachineSpec {
  const kernel = readInput("bundled:serial", "kernel").ref;
  return {
    ...DEFAULT_SPEC,
    serial: "sifive",
    memoryBytes: 16 * 1024 * 1024,
    append: "bytes=4096",
    kernel,
    ...change,
  };
}

export function filesOf(spec: MachineSpec): Map<string, Uint8Array> {
  const refs = [spec.kernel, spec.initrd, ...spec.loads.map((l) => l.file)];
  const more = [
    typeof spec.bios === "object" ? spec.bios : null,
    ...spec.devices.map((d) => d.file),
  ];
  const files = new Map<string, Uint8Array>();
  for (const ref of [...refs, ...more]) {
    if (ref !== null) files.set(ref.path, readInput(ref.path, "file").bytes);
  }
  return files;
}

/** What is typed, and when: once the guest has printed `after`. */
export interface Typed {
  readonly after: string;
  readonly text: string;
}

/** A world that types by script and keeps what was printed. */
export class ScriptedHost implements RecordHost {
  text = "";
  readonly interactive = false;
  #script: Typed[];
  #from = 0;

  constructor(script: readonly Typed[] = []) {
    this.#script = [...script];
  }

  out(_device: string, bytes: Uint8Array): void {
    for (const b of bytes) this.text += String.fromCharCode(b);
  }

  pollInput(): Uint8Array | null {
    const next = this.#script[0];
    if (next === undefined) return null;
    const at = this.text.indexOf(next.after, this.#from);
    if (at < 0) return null;
    this.#from = at + next.after.length;
    this.#script.shift();
    return new TextEncoder().encode(next.text);
  }

  inputEnded(): boolean {
    return this.#script.length === 0;
  }

  waitInput(): Promise<void> {
    return Promise.resolve();
  }

  quit(): boolean {
    return false;
  }
}

export interface Recorded {
  readonly directory: string;
  readonly result: RecordResult;
  readonly text: string;
}

/** Records into a new directory below `folder`. */
export async function recordInto(
  folder: string,
  spec: MachineSpec,
  o: Partial<RecordOptions> & { script?: readonly Typed[] } = {},
): Promise<Recorded> {
  const directory = `${folder}/${crypto.randomUUID()}.trace`;
  const host = new ScriptedHost(o.script);
  const { script: _, ...options } = o;
  const result = await record(
    { spec, files: filesOf(spec), directory, force: false, ...options },
    host,
  );
  return { directory, result, text: host.text };
}

/** SHA-256 of every table file. */
export function fileDigests(directory: string): Record<TableName, string> {
  return Object.fromEntries(TABLE_NAMES.map((t) => {
    const bytes = Deno.readFileSync(`${directory}/${t}.arrow`);
    return [t, createHash("sha256").update(bytes).digest("hex")];
  })) as Record<TableName, string>;
}
