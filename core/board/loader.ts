/**
 * Kernels and firmware from bytes to guest RAM: ELF64, Linux `Image`, flat binaries.
 *
 * Sources: System V ABI (gABI 4.1, ELF-64), RISC-V ELF psABI 1.0 (EM_RISCV), Linux
 * Documentation/arch/riscv/boot-image-header.rst. Segments are placed by physical address and nothing
 * is relocated. A file that cannot be loaded throws {@link LoadError}, one sentence that names the fix.
 * @module
 */

/** The file is not what the machine can start; `fix` says what to do about it. */
export class LoadError extends Error {
  override name = "LoadError";
  constructor(message: string, readonly fix: string) {
    super(message);
  }
}

/** A run of guest-physical memory: `bytes`, then zeroes up to `memoryBytes`. */
export interface Segment {
  addr: number;
  bytes: Uint8Array;
  memoryBytes: number;
}

/** A named virtual address of an ELF file. */
export interface ElfSymbol {
  addr: bigint;
  /** Bytes; 0 is unknown. */
  size: number;
  name: string;
  /** It names code. */
  code: boolean;
  /** End of its section, where that holds code; null when not known. */
  limit: bigint | null;
}

/** What {@link parseImage} found in a file. */
export interface Image {
  kind: "elf" | "linux" | "flat";
  /** Guest-physical address of the first instruction. */
  entry: number;
  segments: Segment[];
  /** By address; empty but for ELF. */
  symbols: ElfSymbol[];
}

/** Where an image may go. */
export interface Placement {
  /** The file's name, for messages. */
  name: string;
  ramBase: number;
  ramBytes: number;
  /** Guest-physical address of a flat binary; null: one is refused. */
  flatAddr: number | null;
}

const MIB = 1 << 20;
/** Past this, more memory is no sensible advice. */
const MAX_RAM_MIB = 3072;
const AGAIN = "copy or build it again";

const hex = (n: number): string => `0x${n.toString(16)}`;

/** What a file is by its first bytes; whatever is neither of the others is taken as it is. */
export function imageKind(file: Uint8Array): Image["kind"] {
  return isElf(file) ? "elf" : isLinuxImage(file) ? "linux" : "flat";
}

const PARSERS = { elf: parseElf, linux: parseLinuxImage, flat: parseFlat } as const;

/**
 * Finds out a file's format, checks it and says what goes where in RAM; nothing is written.
 * @throws {LoadError} when the file is damaged, for another machine, or does not fit in RAM.
 */
export function parseImage(file: Uint8Array, at: Placement): Image {
  const image = PARSERS[imageKind(file)](file, at);
  const { entry, segments } = image;
  for (const segment of segments) checkInRam(segment, at);
  if (segments.reduce((sum, s) => sum + s.memoryBytes, 0) > at.ramBytes) {
    throw new LoadError(`${at.name} is damaged: its segments overlap`, AGAIN);
  }
  if (!segments.some((s) => entry >= s.addr && entry < s.addr + s.memoryBytes)) {
    throw new LoadError(
      `${at.name} starts at ${hex(entry)}, which lies in no part of it that is loaded`,
      "link it again with its entry point in a PT_LOAD segment",
    );
  }
  return image;
}

function checkInRam({ addr, memoryBytes }: Segment, at: Placement): void {
  const ramEnd = at.ramBase + at.ramBytes;
  const end = addr + memoryBytes;
  if (addr >= at.ramBase && end <= ramEnd) return;
  const needed = Math.ceil((end - at.ramBase) / MIB);
  throw new LoadError(
    `${at.name} has a segment from ${hex(addr)} to ${hex(end)}, outside RAM, ` +
      `which is ${hex(at.ramBase)} to ${hex(ramEnd)}`,
    addr < at.ramBase
      ? `link it at ${hex(at.ramBase)} or higher`
      : needed <= MAX_RAM_MIB
      ? `give the machine more memory: --memory ${needed}M`
      : "link it at a lower physical address",
  );
}

// --- Flat binaries and Linux Image -----------------------------------------------------------------

/** Printable to the end, or as far as it is looked at: a script or a source, named by mistake. */
function isText(file: Uint8Array): boolean {
  const whitespace = (byte: number) => byte >= 9 && byte <= 13;
  return file.subarray(0, 256).every((b) => whitespace(b) || (b >= 0x20 && b < 0x7f));
}

function parseFlat(file: Uint8Array, at: Placement): Image {
  if (file.length === 0) throw new LoadError(`${at.name} is empty`, AGAIN);
  if (file[0] === 0x1f && file[1] === 0x8b) {
    throw new LoadError(`${at.name} is gzip-compressed`, "unpack it first: gunzip");
  }
  if (isText(file)) {
    throw new LoadError(`${at.name} is text, not code for RISC-V`, "give an ELF, Image or binary");
  }
  if (at.flatAddr === null) {
    throw new LoadError(
      `${at.name} is neither an ELF file nor a Linux Image`,
      "to place raw bytes, use --load FILE@ADDR",
    );
  }
  const segment = { addr: at.flatAddr, bytes: file, memoryBytes: file.length };
  return { kind: "flat", entry: at.flatAddr, segments: [segment], symbols: [] };
}

