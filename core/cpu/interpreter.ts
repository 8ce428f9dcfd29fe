/**
 * The interpreter module: one function that dispatches pre-decoded entries through a `br_table`,
 * with a handler per row of the instruction set (two where it branches: a target in the same page is
 * an addition, one elsewhere a fetch). The budget is counted at every dispatch, so it is exact.
 *
 * @module
 */
import { AccessPaths } from "./access.ts";
import { csrModify, csrRead, csrWrite } from "./csr.ts";
import { getSlot, getSlot32, H, RoutineSet, setSlot } from "./emit.ts";
import { ENTRY_FIELDS, type Frame, HandlerOps, OutlineOps } from "./handler.ts";
import type { Insn } from "./insn.ts";
import { INSNS } from "./isa/mod.ts";
import { CODE_PAGE, ENTRY, EXITS, type Layout, onlyHart, PAGE, PSEUDO, TLB } from "./layout.ts";
import { dropCopies, tlbEntry } from "./memory_ops.ts";
import { SLOT, STATUS_ILLEGAL, STATUS_STOP, Stop } from "./state.ts";
import { noteTarget } from "./targets.ts";
import { mipNow, nextInterrupt, takeTrap, time } from "./trap.ts";
import { type Code, i32, i64 } from "./wasm/code.ts";
import { type Callee, type Func, type Import, type Local, Module } from "./wasm/module.ts";

/** Operation numbers of a row's handlers. */
export interface Operations {
  far: number;
  /** The entry's immediate is offset × 8; absent where the row does not branch. */
  near?: number;
}

export interface Interpreter {
  module: Module;
  operations: Map<Insn, Operations>;
}

/** What the module exports; pointers are addresses of harts. */
export interface InterpreterExports {
  run(hart: number, counts: number): number;
  flushAll(hart: number): void;
  rebank(hart: number): void;
  invalidate(hart: number, ramOffset: number, bytes: number): void;
  raise(hart: number, cause: bigint, tval: bigint): void;
  csrRead(hart: number, index: bigint): bigint;
  csrModify(hart: number, index: bigint): bigint;
  csrWrite(hart: number, index: bigint, value: bigint): bigint;
  mipNow(hart: number): bigint;
  time(hart: number): bigint;
}

/** Host functions: decode the entry at `ep` of a decoded page; decode `word` into the entry `ep`. */
export interface InterpreterImports {
  decode(ep: number, codePage: number): void;
  decodeWord(ep: number, word: number): void;
  /** Bytes of a decoded page change that a compiled region holds. */
  changed(codePage: number, at: number, bytes: number): void;
  /** A decoded page with compiled regions gives way. */
  evicted(codePage: number): void;
  /** Of a module that is metered: see Meter. */
  walk?(step: number): void;
}

/** `run` came back to have the code at slot pc compiled: beside the values of Stop. */
export const HOT = 255;
/** In what a compiled region returns, beside the budget left: it jumped to code that is not compiled. */
export const JUMPED = 1 << 31;

interface Parts {
  module: Module;
  f: Func;
  routines: RoutineSet;
  access: AccessPaths;
  decode: Import;
  decodeWord: Import;
  rawWord: Func;
  noteTarget: Callee;
  pc: Local;
  code: Local;
}

const pcOfEntry = (f: Func, frame: Pick<Frame, "ep" | "delta">): Code =>
  i64.add(f.get(frame.delta), i64.extendU(i32.shrU(f.get(frame.ep), i32.const(3))));

export function buildInterpreter(l: Layout): Interpreter {
  const m = new Module(l.wasmPages, { table: true, first: onlyHart(l) });
  const decode = m.import("decode", ["i32", "i32"], []);
  const decodeWord = m.import("decodeWord", ["i32", "i32"], []);
  const changed = m.import("changed", ["i32", "i32", "i32"], []);
  const evicted = m.import("evicted", ["i32"], []);
  const routines = new RoutineSet(m, l);
  const walk = l.metered ? m.import("walk", ["i32"], []) : null;
  const access = new AccessPaths(m, routines, { changed, evicted, walk });
  for (const r of [csrRead, csrModify, csrWrite, mipNow, time]) routines.func(r);
  raiseFromOutside(m, routines, access);
  recheck(m, routines, access);
  const rawWord = illegalWord(m);
  const noted = noteTarget(m, l);
  const f = m.export(m.func("run", ["i32", "i32"], ["i32"]));
  const parts = {
    ...{ module: m, f, routines, access, decode, decodeWord, rawWord, noteTarget: noted },
    ...{ pc: f.local("i64"), code: f.local("i32") },
  };
  const operations = emitRun(parts);
  routines.exportAll(); // Compiled regions call them.
  return { module: m, operations };
}

