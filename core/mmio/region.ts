/**
 * A region: one space of offsets that a device answers in. A platform device has one; a PCI function
 * has one per kind of BAR, and its configuration space.
 * @module
 */
import { type Binding, type Reg, type RegisterInfo, RegisterMap } from "./registers.ts";

/** Bytes of a raw space that have a name in the trace. */
export interface RawName {
  readonly at: number;
  readonly size: number;
  readonly name: string;
}

/** Offsets that no register covers, for spaces laid out elsewhere. An access has 1, 2 or 4 bytes. */
export interface RawSpace {
  /** Pure: a debugger calls it too. */
  read(at: number, size: number): number;
  write(at: number, size: number, v: number): void;
  /** What the trace calls its bytes; an access is named by its first byte. */
  readonly names?: readonly RawName[];
}

export interface Space {
  readonly regs?: readonly Reg[];
  readonly raw?: RawSpace;
  /**
   * Byte lanes: an access of 2 or 4 bytes that no register answers as a whole means its halves, the
   * lower one first. The trace names it after the register of its first byte.
   */
  readonly lanes?: boolean;
}

/** Codes of a device's register names, over all its regions: position = code. */
export class RegisterNames {
  readonly all: string[] = [];
  readonly #owner = new Map<string, unknown>();

  constructor(private readonly device: string) {}

  /** A name is one register's; a register that answers in two regions is declared once. */
  code(name: string, owner: unknown): number {
    const known = this.all.indexOf(name);
    if (known < 0) {
      this.#owner.set(name, owner);
      return this.all.push(name) - 1;
    }
    if (this.#owner.get(name) !== owner) {
      throw new Error(`${this.device}: register ${name} is declared in two regions`);
    }
    return known;
  }
}

export class Region {
  /** Upper 32 bits of what `read` returned last. */
  hi = 0;
  /** Code of the register that the last access meant, -1 for none. */
  reg = -1;
  readonly #map: RegisterMap;
  readonly #raw: RawSpace | null;
  /** Code of each register, and of each byte of the raw space. */
  readonly #codes: readonly number[];
  readonly #rawCodes: Int16Array;
  readonly #lanes: boolean;
  readonly #settled: () => void;
  /** Names in its raw space. */
  readonly names: readonly RawName[];

  constructor(
    device: string,
    readonly name: string,
    readonly sizeBytes: number,
    space: Space,
    names: RegisterNames,
    settled: () => void,
  ) {
    const regs = space.regs ?? [];
    this.#map = new RegisterMap(device, regs, sizeBytes);
    this.#codes = regs.map((r) => names.code(r.name, r));
    this.#raw = space.raw ?? null;
    const raw = this.names = space.raw?.names ?? [];
    this.#rawCodes = new Int16Array(Math.max(0, ...raw.map((n) => n.at + n.size))).fill(-1);
    for (const n of raw) this.#rawCodes.fill(names.code(n.name, raw), n.at, n.at + n.size);
    this.#lanes = space.lanes ?? false;
    this.#settled = settled;
  }

  get registers(): readonly RegisterInfo[] {
    return this.#map.registers;
  }

  /** Lower 32 bits of the value, `hi` holds the rest. Nothing declared there: 0. */
  read(at: number, size: number): number {
    const value = this.#read(at, size);
    this.#settled();
    return value;
  }

