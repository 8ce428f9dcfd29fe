/**
 * Registers, declared once: from them come the tables that an access is looked up in, the checks of a
 * declaration and the names in the trace.
 * @module
 */

type Size = 1 | 2 | 4 | 8;

interface RegCommon {
  /** Offset of the first byte from the start of the device's region. */
  at: number;
  /** Exactly as the specification spells it; unique in the device. */
  name: string;
  /** An array of registers, `stride` bytes (default: size) apart. */
  count?: number;
  stride?: number;
  /**
   * Access sizes that the register answers, default [size]. A smaller, aligned one reads or writes
   * that part; a part written is merged with what `get` returns.
   */
  sizes?: readonly Size[];
  /** Which of several registers at one offset answers now. */
  when?: () => boolean;
  /** Effect of a read, after `get`. */
  onRead?: (i: number) => void;
  doc?: string;
}

interface NarrowReg extends RegCommon {
  /** Width in bytes, default 4. */
  size?: 1 | 2 | 4;
  /** Value now. Pure: a debugger calls it too. Without it a read gives 0. */
  get?: (i: number) => number;
  /**
   * Effect of a write; `v` is zero-extended. Without it a write is ignored. `end` is the byte of the
   * register behind the last one written: what starts with its highest byte must know.
   */
  set?: (v: number, i: number, end: number) => void;
}

interface WideReg extends RegCommon {
  size: 8;
  get?: (i: number) => bigint | number;
  set?: (v: bigint, i: number) => void;
}

/** A register. `i` is its index in an array of registers, else 0. */
export type Reg = NarrowReg | WideReg;

/** One register, or one element of an array, bound for speed: no optional fields. */
export class Binding {
  readonly code: number;
  readonly i: number;
  readonly start: number;
  readonly size: number;
  /** Sum of the access sizes answered; they are distinct powers of two. */
  readonly sizes: number;
  readonly when: (() => boolean) | null;
  readonly get: ((i: number) => number) | null;
  readonly getWide: ((i: number) => bigint | number) | null;
  readonly onRead: ((i: number) => void) | null;
  readonly set: ((v: number, i: number, end: number) => void) | null;
  readonly setWide: ((v: bigint, i: number) => void) | null;

  constructor(reg: Reg, code: number, i: number) {
    this.code = code;
    this.i = i;
    this.size = reg.size ?? 4;
    this.start = reg.at + i * (reg.stride ?? this.size);
    this.sizes = (reg.sizes ?? [this.size]).reduce((sum: number, s) => sum | s, 0);
    this.when = reg.when ?? null;
    this.onRead = reg.onRead ?? null;
    const wide = reg.size === 8;
    this.get = wide ? null : reg.get ?? null;
    this.set = wide ? null : reg.set ?? null;
    this.getWide = wide ? reg.get ?? null : null;
    this.setWide = wide ? reg.set ?? null : null;
  }

  get readable(): boolean {
    return this.get !== null || this.getWide !== null;
  }
  get writable(): boolean {
    return this.set !== null || this.setWide !== null;
  }
}

const SIZES: readonly number[] = [1, 2, 4, 8];

function checkReg(reg: Reg, fail: (problem: string) => never, regionBytes: number): void {
  const size = reg.size ?? 4;
  const count = reg.count ?? 1;
  const stride = reg.stride ?? size;
  const at = `at ${hex(reg.at)}`;
  if (!SIZES.includes(size)) fail(`${at}: size is ${size}, expected 1, 2, 4 or 8`);
  if (!Number.isInteger(reg.at) || reg.at < 0) {
    fail(`at is ${reg.at}, expected an offset from 0 up`);
  }
  if (!Number.isInteger(count) || count < 1) fail(`${at}: count is ${count}, expected 1 or more`);
  if (stride < size || stride % size !== 0) {
    fail(`${at}: stride is ${stride}, expected a multiple of its size ${size}`);
  }
  if (reg.at % size !== 0) fail(`${at}: not aligned to its size ${size}`);
  const end = reg.at + (count - 1) * stride + size;
  if (end > regionBytes) {
    fail(`${at}: ends at ${hex(end)}, beyond the region's size ${hex(regionBytes)}`);
  }
  for (const s of reg.sizes ?? []) {
    if (!SIZES.includes(s) || s > size) {
      fail(`${at}: access size ${s}, expected 1, 2, 4 or 8 up to its size ${size}`);
    }
    if (s < size && reg.set && !reg.get) {
      fail(`${at}: a part of ${s} bytes is set, so it needs get`);
    }
  }
  if (reg.sizes?.length === 0) fail(`${at}: sizes is empty`);
  if (!reg.get && !reg.set) fail(`${at}: has neither get nor set`);
  if (reg.onRead && !reg.get) fail(`${at}: has onRead but no get`);
}

