/**
 * What interpreter and compiled regions do alike: loads and stores that probe the TLB in line, atomics,
 * and the way to the slow paths (access.ts).
 *
 * @module
 */
import { EmitOps, getSlot, H, rawLoad, rawStore, type Routines, setSlot } from "./emit.ts";
import { copiesOf, type Layout, PAGE, TLB } from "./layout.ts";
import type { Bytes, Fill } from "./ops.ts";
import { type Code, i32, i64 } from "./wasm/code.ts";
import type { Callee, Func } from "./wasm/module.ts";

/** Slow paths of memory accesses. */
export interface AccessFuncs {
  /** (h, va, meta) → i64, zero-extended. */
  loadSlow: Callee;
  /** (h, va, value, meta). */
  storeSlow: Callee;
  /** (h, va, bytes) → linear-memory address, 0 when status is set. */
  amoAddr: Callee;
  reserveAddr: Callee;
}

/** What completes an access from outside: bytes, how the rest is filled, instruction length << 8. */
export const accessMeta = (bytes: Bytes, e: Fill, length: number) =>
  bytes | (e === "signed" ? META_SIGNED : e === "boxed" ? META_BOXED : 0) | length << 8;
export const META_SIGNED = 16;
export const META_BOXED = 32;
/** Added for a store when it leaves RAM. */
export const META_STORE = 64;

/** Address of the TLB entry for `va` in the bank at `bank`. */
export const tlbEntry = (bank: Code, va: Code): Code =>
  i32.add(bank, i32.and(i32.shrU(i32.wrap(va), i32.const(8)), i32.const((TLB.entries - 1) * 16)));

/** The data TLB changes: copies of its entries hold no longer. */
export function dropCopies(f: Func, l: Layout): void {
  for (const at of copiesOf(l)) f.emit(i64.store(i32.const(at), i64.const(-1)));
}

export abstract class MemoryOps extends EmitOps {
  /** Bytes of the instruction. */
  protected abstract readonly length: number;

  constructor(f: Func, routines: Routines, protected readonly access: AccessFuncs) {
    super(f, routines);
  }
  /** Address of the data TLB's bank. */
  protected abstract bank(): Code;

  /** Address of the copy of a TLB entry that the access being emitted tries first. */
  protected copy(_array: number): number | null {
    return null;
  }

  /** The tag that an aligned access of `bytes` at `va` must find; a misaligned one finds none. */
  #tag(va: Code, bytes: Bytes): Code {
    return i64.and(va, i64.const(BigInt.asIntN(64, ~0xfffn | BigInt(bytes - 1))));
  }
  /** Calls `fast` with the host's address where the TLB has it, else `slow`. */
  #probe(
    array: number,
    bytes: Bytes,
    va: Code,
    fast: (host: Code) => void,
    slow: () => void,
  ): void {
    const f = this.f;
    const at = this.copy(array);
    const probe = () => {
      const entry = f.bind("i32", tlbEntry(this.bank(), va));
      const hit = i64.eq(i64.load(entry, array), this.#tag(va, bytes));
      const payload = i32.load(entry, array + TLB.payload);
      f.if(
        hit,
        () => {
          if (at !== null) {
            f.emit(i64.store(i32.const(at), i64.and(va, i64.const(-PAGE))));
            f.emit(i32.store(i32.const(at), payload, TLB.payload));
          }
          fast(i32.add(i32.wrap(va), payload));
        },
        slow,
        true,
      );
    };
    if (at === null) return probe();
    const known = i64.eq(i64.load(i32.const(at)), this.#tag(va, bytes));
    const payload = i32.load(i32.const(at), TLB.payload);
    f.if(known, () => fast(i32.add(i32.wrap(va), payload)), probe, true);
  }
  override load(bytes: Bytes, e: Fill, addr: Code): Code {
    const f = this.f;
    const va = f.bind("i64", addr);
    const result = f.temp("i64");
    this.#probe(TLB.load, bytes, va, (host) => f.set(result, rawLoad(bytes, e, host)), () => {
      const meta = i32.const(accessMeta(bytes, e, this.length));
      f.set(result, this.extend(f.call(this.access.loadSlow, H, va, meta), bytes, e));
      this.leaveIfStatus();
    });
    return f.get(result);
  }
  override store(bytes: Bytes, addr: Code, v: Code): void {
    const f = this.f;
    const va = f.bind("i64", addr);
    this.#probe(TLB.store, bytes, va, (host) => f.emit(rawStore(bytes, host, v)), () => {
      const meta = i32.const(accessMeta(bytes, "unsigned", this.length));
      f.emit(f.call(this.access.storeSlow, H, va, v, meta));
      this.leaveIfStatus();
    });
  }
  #atomic(via: Callee, bytes: 4 | 8, addr: Code): Code {
    const host = this.f.bind("i32", this.f.call(via, H, addr, i32.const(bytes)));
    this.leaveIfStatus();
    return host;
  }
  override amo(bytes: 4 | 8, addr: Code, change: (old: Code) => Code): Code {
    const host = this.#atomic(this.access.amoAddr, bytes, addr);
    const old = this.f.bind("i64", rawLoad(bytes, "signed", host));
    this.f.emit(rawStore(bytes, host, change(old)));
    return old;
  }
  override loadReserved(bytes: 4 | 8, addr: Code): Code {
    const host = this.#atomic(this.access.reserveAddr, bytes, addr);
    this.f.emit(setSlot("reservation", this.#physical(host)));
    return this.f.bind("i64", rawLoad(bytes, "signed", host));
  }
  override storeConditional(bytes: 4 | 8, addr: Code, v: Code): Code {
    const host = this.#atomic(this.access.amoAddr, bytes, addr);
    const failed = this.f.bind("i64", i64.const(1));
    const result = this.f.temp("i64");
    this.f.set(result, failed);
    this.f.if(i64.eq(getSlot("reservation"), this.#physical(host)), () => {
      this.f.emit(rawStore(bytes, host, v));
      this.f.set(result, i64.const(0));
    });
    this.f.emit(setSlot("reservation", i64.const(-1)));
    return this.f.get(result);
  }
  override zeroBlock(addr: Code): void {
    const host = this.f.bind("i32", this.f.call(this.access.amoAddr, H, addr, i32.const(1)));
    this.leaveIfStatus();
    const block = this.f.bind("i32", i32.and(host, i32.const(-64)));
    for (let i = 0; i < 64; i += 8) this.f.emit(i64.store(block, i64.const(0), i));
    const offset = i32.sub(block, i32.const(this.routines.layout.ram));
    this.f.emit(this.f.call(this.routines.helpers.invalidate, H, offset, i32.const(64)));
  }
  #physical(host: Code): Code {
    const { ram, ramBase } = this.routines.layout;
    return i64.add(i64.extendU(i32.sub(host, i32.const(ram))), i64.const(ramBase));
  }
}
