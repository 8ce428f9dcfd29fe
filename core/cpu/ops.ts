/**
 * The vocabulary in which instructions, CSRs, traps and page walks are defined. A definition is run
 * against an implementation of `Ops`: one emits the interpreter (operands known at run time), one
 * computes with `bigint` (the oracle); a block compiler is one more, and floating point adds
 * operations without touching those that exist.
 *
 * V is a 64-bit value, C a condition. Values are pure and may be used any number of times; reads of
 * state (x, get, load, csr) take place where they are written.
 *
 * @module
 */
import type { FloatOp, Format } from "./float/format.ts";
import type { Slot, SlotArray, Stop } from "./state.ts";

/** Operands are handles whose meaning belongs to the implementation of `Ops`. */
export type Reg = number & { readonly __reg?: never };
export type Imm = number & { readonly __imm?: never };
export type Csr = number & { readonly __csr?: never };

export type Rm = number & { readonly __rm?: never };

export interface Fields {
  rd: Reg;
  rs1: Reg;
  rs2: Reg;
  rs3: Reg;
  rm: Rm;
  imm: Imm;
  csr: Csr;
}

export type Bytes = 1 | 2 | 4 | 8;
export type Extend = "signed" | "unsigned";
/** `boxed`: the value goes to a floating-point register, under ones (NaN boxing). */
export type Fill = Extend | "boxed";

/** IEEE 754 of the host, on bit patterns, rounding to nearest even. NaNs have any bits. */
export type HostOp =
  | "f64.add"
  | "f64.sub"
  | "f64.mul"
  | "f64.div"
  | "f64.sqrt"
  | "f64.promote_f32"
  | "f32.demote_f64"
  | "f64.convert_i64_s"
  /** Saturating, towards zero. */
  | "i64.trunc_f64_s"
  /** 1 or 0; never of NaNs. */
  | "f64.eq"
  | "f64.lt"
  | "f64.le";

export interface Var<V> {
  get(): V;
  set(v: V): void;
}

/** A named piece of shared semantics; the interpreter makes it a WebAssembly function. */
export interface Routine {
  name: string;
  params: number;
  /** It may raise or stop; the caller then leaves too. */
  raises: boolean;
  body: <V, C>(o: Ops<V, C>, ...args: V[]) => V;
}

export interface Ops<V, C> {
  // Operands and registers.
  imm(i: Imm): V;
  csr(c: Csr): V;
  x(r: Reg): V;
  setX(r: Reg, v: V): void;
  /** Floating-point registers, 64 bits as they are. */
  fp(r: Reg): V;
  setFp(r: Reg, v: V): void;
  /** The rounding-mode field. */
  rm(m: Rm): V;
  /** Address of this instruction, and of the next one in memory. */
  pc(): V;
  nextPc(): V;

  // Arithmetic modulo 2^64. Shifts use the low six bits of the amount.
  konst(v: bigint | number): V;
  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  mul(a: V, b: V): V;
  /** High 64 bits of the product. */
  mulh(a: V, b: V, signs: "ss" | "su" | "uu"): V;
  /** By zero: all ones; the signed overflow gives the dividend (Unprivileged ISA, M). */
  div(a: V, b: V, e: Extend): V;
  rem(a: V, b: V, e: Extend): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  shl(a: V, b: V): V;
  shr(a: V, b: V): V;
  sar(a: V, b: V): V;
  /** Zeros above the highest, below the lowest one; 64 when v is 0. */
  clz(v: V): V;
  ctz(v: V): V;
  /** How many bits are set. */
  popcount(v: V): V;
  /** The low `bytes` of v, extended. */
  extend(v: V, bytes: Bytes, e: Fill): V;

  // Floating point.
  host(op: HostOp, ...args: V[]): V;
  /** `mode` is a valid rounding mode. Raises flags; operands and result are bits of `format`. */
  float(op: FloatOp, format: Format, mode: V, ...args: V[]): V;

  // Conditions.
  eq(a: V, b: V): C;
  ne(a: V, b: V): C;
  ltS(a: V, b: V): C;
  ltU(a: V, b: V): C;
  both(a: C, b: C): C;
  either(a: C, b: C): C;
  not(c: C): C;
  bool(c: C): V;
  select(c: C, a: V, b: V): V;

  // Statements.
  when(c: C, then: () => void, otherwise?: () => void): void;
  /** Runs `body` again for as long as the condition that it gives holds. */
  loop(body: () => C): void;
  /** Runs the case numbered `index`, if there is one. */
  switch(index: V, cases: readonly (() => void)[]): void;
  var(v: V): Var<V>;
  call(r: Routine, ...args: V[]): V;

  // Control flow. Each ends the instruction.
  branch(c: C, offset: Imm): void;
  jumpBy(offset: Imm): void;
  /** `serialize`: what the main loop caches has changed (privilege, interrupt enables). */
  jump(target: V, serialize?: "serialize"): void;
  /** Ends the instruction; looks at interrupts and modes again if slot `dirty` says so. */
  serialize(): void;
  raise(cause: V | number, tval: V): void;
  illegal(): void;
  /** Leaves before completion: the instruction will be run again or completed from outside. */
  stop(s: Stop): void;

  // Memory as the instruction sees it.
  load(bytes: Bytes, e: Fill, addr: V): V;
  store(bytes: Bytes, addr: V, v: V): void;
  /** Read-modify-write; gives the old value, sign-extended. */
  amo(bytes: 4 | 8, addr: V, change: (old: V) => V): V;
  loadReserved(bytes: 4 | 8, addr: V): V;
  /** 0: stored; 1: the reservation was gone. */
  storeConditional(bytes: 4 | 8, addr: V, v: V): V;

  /** Zeroes the naturally aligned 64 bytes around `addr`, which must be memory. */
  zeroBlock(addr: V): void;

  // Hart state and physical memory, for shared semantics.
  get(s: Slot): V;
  /** The slot `index` behind `first`. */
  getAt(first: SlotArray, index: V): V;
  set(s: Slot, v: V): void;
  inRam(pa: V): C;
  stage2Mapped(pa: V): C;
  ramLoad(pa: V): V;
  ramStore(pa: V, v: V): void;
  /** Forgets translations: all, or those for the page of `va`. */
  flushTlb(va?: V): void;
}
