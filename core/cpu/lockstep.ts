/**
 * Two CPUs that must be alike after every stretch of instructions: one compiles, its shadow interprets.
 * The shadow starts each stretch from the other's harts, TLBs and stage-2 bytes, so what the machine
 * around them did in between need not be repeated; RAM is kept by both.
 *
 * @module
 */
import { HART, type Layout, PAGE, TLB } from "./layout.ts";
import { ARCH_SLOTS, SLOT } from "./state.ts";

/** Instructions of a stretch. */
export const STRETCH = 4096;
/** Stretches after which all of RAM is compared, not only pages that stores have reached. */
const WHOLE = 20_000;

const hex = (v: bigint | number) => `0x${v.toString(16)}`;

export class Lockstep {
  readonly #ours: Uint8Array;
  readonly #theirs: Uint8Array;
  #begun = false;
  #stretches = 0;

  constructor(ours: ArrayBuffer, theirs: ArrayBuffer, private readonly layout: Layout) {
    this.#ours = new Uint8Array(ours);
    this.#theirs = new Uint8Array(theirs);
  }

  /** Bytes of RAM that something else than a hart wrote. */
  wrote(offset: number, bytes: number): void {
    if (this.#begun) this.#copy(this.layout.ram + offset, bytes);
  }
  #copy(at: number, bytes: number): void {
    this.#theirs.set(this.#ours.subarray(at, at + bytes), at);
  }

  before(): void {
    const { hartsAt, harts, hartBytes, stage2, ram, ramBytes } = this.layout;
    this.#copy(hartsAt, harts * hartBytes);
    this.#copy(stage2, ramBytes / PAGE);
    if (this.#begun) return;
    this.#begun = true;
    this.#copy(ram, ramBytes);
  }

  /** Throws at the first difference. */
  after(hart: number, stop: number, shadowStop: number): void {
    const at = this.layout.hartsAt + hart * this.layout.hartBytes;
    const found = stop !== shadowStop
      ? `stopped for ${stop}, the interpreter for ${shadowStop}`
      : this.#state(at) ?? this.#bytes("TLB", at + HART.tlb, HART.bytes - HART.tlb) ??
        this.#ram(at);
    if (!found) return;
    const [ours, theirs] = [this.#ours, this.#theirs].map((m) => {
      const v = new DataView(m.buffer, at);
      return `pc ${hex(v.getBigUint64(SLOT.pc, true))} at icount ${
        v.getBigUint64(SLOT.icount, true)
      }`;
    });
    throw new Error(`lockstep: hart ${hart}, compiled (${ours}): ${found} (${theirs})`);
  }

  #state(at: number): string | null {
    const [a, b] = [this.#ours, this.#theirs].map((m) => new DataView(m.buffer, at));
    const differ = (name: string, offset: number) => {
      const [x, y] = [a.getBigUint64(offset, true), b.getBigUint64(offset, true)];
      return x === y ? null : `${name} is ${hex(x)}, interpreted ${hex(y)}`;
    };
    for (let r = 1; r < 32; r++) {
      const found = differ(`x${r}`, r * 8);
      if (found) return found;
    }
    for (const slot of ARCH_SLOTS) {
      const found = differ(slot, SLOT[slot]);
      if (found) return found;
    }
    return null;
  }
  #bytes(what: string, at: number, bytes: number): string | null {
    const a = new Uint32Array(this.#ours.buffer, at, bytes / 4);
    const b = new Uint32Array(this.#theirs.buffer, at, bytes / 4);
    for (let i = 0; i < a.length; i++) {
      if (a[i] !== b[i]) return `${what} + ${hex(i * 4)} is ${hex(a[i])}, interpreted ${hex(b[i])}`;
    }
    return null;
  }
  /** Pages that the store TLB leads to; all of them now and then. */
  #ram(hart: number): string | null {
    const { ram, ramBytes } = this.layout;
    if (++this.#stretches % WHOLE === 0) return this.#bytes("RAM", ram, ramBytes);
    const v = new DataView(this.#ours.buffer);
    const bank = v.getUint32(hart + SLOT.dataBank, true);
    for (let i = 0; i < TLB.entries; i++) {
      const entry = bank + TLB.store + i * TLB.entryBytes;
      const tag = v.getBigInt64(entry, true);
      if (tag === -1n) continue;
      const page = (Number(tag & 0xfffff000n) + v.getUint32(entry + TLB.payload, true)) >>> 0;
      const found = this.#bytes(`RAM page ${hex(page - ram)}`, page, PAGE);
      if (found) return found;
    }
    return null;
  }
}
