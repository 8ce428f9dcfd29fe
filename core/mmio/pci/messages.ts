/**
 * Message signalled interrupts of a PCI function: MSI and MSI-X. § = PCI Local Bus Specification 3.0.
 *
 * A message is a write of four bytes by the function, as bus master, to the address that the driver
 * gave: into RAM, where that is RAM. No interrupt controller of today's board claims one, so a message
 * to anywhere else reaches nobody; drivers are told by the device tree, and use the line.
 * @module
 */
import { u32s } from "../state.ts";
import type { RawName, RawSpace } from "../region.ts";
import type { CapabilityLayout, ConfigSpace } from "./config.ts";
import { type Msi, type Msix, msixPlaces, type PciDeclaration } from "./declaration.ts";

const MSI = 0x05;
const MSIX = 0x11;

/** Sends a message; seq of its `irq` row, -1 when the function is no bus master. */
export type Send = (path: "msi" | "msix", vector: number, address: number, data: number) => number;

const bytesOf = (v: number, n: number) => Array.from({ length: n }, (_, i) => v >>> 8 * i & 0xff);

// §6.8.1, with a 64-bit address: offsets from the capability's start.
const MSI_AT = { control: 2, address: 4, upper: 8, data: 12, mask: 16, pending: 20 } as const;
const MSI_ENABLE = 1;
const MSI_64 = 0x80;
const MSI_MASKABLE = 0x100;

export function msiLayout({ vectors, maskable = false, at }: Msi): CapabilityLayout {
  const log2 = Math.log2(vectors);
  const control = log2 << 1 | MSI_64 | (maskable ? MSI_MASKABLE : 0);
  const bits = 2 ** vectors - 1;
  const masks = maskable ? [...bytesOf(bits, 4), ...bytesOf(0, 4)] : [];
  const name = (at: number, size: number, name: string): RawName => ({ at, size, name });
  return {
    id: MSI,
    at,
    // The data register has two bytes; the next two are reserved, and end a capability with masks.
    bytes: [...bytesOf(control, 2), ...bytesOf(0, maskable ? 20 : 10)],
    writable: [
      ...bytesOf(MSI_ENABLE | 7 << 4, 2),
      ...bytesOf(0xffff_fffc, 4),
      ...bytesOf(0xffff_ffff, 4),
      ...bytesOf(0xffff, maskable ? 4 : 2),
      ...masks,
    ],
    names: [
      name(0, 2, "MSI_CAP"),
      name(MSI_AT.control, 2, "MSI_CONTROL"),
      name(MSI_AT.address, 4, "MSI_ADDRESS"),
      name(MSI_AT.upper, 4, "MSI_UPPER_ADDRESS"),
      name(MSI_AT.data, 2, "MSI_DATA"),
      ...(maskable
        ? [name(MSI_AT.mask, 4, "MSI_MASK"), name(MSI_AT.pending, 4, "MSI_PENDING")]
        : []),
    ],
  };
}

export class MsiVectors {
  constructor(
    private readonly d: Msi,
    private readonly config: ConfigSpace,
    private readonly send: Send,
  ) {}

