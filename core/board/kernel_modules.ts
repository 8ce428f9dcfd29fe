/**
 * Names of the code in loaded kernel modules, read from guest memory: the list `modules`, and of each
 * module the symbol table that the kernel keeps (Linux, include/linux/module.h, `struct mod_kallsyms`).
 * Where members lie, the kernel's own BTF says; one without BTF has no names of modules here.
 *
 * Guests can put anything into their memory: every list and table is bounded, and what is no module ends
 * the walk.
 * @module
 */
import { type Ram, walk } from "../vmm/guest_virtual.ts";
import { readLayouts } from "./btf.ts";

/** A module's symbol as the kernel keeps it. */
export interface ModuleSymbol {
  readonly addr: bigint;
  readonly size: number;
  readonly name: string;
  /** As `nm` prints it. */
  readonly type: string;
  readonly module: string;
}

const PAGE = 4096;
const MAX_BTF = 64 << 20;
const MAX_MODULES = 4096;
const MAX_SYMBOLS = 1 << 16;
/** Of all modules together. */
const MAX_ALL = 1 << 20;
const MAX_NAME = 512;
const SYMBOL_BYTES = 24;
const STRUCTS = ["module", "mod_kallsyms"];
const PRINTABLE = /^[!-~]+$/;

/** Guest memory as the kernel addresses it. Reads give null where nothing is mapped. */
export class KernelMemory {
  #page = -1n;
  #gpa = 0;
  readonly #view: DataView;

  constructor(readonly satp: bigint, readonly ram: Ram) {
    this.#view = new DataView(ram.bytes.buffer, ram.bytes.byteOffset, ram.bytes.length);
  }

  /** Offset in RAM of a virtual address, or null. */
  #at(vaddr: bigint): number | null {
    const page = vaddr & ~BigInt(PAGE - 1);
    if (page !== this.#page) {
      const gpa = walk(this.satp, this.ram, page);
      if (gpa === null) return null;
      this.#page = page;
      this.#gpa = gpa;
    }
    return this.#gpa - this.ram.base + Number(vaddr - page);
  }

  bytes(vaddr: bigint, count: number): Uint8Array | null {
    const out = new Uint8Array(count);
    for (let done = 0; done < count;) {
      const at = this.#at(BigInt.asUintN(64, vaddr + BigInt(done)));
      if (at === null) return null;
      const n = Math.min(count - done, PAGE - at % PAGE);
      out.set(this.ram.bytes.subarray(at, at + n), done);
      done += n;
    }
    return out;
  }

  /** An aligned pointer. */
  pointer(vaddr: bigint): bigint | null {
    const at = vaddr % 8n === 0n ? this.#at(vaddr) : null;
    return at === null ? null : this.#view.getBigUint64(at, true);
  }

  u32(vaddr: bigint): number | null {
    const at = vaddr % 4n === 0n ? this.#at(vaddr) : null;
    return at === null ? null : this.#view.getUint32(at, true);
  }

  /** A printable name that ends with NUL, or null. */
  name(vaddr: bigint): string | null {
    let text = "";
    for (let at = vaddr; text.length < MAX_NAME; at++) {
      const offset = this.#at(at);
      if (offset === null) return null;
      const byte = this.ram.bytes[offset];
      if (byte === 0) return PRINTABLE.test(text) ? text : null;
      text += String.fromCharCode(byte);
    }
    return null;
  }
}

/** Offsets of the members that are read. */
interface Offsets {
  readonly list: number;
  readonly name: number;
  readonly kallsyms: number;
  readonly symtab: number;
  readonly count: number;
  readonly strtab: number;
  readonly typetab: number;
}

function offsetsOf(btf: Uint8Array): Offsets | null {
  const layouts = readLayouts(btf, STRUCTS);
  const at = (struct: string, member: string) => layouts?.get(struct)?.get(member) ?? -1;
  const offsets = {
    list: at("module", "list"),
    name: at("module", "name"),
    kallsyms: at("module", "kallsyms"),
    symtab: at("mod_kallsyms", "symtab"),
    count: at("mod_kallsyms", "num_symtab"),
    strtab: at("mod_kallsyms", "strtab"),
    typetab: at("mod_kallsyms", "typetab"),
  };
  return Object.values(offsets).every((offset) => offset >= 0) ? offsets : null;
}

/** Symbols of every loaded module. `addressOf` finds a symbol of the kernel itself. */
export function readModules(
  memory: KernelMemory,
  addressOf: (symbol: string) => bigint | null,
): ModuleSymbol[] {
  const [head, start, stop] = ["modules", "__start_BTF", "__stop_BTF"].map(addressOf);
  if (head === null || start === null || stop === null) return [];
  const btfBytes = Number(stop - start);
  if (btfBytes <= 0 || btfBytes > MAX_BTF) return [];
  const btf = memory.bytes(start, btfBytes);
  const offsets = btf && offsetsOf(btf);
  if (offsets === null) return [];
  const symbols: ModuleSymbol[] = [];
  let link = memory.pointer(head);
  for (let n = 0; n < MAX_MODULES && link !== null && link !== head; n++) {
    if (symbols.length > MAX_ALL) break;
    readModule(memory, link - BigInt(offsets.list), offsets, symbols);
    link = memory.pointer(link);
  }
  return symbols;
}

function readModule(
  memory: KernelMemory,
  module: bigint,
  o: Offsets,
  out: ModuleSymbol[],
): void {
  const name = memory.name(module + BigInt(o.name));
  const table = memory.pointer(module + BigInt(o.kallsyms));
  if (name === null || table === null || table === 0n) return;
  const symtab = memory.pointer(table + BigInt(o.symtab));
  const strtab = memory.pointer(table + BigInt(o.strtab));
  const typetab = memory.pointer(table + BigInt(o.typetab));
  const count = memory.u32(table + BigInt(o.count));
  if (symtab === null || strtab === null || typetab === null || count === null) return;
  if (count > MAX_SYMBOLS) return;
  const entries = memory.bytes(symtab, count * SYMBOL_BYTES);
  const types = memory.bytes(typetab, count);
  if (entries === null || types === null) return;
  const view = new DataView(entries.buffer);
  for (let i = 0; i < count; i++) {
    const at = i * SYMBOL_BYTES;
    if (view.getUint16(at + 6, true) === 0) continue; // Undefined: another's.
    const symbol = memory.name(strtab + BigInt(view.getUint32(at, true)));
    if (symbol === null || symbol.startsWith("$") || symbol.startsWith(".L")) continue;
    out.push({
      addr: view.getBigUint64(at + 8, true),
      size: Number(view.getBigUint64(at + 16, true)),
      name: symbol,
      type: String.fromCharCode(types[i]),
      module: name,
    });
  }
}