function hex(v: number): string {
  return `0x${v.toString(16)}`;
}

/** A register as declared, for those who look at a machine: position = code. */
export interface RegisterInfo {
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly sizes: readonly number[];
  readonly count: number;
  readonly stride: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly doc: string;
}

function infoOf(reg: Reg): RegisterInfo {
  const size = reg.size ?? 4;
  return {
    name: reg.name,
    at: reg.at,
    size,
    sizes: reg.sizes ?? [size],
    count: reg.count ?? 1,
    stride: reg.stride ?? size,
    readable: reg.get !== undefined,
    writable: reg.set !== undefined,
    doc: reg.doc ?? "",
  };
}

/** Offsets per page of the table; pages without registers take no room. */
const PAGE_SLOTS = 1024;

type Page = (Binding[] | undefined)[];

/** Finds the register that an access means. */
export class RegisterMap {
  readonly registers: readonly RegisterInfo[];
  readonly #granule: number;
  readonly #shift: number;
  readonly #pages: (Page | undefined)[] = [];

  /** Throws when the declaration is wrong: the message names device, register and offset. */
  constructor(device: string, regs: readonly Reg[], regionBytes: number) {
    const names = new Set<string>();
    for (const [i, reg] of regs.entries()) {
      if (!reg.name) throw new Error(`${device}: register ${i} has no name`);
      const fail = (problem: string): never => {
        throw new Error(`${device}: register ${reg.name} ${problem}`);
      };
      if (names.has(reg.name)) fail(`at ${hex(reg.at)}: another register has that name`);
      names.add(reg.name);
      checkReg(reg, fail, regionBytes);
    }
    this.registers = regs.map(infoOf);
    this.#granule = granuleOf(regs);
    this.#shift = Math.log2(this.#granule);
    for (const [code, reg] of regs.entries()) {
      for (let i = 0; i < (reg.count ?? 1); i++) this.#place(device, new Binding(reg, code, i));
    }
  }

  #place(device: string, binding: Binding): void {
    for (let at = binding.start; at < binding.start + binding.size; at += this.#granule) {
      const slot = at >> this.#shift;
      const page = this.#pages[Math.floor(slot / PAGE_SLOTS)] ??= [];
      const here = page[slot % PAGE_SLOTS] ??= [];
      for (const other of here) {
        const both = other.readable && binding.readable
          ? "reads"
          : other.writable && binding.writable
          ? "writes"
          : null;
        const toldBySize = other.start === binding.start && (other.sizes & binding.sizes) === 0;
        if (both !== null && !toldBySize && !(other.when && binding.when)) {
          const name = (b: Binding) => this.registers[b.code].name;
          const pair = `registers ${name(other)} and ${name(binding)}`;
          throw new Error(
            `${device}: ${pair} both answer ${both} at ${hex(at)}: give each a \`when\``,
          );
        }
      }
      here.push(binding);
    }
  }

  /**
   * The register that answers; one that knows only the other direction is found too, for its name.
   * Null when none is declared there for that size.
   */
  find(at: number, size: number, write: boolean): Binding | null {
    if ((at & (this.#granule - 1)) !== 0) return null;
    const slot = at >> this.#shift;
    const page = this.#pages[slot >> 10];
    if (page === undefined) return null;
    const here = page[slot & (PAGE_SLOTS - 1)];
    if (here === undefined) return null;
    let named: Binding | null = null;
    for (let k = 0; k < here.length; k++) {
      const b = here[k];
      const within = at - b.start;
      if ((b.sizes & size) === 0 || (within & (size - 1)) !== 0 || within + size > b.size) continue;
      if (b.when !== null && !b.when()) continue;
      if (write ? b.set !== null || b.setWide !== null : b.get !== null || b.getWide !== null) {
        return b;
      }
      named ??= b;
    }
    return named;
  }
}

/** Largest power of two that divides every offset and access size. */
function granuleOf(regs: readonly Reg[]): number {
  let bits = 8;
  for (const reg of regs) {
    bits |= reg.at | (reg.size ?? 4);
    if ((reg.count ?? 1) > 1) bits |= reg.stride ?? 0;
    for (const s of reg.sizes ?? []) bits |= s;
  }
  return bits & -bits;
}
