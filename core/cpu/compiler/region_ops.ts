/**
 * `Ops` for an instruction of a compiled region: operands are constants, registers are locals. What an
 * instruction writes takes effect at its end, so that one which does not complete has changed nothing:
 * it is left to the interpreter from its beginning.
 *
 * @module
 */
import { highProduct } from "../access.ts";
import { csrIndex } from "../csr.ts";
import { getSlot, getSlot32, H, type Routines, setSlot } from "../emit.ts";
import { FLAG, type FloatOp, type Format, RM } from "../float/format.ts";
import { quickCase } from "../float/quick.ts";
import type { Decoded } from "../insn.ts";
import { copyAt, type Layout } from "../layout.ts";
import { type AccessFuncs, MemoryOps } from "../memory_ops.ts";
import type { Bytes, Csr, Fill, Imm, Reg, Rm, Routine } from "../ops.ts";
import { FS_MASK } from "../mstatus.ts";
import { SLOT, type Slot, X_SINK } from "../state.ts";
import { type Code, i32, i64, select } from "../wasm/code.ts";
import type { Callee } from "../wasm/module.ts";
import { callee, type Onward, SYMBOL, type Template, TemplateFunc } from "./template.ts";

const ACCESS: AccessFuncs = {
  loadSlow: callee({ name: "loadSlow", params: ["i32", "i64", "i32"], results: ["i64"] }),
  storeSlow: callee({ name: "storeSlow", params: ["i32", "i64", "i64", "i32"], results: [] }),
  amoAddr: callee({ name: "amoAddr", params: ["i32", "i64", "i32"], results: ["i32"] }),
  reserveAddr: callee({ name: "reserveAddr", params: ["i32", "i64", "i32"], results: ["i32"] }),
};
const HELPERS = {
  mulhu: callee({ name: "mulhu", params: ["i64", "i64"], results: ["i64"] }),
  flushAll: callee({ name: "flushAll", params: ["i32"], results: [] }),
  flushPage: callee({ name: "flushPage", params: ["i32", "i64"], results: [] }),
  invalidate: callee({ name: "invalidate", params: ["i32", "i32", "i32"], results: [] }),
};

const RECHECK = callee({ name: "recheck", params: ["i32", "i64"], results: ["i32"] });
/** The budget is the second parameter of a region. */
const LEFT = 1;

/** The interpreter's functions, by name. */
export const routinesOf = (layout: Layout): Routines => ({
  layout,
  helpers: HELPERS,
  func: (r: Routine): Callee =>
    callee({
      name: r.name,
      params: ["i32", ...Array.from({ length: r.params }, () => "i64" as const)],
      results: ["i64"],
    }),
});

function resultSlot({ insn, rd }: Decoded): number {
  if (insn.mapping.rd === undefined) return -1;
  if (insn.floats.has("rd")) return SLOT.f0 + rd * 8;
  return rd === 0 ? X_SINK : rd * 8;
}

/** One makes all templates: there are many instructions, and it is large. */
export class RegionOps extends MemoryOps {
  #pending: { set: Code; v: Code }[] = [];
  #onward: Onward = { kind: "next" };
  #serializes = false;
  protected length = 4;
  #floating = false;
  /** Where a device's answer to a load goes; negative: there is no result. */
  #result = -1;
  #isAccess = false;
  /** Copies of TLB entries for accesses by this base register are tried; 0: none. */
  #steady = 0;
  /** What is known while the template is made: values, and conditions. */
  readonly #values = new WeakMap<Code, bigint>();
  readonly #truths = new WeakMap<Code, boolean>();

  constructor(protected override readonly f: TemplateFunc, routines: Routines) {
    super(f, routines, ACCESS);
  }

