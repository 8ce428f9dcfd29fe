/**
 * `Ops` that emits WebAssembly: shared semantics become functions (`RoutineSet`), instruction
 * handlers build on the same base (handler.ts). A value is an expression; one that grew long is
 * bound to a local, so that using it again costs nothing.
 *
 * @module
 */
import type { Layout } from "./layout.ts";
import type { FloatOp, Format } from "./float/format.ts";
import { floatRoutine } from "./float/mod.ts";
import type { Bytes, Csr, Extend, Fill, HostOp, Imm, Ops, Reg, Rm, Routine, Var } from "./ops.ts";
import {
  SLOT,
  type Slot,
  type SlotArray,
  STATUS_ILLEGAL,
  STATUS_STOP,
  STATUS_TRAP,
  type Stop,
} from "./state.ts";
import { type Code, HOST, i32, i64, select } from "./wasm/code.ts";
import type { Callee, Func, Module } from "./wasm/module.ts";

/** Parameter 0 of every function: address of the hart. */
export const H: Code = [0x20, 0];

export const getSlot = (s: Slot): Code => i64.load(H, SLOT[s]);
export const getSlot32 = (s: Slot): Code => i32.load(H, SLOT[s]);
export const setSlot = (s: Slot, v: Code): Code => i64.store(H, v, SLOT[s]);

const BIND_ABOVE = 24;

/** Functions that hand-written parts offer to generated ones. */
export interface Helpers {
  mulhu: Callee;
  flushAll: Callee;
  flushPage: Callee;
  invalidate: Callee;
}

/** Where emitted code finds the functions that it calls. */
export interface Routines {
  readonly layout: Layout;
  readonly helpers: Helpers;
  /** (h, i64…) → i64. */
  func(r: Routine): Callee;
}

/** Emits each routine once, when it is first called. */
export class RoutineSet implements Routines {
  readonly #done = new Map<string, Func>();
  helpers!: Helpers;

  constructor(readonly module: Module, readonly layout: Layout) {}

  /** (h, i64…) → i64. */
  func(r: Routine): Func {
    const known = this.#done.get(r.name);
    if (known) return known;
    const params = ["i32" as const, ...Array.from({ length: r.params }, () => "i64" as const)];
    const f = this.module.func(r.name, params, ["i64"]);
    this.#done.set(r.name, f);
    const args = Array.from({ length: r.params }, (_, i) => f.get(i + 1));
    f.emit(r.body(new EmitOps(f, this), ...args));
    return f;
  }
  exportAll(): void {
    for (const f of this.#done.values()) this.module.export(f);
  }
}

export const offsetInRam = (l: Layout, pa: Code): Code => i64.sub(pa, i64.const(l.ramBase));
export const inRam = (l: Layout, pa: Code): Code =>
  i64.ltU(offsetInRam(l, pa), i64.const(l.ramBytes));

const LOADS: Record<Bytes, Record<Extend, (addr: Code, offset?: number) => Code>> = {
  1: { signed: i64.load8s, unsigned: i64.load8u },
  2: { signed: i64.load16s, unsigned: i64.load16u },
  4: { signed: i64.load32s, unsigned: i64.load32u },
  8: { signed: i64.load, unsigned: i64.load },
};
const STORES = { 1: i64.store8, 2: i64.store16, 4: i64.store32, 8: i64.store };
export const rawLoad = (bytes: Bytes, e: Fill, addr: Code): Code =>
  e === "boxed" ? boxed(LOADS[bytes].unsigned(addr), bytes) : LOADS[bytes][e](addr);
const boxed = (v: Code, bytes: Bytes): Code =>
  bytes === 8 ? v : i64.or(v, i64.const(-1n << BigInt(bytes * 8)));
export const rawStore = (bytes: Bytes, addr: Code, v: Code) => STORES[bytes](addr, v);

const onlyHandlers = (): never => {
  throw new Error("operands, jumps and accesses belong to instructions, not to routines");
};

export class EmitOps implements Ops<Code, Code> {
  constructor(protected readonly f: Func, protected readonly routines: Routines) {}

  protected value(v: Code): Code {
    return v.length > BIND_ABOVE ? this.f.bind("i64", v) : v;
  }
  protected cond(c: Code): Code {
    return c.length > BIND_ABOVE ? this.f.bind("i32", c) : c;
  }
  /** Leaves after `status` has been set. */
  protected leave(): void {
    this.f.return(i64.const(0));
  }