/** (h, cause, tval): takes a trap at slot pc. */
function raiseFromOutside(m: Module, routines: RoutineSet, access: AccessPaths): void {
  const f = m.export(m.func("raise", ["i32", "i64", "i64"], []));
  f.drop(f.call(routines.func(takeTrap), H, f.get(1), f.get(2)));
  f.emit(f.call(access.rebank, H));
}

/**
 * (h, pc) → 1 when compiled code must leave before the instruction at `pc`: what `emitCheck` would see,
 * or the page of `pc` is not where it was. Slot icount is one short. 0: nothing is dirty any more.
 */
function recheck(m: Module, routines: RoutineSet, access: AccessPaths): void {
  const f = m.export(m.func("recheck", ["i32", "i64"], ["i32"]));
  const fetchBank = f.bind("i32", getSlot32("fetchBank"));
  f.emit(f.call(access.rebank, H));
  const leaveIf = (c: Code) => f.if(c, () => f.return(i32.const(1)));
  leaveIf(getSlot32("stopAfter"));
  leaveIf(i32.ne(fetchBank, getSlot32("fetchBank")));
  const known = i64.load(tlbEntry(fetchBank, f.get(1)), TLB.fetch);
  leaveIf(i64.ne(known, i64.and(f.get(1), i64.const(-PAGE))));
  f.emit(setSlot("icount", i64.add(getSlot("icount"), i64.const(1))));
  leaveIf(i64.ne(f.call(routines.func(nextInterrupt), H), i64.const(-1)));
  f.emit(setSlot("dirty", i64.const(0)));
  f.emit(i32.const(0));
}

/** (h, ep) → the bits of the instruction at `ep`: an illegal instruction's tval. */
function illegalWord(m: Module): Func {
  const f = m.func("illegalWord", ["i32", "i32"], ["i64"]);
  const page = f.bind("i32", getSlot32("codePage"));
  const offset = f.bind("i32", i32.sub(f.get(1), page));
  f.if(
    i32.geU(offset, i32.const(CODE_PAGE.end)),
    () => f.return(i64.load32u(page, CODE_PAGE.loneWord)),
  );
  const at = i32.add(i32.load(page, CODE_PAGE.host), i32.shrU(offset, i32.const(3)));
  const low = f.bind("i64", i64.load16u(at));
  f.if(
    i64.eq(i64.and(low, i64.const(3)), i64.const(3)),
    () => f.return(i64.or(low, i64.shl(i64.load16u(at, 2), i64.const(16)))),
  );
  f.emit(low);
  return f;
}

/** Stores what the main loop keeps in locals. */
function syncIcount(f: Func, left: Local): void {
  f.emit(setSlot("icount", i64.sub(getSlot("icountEnd"), i64.extendU(f.get(left)))));
}
function finish(f: Func, left: Local, stop: Code): void {
  syncIcount(f, left);
  f.return(stop);
}

function emitRun(p: Parts): Map<Insn, Operations> {
  const { f, routines: { layout: l } } = p;
  const [ep, delta, bank] = [f.local("i32"), f.local("i64"), f.local("i32")];
  const left = 1; // The budget's own parameter counts down.
  let operations = new Map<Insn, Operations>();
  f.emit(setSlot("icountEnd", i64.add(getSlot("icount"), i64.extendU(f.get(left)))));
  if (onlyHart(l) === null) takeCopies(f, l);
  f.loop((check) => {
    emitCheck(p, left, bank);
    f.loop((refetch) => {
      f.block((leaveAtPc) => {
        f.block((leave) => {
          emitFetch(p, { ep, left, delta }, () => f.br(leaveAtPc));
          f.loop((next) => {
            const { noteTarget } = p;
            const frame = {
              ...{ ep, left, delta, bank, noteTarget },
              ...{ next, refetch, check, leave },
            };
            operations = emitDispatch(p, frame, () => f.br(leaveAtPc));
          });
        });
        f.emit(setSlot("pc", pcOfEntry(f, { ep, delta })));
      });
      emitLeave(p, left, ep);
      f.br(check);
    });
  });
  f.unreachable();
  return operations;
}

