/**
 * Names for guest code: from ELF files, from the listings that `nm` and Linux make (`System.map`,
 * `/proc/kallsyms`: ADDRESS TYPE NAME, perhaps [MODULE]), and from the kernel's own table in guest RAM.
 *
 * One name per address, and each with the bytes that it covers, so that an address belongs to one name
 * or to none. A symbol without a size reaches to the next one.
 * @module
 */
import type { Kallsyms } from "./kallsyms.ts";
import type { ModuleSymbol } from "./kernel_modules.ts";
import { type ElfSymbol, elfSymbols, isElf, LoadError } from "./loader.ts";

/** Where a name was found: codes of `symbol_source`. */
export type SymbolSource = "elf" | "listing" | "kallsyms";

export interface GuestSymbol {
  /** Guest virtual address of its first byte. */
  readonly addr: bigint;
  /** Bytes that it covers, at least 1. */
  readonly size: number;
  readonly name: string;
  /** Kernel module; null for the kernel or program itself. */
  readonly module: string | null;
  readonly source: SymbolSource;
}

/** A name as its source has it, before neighbours settle how far it reaches. */
interface Entry {
  readonly addr: bigint;
  /** 0: up to the next. */
  readonly size: number;
  readonly limit: bigint | null;
  readonly name: string;
  readonly module: string | null;
  readonly code: boolean;
  /** Of several names for an address, the one of highest rank stands. */
  readonly rank: number;
}

/** What an unsized symbol covers at most. */
const MAX_REACH = 2n << 20n;

/** Code, as `nm` types it: global before weak before local. */
const CODE_RANK: Readonly<Record<string, number>> = { T: 3, W: 2, w: 2, t: 1 };

/** Settles names and reaches; entries that name no code only say where others end. */
function settle(entries: Entry[], source: SymbolSource): GuestSymbol[] {
  entries.sort((a, b) => a.addr < b.addr ? -1 : a.addr > b.addr ? 1 : b.rank - a.rank);
  const settled: GuestSymbol[] = [];
  let covered = 0n; // End of the last symbol with a size of its own: labels inside it are no functions.
  for (let i = 0, next = 0; i < entries.length; i = next) {
    const { addr } = entries[i];
    for (next = i + 1; next < entries.length && entries[next].addr === addr;) next++;
    const found = entries.slice(i, next).find((e) => e.code);
    if (found === undefined || (found.size === 0 && addr < covered)) continue;
    let end = addr + (found.size > 0 ? BigInt(found.size) : MAX_REACH);
    if (found.size > 0) covered = end;
    else if (next < entries.length && entries[next].addr < end) end = entries[next].addr;
    if (found.limit !== null && found.limit < end) end = found.limit;
    if (end - addr > MAX_REACH) end = addr + MAX_REACH;
    if (end <= addr) continue;
    const { name, module } = found;
    settled.push({ addr, size: Number(end - addr), name, module, source });
  }
  return settled;
}

export function symbolsOfElf(symbols: readonly ElfSymbol[]): GuestSymbol[] {
  return settle(
    symbols.map((s) => ({ ...s, module: null, rank: s.size > 0 ? 1 : 0 })),
    "elf",
  );
}

/** Address of a kernel's symbol, or null when it has none of that name. */
export function addressOf({ names, offsets, base }: Kallsyms, symbol: string): bigint | null {
  const index = names.indexOf(symbol);
  return index < 0 ? null : BigInt.asUintN(64, base + BigInt(offsets[index]));
}

/** Names of a kernel's own code, and of that of its modules. */
export function symbolsOfKallsyms(
  { names, types, offsets, base }: Kallsyms,
  modules: readonly ModuleSymbol[],
): GuestSymbol[] {
  const own: Entry[] = names.map((name, i) => ({
    addr: BigInt.asUintN(64, base + BigInt(offsets[i])),
    size: 0,
    limit: null,
    name,
    module: null,
    code: types[i] in CODE_RANK,
    rank: CODE_RANK[types[i]] ?? 0,
  }));
  const loaded = modules.map((s) => ({
    ...s,
    limit: null,
    code: s.type in CODE_RANK,
    rank: CODE_RANK[s.type] ?? 0,
  }));
  return settle([...own, ...loaded], "kallsyms");
}

const LISTED = /^([0-9a-fA-F]{1,16}) ([A-Za-z?]) (\S+)(?:\s+\[([^\]\s]+)\])?\s*$/;

function symbolsOfListing(file: Uint8Array, path: string): GuestSymbol[] {
  const entries: Entry[] = [];
  for (const line of new TextDecoder().decode(file).split("\n")) {
    const found = LISTED.exec(line);
    if (found === null) {
      if (line.trim() === "") continue;
      throw new LoadError(
        `${path} is neither an ELF file nor a listing of symbols`,
        "give a vmlinux, or lines of ADDRESS TYPE NAME as in System.map",
      );
    }
    const [, addr, type, name, module = null] = found;
    if (name.startsWith("$") || name.startsWith(".L")) continue;
    entries.push({
      addr: BigInt(`0x${addr}`),
      size: 0,
      limit: null,
      name,
      module,
      code: type in CODE_RANK,
      rank: CODE_RANK[type] ?? 0,
    });
  }
  return settle(entries, "listing");
}

/**
 * Names of code in a file that is not loaded.
 * @throws {LoadError} when it has none.
 */
export function readSymbolFile(file: Uint8Array, path: string): GuestSymbol[] {
  const symbols = isElf(file) ? symbolsOfElf(elfSymbols(file, path)) : symbolsOfListing(file, path);
  if (symbols.length > 0) return symbols;
  throw new LoadError(`${path} names no code`, "give the file before it was stripped");
}

/** Names by address, from several sources: of two for an address the first that came stands. */
export class SymbolTable {
  #sorted: GuestSymbol[] = [];

  /** By address. */
  get all(): readonly GuestSymbol[] {
    return this.#sorted;
  }

  /** Takes what is new and returns it, by address. */
  add(symbols: readonly GuestSymbol[]): GuestSymbol[] {
    const known = new Set(this.#sorted.map((s) => s.addr));
    const fresh = symbols.filter((s) => !known.has(s.addr) && known.add(s.addr))
      .sort((a, b) => a.addr < b.addr ? -1 : 1);
    this.#sorted = [...this.#sorted, ...fresh].sort((a, b) => a.addr < b.addr ? -1 : 1);
    return fresh;
  }

  /** The symbol that covers an address, and how far into it the address lies. */
  at(vaddr: bigint): { symbol: GuestSymbol; offset: number } | null {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle].addr <= vaddr) low = middle + 1;
      else high = middle;
    }
    const symbol = this.#sorted[low - 1];
    if (symbol === undefined) return null;
    const offset = vaddr - symbol.addr;
    return offset < BigInt(symbol.size) ? { symbol, offset: Number(offset) } : null;
  }

  /** `virtqueue_kick+0x1c [virtio_ring]`, or null where no symbol covers the address. */
  describe(vaddr: bigint): string | null {
    const found = this.at(vaddr);
    if (found === null) return null;
    const { name, module } = found.symbol;
    const offset = found.offset === 0 ? "" : `+0x${found.offset.toString(16)}`;
    return `${name}${offset}${module === null ? "" : ` [${module}]`}`;
  }
}
