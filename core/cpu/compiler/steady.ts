/**
 * Which accesses of a region are steady: loads and stores in a loop by a base register that moves by constants,
 * or not at all. The next such access almost always finds the page of the one before, so it tries a copy of
 * that TLB entry first, which lies at a known place.
 *
 * @module
 */
import { addi } from "../isa/rv64i.ts";
import type { Block, Region } from "./discover.ts";
import type { Item, Loop } from "./structure.ts";

/** Bits of the registers that a loop changes by anything but the addition of a constant. */
function unsteady(loop: Loop, blocks: readonly Block[]): number {
  let set = 0;
  for (const n of loop.nodes) {
    for (const { is: { decoded, written } } of blocks[n].insts) {
      const steady = decoded.insn.sem === addi.sem && decoded.rd === decoded.rs1;
      if (!steady) set |= written.x;
    }
  }
  return set;
}

/** The innermost loop of each block that is in one. */
function innermost(items: readonly Item[], found = new Map<number, Loop>()): Map<number, Loop> {
  for (const item of items) {
    if (item.kind === "block") continue;
    for (const n of item.nodes) found.set(n, item);
    innermost(item.body, found);
  }
  return found;
}

export class Steady {
  /** By block, the registers that are steady in its innermost loop. */
  readonly #registers = new Map<number, number>();

  constructor(region: Region, items: readonly Item[]) {
    const known = new Map<Loop, number>();
    for (const [n, loop] of innermost(items)) {
      let set = known.get(loop);
      if (set === undefined) known.set(loop, set = ~unsteady(loop, region.blocks));
      this.#registers.set(n, set);
    }
  }
  has(block: Block, register: number): boolean {
    return ((this.#registers.get(block.id) ?? 0) >> register & 1) !== 0;
  }
}
