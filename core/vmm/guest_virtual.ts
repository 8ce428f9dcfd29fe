/**
 * A guest-virtual address as its hart sees it, for the few SBI calls that pass one and for who
 * looks at a guest's memory from outside. § = RISC-V
 * Privileged ISA, "Virtual Address Translation Process"; permissions are the guest kernel's own and
 * are not checked, accessed bits are left alone.
 * @module
 */
import type { Hart } from "../cpu/mod.ts";

const SATP = 0x180;
const MODE_LEVELS: Readonly<Record<number, number>> = { 8: 3, 9: 4, 10: 5 }; // Sv39, Sv48, Sv57
const PTE = { V: 1n, R: 2n, X: 8n } as const;
const PPN_MASK = (1n << 44n) - 1n;

/** Guest RAM and where it begins. */
export interface Ram {
  readonly base: number;
  readonly bytes: Uint8Array;
}

/** Guest-physical address of 8 readable bytes at `vaddr`, or null when they are not in RAM. */
export function translate(h: Hart, ram: Ram, vaddr: bigint): number | null {
  return h.priv === 3 ? inRam(ram, vaddr) : walk(h.csr(SATP), ram, vaddr);
}

/** The same under a value of satp; without translation addresses are physical. */
export function walk(satp: bigint, ram: Ram, vaddr: bigint): number | null {
  const levels = MODE_LEVELS[Number(satp >> 60n)];
  if (levels === undefined) return inRam(ram, vaddr);
  const view = new DataView(ram.bytes.buffer, ram.bytes.byteOffset);
  let table = (satp & PPN_MASK) << 12n;
  for (let level = levels - 1; level >= 0; level--) {
    const shift = BigInt(12 + 9 * level);
    const entry = inRam(ram, table + ((vaddr >> shift) & 511n) * 8n);
    if (entry === null) return null;
    const pte = view.getBigUint64(entry - ram.base, true);
    if ((pte & PTE.V) === 0n) return null;
    const target = ((pte >> 10n) & PPN_MASK) << 12n;
    if ((pte & (PTE.R | PTE.X)) !== 0n) {
      const page = (1n << shift) - 1n;
      return inRam(ram, (target & ~page) | (vaddr & page));
    }
    table = target;
  }
  return null;
}

function inRam(ram: Ram, addr: bigint): number | null {
  const inside = addr >= BigInt(ram.base) && addr + 8n <= BigInt(ram.base + ram.bytes.length);
  return inside ? Number(addr) : null;
}
