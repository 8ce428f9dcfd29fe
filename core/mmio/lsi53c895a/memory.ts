/**
 * Memory as the chip's bus master reaches it: guest RAM, and its own script RAM, which it finds by
 * comparing addresses with the base address register that maps it.
 *
 * Deviates: registers, its own or another device's, are out of reach, where a real chip would find them
 * on the bus. That is a bus fault, as for any address where nothing answers.
 * @module
 */
import type { Port } from "../port.ts";

export const SCRIPT_RAM_BYTES = 8192;
export const SCRIPT_RAM_BAR = 2;

/** A place in memory, as an address on the bus; at most 2^53. */
export class ChipMemory {
  constructor(private readonly port: Port, private readonly ram: Uint8Array<ArrayBuffer>) {}

  /** Offset in script RAM, -1 when the range does not lie in it. */
  own(addr: number, sizeBytes: number): number {
    const base = this.port.bar(SCRIPT_RAM_BAR);
    if (base === null || addr < base || addr + sizeBytes > base + SCRIPT_RAM_BYTES) return -1;
    return addr - base;
  }

  ok(addr: number, sizeBytes: number): boolean {
    return this.own(addr, sizeBytes) >= 0 || this.port.mem.ok(addr, sizeBytes);
  }

  /** A copy, null where there is no memory. */
  read(addr: number, sizeBytes: number): Uint8Array | null {
    const own = this.own(addr, sizeBytes);
    if (own >= 0) return this.ram.slice(own, own + sizeBytes);
    return this.port.mem.ok(addr, sizeBytes) ? this.port.mem.read(addr, sizeBytes) : null;
  }

  /** False where there is no memory. */
  write(addr: number, bytes: Uint8Array): boolean {
    const own = this.own(addr, bytes.length);
    if (own >= 0) this.ram.set(bytes, own);
    else if (this.port.mem.ok(addr, bytes.length)) this.port.mem.write(addr, bytes);
    else return false;
    return true;
  }

  /** 32 bits, little-endian; null where there is no memory. */
  word(addr: number): number | null {
    const own = this.own(addr, 4);
    if (own >= 0) {
      const { ram } = this;
      return (ram[own] | ram[own + 1] << 8 | ram[own + 2] << 16 | ram[own + 3] << 24) >>> 0;
    }
    return this.port.mem.ok(addr, 4) ? this.port.mem.u32(addr) : null;
  }

  /** A row for an access to guest memory; script RAM is none. */
  traced(
    addr: number,
    bytes: number,
    write: boolean,
    request: number | null,
    framing: boolean,
  ): void {
    if (this.own(addr, bytes) < 0) {
      this.port.trace.dma({ gpa: addr, bytes, write, framing, request });
    }
  }
}
