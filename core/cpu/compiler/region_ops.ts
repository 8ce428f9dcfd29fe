/**
 * `Ops` for an instruction of a compiled region: operands are constants, registers are locals. What an
 * instruction writes takes effect at its end, so that one which does not complete has changed nothing:
 * it is left to the interpreter from its beginning.
 *
 * @module
 */
import { highProduct } from "../access.ts";
import { H, type Routines } from "../emit.ts";
import type { Decoded } from "../insn.ts";
import type { Layout } from "../layout.ts";
import { type AccessFuncs, MemoryOps } from "../memory_ops.ts";
import type { Csr, Imm, Reg, Rm, Routine } from "../ops.ts";
import { SLOT } from "../state.ts";
import { type Code, i64 } from "../wasm/code.ts";
import type { Callee, Local } from "../wasm/module.ts";
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

/** The template of a decoded instruction. */
export function templateOf(d: Decoded, routines: Routines): Template {
  const f = new TemplateFunc();
  const ops = new RegionOps(f, routines, d.insn.row.length);
  d.insn.sem(ops, d);
  return ops.end();
}

class RegionOps extends MemoryOps {
  #pending: { local: Local; v: Code }[] = [];
  #onward: Onward = { kind: "next" };

  constructor(
    protected override readonly f: TemplateFunc,
    routines: Routines,
    protected readonly length: number,
  ) {
    super(f, routines, ACCESS);
  }

  end(): Template {
    this.#commit();
    return { code: this.f.code, hints: this.f.hints, onward: this.#onward };
  }
  #commit(): void {
    for (const { local, v } of this.#pending.splice(0)) this.f.set(local, v);
  }
  protected bank(): Code {
    return this.f.get(SYMBOL.bank);
  }
  protected override leave(): void {
    this.f.leave();
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
    return r === 0 ? i64.const(0) : this.f.get(SYMBOL.x + r);
  }
  override setX(r: Reg, v: Code): void {
    if (r !== 0) this.#pending.push({ local: SYMBOL.x + r, v });
  }
  override fp(r: Reg): Code {
    return this.f.get(SYMBOL.fp + r);
  }
  override setFp(r: Reg, v: Code): void {
    this.#pending.push({ local: SYMBOL.fp + r, v });
  }
  override pc(): Code {
    return [SYMBOL.pc];
  }
  override nextPc(): Code {
    return [SYMBOL.nextPc];
  }

  override add = (a: Code, b: Code): Code =>
    isZero(b) ? a : isZero(a) ? b : this.value(i64.add(a, b));
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

const ZERO = i64.const(0);
const isZero = (v: Code) => v.length === 2 && v[0] === ZERO[0] && v[1] === ZERO[1];
