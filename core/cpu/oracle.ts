/**
 * The oracle: the same definitions, computed with `bigint`, one instruction at a time, without TLB,
 * decoded code or WebAssembly. Tests hold the interpreter against it; nothing else uses it.
 *
 * @module
 */
import { csrIndex } from "./csr.ts";
import { exactFloat } from "./float/exact.ts";
import type { FloatOp, Format } from "./float/format.ts";
import { type Decoder, operands } from "./insn.ts";
import { DECODER } from "./isa/mod.ts";
import { CAUSE } from "./mstatus.ts";
import type { Bytes, Extend, Fill, HostOp, Ops, Routine, Var } from "./ops.ts";
import {
  Access,
  ARCH_SLOTS,
  FLOAT_REGISTERS,
  type Slot,
  type SlotArray,
  slotAt,
  Stop,
} from "./state.ts";
import { TRANSLATE, TRANSLATE_REST } from "./translate.ts";
import { nextInterrupt, takeTrap } from "./trap.ts";

class Trapped {
  constructor(readonly cause: bigint, readonly tval: bigint) {}
}
class Stopped {
  constructor(readonly stop: Stop) {}
}
/** An illegal instruction: its tval is the instruction's bits. */
const ILLEGAL = new Trapped(BigInt(CAUSE.Illegal), 0n);

const u64 = (v: bigint) => BigInt.asUintN(64, v);
const s64 = (v: bigint) => BigInt.asIntN(64, v);
const PAGE = 4096n;

/** An access that leaves RAM. */
export interface OracleAccess {
  gpa: bigint;
  bytes: Bytes;
  value: bigint;
  va: bigint;
}

export class Oracle implements Ops<bigint, boolean> {
  readonly regs = new Array<bigint>(32).fill(0n);
  readonly slots = new Map<Slot, bigint>();
  access: OracleAccess = { gpa: 0n, bytes: 1, value: 0n, va: 0n };
  #length = 4n;
  #next = 0n;
  #deviceValue: bigint | undefined;

  constructor(
    readonly ram: Uint8Array,
    readonly stage2: Uint8Array,
    readonly ramBase: bigint,
    private readonly decoder: Decoder = DECODER,
  ) {}

  // Running.

