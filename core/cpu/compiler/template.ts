/**
 * What an instruction word compiles to, once for all places where it stands. A template is code in which
 * numbers beyond a byte stand for what differs from place to place: locals, functions called, the pc, and
 * the way out to the interpreter. Programs repeat themselves, so most instructions are pasted.
 *
 * @module
 */
import { type Code, i64, uleb, type ValueType } from "../wasm/code.ts";
import { type Callee, Func, type Local } from "../wasm/module.ts";

/** Symbols. Temporaries of a type are numbered from the type's own. */
export const SYMBOL = {
  x: 0x100,
  fp: 0x120,
  base: 0x140,
  bank: 0x141,
  i32: 0x200,
  i64: 0x300,
  f32: 0x400,
  f64: 0x500,
  /** Functions, by their position in `CALLED`. */
  callee: 0x1000,
  /** Address of the instruction, and of the next. */
  pc: 0x2000,
  nextPc: 0x2001,
  /** As an i64, the counts of the block from this instruction on. */
  rest: 0x2002,
  /** Reads and writes floating-point register n as bits: the opcode included. */
  getFp: 0x2100,
  setFp: 0x2120,
  /** To the interpreter, with this instruction undone, or done; plus the depth within the template. */
  leave: 0x3000,
  leaveDone: 0x3400,
} as const;

export interface Signature {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}
const CALLED: Signature[] = [];
const known = new Map<string, Callee>();

/** Something to call whose index a module gives when the template is pasted. */
export function callee(s: Signature): Callee {
  let found = known.get(s.name);
  if (!found) {
    known.set(s.name, found = { index: SYMBOL.callee + CALLED.length });
    CALLED.push(s);
  }
  return found;
}

/** A function whose locals are symbols: it takes the code of one instruction. */
export class TemplateFunc extends Func {
  code: number[] = [];
  readonly #temps: Record<ValueType, number> = { i32: 0, i64: 0, f32: 0, f64: 0 };

  constructor() {
    super("template", 0, [], []);
  }
  /** Begins anew. */
  clear(): void {
    this.code = [];
    this.hints.length = 0;
    this.releaseTemps();
  }
  override emit(code: Code): void {
    for (const c of code) this.code.push(c);
  }
  override get position(): number {
    return this.code.length;
  }
  override local(type: ValueType): Local {
    return SYMBOL[type] + this.#temps[type]++;
  }
  protected override indexCode(symbol: number): Code {
    return [symbol];
  }
  leave(done = false): void {
    this.code.push((done ? SYMBOL.leaveDone : SYMBOL.leave) + this.depth);
  }
}

/** How the instruction goes on: its code leaves a condition, or a target in a temporary. */
export type Onward =
  | { readonly kind: "next" }
  | { readonly kind: "branch" }
  | { readonly kind: "jump" }
  | { readonly kind: "indirect"; readonly target: Local };

export interface Template {
  readonly code: readonly number[];
  /** It is a plain load or store, whose base register is rs1. */
  readonly isAccess: boolean;
  readonly hints: readonly { at: number; likely: boolean }[];
  readonly onward: Onward;
}

/** What the symbols are in one function. */
export interface Meanings {
  local(symbol: number): Local;
  callee(s: Signature): Callee;
  readonly base: Local;
  readonly rest: number;
  getFp(register: number): Code;
  setFp(register: number): Code;
  /** The code of a way out inside `depth` more blocks. */
  leave(depth: number, done: boolean): Code;
}

/** `at` and `next`: offsets of the instruction and of its successor from the home page. */
export function paste(f: Func, t: Template, m: Meanings, at: number, next: number): void {
  const place = (offset: number) => i64.add(f.get(m.base), i64.const(offset));
  const { code } = t;
  const run: number[] = [];
  const start = f.position;
  let hint = 0;
  for (let i = 0; i < code.length; i++) {
    if (hint < t.hints.length && t.hints[hint].at === i) {
      f.hints.push({ at: start + run.length, likely: t.hints[hint++].likely });
    }
    const c = code[i];
    if (c < 0x100) run.push(c);
    else for (const b of meaning(c, m, at, next, place)) run.push(b);
  }
  f.emit(run);
}

function meaning(
  c: number,
  m: Meanings,
  at: number,
  next: number,
  place: (n: number) => Code,
): Code {
  if (c < SYMBOL.callee) return uleb(m.local(c));
  if (c < SYMBOL.pc) return uleb(m.callee(CALLED[c - SYMBOL.callee]).index);
  if (c === SYMBOL.pc) return place(at);
  if (c === SYMBOL.nextPc) return place(next);
  if (c === SYMBOL.rest) return i64.const(m.rest);
  if (c >= SYMBOL.leaveDone) return m.leave(c - SYMBOL.leaveDone, true);
  if (c >= SYMBOL.leave) return m.leave(c - SYMBOL.leave, false);
  return c >= SYMBOL.setFp ? m.setFp(c - SYMBOL.setFp) : m.getFp(c - SYMBOL.getFp);
}
