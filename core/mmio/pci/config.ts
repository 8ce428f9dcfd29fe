/**
 * Configuration space of a PCI function, laid out from its declaration. § = PCI Local Bus
 * Specification 3.0, chapter 6.
 *
 * 256 bytes: what lies behind them, the extended space of PCI Express, reads as all ones, as it does
 * for a function that has none. One function per device (header type 0, not multi-function).
 * Deviates from QEMU 7.2, whose bytes that belong to no capability can be written: here they read 0.
 * @module
 */
import type { RawName, RawSpace } from "../region.ts";
import { BARS, COMMAND, HEADER, type PciBar, type PciDeclaration, STATUS } from "./declaration.ts";
import { msiLayout, msixLayout } from "./messages.ts";

export const CONFIG_BYTES = 256;
const FIRST_CAPABILITY = 0x40;
const ONES = 0xff;
const BAR_IO = 1;
const BAR_64 = 4;
const BAR_PREFETCHABLE = 8;

/** A capability as it stands in configuration space: id, pointer, then `bytes`. */
export interface CapabilityLayout {
  readonly id: number;
  readonly at?: number;
  readonly bytes: readonly number[];
  readonly writable: readonly number[];
  /** Names of parts, by offset from the capability's start. */
  readonly names: readonly RawName[];
}

export class ConfigSpace implements RawSpace {
  readonly names: RawName[] = [];
  /** Offsets of the capabilities `msi` and `msix`; 0 for none. */
  readonly msi: number;
  readonly msix: number;
  /** Values at reset. */
  readonly #reset = new Uint8Array(CONFIG_BYTES);
  /** Bits that the guest can write. */
  readonly #writable = new Uint8Array(CONFIG_BYTES);
  /** Differences from reset: what is saved, all 0 when new. */
  #changed = new Uint8Array(CONFIG_BYTES);
  /** Called when COMMAND or a BAR was written. */
  onDecode: () => void = () => {};
  /** The level of the function's interrupt, whether its line may show it or not. */
  interrupt = false;

  constructor(d: PciDeclaration, pin: boolean) {
    for (const [name, { at, size }] of Object.entries(HEADER)) this.names.push({ at, size, name });
    const fixed: Record<string, number> = {
      VENDOR_ID: d.vendor,
      DEVICE_ID: d.device,
      REVISION_ID: d.revision ?? 0,
      CLASS_CODE: d.class,
      SUBSYSTEM_VENDOR_ID: d.subsystem?.[0] ?? d.vendor,
      SUBSYSTEM_ID: d.subsystem?.[1] ?? d.device,
      INTERRUPT_PIN: pin ? 1 : 0,
      ...d.header,
    };
    for (const [name, v] of Object.entries(fixed)) this.#fix(HEADER[name].at, HEADER[name].size, v);
    const { io, memory, busMaster, serr, intxDisable } = COMMAND;
    this.#allow(HEADER.COMMAND.at, 2, io | memory | busMaster | serr | intxDisable);
    this.#allow(HEADER.CACHE_LINE_SIZE.at, 1, 0xff);
    this.#allow(HEADER.INTERRUPT_LINE.at, 1, 0xff);
    for (const bar of d.bars ?? []) this.#layBar(bar);
    const caps = [
      ...(d.msi ? [msiLayout(d.msi)] : []),
      ...(d.msix ? [msixLayout(d, d.msix)] : []),
      ...(d.caps ?? []).map((c): CapabilityLayout => ({
        id: c.id,
        at: c.at,
        bytes: c.bytes,
        writable: c.writable ?? [],
        names: [{ at: 0, size: 2 + c.bytes.length, name: `${c.name}_CAP` }],
      })),
    ];
    const places = this.#layCapabilities(caps);
    this.msi = d.msi ? places[0] : 0;
    this.msix = d.msix ? places[d.msi ? 1 : 0] : 0;
  }

  /** The bytes that are saved; they follow the declaration's reset values. */
  bind(changed: Uint8Array<ArrayBuffer>): void {
    this.#changed = changed;
  }

