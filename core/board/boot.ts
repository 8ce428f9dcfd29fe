/**
 * Puts kernel, firmware, initial RAM disk and device tree into RAM and starts the harts, as QEMU's `virt`
 * does: a0 = hart id, a1 = device tree; firmware also gets a2 = OpenSBI's `fw_dynamic_info`
 * (OpenSBI, docs/firmware/fw_dynamic.md).
 * @module
 */
import type { Machine } from "../vmm/machine.ts";
import { deviceTree } from "./device_tree.ts";
import { type ElfSymbol, parseImage } from "./loader.ts";
import type { FileRef, MachineSpec } from "./spec.ts";
import { BoardError, hasMachineMode, type Placed, RAM_BASE } from "./virt.ts";

/** Bytes of a machine's files, by the path that its spec names them with. */
export type Files = ReadonlyMap<string, Uint8Array>;

export interface Booted {
  readonly dtb: Uint8Array;
  readonly dtbAddr: number;
  readonly entry: bigint;
  /** Of every ELF file that was loaded. */
  readonly symbols: readonly ElfSymbol[];
  /** The guest's kernel came with names for its code. */
  readonly named: boolean;
  /** It is a Linux Image. */
  readonly linux: boolean;
}

const DTB_ALIGN = 2 * 1024 * 1024;
const PAGE = 4096;
const FW_DYNAMIC = { magic: 0x4942_534f, version: 2, supervisor: 1, bytes: 48 } as const;
const A2 = 12;

/** Firmware keeps the start of RAM; a kernel of raw bytes is loaded past it, as QEMU's `virt` does. */
const FIRMWARE_BYTES = 2 * 1024 * 1024;

/** Where a kernel that says nothing of its place goes, and starts. */
export const flatKernelAddr = (spec: MachineSpec): number =>
  RAM_BASE + (spec.bios === "none" ? 0 : FIRMWARE_BYTES);

/** A piece of RAM that was filled at boot, so that the next one does not land on it. */
interface Extent {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

export function boot(
  spec: MachineSpec,
  files: Files,
  placed: readonly Placed[],
  machine: Machine,
): Booted {
  const extents: Extent[] = [];
  const place = (what: string, addr: number, bytes: Uint8Array) => {
    const end = RAM_BASE + spec.memoryBytes;
    if (addr < RAM_BASE || addr + bytes.length > end) {
      throw new BoardError(
        `${what} at 0x${addr.toString(16)} (${bytes.length} bytes) lies outside RAM, which is ` +
          `0x${RAM_BASE.toString(16)} to 0x${(end - 1).toString(16)}`,
        "use a larger --memory or another address",
      );
    }
    const clash = extents.find((e) => addr < e.end && e.start < addr + bytes.length);
    if (clash !== undefined) {
      throw new BoardError(
        `${what} at 0x${addr.toString(16)} would overwrite ${clash.what} at 0x${
          clash.start.toString(16)
        }`,
        "load one of them elsewhere, or use a larger --memory",
      );
    }
    extents.push({ what, start: addr, end: addr + bytes.length });
    machine.cpu.ram.set(bytes, addr - RAM_BASE);
    machine.cpu.wroteRam(addr - RAM_BASE, bytes.length);
  };
  const bytesOf = (ref: FileRef) => files.get(ref.path)!;
  const entries: bigint[] = [];
  const symbols: ElfSymbol[] = [];
  const load = (file: FileRef, flatAddr: number | null) => {
    const ram = { ramBase: RAM_BASE, ramBytes: spec.memoryBytes };
    const image = parseImage(bytesOf(file), { name: file.path, flatAddr, ...ram });
    for (const s of image.segments) {
      const bytes = new Uint8Array(s.memoryBytes);
      bytes.set(s.bytes);
      place(file.path, s.addr, bytes);
    }
    symbols.push(...image.symbols);
    entries.push(BigInt(image.entry));
    return image;
  };
  if (typeof spec.bios === "object") load(spec.bios, RAM_BASE);
  const kernel = spec.kernel ? load(spec.kernel, flatKernelAddr(spec)) : null;
  for (const { file, addr } of spec.loads) {
    place(`file ${file.path}`, addr, bytesOf(file));
    entries.push(BigInt(addr));
  }
  if (entries.length === 0) {
    throw new BoardError("there is nothing to run", "give --kernel FILE or --load FILE@ADDR");
  }
  const dtbAddr = RAM_BASE + spec.memoryBytes - DTB_ALIGN;
  const initrd = placeInitrd(spec, bytesOf, dtbAddr, place);
  const dtb = deviceTree(spec, placed, initrd);
  place("the device tree", dtbAddr, dtb);
  const firmware = typeof spec.bios === "object";
  const info = firmware && entries.length > 1
    ? placeInfo(dtbAddr + dtb.length, entries[1], place)
    : 0;
  startHarts(spec, machine, entries[0], dtbAddr, info);
  const named = kernel?.symbols.some((s) => s.code) ?? false;
  return { dtb, dtbAddr, entry: entries[0], symbols, named, linux: kernel?.kind === "linux" };
}

function placeInitrd(
  spec: MachineSpec,
  bytesOf: (ref: FileRef) => Uint8Array,
  below: number,
  place: (what: string, addr: number, bytes: Uint8Array) => void,
): { start: number; end: number } | null {
  if (spec.initrd === null) return null;
  const bytes = bytesOf(spec.initrd);
  const start = Math.floor((below - bytes.length) / PAGE) * PAGE;
  place(`initrd ${spec.initrd.path}`, start, bytes);
  return { start, end: start + bytes.length };
}

/** OpenSBI's `struct fw_dynamic_info`: where the firmware passes control to, and in which mode. */
function placeInfo(
  after: number,
  next: bigint,
  place: (what: string, addr: number, bytes: Uint8Array) => void,
): number {
  const addr = Math.ceil(after / PAGE) * PAGE;
  const view = new DataView(new ArrayBuffer(FW_DYNAMIC.bytes));
  const fields = [FW_DYNAMIC.magic, FW_DYNAMIC.version, next, FW_DYNAMIC.supervisor, 0, 0];
  fields.forEach((v, i) => view.setBigUint64(i * 8, BigInt(v), true));
  place("the firmware's boot information", addr, new Uint8Array(view.buffer));
  return addr;
}

/** Under firmware every hart starts in M-mode; the VMM's own SBI starts hart 0 in S-mode alone. */
function startHarts(
  spec: MachineSpec,
  machine: Machine,
  entry: bigint,
  dtbAddr: number,
  info: number,
): void {
  const machineMode = hasMachineMode(spec);
  const harts = machineMode ? spec.harts : 1;
  for (let i = 0; i < harts; i++) {
    machine.start(i, {
      pc: entry,
      a0: BigInt(i),
      a1: BigInt(dtbAddr),
      priv: machineMode ? 3 : 1,
    });
    if (info !== 0) machine.harts[i].setX(A2, BigInt(info));
  }
}