  /** Executes one instruction, or takes an interrupt; Stop.Budget means: go on. */
  step(): Stop {
    const irq = nextInterrupt.body(this);
    if (irq !== u64(-1n)) {
      this.set("lastCause", irq);
      takeTrap.body(this, irq | 1n << 63n, 0n);
      return Stop.Interrupt;
    }
    let word = 0;
    const pc = this.get("pc");
    try {
      word = this.#fetch(pc);
      this.#execute(word, pc);
    } catch (e) {
      if (e instanceof Stopped) return e.stop;
      if (!(e instanceof Trapped)) throw e;
      this.set("pc", pc);
      this.#count();
      this.set("exceptions", this.get("exceptions") + 1n);
      takeTrap.body(this, e.cause, e === ILLEGAL ? BigInt(word) : e.tval);
    }
    const stop = this.get("stopAfter");
    this.set("stopAfter", 0n);
    return stop === 0n ? Stop.Budget : Number(stop) - 1;
  }
  /** Runs the instruction that Stop.Load or Stop.Store left again, with the device's answer. */
  complete(value: bigint): void {
    this.#deviceValue = value;
    this.step();
    this.#deviceValue = undefined;
  }
  /** Turns the access that Stop.Load or Stop.Store left into an access fault. */
  refuse(store: boolean): void {
    this.#count();
    this.set("exceptions", this.get("exceptions") + 1n);
    takeTrap.body(this, BigInt(store ? CAUSE.StoreAccess : CAUSE.LoadAccess), this.access.va);
  }
  #count(): void {
    this.set("icount", this.get("icount") + 1n);
  }
  #fetch(pc: bigint): number {
    const low = this.#fetchHalf(pc);
    if ((low & 3) !== 3) return low;
    return (low | this.#fetchHalf(u64(pc + 2n), TRANSLATE_REST) << 16) >>> 0;
  }
  #fetchHalf(va: bigint, routine = TRANSLATE[Access.Fetch]): number {
    const pa = this.call(routine, va, 2n);
    if (!this.inRam(pa)) throw new Trapped(BigInt(CAUSE.FetchAccess), va);
    return Number(this.#ramBytes(pa, 2));
  }
  #execute(word: number, pc: bigint): void {
    const insn = this.decoder.find(word);
    if (!insn) throw ILLEGAL;
    const d = operands(insn, word);
    this.#length = (word & 3) === 3 ? 4n : 2n;
    this.#next = u64(pc + this.#length);
    insn.sem(this, { ...d, csr: csrIndex(d.csr) });
    this.set("pc", this.#next);
    this.#count();
  }

  // Operands.

  imm = (i: number) => u64(BigInt(i));
  csr = (c: number) => BigInt(c);
  x = (r: number) => this.regs[r];
  setX(r: number, v: bigint): void {
    if (r !== 0) this.regs[r] = u64(v);
  }
  fp = (r: number) => this.get(FLOAT_REGISTERS[r]);
  setFp(r: number, v: bigint): void {
    this.set(FLOAT_REGISTERS[r], u64(v));
  }
  rm = (m: number) => BigInt(m);
  pc = () => this.get("pc");
  nextPc = () => u64(this.get("pc") + this.#length);

  // Arithmetic.

  konst = (v: bigint | number) => u64(BigInt(v));
  add = (a: bigint, b: bigint) => u64(a + b);
  sub = (a: bigint, b: bigint) => u64(a - b);
  mul = (a: bigint, b: bigint) => u64(a * b);
  mulh(a: bigint, b: bigint, signs: "ss" | "su" | "uu"): bigint {
    const x = signs[0] === "s" ? s64(a) : a;
    const y = signs[1] === "s" ? s64(b) : b;
    return u64((x * y) >> 64n);
  }
  div(a: bigint, b: bigint, e: Extend): bigint {
    if (b === 0n) return u64(-1n);
    return u64(e === "signed" ? s64(a) / s64(b) : a / b);
  }
  rem(a: bigint, b: bigint, e: Extend): bigint {
    if (b === 0n) return a;
    return u64(e === "signed" ? s64(a) % s64(b) : a % b);
  }
  and = (a: bigint, b: bigint) => a & b;
  or = (a: bigint, b: bigint) => a | b;
  xor = (a: bigint, b: bigint) => a ^ b;
  shl = (a: bigint, b: bigint) => u64(a << (b & 63n));
  shr = (a: bigint, b: bigint) => a >> (b & 63n);
  sar = (a: bigint, b: bigint) => u64(s64(a) >> (b & 63n));
  clz = (v: bigint) => v === 0n ? 64n : 64n - BigInt(v.toString(2).length);
  ctz = (v: bigint) => v === 0n ? 64n : BigInt((v & -v).toString(2).length - 1);
  popcount = (v: bigint) => BigInt(v.toString(2).replaceAll("0", "").length);
  extend(v: bigint, bytes: Bytes, e: Fill): bigint {
    const bits = bytes * 8;
    if (e === "boxed") return u64(v | -1n << BigInt(bits));
    return e === "signed" ? u64(BigInt.asIntN(bits, v)) : BigInt.asUintN(bits, v);
  }
  host(op: HostOp): bigint {
    throw new Error(`${op}: the oracle computes without the host's floating point`);
  }
  float(op: FloatOp, format: Format, mode: bigint, ...args: bigint[]): bigint {
    const { bits, flags } = exactFloat(op, format, Number(mode), args);
    this.set("fflags", this.get("fflags") | BigInt(flags));
    return bits;
  }
  eq = (a: bigint, b: bigint) => a === b;
  ne = (a: bigint, b: bigint) => a !== b;
  ltS = (a: bigint, b: bigint) => s64(a) < s64(b);
  ltU = (a: bigint, b: bigint) => a < b;
  both = (a: boolean, b: boolean) => a && b;
  either = (a: boolean, b: boolean) => a || b;
  not = (c: boolean) => !c;
  bool = (c: boolean) => c ? 1n : 0n;
  select = (c: boolean, a: bigint, b: bigint) => c ? a : b;

  // Statements and control flow.

  when(c: boolean, then: () => void, otherwise?: () => void): void {
    if (c) then();
    else otherwise?.();
  }
  loop(body: () => boolean): void {
    while (body());
  }
  switch(index: bigint, cases: readonly (() => void)[]): void {
    cases[Number(index)]?.();
  }
  var(v: bigint): Var<bigint> {
    return { get: () => v, set: (w) => v = w };
  }
  call(r: Routine, ...args: bigint[]): bigint {
    return r.body(this, ...args);
  }
  branch(c: boolean, offset: number): void {
    if (c) this.jumpBy(offset);
  }
  jumpBy(offset: number): void {
    this.#next = u64(this.get("pc") + BigInt(offset));
  }
  jump(target: bigint): void {
    this.#next = target;
  }
  serialize(): void {}
  raise(cause: bigint | number, tval: bigint): void {
    throw new Trapped(BigInt(cause), tval);
  }
  illegal(): void {
    throw ILLEGAL;
  }
  stop(s: Stop): void {
    throw new Stopped(s);
  }

  // Memory.

  #ramBytes(pa: bigint, bytes: number): bigint {
    let v = 0n;
    const at = Number(pa - this.ramBase);
    for (let i = bytes - 1; i >= 0; i--) v = v << 8n | BigInt(this.ram[at + i]);
    return v;
  }
  /** Tests listen here. */
  onRamWrite: (pa: bigint) => void = () => {};
  onWalk: (pa: bigint) => void = () => {};
  #setRamBytes(pa: bigint, bytes: number, v: bigint): void {
    this.onRamWrite(pa);
    const at = Number(pa - this.ramBase);
    for (let i = 0; i < bytes; i++) this.ram[at + i] = Number(v >> BigInt(8 * i) & 0xffn);
  }
  /** The physical pieces of an access: two where it crosses a page boundary. */
  #pieces(addr: bigint, bytes: Bytes, kind: Access): { pa: bigint; bytes: number }[] {
    const room = Number(PAGE - addr % PAGE);
    const first = Math.min(room, bytes);
    const pieces = [{ pa: this.call(TRANSLATE[kind], addr, BigInt(first)), bytes: first }];
    if (first < bytes) {
      const rest = u64(addr + BigInt(first));
      const left = bytes - first;
      pieces.push({ pa: this.call(TRANSLATE[kind], rest, BigInt(left)), bytes: left });
    }
    return pieces;
  }
  #outside(addr: bigint, bytes: Bytes, pa: bigint, store: boolean, value: bigint): bigint {
    if (addr % BigInt(bytes) !== 0n) {
      throw new Trapped(BigInt(store ? CAUSE.StoreMisaligned : CAUSE.LoadMisaligned), addr);
    }
    if (this.#deviceValue !== undefined) return this.#deviceValue;
    this.access = { gpa: pa, bytes, value, va: addr };
    throw new Stopped(store ? Stop.Store : Stop.Load);
  }
  load(bytes: Bytes, e: Fill, addr: bigint): bigint {
    const pieces = this.#pieces(addr, bytes, Access.Load);
    if (!pieces.every((p) => this.inRam(p.pa))) {
      return this.extend(this.#outside(addr, bytes, pieces[0].pa, false, 0n), bytes, e);
    }
    let [v, shift] = [0n, 0n];
    for (const p of pieces) {
      v |= this.#ramBytes(p.pa, p.bytes) << shift;
      shift += BigInt(p.bytes * 8);
    }
    return this.extend(v, bytes, e);
  }
  store(bytes: Bytes, addr: bigint, v: bigint): void {
    const pieces = this.#pieces(addr, bytes, Access.Store);
    if (!pieces.every((p) => this.inRam(p.pa))) {
      this.#outside(addr, bytes, pieces[0].pa, true, BigInt.asUintN(bytes * 8, v));
      return;
    }
    for (const p of pieces) {
      this.#setRamBytes(p.pa, p.bytes, v);
      v >>= BigInt(p.bytes * 8);
    }
  }
  #atomicAddress(bytes: Bytes, addr: bigint, kind: Access.Load | Access.Store): bigint {
    const load = kind === Access.Load;
    if (addr % BigInt(bytes) !== 0n) {
      throw new Trapped(BigInt(load ? CAUSE.LoadMisaligned : CAUSE.StoreMisaligned), addr);
    }
    const pa = this.call(TRANSLATE[kind], addr, BigInt(bytes));
    if (!this.inRam(pa)) {
      throw new Trapped(BigInt(load ? CAUSE.LoadAccess : CAUSE.StoreAccess), addr);
    }
    return pa;
  }
  amo(bytes: 4 | 8, addr: bigint, change: (old: bigint) => bigint): bigint {
    const pa = this.#atomicAddress(bytes, addr, Access.Store);
    const old = this.extend(this.#ramBytes(pa, bytes), bytes, "signed");
    this.#setRamBytes(pa, bytes, change(old));
    return old;
  }
  loadReserved(bytes: 4 | 8, addr: bigint): bigint {
    const pa = this.#atomicAddress(bytes, addr, Access.Load);
    this.set("reservation", pa);
    return this.extend(this.#ramBytes(pa, bytes), bytes, "signed");
  }
  storeConditional(bytes: 4 | 8, addr: bigint, v: bigint): bigint {
    const pa = this.#atomicAddress(bytes, addr, Access.Store);
    const held = this.get("reservation") === pa;
    this.set("reservation", u64(-1n));
    if (held) this.#setRamBytes(pa, bytes, v);
    return held ? 0n : 1n;
  }

  zeroBlock(addr: bigint): void {
    const pa = this.#atomicAddress(1, addr, Access.Store);
    for (let i = 0n; i < 64n; i += 8n) this.#setRamBytes((pa & ~63n) + i, 8, 0n);
  }

  getAt(first: SlotArray, index: bigint): bigint {
    return this.get(slotAt(first, Number(index)));
  }
  get(s: Slot): bigint {
    return this.slots.get(s) ?? 0n;
  }
  set(s: Slot, v: bigint): void {
    this.slots.set(s, v);
  }
  inRam(pa: bigint): boolean {
    return pa >= this.ramBase && pa < this.ramBase + BigInt(this.ram.length);
  }
  stage2Mapped(pa: bigint): boolean {
    return this.stage2[Number((pa - this.ramBase) / PAGE)] !== 0;
  }
  ramLoad(pa: bigint): bigint {
    this.onWalk(pa);
    return this.#ramBytes(pa, 8);
  }
  ramStore(pa: bigint, v: bigint): void {
    new DataView(this.ram.buffer, this.ram.byteOffset).setBigUint64(
      Number(pa - this.ramBase),
      v,
      true,
    );
  }
  flushTlb(): void {}

  /** In the layout of `RiscvCpu.stateBytes`. */
  stateBytes(): Uint8Array {
    const out = new DataView(new ArrayBuffer((31 + ARCH_SLOTS.length) * 8));
    for (let i = 1; i < 32; i++) out.setBigUint64((i - 1) * 8, this.regs[i], true);
    ARCH_SLOTS.forEach((s, i) => out.setBigUint64((31 + i) * 8, this.get(s), true));
    return new Uint8Array(out.buffer);
  }
  loadState(b: Uint8Array): void {
    const from = new DataView(b.buffer, b.byteOffset, b.length);
    for (let i = 1; i < 32; i++) this.regs[i] = from.getBigUint64((i - 1) * 8, true);
    ARCH_SLOTS.forEach((s, i) => this.set(s, from.getBigUint64((31 + i) * 8, true)));
  }
  /** Constants that the definitions read: see state.ts. */
  configure(values: Partial<Record<Slot, bigint>>): void {
    for (const [slot, v] of Object.entries(values)) this.set(slot as Slot, v!);
  }
}
