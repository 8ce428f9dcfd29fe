/**
 * Address translation: effective privilege, Sv39, and the stage-2 check of the hypervisor that is
 * modelled. Source: RISC-V Privileged ISA, "Sv39" and "Virtual Address Translation Process" (the
 * numbers are its steps), §3.1.6.3 (MPRV).
 * Simplifications: A and D are set by hardware (Svadu's behaviour, always on); no Svnapot, no Svpbmt.
 *
 * @module
 */
import { CAUSE, MSTATUS, PTE, PTE_RESERVED, SATP_PPN, SATP_SV39 } from "./mstatus.ts";
import type { Ops, Routine, Var } from "./ops.ts";
import { Access, Stop } from "./state.ts";

const PAGE_SHIFT = 12;

export const bitSet = <V, C>(o: Ops<V, C>, v: V, n: number): C =>
  o.ne(o.and(v, o.konst(1n << BigInt(n))), o.konst(0));
const field = <V, C>(o: Ops<V, C>, v: V, shift: number, width: number): V =>
  o.and(o.shr(v, o.konst(shift)), o.konst((1n << BigInt(width)) - 1n));
const any = <V, C>(o: Ops<V, C>, v: V, mask: number | bigint): C =>
  o.ne(o.and(v, o.konst(mask)), o.konst(0));

const accessCause = (kind: Access) => kind === Access.Fetch ? CAUSE.FetchAccess : 4 + kind;

function touchStage2<V, C>(o: Ops<V, C>, pa: V, kind: Access): void {
  o.when(o.both(o.inRam(pa), o.not(o.stage2Mapped(pa))), () => {
    o.set("stage2Gpa", pa);
    o.set("stage2Kind", o.konst(kind));
    o.stop(Stop.Stage2);
  });
}

/** Steps 5 and 6: may this access use this leaf? */
function leafAllows<V, C>(o: Ops<V, C>, pte: V, priv: V, kind: Access): C {
  const mstatus = o.get("mstatus");
  const user = any(o, pte, PTE.U);
  const isU = o.eq(priv, o.konst(0));
  const sum = bitSet(o, mstatus, MSTATUS.SUM);
  const privOk = kind === Access.Fetch
    ? o.either(o.both(isU, user), o.not(o.either(isU, user)))
    : o.either(o.both(isU, user), o.both(o.not(isU), o.either(o.not(user), sum)));
  if (kind === Access.Fetch) return o.both(privOk, any(o, pte, PTE.X));
  if (kind === Access.Store) return o.both(privOk, any(o, pte, PTE.W));
  const executable = o.both(bitSet(o, mstatus, MSTATUS.MXR), any(o, pte, PTE.X));
  return o.both(privOk, o.either(any(o, pte, PTE.R), executable));
}

interface WalkState<V> {
  table: Var<V>;
  pte: Var<V>;
  pteAddr: Var<V>;
  /** Virtual address bits that the leaf does not translate. */
  pageMask: Var<V>;
}

function walkLevel<V, C>(o: Ops<V, C>, w: WalkState<V>, va: V, level: number, kind: Access): void {
  const pageFault = () => o.raise(12 + kind, va);
  const at = o.add(
    w.table.get(),
    o.shl(field(o, va, PAGE_SHIFT + 9 * level, 9), o.konst(3)),
  );
  w.pteAddr.set(at);
  o.when(o.not(o.inRam(at)), () => o.raise(accessCause(kind), va));
  touchStage2(o, at, Access.Load);
  const pte = o.ramLoad(at);
  w.pte.set(pte);
  const writeOnly = o.eq(o.and(pte, o.konst(PTE.R | PTE.W)), o.konst(PTE.W));
  const invalid = o.either(o.not(any(o, pte, PTE.V)), any(o, pte, PTE_RESERVED));
  o.when(o.either(invalid, writeOnly), pageFault);
  const next = o.shl(field(o, pte, 10, 44), o.konst(PAGE_SHIFT));
  o.when(any(o, pte, PTE.R | PTE.X), () => {
    const mask = (1n << BigInt(9 * level + PAGE_SHIFT)) - 1n;
    o.when(any(o, next, mask), pageFault);
    w.pageMask.set(o.konst(mask));
    o.set("walkLevel", o.konst(level));
  }, () => {
    o.when(any(o, pte, PTE.U | PTE.A | PTE.D), pageFault);
    if (level === 0) pageFault();
    w.table.set(next);
  });
}

const walk = (kind: Access): Routine => ({
  name: `walk${Access[kind]}`,
  params: 2,
  raises: true,
  body: (o, va, priv) => {
    const zero = o.konst(0);
    const root = o.shl(o.and(o.get("satp"), o.konst(SATP_PPN)), o.konst(PAGE_SHIFT));
    const w = { table: o.var(root), pte: o.var(zero), pteAddr: o.var(zero), pageMask: o.var(zero) };
    const canonical = o.sar(o.shl(va, o.konst(64 - 39)), o.konst(64 - 39));
    o.when(o.ne(canonical, va), () => o.raise(12 + kind, va));
    for (const level of [2, 1, 0]) {
      o.when(o.eq(w.pageMask.get(), zero), () => walkLevel(o, w, va, level, kind));
    }
    const pte = w.pte.get();
    o.when(o.not(leafAllows(o, pte, priv, kind)), () => o.raise(12 + kind, va));
    const marked = o.or(pte, o.konst(kind === Access.Store ? PTE.A | PTE.D : PTE.A));
    o.when(o.ne(marked, pte), () => o.ramStore(w.pteAddr.get(), marked));
    const mask = w.pageMask.get();
    const base = o.and(o.shl(field(o, pte, 10, 44), o.konst(PAGE_SHIFT)), o.xor(mask, o.konst(-1)));
    return o.or(base, o.and(va, mask));
  },
});

export const isSv39 = <V, C>(o: Ops<V, C>): C =>
  o.eq(o.shr(o.get("satp"), o.konst(60)), o.konst(SATP_SV39));

/** Privilege with which loads and stores are checked. */
export function dataPriv<V, C>(o: Ops<V, C>): V {
  const mstatus = o.get("mstatus");
  return o.select(
    bitSet(o, mstatus, MSTATUS.MPRV),
    field(o, mstatus, MSTATUS.MPP, 2),
    o.get("priv"),
  );
}

/** Guest-physical address of `va`; raises, or stops with Stop.Stage2. */
const translate = (kind: Access): Routine => {
  const routine = walk(kind);
  return {
    name: `translate${Access[kind]}`,
    params: 1,
    raises: true,
    body: (o, va) => {
      const priv = kind === Access.Fetch ? o.get("priv") : dataPriv(o);
      const pa = o.var(va);
      o.set("walkLevel", o.konst(0));
      o.when(
        o.both(o.ne(priv, o.konst(3)), isSv39(o)),
        () => pa.set(o.call(routine, va, priv)),
      );
      touchStage2(o, pa.get(), kind);
      return pa.get();
    },
  };
};

export const TRANSLATE: Record<Access, Routine> = {
  [Access.Fetch]: translate(Access.Fetch),
  [Access.Load]: translate(Access.Load),
  [Access.Store]: translate(Access.Store),
};
