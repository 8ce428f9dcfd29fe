/**
 * Address translation: effective privilege, Sv39, Sv48 and Sv57, physical memory protection, and the
 * stage-2 check of the hypervisor that is modelled. Source: RISC-V Privileged ISA, "Sv39" to "Sv57",
 * "Virtual Address Translation Process" (the numbers are its steps), "Svnapot", "Svpbmt", "Svade",
 * "Svadu", §3.1.6.3 (MPRV), §3.7 (PMP), §3.1.15 (priority of exceptions).
 * Simplifications: memory types (PBMT) change nothing, for there are no caches.
 *
 * @module
 */
import { feature } from "./extensions.ts";
import { CAUSE, MENVCFG, MSTATUS, PTE, SATP, SATP_PPN } from "./mstatus.ts";
import type { Ops, Routine, Var } from "./ops.ts";
import { ALLOWED, allowed } from "./pmp.ts";
import { Access, Stop } from "./state.ts";
import { checkTriggers } from "./trigger.ts";
import { bitSet } from "./values.ts";

const PAGE_SHIFT = 12;
const NAPOT_SHIFT = 16;
const PTE_BYTES = 8;
const SUPERVISOR = 1;

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

/** What is walked for: permissions of `kind`, exceptions of `as`. */
interface Purpose {
  kind: Access;
  as: Access;
  /** Second half of an instruction: no trigger has its address. */
  rest?: true;
}

interface Walk<V> {
  table: Var<V>;
  pte: Var<V>;
  pteAddr: Var<V>;
  /** Virtual address bits that the leaf does not translate. */
  pageMask: Var<V>;
  pageFault: () => void;
}

/** PBMT (Svpbmt) and N (Svnapot) of a leaf, and what is reserved above the PPN. */
function checkHighBits<V, C>(o: Ops<V, C>, w: Walk<V>, pte: V, level: number, leaf: C): void {
  o.when(any(o, pte, PTE.RESERVED | PTE.PBMT | PTE.N), () => {
    const pbmt = o.and(pte, o.konst(PTE.PBMT));
    const typed = bitSet(o, o.get("menvcfg"), MENVCFG.PBMTE);
    const badType = o.either(
      o.eq(pbmt, o.konst(PTE.PBMT)),
      o.both(o.ne(pbmt, o.konst(0)), o.not(typed)),
    );
    const is64K = o.eq(field(o, pte, 10, 4), o.konst(8));
    const isNapot = any(o, pte, PTE.N);
    const badN = level === 0
      ? o.both(isNapot, o.not(o.both(feature(o, "svnapot"), is64K)))
      : isNapot;
    const bad = o.either(o.not(leaf), o.either(badType, badN));
    o.when(o.either(any(o, pte, PTE.RESERVED), bad), w.pageFault);
  });
}

function walkLevel<V, C>(o: Ops<V, C>, w: Walk<V>, va: V, level: number, as: Access): void {
  const at = o.add(
    w.table.get(),
    o.shl(field(o, va, PAGE_SHIFT + 9 * level, 9), o.konst(3)),
  );
  w.pteAddr.set(at);
  const readable = allowed(o, at, o.konst(PTE_BYTES), o.konst(SUPERVISOR), Access.Load);
  const refused = o.eq(readable, o.konst(ALLOWED.no));
  o.when(o.either(o.not(o.inRam(at)), refused), () => o.raise(accessCause(as), va));
  touchStage2(o, at, Access.Load);
  const pte = o.ramLoad(at);
  w.pte.set(pte);
  const writeOnly = o.eq(o.and(pte, o.konst(PTE.R | PTE.W)), o.konst(PTE.W));
  o.when(o.either(o.not(any(o, pte, PTE.V)), writeOnly), w.pageFault);
  const leaf = any(o, pte, PTE.R | PTE.X);
  checkHighBits(o, w, pte, level, leaf);
  const next = o.shl(field(o, pte, 10, 44), o.konst(PAGE_SHIFT));
  const shift = PAGE_SHIFT + 9 * level;
  o.when(leaf, () => {
    const mask = (1n << BigInt(shift)) - 1n;
    o.when(any(o, next, mask), w.pageFault);
    w.pageMask.set(o.konst(mask));
    o.set("pageShift", o.konst(shift));
    if (level === 0) {
      o.when(any(o, pte, PTE.N), () => {
        w.pageMask.set(o.konst((1n << BigInt(NAPOT_SHIFT)) - 1n));
        o.set("pageShift", o.konst(NAPOT_SHIFT));
      });
    }
  }, () => {
    o.when(any(o, pte, PTE.U | PTE.A | PTE.D), w.pageFault);
    if (level === 0) w.pageFault();
    w.table.set(next);
  });
}