/** Offsets in the 64-byte header of a Linux Image. */
const LINUX = {
  textOffset: 8,
  imageSize: 16,
  flags: 24,
  magic: 48,
  magic2: 56,
  bytes: 64,
} as const;

const text = (file: Uint8Array, at: number, n: number): string =>
  String.fromCharCode(...file.subarray(at, at + n));

/** Old kernels have only the first magic, newer ones both; either will do. */
function isLinuxImage(file: Uint8Array): boolean {
  return file.length >= LINUX.bytes &&
    (text(file, LINUX.magic, 8) === "RISCV\0\0\0" || text(file, LINUX.magic2, 4) === "RSC\x05");
}

function parseLinuxImage(file: Uint8Array, at: Placement): Image {
  const view = viewOf(file);
  if (view.getUint32(LINUX.flags, true) & 1) {
    throw new LoadError(`${at.name} is a big-endian Linux Image`, "build a little-endian kernel");
  }
  const offset = Number(view.getBigUint64(LINUX.textOffset, true));
  const bytes = Number(view.getBigUint64(LINUX.imageSize, true));
  const addr = at.ramBase + offset;
  const segment = { addr, bytes: file, memoryBytes: Math.max(bytes, file.length) };
  return { kind: "linux", entry: addr, segments: [segment], symbols: [] };
}

// --- ELF -------------------------------------------------------------------------------------------

const ELF = {
  headerBytes: 64,
  class64: 2,
  littleEndian: 1,
  EM_RISCV: 243,
  EXEC: 2,
  DYN: 3,
} as const;
const PT_LOAD = 1;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const SHT_SYMTAB = 2;
const SHF_EXECINSTR = 4;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const MAX_NAME_BYTES = 1024;

/** e_machine of what people are likely to have at hand, for the message. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "x86",
  40: "Arm",
  62: "x86-64",
  183: "AArch64",
};

const RV64 = "build it for little-endian 64-bit RISC-V (-march=rv64…)";

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);

export const isElf = (file: Uint8Array): boolean => text(file, 0, 4) === "\x7fELF";

/** Bounds-checked little-endian reads of one ELF file. */
class ElfReader {
  readonly view: DataView;
  constructor(readonly file: Uint8Array, readonly name: string) {
    this.view = viewOf(file);
  }
  /** `count` bytes at a file offset must be there. */
  need(offset: number, count: number, what: string): void {
    if (offset + count <= this.file.length) return;
    throw new LoadError(
      `${this.name} is truncated: ${what} ends at byte ${offset + count}, ` +
        `the file at ${this.file.length}`,
      AGAIN,
    );
  }
  u16(at: number): number {
    return this.view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.view.getUint32(at, true);
  }
  u64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  /** A file offset, count or physical address: beyond 2^53 it only has to stay out of range. */
  number(at: number): number {
    return Number(this.u64(at));
  }
}

function checkElfHeader(elf: ElfReader): void {
  elf.need(0, ELF.headerBytes, "its header");
  const { name, file } = elf;
  if (file[4] !== ELF.class64) {
    throw new LoadError(`${name} is a 32-bit ELF file`, RV64);
  }
  if (file[5] !== ELF.littleEndian) {
    throw new LoadError(`${name} is a big-endian ELF file`, RV64);
  }
  const machine = elf.u16(18);
  if (machine !== ELF.EM_RISCV) {
    const which = MACHINES[machine] ?? `machine number ${machine}`;
    throw new LoadError(`${name} is an ELF file for ${which}`, RV64);
  }
  const type = elf.u16(16);
  if (type !== ELF.EXEC && type !== ELF.DYN) {
    throw new LoadError(
      `${name} is an ELF file of type ${type}, not an executable`,
      "link it first",
    );
  }
}

interface ProgramHeader {
  vaddr: bigint;
  addr: number;
  offset: number;
  fileBytes: number;
  memoryBytes: number;
}

function programHeaders(elf: ElfReader): ProgramHeader[] {
  const offset = elf.number(32);
  const entryBytes = elf.u16(54);
  const count = elf.u16(56);
  if (count > 0 && entryBytes !== PROGRAM_HEADER_BYTES) {
    throw new LoadError(
      `${elf.name} is damaged: program headers of ${entryBytes} bytes, expected ` +
        PROGRAM_HEADER_BYTES,
      AGAIN,
    );
  }
  elf.need(offset, count * entryBytes, "its program header table");
  const found: ProgramHeader[] = [];
  for (let i = 0; i < count; i++) {
    const at = offset + i * entryBytes;
    const header = {
      offset: elf.number(at + 8),
      vaddr: elf.u64(at + 16),
      addr: elf.number(at + 24),
      fileBytes: elf.number(at + 32),
      memoryBytes: elf.number(at + 40),
    };
    if (elf.u32(at) === PT_LOAD && header.memoryBytes > 0) found.push(header);
  }
  return found;
}

