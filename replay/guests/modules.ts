/**
 * Kernel modules: which others one needs, and in which order they go in. Source: Linux
 * include/linux/module.h: a module carries `depends=a,b` in its section `.modinfo`, and names it as
 * source files do; `-` and `_` mean the same.
 * @module
 */

/** A module that is no 64-bit little-endian ELF file, or is missing: with what to do about it. */
export class ModuleError extends Error {
  override name = "ModuleError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}

const ELF64_LE = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
const SECTION_HEADER_BYTES = 64;
const MODINFO = ".modinfo";

/** "virtio-blk" and "virtio_blk" name the same module. */
export const moduleName = (name: string) => name.replaceAll("-", "_");

function text(bytes: Uint8Array, from: number, to: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(from, to));
}

/** Contents of a section of a relocatable ELF file; null when it has none of that name. */
function section(elf: Uint8Array, wanted: string): Uint8Array | null {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const headers = u64(0x28);
  const [count, names] = [view.getUint16(0x3c, true), view.getUint16(0x3e, true)];
  const at = (i: number) => headers + i * SECTION_HEADER_BYTES;
  const strings = u64(at(names) + 0x18);
  for (let i = 0; i < count; i++) {
    const start = strings + view.getUint32(at(i), true);
    if (text(elf, start, start + wanted.length + 1) !== `${wanted}\0`) continue;
    const offset = u64(at(i) + 0x18);
    return elf.subarray(offset, offset + u64(at(i) + 0x20));
  }
  return null;
}

/** `key=value` strings of a module's `.modinfo`, in order. */
export function modinfo(elf: Uint8Array, what: string): [string, string][] {
  try {
    if (!ELF64_LE.every((b, i) => elf[i] === b)) throw new Error("no 64-bit ELF file");
    const info = section(elf, MODINFO);
    if (info === null) throw new Error(`no section ${MODINFO}`);
    return text(info, 0, info.length).split("\0").filter((s) => s.includes("="))
      .map((s) => [s.slice(0, s.indexOf("=")), s.slice(s.indexOf("=") + 1)]);
  } catch (e) {
    throw new ModuleError(
      `${what} is no kernel module: ${(e as Error).message}`,
      "take the modules of the kernel's own package",
    );
  }
}

/** Modules that one names in `depends=`. */
export function dependsOf(elf: Uint8Array, what: string): string[] {
  const found = modinfo(elf, what).find(([key]) => key === "depends")?.[1] ?? "";
  return found.split(",").filter((name) => name !== "").map(moduleName);
}

export interface Module {
  readonly name: string;
  readonly elf: Uint8Array;
}

/**
 * `wanted` and all that they need, each after what it needs. `read` gives a module's ELF file, null for
 * one that the kernel does not have as a module: right for a wanted one that is built in.
 */
export function inOrder(
  wanted: readonly string[],
  read: (name: string) => Uint8Array | null,
): Module[] {
  const done = new Map<string, Module>();
  const open = new Set<string>();
  const visit = (name: string, by: string | null): void => {
    if (done.has(name) || open.has(name)) return;
    const elf = read(name);
    if (elf === null && by !== null) {
      throw new ModuleError(`the module ${by} needs ${name}`, `add ${name}.ko beside it`);
    }
    if (elf === null) return;
    open.add(name);
    for (const needed of dependsOf(elf, `the module ${name}`)) visit(needed, name);
    open.delete(name);
    done.set(name, { name, elf });
  };
  for (const name of wanted) visit(moduleName(name), null);
  return [...done.values()];
}