/** The copies of TLB entries are for the hart that runs. */
function takeCopies(f: Func, l: Layout): void {
  const owner = i32.const(l.copiesOwner);
  f.if(i32.ne(i32.load(owner), H), () => {
    dropCopies(f, l);
    f.emit(i32.store(owner, H));
  });
}

/** Between instructions, when modes or interrupts may have changed. */
function emitCheck(p: Parts, left: Local, bank: Local): void {
  const { f, routines, access } = p;
  f.emit(setSlot("dirty", i64.const(0)));
  f.emit(f.call(access.rebank, H));
  f.set(bank, getSlot32("dataBank"));
  f.if(getSlot32("stopAfter"), () => {
    f.set(p.code, i32.sub(getSlot32("stopAfter"), i32.const(1)));
    f.emit(setSlot("stopAfter", i64.const(0)));
    finish(f, left, f.get(p.code));
  });
  f.if(i32.eqz(f.get(left)), () => finish(f, left, i32.const(Stop.Budget)));
  syncIcount(f, left);
  const cause = f.bind("i64", f.call(routines.func(nextInterrupt), H));
  f.if(i64.ne(cause, i64.const(-1)), () => {
    f.emit(setSlot("lastCause", cause));
    const trap = i64.or(cause, i64.const(-(1n << 63n)));
    f.drop(f.call(routines.func(takeTrap), H, trap, i64.const(0)));
    finish(f, left, i32.const(Stop.Interrupt));
  });
}

/** Finds the decoded page for slot pc, and the entry in it. */
function emitFetch(p: Parts, frame: Pick<Frame, "ep" | "left" | "delta">, bail: () => void): void {
  const { f } = p;
  const { ep, left, delta } = frame;
  f.if(i32.eqz(f.get(left)), () => finish(f, left, i32.const(Stop.Budget)));
  f.set(p.pc, getSlot("pc"));
  const pc = f.get(p.pc);
  const entry = f.bind("i32", tlbEntry(getSlot32("fetchBank"), pc));
  const hit = i64.eq(i64.load(entry, TLB.fetch), i64.and(pc, i64.const(-PAGE)));
  const uncount = () => f.set(left, i32.add(f.get(left), i32.const(1)));
  const remember = () => f.emit(setSlot("codePage", i64.extendU(f.get(p.code))));
  f.block((ready) => {
    f.block((whole) => {
      f.if(
        hit,
        () => {
          f.set(p.code, i32.load(entry, TLB.fetch + TLB.payload));
          f.br(whole);
        },
        undefined,
        true,
      );
      f.set(left, i32.sub(f.get(left), i32.const(1)));
      f.set(p.code, f.call(p.access.fetchPage, H, pc));
      f.if(getSlot32("status"), bail);
      f.if(getSlot32("piecemeal"), () => {
        remember();
        emitLone(p, frame, bail);
        uncount();
        f.br(ready);
      });
      uncount();
    });
    remember();
    const slot = i32.shl(i32.and(i32.wrap(pc), i32.const(PAGE - 1)), i32.const(3));
    f.set(ep, i32.add(f.get(p.code), slot));
    f.set(delta, i64.sub(pc, i64.extendU(i32.shrU(f.get(ep), i32.const(3)))));
  });
}

/**
 * Decodes the instruction at slot pc into the lone entry of the page that runs: for one that leaves its
 * page, and where a page is not all alike. Its first half has been fetched, the other one is here.
 */
function emitLone(p: Parts, frame: Pick<Frame, "ep" | "delta">, bail: () => void): void {
  const { f } = p;
  const { ep, delta } = frame;
  const page = getSlot32("codePage");
  const half = (code: Code, pc: Code) => {
    const offset = i32.and(i32.wrap(pc), i32.const(PAGE - 1));
    return i32.load16u(i32.add(i32.load(code, CODE_PAGE.host), offset));
  };
  const pc = f.bind("i64", getSlot("pc"));
  const word = f.local("i32");
  f.set(word, half(page, pc));
  f.if(i32.eq(i32.and(f.get(word), i32.const(3)), i32.const(3)), () => {
    const second = f.bind("i64", i64.add(pc, i64.const(2)));
    f.set(p.code, f.call(p.access.fetchRest, H, second));
    f.if(getSlot32("status"), bail);
    f.set(word, i32.or(f.get(word), i32.shl(half(f.get(p.code), second), i32.const(16))));
  });
  f.set(ep, i32.add(page, i32.const(CODE_PAGE.lone)));
  f.set(delta, i64.sub(pc, i64.extendU(i32.shrU(f.get(ep), i32.const(3)))));
  f.if(i32.ne(i32.load(page, CODE_PAGE.loneWord), f.get(word)), () => {
    f.emit(i32.store(page, f.get(word), CODE_PAGE.loneWord));
    f.emit(f.call(p.decodeWord, f.get(ep), f.get(word)));
  });
}