function parseElf(file: Uint8Array, at: Placement): Image {
  const elf = new ElfReader(file, at.name);
  checkElfHeader(elf);
  const headers = programHeaders(elf);
  if (headers.length === 0) {
    throw new LoadError(`${at.name} has nothing to load: no PT_LOAD segment`, "link it again");
  }
  const segments = headers.map((header, i) => {
    if (header.fileBytes > header.memoryBytes) {
      throw new LoadError(
        `${at.name} is damaged: segment ${i} has ${header.fileBytes} bytes in the file for ` +
          `${header.memoryBytes} in memory`,
        AGAIN,
      );
    }
    elf.need(header.offset, header.fileBytes, `segment ${i}`);
    return {
      addr: header.addr,
      bytes: file.subarray(header.offset, header.offset + header.fileBytes),
      memoryBytes: header.memoryBytes,
    };
  });
  return { kind: "elf", entry: physicalEntry(elf, headers), segments, symbols: readSymbols(elf) };
}

/** e_entry is virtual: a kernel linked high enters at the physical address of the same byte. */
function physicalEntry(elf: ElfReader, headers: ProgramHeader[]): number {
  const entry = elf.u64(24);
  for (const { vaddr, addr, memoryBytes } of headers) {
    if (entry >= vaddr && entry - vaddr < BigInt(memoryBytes)) return addr + Number(entry - vaddr);
  }
  return Number(entry);
}

/**
 * Symbols of an ELF file that need not be loadable, by address.
 * @throws {LoadError} when the file is damaged or for another machine.
 */
export function elfSymbols(file: Uint8Array, name: string): ElfSymbol[] {
  const elf = new ElfReader(file, name);
  checkElfHeader(elf);
  return readSymbols(elf);
}

interface Section {
  readonly type: number;
  readonly flags: number;
  readonly addr: bigint;
  readonly offset: number;
  readonly bytes: number;
  readonly link: number;
}

function readSections(elf: ElfReader): Section[] {
  const offset = elf.number(40);
  const count = elf.u16(60);
  if (count === 0) return [];
  if (elf.u16(58) !== SECTION_HEADER_BYTES) {
    throw new LoadError(
      `${elf.name} is damaged: section headers of ${elf.u16(58)} bytes, expected ` +
        SECTION_HEADER_BYTES,
      AGAIN,
    );
  }
  elf.need(offset, count * SECTION_HEADER_BYTES, "its section header table");
  return Array.from({ length: count }, (_, i) => {
    const at = offset + i * SECTION_HEADER_BYTES;
    return {
      type: elf.u32(at + 4),
      flags: elf.u32(at + 8),
      addr: elf.u64(at + 16),
      offset: elf.number(at + 24),
      bytes: elf.number(at + 32),
      link: elf.u32(at + 40),
    };
  });
}

function readSymbols(elf: ElfReader): ElfSymbol[] {
  const sections = readSections(elf);
  const symbols: ElfSymbol[] = [];
  for (const section of sections) {
    const strings = sections[section.link];
    if (section.type !== SHT_SYMTAB || strings === undefined) continue;
    readSymbolTable(elf, section, strings, sections, symbols);
  }
  return symbols.sort((a, b) => a.addr < b.addr ? -1 : a.addr > b.addr ? 1 : rank(a) - rank(b));
}

/** Of several names for an address the last counts: one with a size. */
const rank = (s: ElfSymbol): number => s.size > 0 ? 1 : 0;

function readSymbolTable(
  elf: ElfReader,
  table: Section,
  strings: Section,
  sections: readonly Section[],
  out: ElfSymbol[],
): void {
  const { offset, bytes } = table;
  elf.need(offset, bytes, "its symbol table");
  elf.need(strings.offset, strings.bytes, "its symbol names");
  const names = elf.file.subarray(strings.offset, strings.offset + strings.bytes);
  for (let s = offset; s + SYMBOL_BYTES <= offset + bytes; s += SYMBOL_BYTES) {
    const type = elf.file[s + 4] & 15;
    const index = elf.u16(s + 6);
    if (type > STT_FUNC || index === 0) continue; // Only NOTYPE, OBJECT, FUNC that are defined.
    const start = elf.u32(s);
    const end = names.subarray(start, start + MAX_NAME_BYTES).indexOf(0);
    const name = text(names, start, Math.max(end, 0));
    if (name === "" || name.startsWith("$") || name.startsWith(".L")) continue; // psABI: mapping symbols.
    const home = sections[index];
    const executable = home !== undefined && (home.flags & SHF_EXECINSTR) !== 0;
    out.push({
      addr: elf.u64(s + 8),
      size: elf.number(s + 16),
      name,
      code: type === STT_FUNC || (type === STT_NOTYPE && executable),
      limit: executable ? home.addr + BigInt(home.bytes) : null,
    });
  }
}
