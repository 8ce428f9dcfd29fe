/**
 * `Ops` for one instruction's handler in the interpreter: operands come from the decoded entry.
 *
 * @module
 */
import { getSlot, getSlot32, H, type RoutineSet, setSlot } from "./emit.ts";
import { ENTRY } from "./layout.ts";
import { type AccessFuncs, MemoryOps } from "./memory_ops.ts";
import type { Csr, Fields, Imm, Reg, Rm, Routine } from "./ops.ts";
import { X_SINK } from "./state.ts";
import { type Code, i32, i64 } from "./wasm/code.ts";
import type { Callee, Func, Label, Local } from "./wasm/module.ts";

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

/** rd and rs1, which lie side by side, of a jump to ra that links nothing. */
const RETURN = X_SINK | 8 << 16;

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
  /** (h, ep, distance): an indirect jump is noted (targets.ts). */
  noteTarget: Callee;
}

export class HandlerOps extends MemoryOps {
  /** Whether the semantics branch by a constant offset: then there are near and far handlers. */
  branches = false;
  #ended = false;

  constructor(
    f: Func,
    routines: RoutineSet,
    private readonly frame: Frame,
    access: AccessFuncs,
    protected readonly length: number,
    /** The target lies in the same page and the entry holds offset × 8. */
    private readonly near: boolean,
  ) {
    super(f, routines, access);
  }
  protected bank(): Code {
    return this.f.get(this.frame.bank);
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
    this.#jumpTo(i64.add(this.#pcAt(0), this.imm(offset)), this.frame.refetch);
  }
  override jump(target: Code, serialize?: "serialize"): void {
    if (serialize) return this.#jumpTo(target, this.frame.check);
    this.#note(target);
    this.#jumpTo(target, this.frame.refetch);
  }
  #jumpTo(target: Code, by: Label): void {
    this.f.emit(setSlot("pc", target));
    this.f.br(by);
    this.#ended = true;
  }
  /** Where returns lead, their callers know. */
  #note(target: Code): void {
    const { ep, noteTarget } = this.frame;
    const registers = i32.load(this.f.get(ep), ENTRY.rd);
    this.f.if(i32.ne(registers, i32.const(RETURN)), () => {
      const distance = i32.wrap(i64.sub(target, this.#pcAt(0)));
      this.f.emit(this.f.call(noteTarget, H, this.f.get(ep), distance));
    });
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
