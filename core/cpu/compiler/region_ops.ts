/**
 * `Ops` for an instruction of a compiled region: operands are constants, registers are locals. What an
 * instruction writes takes effect at its end, so that one which does not complete has changed nothing:
 * it is left to the interpreter from its beginning.
 *
 * @module
 */
import { highProduct } from "../access.ts";
import { H, type Routines } from "../emit.ts";
import { type AccessFuncs, MemoryOps } from "../memory_ops.ts";
import type { Csr, Imm, Reg, Rm } from "../ops.ts";
import { SLOT } from "../state.ts";
import { type Code, i32, i64 } from "../wasm/code.ts";
import type { Func, Label, Local } from "../wasm/module.ts";
import type { Inst } from "./discover.ts";

/** Locals and labels of a region's function. */
export interface RegionFrame {
  /** Virtual address of the home page; data TLB bank. */
  base: Local;
  bank: Local;
  /** Offset of the instruction left to the interpreter, and the counts to give back from it on. */
  at: Local;
  rest: Local;
  /** Locals of the registers in use. */
  x: ReadonlyMap<number, Local>;
  fp: ReadonlyMap<number, Local>;
  /** Goes on in the interpreter. */
  leave: Label;
}

/** Where the instruction that ends a block leads; each of these ends the block's code. */
export interface Flow {
  branch(taken: Code): void;
  jump(): void;
  indirect(target: Code): void;
}

export class RegionOps extends MemoryOps {
  protected length = 4;
  #inst!: Inst;
  #rest = 0;
  #pending: { local: Local; v: Code }[] = [];

  constructor(
    f: Func,
    routines: Routines,
    access: AccessFuncs,
    private readonly frame: RegionFrame,
    private readonly flow: Flow,
  ) {
    super(f, routines, access);
  }

  /** `rest`: counts of the block from this instruction on. */
  emit(inst: Inst, rest: number): void {
    this.#inst = inst;
    this.#rest = rest;
    this.length = inst.length;
    inst.decoded.insn.sem(this, inst.decoded);
    this.#commit();
    this.f.releaseTemps();
  }
  #commit(): void {
    for (const { local, v } of this.#pending.splice(0)) this.f.set(local, v);
  }
  protected bank(): Code {
    return this.f.get(this.frame.bank);
  }
  protected override leave(): void {
    this.f.set(this.frame.at, i32.const(this.#inst.at));
    this.f.set(this.frame.rest, i32.const(this.#rest));
    this.f.br(this.frame.leave);
  }
  /** Its upper half says that code which is compiled has changed (compiler.ts). */
  protected override leaveIfStatus(): void {
    const set = i64.ne(i64.load(H, SLOT.status), i64.const(0));
    this.f.if(set, () => this.leave(), undefined, false);
  }

  override imm(i: Imm): Code {
    return i64.const(i);
  }
  override csr(c: Csr): Code {
    return i64.const(c);
  }
  override rm(m: Rm): Code {
    return i64.const(m);
  }
  override x(r: Reg): Code {
    return r === 0 ? i64.const(0) : this.f.get(this.frame.x.get(r)!);
  }
  override setX(r: Reg, v: Code): void {
    if (r !== 0) this.#pending.push({ local: this.frame.x.get(r)!, v });
  }
  override fp(r: Reg): Code {
    return this.f.get(this.frame.fp.get(r)!);
  }
  override setFp(r: Reg, v: Code): void {
    this.#pending.push({ local: this.frame.fp.get(r)!, v });
  }
  #place(offset: number): Code {
    const base = this.f.get(this.frame.base);
    return offset === 0 ? base : i64.add(base, i64.const(offset));
  }
  override pc(): Code {
    return this.#place(this.#inst.at);
  }
  override nextPc(): Code {
    return this.#place(this.#inst.at + this.#inst.length);
  }

  override add = (a: Code, b: Code): Code =>
    isZero(b) ? a : isZero(a) ? b : this.value(i64.add(a, b));
  override mulh(a: Code, b: Code, signs: "ss" | "su" | "uu"): Code {
    const [x, y] = [this.f.bind("i64", a), this.f.bind("i64", b)];
    return this.signedHigh(highProduct(this.f, x, y), x, y, signs);
  }

  override branch(c: Code, _offset: Imm): void {
    this.flow.branch(c);
  }
  override jumpBy(_offset: Imm): void {
    this.#commit();
    this.flow.jump();
  }
  override jump(target: Code): void {
    const to = this.f.bind("i64", target); // rd may be rs1.
    this.#commit();
    this.flow.indirect(to);
  }
}

const ZERO = i64.const(0);
const isZero = (v: Code) => v.length === 2 && v[0] === ZERO[0] && v[1] === ZERO[1];