  imm(_: Imm): Code {
    return onlyHandlers();
  }
  csr(_: Csr): Code {
    return onlyHandlers();
  }
  x(_: Reg): Code {
    return onlyHandlers();
  }
  setX(_: Reg, _v: Code): void {
    onlyHandlers();
  }
  fp(_: Reg): Code {
    return onlyHandlers();
  }
  setFp(_: Reg, _v: Code): void {
    onlyHandlers();
  }
  rm(_: Rm): Code {
    return onlyHandlers();
  }
  pc(): Code {
    return onlyHandlers();
  }
  nextPc(): Code {
    return onlyHandlers();
  }

  konst(v: bigint | number): Code {
    return i64.const(v);
  }
  add = (a: Code, b: Code) => this.value(i64.add(a, b));
  sub = (a: Code, b: Code) => this.value(i64.sub(a, b));
  mul = (a: Code, b: Code) => this.value(i64.mul(a, b));
  and = (a: Code, b: Code) => this.value(i64.and(a, b));
  or = (a: Code, b: Code) => this.value(i64.or(a, b));
  xor = (a: Code, b: Code) => this.value(i64.xor(a, b));
  shl = (a: Code, b: Code) => this.value(i64.shl(a, b));
  shr = (a: Code, b: Code) => this.value(i64.shrU(a, b));
  sar = (a: Code, b: Code) => this.value(i64.shrS(a, b));

  popcount = (v: Code) => this.value(i64.popcnt(v));

  mulh(a: Code, b: Code, signs: "ss" | "su" | "uu"): Code {
    const [x, y] = [this.f.bind("i64", a), this.f.bind("i64", b)];
    return this.signedHigh(this.f.call(this.routines.helpers.mulhu, x, y), x, y, signs);
  }
  /** From the high half of the unsigned product of x and y. */
  protected signedHigh(high: Code, x: Code, y: Code, signs: "ss" | "su" | "uu"): Code {
    const correction = (v: Code, w: Code) => i64.and(i64.shrS(v, i64.const(63)), w);
    let result: Code = high;
    if (signs[0] === "s") result = i64.sub(result, correction(x, y));
    if (signs[1] === "s") result = i64.sub(result, correction(y, x));
    return this.f.bind("i64", result);
  }
  div(a: Code, b: Code, e: Extend): Code {
    return this.#divide(a, b, e, "div");
  }
  rem(a: Code, b: Code, e: Extend): Code {
    return this.#divide(a, b, e, "rem");
  }
  /** WebAssembly traps where RISC-V has results. */
  #divide(a: Code, b: Code, e: Extend, want: "div" | "rem"): Code {
    const f = this.f;
    const [x, y] = [f.bind("i64", a), f.bind("i64", b)];
    const result = f.temp("i64");
    const usual = e === "signed"
      ? (want === "div" ? i64.divS(x, y) : i64.remS(x, y))
      : (want === "div" ? i64.divU(x, y) : i64.remU(x, y));
    const minusOne = want === "div" ? i64.sub(i64.const(0), x) : i64.const(0);
    f.if(i64.eqz(y), () => f.set(result, want === "div" ? i64.const(-1) : x), () => {
      if (e === "unsigned") return f.set(result, usual);
      f.if(
        i64.eq(y, i64.const(-1)),
        () => f.set(result, minusOne),
        () => f.set(result, usual),
        false,
      );
    }, false);
    return f.get(result);
  }
  clz = (v: Code) => this.value(i64.clz(v));
  ctz = (v: Code) => this.value(i64.ctz(v));
  host(op: HostOp, ...args: Code[]): Code {
    return this.value(HOST[op](...args));
  }
  float(op: FloatOp, format: Format, mode: Code, ...args: Code[]): Code {
    const func = this.routines.func(floatRoutine(op, format));
    return this.f.bind("i64", this.f.call(func, H, mode, ...args));
  }
  extend(v: Code, bytes: Bytes, e: Fill): Code {
    if (bytes === 8) return v;
    if (e === "boxed") return this.value(boxed(v, bytes));
    if (e === "unsigned") return this.and(v, i64.const((1n << BigInt(bytes * 8)) - 1n));
    const code = { 1: i64.extend8, 2: i64.extend16, 4: i64.extend32 }[bytes];
    return this.value(code(v));
  }