/** An instruction did not complete: stop, or take its trap. The instruction has been counted. */
function emitLeave(p: Parts, left: Local, ep: Local): void {
  const { f } = p;
  f.set(p.code, getSlot32("status"));
  const status = f.get(p.code);
  f.emit(setSlot("status", i64.const(0)));
  f.if(i32.geU(status, i32.const(STATUS_STOP)), () => {
    f.set(left, i32.add(f.get(left), i32.const(1)));
    const rd = i64.load16u(f.get(ep), ENTRY.rd);
    f.emit(setSlot("accessRd", rd));
    finish(f, left, i32.sub(status, i32.const(STATUS_STOP)));
  });
  f.if(i32.eq(status, i32.const(STATUS_ILLEGAL)), () => {
    f.emit(setSlot("excCause", i64.const(STATUS_ILLEGAL)));
    f.emit(setSlot("excTval", f.call(p.rawWord, H, f.get(ep))));
  });
  f.emit(setSlot("exceptions", i64.add(getSlot("exceptions"), i64.const(1))));
  f.drop(f.call(p.routines.func(takeTrap), H, getSlot("excCause"), getSlot("excTval")));
}

function emitDispatch(p: Parts, frame: Frame, bail: () => void): Map<Insn, Operations> {
  const { f } = p;
  const { left } = frame;
  f.if(
    i32.eqz(f.get(left)),
    () => {
      f.emit(setSlot("pc", pcOfEntry(f, frame)));
      finish(f, left, i32.const(Stop.Budget));
    },
    undefined,
    false,
  );
  f.set(left, i32.sub(f.get(left), i32.const(1)));
  const operations = new Map<Insn, Operations>();
  const cases = pseudoHandlers(p, frame, bail);
  for (const insn of INSNS) {
    const far = cases.length;
    if (isOutlined(insn)) {
      cases.push(() => emitOutlined(p, frame, insn));
      operations.set(insn, { far });
      continue;
    }
    cases.push(() => void emitHandler(p, frame, insn, false));
    const branches = branchesIn(p, insn);
    if (branches) cases.push(() => void emitHandler(p, frame, insn, true));
    operations.set(insn, branches ? { far, near: far + 1 } : { far });
  }
  f.switch(i32.load16u(f.get(frame.ep), ENTRY.op), cases);
  f.unreachable();
  return operations;
}

/** Floating point would make the main function large, and everything in it slower. */
const isOutlined = (insn: Insn) => insn.floats.size > 0 && insn.mapping.imm === undefined;

/** Frame of code that is outside the main function, or thrown away. */
const NOWHERE: Frame = {
  ...{ ep: 1, left: 0, delta: 0, bank: 0 },
  ...{ next: { depth: 0 }, refetch: { depth: 0 }, check: { depth: 0 }, leave: { depth: 0 } },
  noteTarget: { index: 0 },
};

function emitOutlined(p: Parts, frame: Frame, insn: Insn): void {
  const f = p.routines.module.func(insn.name, ["i32", "i32"], ["i32"]);
  const ops = new OutlineOps(f, p.routines, NOWHERE, p.access, insn.row.length, false);
  insn.sem(ops, ENTRY_FIELDS);
  ops.end();
  p.f.if(p.f.call(f, H, p.f.get(frame.ep)), () => p.f.br(frame.leave), undefined, false);
  new HandlerOps(p.f, p.routines, frame, p.access, insn.row.length, false).end();
}

function emitHandler(p: Parts, frame: Frame, insn: Insn, near: boolean): HandlerOps {
  const ops = new HandlerOps(p.f, p.routines, frame, p.access, insn.row.length, near);
  insn.sem(ops, ENTRY_FIELDS);
  ops.end();
  return ops;
}

/** Tries the semantics on a function that is thrown away. */
function branchesIn(p: Parts, insn: Insn): boolean {
  const scratch = new Module(1).func("scratch", ["i32", "i32"], ["i32"]);
  return emitHandler({ ...p, f: scratch }, NOWHERE, insn, false).branches;
}