  /** The template of a decoded instruction; `steady`: see steady.ts. */
  template(d: Decoded, steady: boolean): Template {
    this.#isAccess = false;
    this.#steady = steady ? d.rs1 : 0;
    this.length = d.insn.row.length;
    this.#floating = d.insn.floats.size > 0;
    this.#onward = { kind: "next" };
    this.#serializes = false;
    this.#result = resultSlot(d);
    this.f.clear();
    d.insn.sem(this, d);
    this.#commit();
    if (this.#serializes) this.#recheck();
    const { code, hints } = this.f;
    return { code, hints: hints.slice(), onward: this.#onward, isAccess: this.#isAccess };
  }
  #commit(): void {
    for (const { set, v } of this.#pending.splice(0)) this.f.emit([...v, ...set]);
  }
  /** Modes and interrupts may have changed; registers are as they will be. */
  #recheck(): void {
    const { f } = this;
    f.if(getSlot32("dirty"), () => {
      f.if(f.call(RECHECK, H, this.nextPc()), () => f.leave(true));
      f.set(SYMBOL.bank, getSlot32("dataBank"));
    });
  }
  protected bank(): Code {
    return this.f.get(SYMBOL.bank);
  }
  protected override copy(array: number): number | null {
    return this.#steady === 0 ? null : copyAt(this.routines.layout, array, this.#steady);
  }
  override load(bytes: Bytes, e: Fill, addr: Code): Code {
    this.#isAccess = true;
    return super.load(bytes, e, addr);
  }
  override store(bytes: Bytes, addr: Code, v: Code): void {
    this.#isAccess = true;
    super.store(bytes, addr, v);
  }
  protected override leave(): void {
    this.f.leave();
  }
  /** Its upper half says that code which is compiled has changed (compiler.ts). */
  protected override leaveIfStatus(): void {
    const set = i64.ne(i64.load(H, SLOT.status), i64.const(0));
    this.f.if(
      set,
      () => {
        if (this.#result >= 0) this.f.emit(setSlot("accessRd", i64.const(this.#result)));
        this.leave();
      },
      undefined,
      false,
    );
  }

  override konst(v: bigint | number): Code {
    const code = i64.const(v);
    this.#values.set(code, BigInt.asUintN(64, BigInt(v)));
    return code;
  }
  override imm(i: Imm): Code {
    return this.konst(i);
  }
  override csr(c: Csr): Code {
    return this.konst(csrIndex(c));
  }
  override rm(m: Rm): Code {
    return this.konst(m);
  }
  override x(r: Reg): Code {
    return r === 0 ? this.konst(0) : this.f.get(SYMBOL.x + r);
  }
  override setX(r: Reg, v: Code): void {
    if (r !== 0) this.#pending.push({ set: [0x21, SYMBOL.x + r], v });
  }
  override fp(r: Reg): Code {
    return [SYMBOL.getFp + r];
  }
  override setFp(r: Reg, v: Code): void {
    this.#pending.push({ set: [SYMBOL.setFp + r], v });
  }
  override pc(): Code {
    return [SYMBOL.pc];
  }
  override nextPc(): Code {
    return [SYMBOL.nextPc];
  }

  #fold(a: Code, b: Code, act: (x: bigint, y: bigint) => bigint): Code | null {
    const [x, y] = [this.#values.get(a), this.#values.get(b)];
    return x === undefined || y === undefined ? null : this.konst(act(x, y));
  }
  #truth(v: boolean): Code {
    const code = i32.const(v ? 1 : 0);
    this.#truths.set(code, v);
    return code;
  }
  #decide(a: Code, b: Code, act: (x: bigint, y: bigint) => boolean): Code | null {
    const [x, y] = [this.#values.get(a), this.#values.get(b)];
    return x === undefined || y === undefined ? null : this.#truth(act(x, y));
  }
  override add = (a: Code, b: Code): Code =>
    this.#values.get(b) === 0n
      ? a
      : this.#values.get(a) === 0n
      ? b
      : this.#fold(a, b, (x, y) => x + y) ?? this.value(i64.add(a, b));
  override and = (a: Code, b: Code): Code =>
    this.#fold(a, b, (x, y) => x & y) ?? this.value(i64.and(a, b));
  override eq = (a: Code, b: Code): Code =>
    this.#decide(a, b, (x, y) => x === y) ?? this.cond(i64.eq(a, b));
  override ne = (a: Code, b: Code): Code =>
    this.#decide(a, b, (x, y) => x !== y) ?? this.cond(i64.ne(a, b));
  override ltU = (a: Code, b: Code): Code =>
    this.#decide(a, b, (x, y) => x < y) ?? this.cond(i64.ltU(a, b));
  override both = (a: Code, b: Code): Code => {
    if (this.#truths.get(a) === true || this.#truths.get(b) === false) return b;
    return this.#truths.get(b) === true ? a : this.cond(i32.and(a, b));
  };
  override not = (c: Code): Code => {
    const known = this.#truths.get(c);
    return known === undefined ? this.cond(i32.eqz(c)) : this.#truth(!known);
  };
  override select = (c: Code, a: Code, b: Code): Code => {
    const known = this.#truths.get(c);
    return known === undefined ? this.value(select(c, a, b)) : known ? a : b;
  };
  override when(c: Code, then: () => void, otherwise?: () => void): void {
    const known = this.#truths.get(c);
    if (known === undefined) return super.when(c, then, otherwise);
    if (known) then();
    else otherwise?.();
  }

  /** A block with floating point begins only where FS is dirty and the rounding mode is RNE. */
  override get(s: Slot): Code {
    if (this.#floating && s === "mstatus") return this.konst(FS_MASK);
    if (this.#floating && s === "frm") return this.konst(RM.RNE);
    return super.get(s);
  }
  override float(op: FloatOp, format: Format, mode: Code, ...args: Code[]): Code {
    const quick = quickCase(op, format);
    const rounding = this.#values.get(mode);
    if (!quick || (quick.mode !== null && rounding !== BigInt(quick.mode))) {
      return super.float(op, format, mode, ...args);
    }
    const { f } = this;
    const operands = args.map((v) => f.bind("i64", v));
    const { result, sure, inexact } = quick.operation(this, operands);
    const nx = i32.and(getSlot32("fflags"), i32.const(FLAG.NX));
    const final = f.temp("i64");
    f.set(final, result);
    const known = this.#truths.get(sure) === true;
    const asked = !quick.rounds ? sure : known ? nx : i32.and(sure, nx);
    if (known && !quick.rounds) return f.get(final);
    const routine = () => f.set(final, super.float(op, format, mode, ...operands));
    const neither = () => {
      const second = quick.second?.(this, operands);
      if (second) f.if(second.sure, () => f.set(final, second.result), routine);
      else routine();
    };
    const otherwise = () => {
      const exact = inexact ? this.both(sure, this.not(inexact())) : this.#truth(false);
      if (this.#truths.get(exact) === false) neither();
      else f.if(i32.eqz(exact), neither);
    };
    f.if(i32.eqz(asked), otherwise, undefined, false);
    return f.get(final);
  }

  /** Routines may read icount. */
  override call(r: Routine, ...args: Code[]): Code {
    const left = i64.add(i64.extendU(this.f.get(LEFT)), [SYMBOL.rest]);
    this.f.emit(setSlot("icount", i64.sub(getSlot("icountEnd"), left)));
    return super.call(r, ...args);
  }
  override serialize(): void {
    this.#serializes = true;
  }

  override mulh(a: Code, b: Code, signs: "ss" | "su" | "uu"): Code {
    const [x, y] = [this.f.bind("i64", a), this.f.bind("i64", b)];
    return this.signedHigh(highProduct(this.f, x, y), x, y, signs);
  }

  override branch(c: Code, _offset: Imm): void {
    this.f.emit(c);
    this.#onward = { kind: "branch" };
  }
  override jumpBy(_offset: Imm): void {
    this.#onward = { kind: "jump" };
  }
  override jump(target: Code): void {
    const to = this.f.temp("i64"); // rd may be rs1.
    this.f.set(to, target);
    this.#onward = { kind: "indirect", target: to };
  }
}