/** Step 9: A and D are set here where menvcfg.ADUE says so, and by the page-fault handler elsewhere. */
function mark<V, C>(o: Ops<V, C>, w: Walk<V>, va: V, p: Purpose): void {
  const pte = w.pte.get();
  const marked = o.or(pte, o.konst(p.kind === Access.Store ? PTE.A | PTE.D : PTE.A));
  o.when(o.ne(marked, pte), () => {
    o.when(o.not(bitSet(o, o.get("menvcfg"), MENVCFG.ADUE)), w.pageFault);
    const at = w.pteAddr.get();
    const writable = allowed(o, at, o.konst(PTE_BYTES), o.konst(SUPERVISOR), Access.Store);
    o.when(o.eq(writable, o.konst(ALLOWED.no)), () => o.raise(accessCause(p.as), va));
    o.ramStore(at, marked);
  });
}

const walk = (p: Purpose): Routine => ({
  name: `walk${Access[p.kind]}As${Access[p.as]}`,
  params: 2,
  raises: true,
  body: (o, va, priv) => {
    const zero = o.konst(0);
    const satp = o.get("satp");
    const root = o.shl(o.and(satp, o.konst(SATP_PPN)), o.konst(PAGE_SHIFT));
    const w = {
      ...{ table: o.var(root), pte: o.var(zero), pteAddr: o.var(zero), pageMask: o.var(zero) },
      pageFault: () => o.raise(12 + p.as, va),
    };
    const mode = o.shr(satp, o.konst(60));
    // Sv39 has mode 8 and 39 bits, each mode more has 9 bits more.
    const unused = o.sub(o.konst(64 - 39 + 9 * SATP.sv39), o.mul(mode, o.konst(9)));
    o.when(o.ne(o.sar(o.shl(va, unused), unused), va), w.pageFault);
    for (const [level, least] of [[4, SATP.sv57], [3, SATP.sv48], [2, 0], [1, 0], [0, 0]]) {
      const onTheWay = o.eq(w.pageMask.get(), zero);
      const there = least === 0 ? onTheWay : o.both(onTheWay, o.not(o.ltU(mode, o.konst(least))));
      o.when(there, () => walkLevel(o, w, va, level, p.as));
    }
    const pte = w.pte.get();
    o.when(o.not(leafAllows(o, pte, priv, p.kind)), w.pageFault);
    mark(o, w, va, p);
    const mask = w.pageMask.get();
    const base = o.and(o.shl(field(o, pte, 10, 44), o.konst(PAGE_SHIFT)), o.xor(mask, o.konst(-1)));
    return o.or(base, o.and(va, mask));
  },
});

/** Privilege with which loads and stores are checked. */
export function dataPriv<V, C>(o: Ops<V, C>): V {
  const mstatus = o.get("mstatus");
  return o.select(
    bitSet(o, mstatus, MSTATUS.MPRV),
    field(o, mstatus, MSTATUS.MPP, 2),
    o.get("priv"),
  );
}

/** (va, bytes, within one page) → guest-physical address; raises, or stops with Stop.Stage2. */
const translate = (p: Purpose): Routine => {
  const routine = walk(p);
  return {
    name: `translate${Access[p.kind]}As${Access[p.as]}${p.rest ? "Rest" : ""}`,
    params: 2,
    raises: true,
    body: (o, va, bytes) => {
      const near = o.var(o.konst(0));
      const bare = o.eq(o.get("sbi"), o.konst(0));
      o.when(bare, () => near.set(checkTriggers(o, va, bytes, p.as, p.rest === true)));
      const priv = p.kind === Access.Fetch ? o.get("priv") : dataPriv(o);
      const pa = o.var(va);
      o.set("pageShift", o.konst(PAGE_SHIFT));
      const paged = o.ne(o.shr(o.get("satp"), o.konst(60)), o.konst(0));
      o.when(
        o.both(o.ne(priv, o.konst(3)), paged),
        () => pa.set(o.call(routine, va, priv)),
      );
      const permission = allowed(o, pa.get(), bytes, priv, p.kind);
      o.when(o.eq(permission, o.konst(ALLOWED.no)), () => o.raise(accessCause(p.as), va));
      const part = o.bool(o.eq(permission, o.konst(ALLOWED.part)));
      o.set("piecemeal", o.or(part, near.get()));
      touchStage2(o, pa.get(), p.kind);
      return pa.get();
    },
  };
};

const plain = (kind: Access) => translate({ kind, as: kind });
export const TRANSLATE: Record<Access, Routine> = {
  [Access.Fetch]: plain(Access.Fetch),
  [Access.Load]: plain(Access.Load),
  [Access.Store]: plain(Access.Store),
};
/** For the second half of an instruction. */
export const TRANSLATE_REST = translate({ kind: Access.Fetch, as: Access.Fetch, rest: true });
/** For cache-block management: where a load is permitted, with a store's exceptions (CMO §2.5). */
export const TRANSLATE_BLOCK = translate({ kind: Access.Load, as: Access.Store });