/** The order of PSEUDO. None of them is an instruction: each gives its count back. */
function pseudoHandlers(p: Parts, frame: Frame, bail: () => void): (() => void)[] {
  const { f } = p;
  const { ep, left, next, refetch, leave } = frame;
  const uncount = () => f.set(left, i32.add(f.get(left), i32.const(1)));
  const decode = () => {
    uncount();
    f.emit(f.call(p.decode, f.get(ep), getSlot32("codePage")));
    f.br(next);
  };
  const cross = () => {
    uncount();
    f.emit(setSlot("pc", pcOfEntry(f, frame)));
    f.br(refetch);
  };
  const straddle = () => {
    f.emit(setSlot("pc", pcOfEntry(f, frame)));
    emitLone(p, frame, bail);
    uncount();
    f.br(next);
  };
  const illegal = () => {
    f.emit(setSlot("status", i64.const(STATUS_ILLEGAL)));
    f.br(leave);
  };
  const handlers: (() => void)[] = [];
  handlers[PSEUDO.decode] = decode;
  handlers[PSEUDO.cross] = cross;
  handlers[PSEUDO.straddle] = straddle;
  handlers[PSEUDO.illegal] = illegal;
  handlers[PSEUDO.compiled] = () => emitEnter(p, frame, straddle);
  return handlers;
}

/** What every compiled region is: (h, budget left, entry, pc) → budget left, JUMPED or not; slot pc is set. */
export const regionType = (m: Module): number => m.type(["i32", "i32", "i32", "i64"], ["i32"]);

/**
 * Enters a compiled region. When it comes back without having executed anything, the instruction here
 * is one that it leaves to the interpreter, or the budget is small.
 */
function emitEnter(p: Parts, frame: Frame, interpretOne: () => void): void {
  const { f } = p;
  const { ep, left, refetch } = frame;
  const [slot, entry] = [ENTRY.imm, ENTRY.imm + 4].map((at) => i32.load(f.get(ep), at));
  const before = i32.add(f.get(left), i32.const(1));
  const result = f.callIndirect(
    ...[regionType(p.module), slot, H, before, entry, pcOfEntry(f, frame)] as const,
  );
  f.set(p.code, result);
  f.set(frame.bank, getSlot32("dataBank")); // A region may have written sstatus.SUM.
  emitStopped(p, left);
  f.if(i32.eq(f.get(p.code), before), interpretOne, undefined, false);
  countEntry(p, i32.sub(before, i32.and(f.get(p.code), i32.const(~JUMPED))));
  f.set(left, i32.and(f.get(p.code), i32.const(~JUMPED)));
  f.if(getSlot32("dirty"), () => f.br(frame.check), undefined, false);
  f.if(i32.and(f.get(p.code), i32.const(JUMPED)), () => countExit(p, left));
  f.br(refetch);
}

/** A region leaves a stop to `run`'s caller in slot status: of the instruction at slot pc, not counted. */
function emitStopped(p: Parts, left: Local): void {
  const { f } = p;
  f.if(
    getSlot32("status"),
    () => {
      const stop = f.bind("i32", i32.sub(getSlot32("status"), i32.const(STATUS_STOP)));
      countEntry(p, i32.sub(i32.add(f.get(left), i32.const(1)), f.get(p.code)));
      f.emit(setSlot("status", i64.const(0)));
      f.set(left, f.get(p.code));
      finish(f, left, stop);
    },
    undefined,
    false,
  );
  f.releaseTemps();
}

function countEntry(p: Parts, insns: Code): void {
  const { compiledInsns, entered } = p.routines.layout;
  const add = (at: number, v: Code) =>
    p.f.emit(i64.store(i32.const(at), i64.add(i64.load(i32.const(at)), v)));
  add(compiledInsns, i64.extendU(insns));
  add(entered, i64.const(1));
}

/** Where compiled code often leads, more of it is wanted. */
function countExit(p: Parts, left: Local): void {
  const { f } = p;
  const pc = i32.load(H, SLOT.pc);
  const hash = i32.xor(i32.shl(pc, i32.const(1)), i32.shrU(pc, i32.const(11)));
  const at = f.bind("i32", i32.and(hash, i32.const(EXITS.bytes - 4)));
  const count = f.bind("i32", i32.add(i32.load(at, p.routines.layout.exits), i32.const(1)));
  f.emit(i32.store(at, count, p.routines.layout.exits));
  const mask = i32.load(i32.const(p.routines.layout.exitsMask));
  const often = i32.eqz(i32.and(count, mask));
  f.if(often, () => finish(f, left, i32.const(HOT)), undefined, false);
  f.releaseTemps();
}