  #fix(at: number, size: number, v: number): void {
    for (let i = 0; i < size; i++) this.#reset[at + i] = Math.floor(v / 2 ** (8 * i)) & 0xff;
  }

  #allow(at: number, size: number, mask: number): void {
    for (let i = 0; i < size; i++) this.#writable[at + i] = Math.floor(mask / 2 ** (8 * i)) & 0xff;
  }

  /** §6.2.5.1: bits below the size read as 0 or as the kind, whatever is written: that sizes it. */
  #layBar({ bar, kind, size, prefetchable }: PciBar): void {
    const at = HEADER.BAR0.at + 4 * bar;
    const flags = kind === "io"
      ? BAR_IO
      : (kind === "mem64" ? BAR_64 : 0) | (prefetchable ? BAR_PREFETCHABLE : 0);
    this.#fix(at, 4, flags);
    const mask = BigInt.asUintN(64, -BigInt(size));
    this.#allow(at, 4, Number(mask & 0xffff_ffffn));
    if (kind === "mem64") this.#allow(at + 4, 4, Number(mask >> 32n));
  }

  /** §6.7: a list in the order of declaration. */
  #layCapabilities(caps: readonly CapabilityLayout[]): number[] {
    if (caps.length === 0) return [];
    this.#reset[HEADER.STATUS.at] |= STATUS.capabilities;
    let pointer = HEADER.CAPABILITIES.at;
    let free = FIRST_CAPABILITY;
    const used = new Set<number>();
    return caps.map((cap) => {
      const at = cap.at ?? free;
      const end = at + 2 + cap.bytes.length;
      free = Math.max(free, Math.ceil(end / 4) * 4);
      if (at < FIRST_CAPABILITY || end > CONFIG_BYTES || at % 4 !== 0) {
        throw new Error(
          `a capability from 0x${at.toString(16)} to 0x${
            end.toString(16)
          } does not fit: expected ` +
            "0x40 to 0x100, aligned to 4 bytes",
        );
      }
      for (let i = at; i < end; i++) {
        if (used.has(i)) throw new Error(`two capabilities lie at 0x${i.toString(16)}`);
        used.add(i);
      }
      this.#reset[pointer] = at;
      this.#reset[at] = cap.id;
      cap.bytes.forEach((v, i) => this.#reset[at + 2 + i] = v);
      cap.writable.forEach((v, i) => this.#writable[at + 2 + i] = v);
      for (const n of cap.names) this.names.push({ ...n, at: at + n.at });
      pointer = at + 1;
      return at;
    });
  }

  #byte(at: number): number {
    if (at >= CONFIG_BYTES) return ONES;
    const v = this.#reset[at] ^ this.#changed[at];
    return at === HEADER.STATUS.at && this.interrupt ? v | STATUS.interrupt : v;
  }

  read(at: number, size: number): number {
    let v = 0;
    for (let i = size - 1; i >= 0; i--) v = (v << 8 | this.#byte(at + i)) >>> 0;
    return v;
  }

  write(at: number, size: number, v: number): void {
    for (let i = 0; i < size && at + i < CONFIG_BYTES; i++) {
      const writable = this.#writable[at + i];
      const byte = v >>> 8 * i & 0xff;
      const kept = (this.#reset[at + i] ^ this.#changed[at + i]) & ~writable;
      this.#changed[at + i] = (kept | byte & writable) ^ this.#reset[at + i];
    }
    if (at < HEADER.BAR5.at + 4 && at + size > HEADER.COMMAND.at) this.onDecode();
  }

  /** Sets four bytes as the function itself does, whatever the guest may write. */
  set32(at: number, v: number): void {
    for (let i = 0; i < 4; i++) {
      this.#changed[at + i] = (v >>> 8 * i & 0xff) ^ this.#reset[at + i];
    }
  }

  get command(): number {
    return this.read(HEADER.COMMAND.at, 2);
  }

  /** The address in a base address register, in the space of its kind. */
  address({ bar, kind }: PciBar): number {
    const at = HEADER.BAR0.at + 4 * bar;
    const low = this.read(at, 4);
    if (kind === "io") return (low & ~3) >>> 0;
    const high = kind === "mem64" && bar + 1 < BARS ? this.read(at + 4, 4) : 0;
    return high * 2 ** 32 + ((low & ~15) >>> 0);
  }
}
