/**
 * The oracle with ears: which pages it wrote, which page-table entries it walked and for which
 * addresses, what it fenced, and what it executed.
 * @module
 */
import { extensionsOf, featureBits, misa } from "../../core/cpu/extensions.ts";
import { ISA } from "../../core/cpu/mod.ts";
import { Oracle } from "../../core/cpu/oracle.ts";
import type { Routine } from "../../core/cpu/ops.ts";
import { Access } from "../../core/cpu/state.ts";
import { TRANSLATE, TRANSLATE_BLOCK, TRANSLATE_REST } from "../../core/cpu/translate.ts";

const PAGE = 4096n;
const TRANSLATIONS = new Set([...Object.values(TRANSLATE), TRANSLATE_BLOCK, TRANSLATE_REST]);

/** What the harts of one machine have in common. */
export class Watch {
  /** Virtual page numbers that each page-table entry has been read for. */
  readonly entries = new Map<bigint, Set<bigint>>();
  /** Numbers of RAM pages written since they were last looked at. */
  readonly written = new Set<number>();
  /** Addresses of stores since they were last looked at; each has up to 8 bytes. */
  readonly stores = new Set<bigint>();
  /** Entries that were written after they had been read, since last asked. */
  edited: bigint[] = [];
}

/** What a hart is told at reset, beside its registers. */
export interface Configuration {
  hartid: number;
  sbi: boolean;
  nsPerInsn: number;
  timebaseHz: number;
}

export interface Fence {
  /** undefined: everything. */
  va: bigint | undefined;
}

export class TracingOracle extends Oracle {
  /** The last fence; the pair resets it. */
  fence: Fence | null = null;
  /** Physical address of the last instruction's first half. */
  fetchedAt = 0n;
  /** Address of the page-table entry that was read last, or −1. */
  walkedAt = -1n;
  #va = 0n;

  constructor(ram: Uint8Array, stage2: Uint8Array, ramBase: bigint, readonly watch: Watch) {
    super(ram, stage2, ramBase);
    this.onWalk = (pa) => {
      this.walkedAt = pa;
      const pages = watch.entries.get(pa) ?? new Set();
      watch.entries.set(pa, pages.add(this.#va / PAGE));
    };
    this.onRamWrite = (pa) => this.#wrote(pa);
  }

  configureAs(c: Configuration): void {
    const has = extensionsOf(ISA);
    this.configure({
      ...{ hartid: BigInt(c.hartid), sbi: c.sbi ? 1n : 0n, nsPerInsn: BigInt(c.nsPerInsn) },
      ...{ timeMul: 1n, timeDiv: BigInt(1e9 / c.timebaseHz) },
      ...{ features: featureBits(has), misa: misa(has) },
    });
  }

  /** A store has at most 8 bytes: it may touch two entries. */
  #wrote(pa: bigint): void {
    this.watch.stores.add(pa);
    this.#touch(pa);
    this.#touch(pa + 7n);
    const first = pa & ~7n;
    for (const entry of first === pa ? [first] : [first, first + 8n]) {
      if (this.watch.entries.has(entry)) this.watch.edited.push(entry);
    }
  }
  #touch(pa: bigint): void {
    const page = Number((pa - this.ramBase) / PAGE);
    if (page < this.ram.length / Number(PAGE)) this.watch.written.add(page);
  }
  override ramStore(pa: bigint, v: bigint): void {
    this.#touch(pa);
    super.ramStore(pa, v);
  }
  override call(r: Routine, ...args: bigint[]): bigint {
    if (!TRANSLATIONS.has(r)) return super.call(r, ...args);
    this.#va = args[0];
    const pa = super.call(r, ...args);
    if (r === TRANSLATE[Access.Fetch] && args[0] === this.get("pc")) this.fetchedAt = pa;
    return pa;
  }
  override flushTlb(va?: bigint): void {
    this.fence = { va };
  }
}