  eq = (a: Code, b: Code) => this.cond(i64.eq(a, b));
  ne = (a: Code, b: Code) => this.cond(i64.ne(a, b));
  ltS = (a: Code, b: Code) => this.cond(i64.ltS(a, b));
  ltU = (a: Code, b: Code) => this.cond(i64.ltU(a, b));
  both = (a: Code, b: Code) => this.cond(i32.and(a, b));
  either = (a: Code, b: Code) => this.cond(i32.or(a, b));
  not = (c: Code) => this.cond(i32.eqz(c));
  bool = (c: Code) => this.value(i64.extendU(c));
  select = (c: Code, a: Code, b: Code) => this.value(select(c, a, b));

  when(c: Code, then: () => void, otherwise?: () => void): void {
    this.f.if(c, then, otherwise);
  }
  loop(body: () => Code): void {
    this.f.loop((again) => this.f.brIf(again, body()));
  }
  switch(index: Code, cases: readonly (() => void)[]): void {
    this.f.switch(i32.wrap(index), cases.map((c) => () => this.f.scope(c)));
  }
  var(v: Code): Var<Code> {
    const local = this.f.temp("i64");
    this.f.set(local, v);
    return {
      get: () => this.f.bind("i64", this.f.get(local)),
      set: (w) => this.f.set(local, w),
    };
  }
  call(r: Routine, ...args: Code[]): Code {
    const result = this.f.bind("i64", this.f.call(this.routines.func(r), H, ...args));
    if (r.raises) this.leaveIfStatus();
    return result;
  }
  protected leaveIfStatus(): void {
    this.f.if(getSlot32("status"), () => this.leave(), undefined, false);
  }

  branch(_c: Code, _o: Imm): void {
    onlyHandlers();
  }
  jumpBy(_: Imm): void {
    onlyHandlers();
  }
  jump(_: Code): void {
    onlyHandlers();
  }
  serialize(): void {
    onlyHandlers();
  }
  raise(cause: Code | number, tval: Code): void {
    this.f.emit(setSlot("excCause", typeof cause === "number" ? i64.const(cause) : cause));
    this.f.emit(setSlot("excTval", tval));
    this.#leaveWith(STATUS_TRAP);
  }
  illegal(): void {
    this.#leaveWith(STATUS_ILLEGAL);
  }
  stop(s: Stop): void {
    this.#leaveWith(STATUS_STOP + s);
  }
  #leaveWith(status: number): void {
    this.f.emit(setSlot("status", i64.const(status)));
    this.leave();
  }

  load(_b: Bytes, _e: Fill, _a: Code): Code {
    return onlyHandlers();
  }
  store(_b: Bytes, _a: Code, _v: Code): void {
    onlyHandlers();
  }
  amo(_b: 4 | 8, _a: Code, _c: (old: Code) => Code): Code {
    return onlyHandlers();
  }
  loadReserved(_b: 4 | 8, _a: Code): Code {
    return onlyHandlers();
  }
  storeConditional(_b: 4 | 8, _a: Code, _v: Code): Code {
    return onlyHandlers();
  }

  zeroBlock(_: Code): void {
    onlyHandlers();
  }

  getAt(first: SlotArray, index: Code): Code {
    const at = i32.add(H, i32.shl(i32.wrap(index), i32.const(3)));
    return this.f.bind("i64", i64.load(at, SLOT[first]));
  }
  get(s: Slot): Code {
    return this.f.bind("i64", getSlot(s));
  }
  set(s: Slot, v: Code): void {
    this.f.emit(setSlot(s, v));
  }
  inRam(pa: Code): Code {
    return this.cond(inRam(this.routines.layout, pa));
  }
  #ramOffset(pa: Code): Code {
    return i32.wrap(offsetInRam(this.routines.layout, pa));
  }
  /** Outside RAM the answer is meaningless, but the read must stay inside the memory. */
  stage2Mapped(pa: Code): Code {
    const l = this.routines.layout;
    const page = i32.shrU(this.#ramOffset(pa), i32.const(12));
    const inside = select(inRam(l, pa), page, i32.const(0));
    return this.f.bind("i32", i32.load8u(inside, l.stage2));
  }
  ramLoad(pa: Code): Code {
    return this.f.bind("i64", i64.load(this.#ramOffset(pa), this.routines.layout.ram));
  }
  ramStore(pa: Code, v: Code): void {
    const { helpers, layout } = this.routines;
    this.f.emit(i64.store(this.#ramOffset(pa), v, layout.ram));
    this.f.emit(this.f.call(helpers.invalidate, H, this.#ramOffset(pa), i32.const(8)));
  }
  flushTlb(va?: Code): void {
    const { flushAll, flushPage } = this.routines.helpers;
    this.f.emit(va ? this.f.call(flushPage, H, va) : this.f.call(flushAll, H));
  }
}
