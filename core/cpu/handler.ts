/**
 * `Ops` for one instruction's handler in the interpreter: operands come from the decoded entry,
 * loads and stores probe the TLB in line.
 *
 * @module
 */
import {
  EmitOps,
  getSlot,
  getSlot32,
  H,
  rawLoad,
  rawStore,
  type RoutineSet,
  setSlot,
} from "./emit.ts";
import { ENTRY, TLB } from "./layout.ts";
import type { Bytes, Csr, Fields, Fill, Imm, Reg, Rm, Routine } from "./ops.ts";
import { type Code, i32, i64 } from "./wasm/code.ts";
import type { Func, Label, Local } from "./wasm/module.ts";

/** The operand handles are offsets in the entry. */
export const ENTRY_FIELDS: Fields = {
  rd: ENTRY.rd,
  rs1: ENTRY.rs1,
  rs2: ENTRY.rs2,
  rs3: ENTRY.rs3,
  rm: ENTRY.rm,
  imm: ENTRY.imm,
  csr: ENTRY.rs2,
};

/** Locals and labels of the main function. */
export interface Frame {
  /** Current entry, budget left after this instruction, pc − ep/8, data bank. */
  ep: Local;
  left: Local;
  delta: Local;
  bank: Local;
  next: Label;
  refetch: Label;
  check: Label;
  leave: Label;
}

/** Slow paths of memory accesses. */
export interface AccessFuncs {
  /** (h, va, meta) → i64, zero-extended. */
  loadSlow: Func;
  /** (h, va, value, meta). */
  storeSlow: Func;
  /** (h, va, bytes) → linear-memory address, 0 when status is set. */
  amoAddr: Func;
  reserveAddr: Func;
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

export class HandlerOps extends EmitOps {
  /** Whether the semantics branch by a constant offset: then there are near and far handlers. */
  branches = false;
  #ended = false;

  constructor(
    f: Func,
    routines: RoutineSet,
    private readonly frame: Frame,
    private readonly access: AccessFuncs,
    private readonly length: number,
    /** The target lies in the same page and the entry holds offset × 8. */
    private readonly near: boolean,
  ) {
    super(f, routines);
  }

  #entry16(at: number): Code {
    return i32.load16u(this.f.get(this.frame.ep), at);
  }
  #pcAt(offset: number): Code {
    const { ep, delta } = this.frame;
    const at = i32.shrU(this.f.get(ep), i32.const(3));
    const pc = i64.add(this.f.get(delta), i64.extendU(at));
    return offset === 0 ? pc : i64.add(pc, i64.const(offset));
  }
  protected override leave(): void {
    this.f.br(this.frame.leave);
  }

  override imm(i: Imm): Code {
    return this.f.bind("i64", i64.load(this.f.get(this.frame.ep), i));
  }
  override csr(c: Csr): Code {
    return this.f.bind("i64", i64.extendU(this.#entry16(c)));
  }
  override x(r: Reg): Code {
    return this.f.bind("i64", i64.load(i32.add(H, this.#entry16(r))));
  }
  override setX(r: Reg, v: Code): void {
    this.f.emit(i64.store(i32.add(H, this.#entry16(r)), v));
  }
  override fp(r: Reg): Code {
    return this.x(r);
  }
  override setFp(r: Reg, v: Code): void {
    this.setX(r, v);
  }
  override rm(m: Rm): Code {
    return this.f.bind("i64", i64.extendU(this.#entry16(m)));
  }
  override pc(): Code {
    return this.f.bind("i64", this.#pcAt(0));
  }
  override nextPc(): Code {
    return this.f.bind("i64", this.#pcAt(this.length));
  }

  /** Routines may read icount. */
  override call(r: Routine, ...args: Code[]): Code {
    const before = i64.sub(
      i64.sub(getSlot("icountEnd"), i64.extendU(this.f.get(this.frame.left))),
      i64.const(1),
    );
    this.f.emit(setSlot("icount", before));
    return super.call(r, ...args);
  }

  #advance(bytes: Code): void {
    const { ep, next } = this.frame;
    this.f.set(ep, i32.add(this.f.get(ep), bytes));
    this.f.br(next);
    this.#ended = true;
  }
  override branch(c: Code, offset: Imm): void {
    this.branches = true;
    // A host branch, which the host predicts, beats a select here by 5 %.
    this.f.if(c, () => this.jumpBy(offset));
    this.#advance(i32.const(this.length * 8));
  }
  override jumpBy(offset: Imm): void {
    this.branches = true;
    if (this.near) this.#advance(i32.load(this.f.get(this.frame.ep), offset));
    else this.#farJump(offset);
  }
  #farJump(offset: Imm): void {
    this.jump(i64.add(this.#pcAt(0), this.imm(offset)));
  }
  override jump(target: Code, serialize?: "serialize"): void {
    this.f.emit(setSlot("pc", target));
    this.f.br(serialize ? this.frame.check : this.frame.refetch);
    this.#ended = true;
  }
  override serialize(): void {
    this.f.if(getSlot32("dirty"), () => {
      this.f.emit(setSlot("pc", this.#pcAt(this.length)));
      this.f.br(this.frame.check);
    });
  }
  /** Goes on to the next instruction unless the semantics went elsewhere. */
  end(): void {
    if (!this.#ended) this.#advance(i32.const(this.length * 8));
    this.f.releaseTemps();
  }

  /** The tag that an aligned access of `bytes` at `va` must find; a misaligned one finds none. */
  #tag(va: Code, bytes: Bytes): Code {
    return i64.and(va, i64.const(BigInt.asIntN(64, ~0xfffn | BigInt(bytes - 1))));
  }
  #host(entry: Code, va: Code): Code {
    return i32.add(i32.wrap(va), i32.load(entry, TLB.payload));
  }
  override load(bytes: Bytes, e: Fill, addr: Code): Code {
    const f = this.f;
    const va = f.bind("i64", addr);
    const entry = f.bind("i32", tlbEntry(f.get(this.frame.bank), va));
    const result = f.temp("i64");
    const hit = i64.eq(i64.load(entry, TLB.load), this.#tag(va, bytes));
    f.if(hit, () => f.set(result, rawLoad(bytes, e, this.#host(entry, va))), () => {
      const meta = i32.const(accessMeta(bytes, e, this.length));
      f.set(result, this.extend(f.call(this.access.loadSlow, H, va, meta), bytes, e));
      this.leaveIfStatus();
    }, true);
    return f.get(result);
  }
  override store(bytes: Bytes, addr: Code, v: Code): void {
    const f = this.f;
    const va = f.bind("i64", addr);
    const entry = f.bind("i32", tlbEntry(f.get(this.frame.bank), va));
    const hit = i64.eq(i64.load(entry, TLB.store), this.#tag(va, bytes));
    const host = i32.add(i32.wrap(va), i32.load(entry, TLB.store + TLB.payload));
    f.if(hit, () => f.emit(rawStore(bytes, host, v)), () => {
      const meta = i32.const(accessMeta(bytes, "unsigned", this.length));
      f.emit(f.call(this.access.storeSlow, H, va, v, meta));
      this.leaveIfStatus();
    }, true);
  }
  #atomic(via: Func, bytes: 4 | 8, addr: Code): Code {
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

/**
 * `Ops` for an instruction in a function of its own: (h, ep) → 0, or 1 when it did not complete. It
 * goes on to the next instruction and touches no memory.
 */
export class OutlineOps extends HandlerOps {
  protected override leave(): void {
    this.f.return(i32.const(1));
  }
  override end(): void {
    this.f.emit(i32.const(0));
  }
}