  #read(what: keyof typeof MSI_AT, size: number): number {
    return this.config.read(this.config.msi + MSI_AT[what], size);
  }

  get enabled(): boolean {
    return (this.#read("control", 2) & MSI_ENABLE) !== 0;
  }

  /** §6.8.1.3: Multiple Message Enable; a driver may not enable more than are asked for. */
  get #allowed(): number {
    return Math.min(1 << (this.#read("control", 2) >>> 4 & 7), this.d.vectors);
  }

  /** §6.8.1.6: messages that the driver did not allow share the last bits of those it did. */
  message(vector: number): number {
    const v = vector & (this.#allowed - 1);
    if (this.d.maskable && (this.#read("mask", 4) >>> v & 1)) {
      this.config.set32(this.config.msi + MSI_AT.pending, this.#read("pending", 4) | 1 << v);
      return -1;
    }
    const address = this.#read("upper", 4) * 2 ** 32 + this.#read("address", 4);
    const data = this.#read("data", 2) & ~(this.#allowed - 1) | v;
    return this.send("msi", v, address, data);
  }

  /** §6.8.1.7: what was held back is sent once its mask is gone. */
  flush(): void {
    if (!this.d.maskable || !this.enabled) return;
    const ready = this.#read("pending", 4) & ~this.#read("mask", 4);
    if (ready === 0) return;
    this.config.set32(this.config.msi + MSI_AT.pending, this.#read("pending", 4) & ~ready);
    for (let v = 0; v < this.d.vectors; v++) if (ready >>> v & 1) this.message(v);
  }
}

const MSIX_ENABLE = 1 << 15;
const MSIX_FUNCTION_MASK = 1 << 14;
const ENTRY_WORDS = 4;
/** Words of an entry (§6.8.2.6 to §6.8.2.9). */
const ENTRY = { address: 0, upper: 1, data: 2, control: 3 } as const;
const MASKED = 1;

export function msixLayout(d: PciDeclaration, msix: Msix): CapabilityLayout {
  const { table, pba } = msixPlaces(d, msix);
  return {
    id: MSIX,
    at: msix.at,
    bytes: [
      ...bytesOf(msix.vectors - 1, 2),
      ...bytesOf(table | msix.bar, 4),
      ...bytesOf(pba | msix.bar, 4),
    ],
    writable: bytesOf(MSIX_ENABLE | MSIX_FUNCTION_MASK, 2),
    names: [
      { at: 0, size: 2, name: "MSIX_CAP" },
      { at: 2, size: 2, name: "MSIX_CONTROL" },
      { at: 4, size: 4, name: "MSIX_TABLE" },
      { at: 8, size: 4, name: "MSIX_PBA" },
    ],
  };
}

const pbaWords = (vectors: number) => 2 * Math.ceil(vectors / 64);

/** Table and pending bits, as the BAR shows them. Registers are words; narrower writes are ignored. */
export class MsixVectors implements RawSpace {
  readonly names: RawName[] = [];
  /** The table, then the pending bits. A vector's control word is kept upside down: reset masks it. */
  #words = new Uint32Array(0);
  readonly #table: number;
  readonly #pba: number;

  constructor(
    d: PciDeclaration,
    private readonly msix: Msix,
    private readonly config: ConfigSpace,
    private readonly send: Send,
  ) {
    const places = msixPlaces(d, msix);
    this.#table = places.table;
    this.#pba = places.pba;
    const words = ["MSIX_ADDRESS", "MSIX_UPPER_ADDRESS", "MSIX_DATA", "MSIX_VECTOR_CONTROL"];
    for (let i = 0; i < msix.vectors * ENTRY_WORDS; i++) {
      this.names.push({ at: this.#table + 4 * i, size: 4, name: words[i % ENTRY_WORDS] });
    }
    this.names.push({ at: this.#pba, size: 4 * pbaWords(msix.vectors), name: "MSIX_PENDING" });
  }

  static field(msix: Msix) {
    return u32s(msix.vectors * ENTRY_WORDS + pbaWords(msix.vectors));
  }

  bind(words: Uint32Array<ArrayBuffer>): void {
    this.#words = words;
  }

  #control(): number {
    return this.config.read(this.config.msix + 2, 2);
  }

  get enabled(): boolean {
    return (this.#control() & MSIX_ENABLE) !== 0;
  }

  #entry(vector: number, word: keyof typeof ENTRY): number {
    const v = this.#words[vector * ENTRY_WORDS + ENTRY[word]];
    return word === "control" ? v ^ MASKED : v;
  }

  /** Index of the word at an offset, -1 for none. */
  #index(at: number): number {
    const entries = this.msix.vectors * ENTRY_WORDS;
    const table = at - this.#table;
    if (table >= 0 && table < 4 * entries) return table >> 2;
    const pba = at - this.#pba;
    return pba >= 0 && pba < 4 * pbaWords(this.msix.vectors) ? entries + (pba >> 2) : -1;
  }

  read(at: number, size: number): number {
    const i = this.#index(at);
    if (i < 0) return 0;
    const isControl = i < this.msix.vectors * ENTRY_WORDS && i % ENTRY_WORDS === ENTRY.control;
    const word = isControl ? this.#words[i] ^ MASKED : this.#words[i];
    return (at & 3) + size > 4 ? 0 : word >>> 8 * (at & 3);
  }

  write(at: number, size: number, v: number): void {
    const i = this.#index(at);
    if (i < 0 || i >= this.msix.vectors * ENTRY_WORDS || size !== 4 || at % 4 !== 0) return;
    if (i % ENTRY_WORDS === ENTRY.control) this.#words[i] = (v & MASKED) ^ MASKED;
    else this.#words[i] = i % ENTRY_WORDS === ENTRY.address ? v & ~3 : v;
  }

  #masked(vector: number): boolean {
    return (this.#control() & MSIX_FUNCTION_MASK) !== 0 ||
      (this.#entry(vector, "control") & MASKED) !== 0;
  }

  message(vector: number): number {
    if (vector >= this.msix.vectors) return -1;
    if (this.#masked(vector)) {
      this.#words[this.msix.vectors * ENTRY_WORDS + (vector >> 5)] |= 1 << (vector & 31);
      return -1;
    }
    const address = this.#entry(vector, "upper") * 2 ** 32 + this.#entry(vector, "address");
    return this.send("msix", vector, address, this.#entry(vector, "data"));
  }

  /** §6.8.3.4: what was held back is sent once neither mask is there. */
  flush(): void {
    if (!this.enabled) return;
    const first = this.msix.vectors * ENTRY_WORDS;
    for (let w = first; w < this.#words.length; w++) {
      if (this.#words[w] === 0) continue;
      for (let bit = 0; bit < 32; bit++) {
        const vector = (w - first) * 32 + bit;
        if ((this.#words[w] >>> bit & 1) === 0 || this.#masked(vector)) continue;
        this.#words[w] &= ~(1 << bit);
        this.message(vector);
      }
    }
  }
}
