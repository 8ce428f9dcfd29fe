/**
 * What a machine's guest calls its code: rows of `symbol`. Names in files are written before the guest
 * runs; those of a Linux kernel are read from guest RAM when the run has ended, which is a place that a
 * replay finds again.
 *
 * A table in RAM proves nothing about the kernel that runs (it may be a stale copy), so a known symbol is
 * looked up through a hart's page tables, and what lies there must be what its name promises.
 * @module
 */
import type { Hart } from "../cpu/mod.ts";
import { codeOf } from "../trace/schema.ts";
import type { Trace } from "../trace/trace.ts";
import type { Ram } from "../vmm/guest_virtual.ts";
import type { Booted, Files } from "./boot.ts";
import { findKallsyms, type Kallsyms } from "./kallsyms.ts";
import { KernelMemory, readModules } from "./kernel_modules.ts";
import type { MachineSpec } from "./spec.ts";
import {
  addressOf,
  type GuestSymbol,
  readSymbolFile,
  symbolsOfElf,
  symbolsOfKallsyms,
  SymbolTable,
} from "./symbols.ts";

const SATP = 0x180;

/** What must stand at a symbol's address, by offset. */
const PROOFS: readonly { readonly symbol: string; readonly at: number; readonly text: string }[] = [
  { symbol: "linux_banner", at: 0, text: "Linux version " },
  { symbol: "_start", at: 0x38, text: "RSC\x05" }, // The Image header's second magic.
];

/** Names found in guest memory, or why there are none, as the rest of a sentence. */
export type KernelSymbols =
  | { readonly symbols: readonly GuestSymbol[] }
  | { readonly missing: string };

export class GuestSymbols {
  /** Names from files. */
  readonly table = new SymbolTable();
  readonly #ram: Ram;
  readonly #harts: readonly Hart[];
  readonly #trace: Trace;
  readonly #booted: Booted;

  /** Writes the names that files bring. Throws LoadError for a file of `--symbols` that has none. */
  constructor(
    spec: MachineSpec,
    files: Files,
    booted: Booted,
    machine: { readonly ram: Ram; readonly harts: readonly Hart[] },
    trace: Trace,
  ) {
    this.#booted = booted;
    this.#ram = machine.ram;
    this.#harts = machine.harts;
    this.#trace = trace;
    for (const { path } of spec.symbols ?? []) {
      this.#write(readSymbolFile(files.get(path)!, path));
    }
    this.#write(symbolsOfElf(booted.symbols));
  }

  /**
   * Writes the names in the guest's memory. Returns why there are none, where one would expect them,
   * else null.
   */
  writeKernel(): string | null {
    if (this.#booted.named) return null;
    const found = this.findKernel();
    if ("symbols" in found) this.#write(found.symbols);
    else if (this.#booted.linux) return found.missing;
    return null;
  }

  /** Looks into the guest's memory as it is now; changes nothing. */
  findKernel(): KernelSymbols {
    const satps = this.#harts.map((h) => h.csr(SATP)).filter((satp) => satp >> 60n !== 0n);
    if (satps.length === 0) return { missing: "it had not switched on address translation" };
    const kallsyms = findKallsyms(this.#ram.bytes);
    if (kallsyms === null) {
      return { missing: "its memory holds no kallsyms table that we can read" };
    }
    const satp = satps.find((satp) => this.#runs(satp, kallsyms));
    if (satp === undefined) {
      return { missing: "the kallsyms table in its memory is not that of the running kernel" };
    }
    const memory = new KernelMemory(satp, this.#ram);
    const modules = readModules(memory, (symbol) => addressOf(kallsyms, symbol));
    return { symbols: symbolsOfKallsyms(kallsyms, modules) };
  }

  /** True when a symbol of the table is where the running kernel has it. */
  #runs(satp: bigint, kallsyms: Kallsyms): boolean {
    const memory = new KernelMemory(satp, this.#ram);
    return PROOFS.some(({ symbol, at, text }) => {
      const address = addressOf(kallsyms, symbol);
      const there = address === null ? null : memory.bytes(address + BigInt(at), text.length);
      return there !== null && String.fromCharCode(...there) === text;
    });
  }

  #write(symbols: readonly GuestSymbol[]): void {
    const trace = this.#trace;
    for (const { addr, size, name, module, source } of this.table.add(symbols)) {
      trace.symbol({
        address: Number(addr & 0xffff_ffffn),
        address_hi: Number(addr >> 32n),
        size,
        name,
        module,
        source: codeOf("symbol_source", source),
      });
      if (trace.full) trace.flush();
    }
  }
}