  #read(at: number, size: number): number {
    const b = this.#map.find(at, size, false);
    this.hi = 0;
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      const low = this.#read(at, half);
      const first = this.reg;
      const high = this.#read(at + half, half);
      this.reg = first;
      return (low | high << half * 8) >>> 0;
    }
    if (b === null) {
      this.reg = this.#rawCode(at);
      return this.#rawValue(at, size);
    }
    this.reg = this.#codes[b.code];
    const value = this.#value(b, at, size);
    if (b.onRead !== null) b.onRead(b.i);
    return value;
  }

  #halves(size: number): boolean {
    return this.#lanes && (size === 2 || size === 4);
  }

  #value(b: Binding, at: number, size: number): number {
    if (b.get !== null) return mask(b.get(b.i) >>> ((at - b.start) * 8), size);
    if (b.getWide === null) return 0;
    const value = b.getWide(b.i);
    const hi = typeof value === "bigint"
      ? Number(BigInt.asUintN(32, value >> 32n))
      : Math.floor(value / 2 ** 32) >>> 0;
    const lo = typeof value === "bigint" ? Number(BigInt.asUintN(32, value)) : value >>> 0;
    if (size === 8) {
      this.hi = hi;
      return lo;
    }
    const part = at - b.start;
    return mask((part < 4 ? lo : hi) >>> ((part & 3) * 8), size);
  }

  #rawValue(at: number, size: number): number {
    const raw = this.#raw;
    if (raw === null) return 0;
    if (size < 8) return mask(raw.read(at, size), size);
    const lo = raw.read(at, 4) >>> 0;
    this.hi = raw.read(at + 4, 4) >>> 0;
    return lo;
  }

  #rawCode(at: number): number {
    return at < this.#rawCodes.length ? this.#rawCodes[at] : -1;
  }

  write(at: number, size: number, lo: number, hi = 0): void {
    this.#write(at, size, lo, hi);
    this.#settled();
  }

  #write(at: number, size: number, lo: number, hi: number): void {
    const b = this.#map.find(at, size, true);
    const v = mask(lo, size);
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      this.#write(at, half, v, 0);
      const first = this.reg;
      this.#write(at + half, half, v >>> half * 8, 0);
      this.reg = first;
    } else if (b === null) {
      this.reg = this.#rawCode(at);
      this.#rawWrite(at, size, v, hi);
    } else {
      this.reg = this.#codes[b.code];
      if (b.set !== null) {
        const part = at - b.start;
        b.set(size === b.size ? v : merge(b.get!(b.i), v, part * 8, size), b.i, part + size);
      } else if (b.setWide !== null) {
        b.setWide(wideValue(b, at, size, v, hi), b.i);
      }
    }
  }

  #rawWrite(at: number, size: number, lo: number, hi: number): void {
    const raw = this.#raw;
    if (raw === null) return;
    if (size < 8) return raw.write(at, size, lo);
    raw.write(at, 4, lo);
    raw.write(at + 4, 4, hi >>> 0);
  }

  /** What a read would return, without its effects; undefined where nothing is declared. */
  peek(at: number, size: number): bigint | undefined {
    const b = this.#map.find(at, size, false);
    if (b === null && this.#halves(size)) {
      const half = size >> 1;
      const low = this.peek(at, half), high = this.peek(at + half, half);
      if (low === undefined && high === undefined) return undefined;
      return (low ?? 0n) | (high ?? 0n) << BigInt(half * 8);
    }
    if (b === null && this.#raw === null) return undefined;
    const hi = this.hi;
    this.hi = 0;
    const lo = b !== null ? this.#value(b, at, size) : this.#rawValue(at, size);
    const value = BigInt(this.hi) << 32n | BigInt(lo);
    this.hi = hi;
    return value;
  }

  /** Code of the register that such an access would mean now, -1 for none. */
  regAt(at: number, size: number, write: boolean): number {
    const b = this.#map.find(at, size, write);
    if (b === null && this.#halves(size)) return this.regAt(at, size >> 1, write);
    return b === null ? this.#rawCode(at) : this.#codes[b.code];
  }
}

function mask(v: number, size: number): number {
  return size === 1 ? v & 0xff : size === 2 ? v & 0xffff : v >>> 0;
}

function merge(old: number, v: number, shift: number, size: number): number {
  const part = mask(-1, size) << shift;
  return (old & ~part | v << shift) >>> 0;
}

function wideValue(b: Binding, at: number, size: number, lo: number, hi: number): bigint {
  if (size === 8) return BigInt(hi >>> 0) << 32n | BigInt(lo);
  const shift = BigInt(at - b.start) * 8n;
  const part = BigInt(mask(-1, size)) << shift;
  return BigInt.asUintN(64, BigInt(b.getWide!(b.i))) & ~part | BigInt(lo) << shift;
}
