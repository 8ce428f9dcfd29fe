/**
 * Physical memory protection: 64 entries, granularity 4 bytes. Source: RISC-V Privileged ISA §3.7.
 * Not there where the hypervisor's own SBI stands in for M-mode.
 * Simplifications: R=0 with W=1 is reserved and written as R=W=0; no mseccfg.
 *
 * @module
 */
import type { Ops, Routine } from "./ops.ts";
import { Access, PMP_ADDRESSES, PMP_CONFIGS } from "./state.ts";

/** Bits of an entry's configuration byte. */
export const PMP = { R: 1, W: 2, X: 4, A: 3, L: 7 } as const;
const MATCH = { off: 0, tor: 1, na4: 2, napot: 3 } as const;
/** Bits 55:2 of an address. */
const ADDRESS = (1n << 54n) - 1n;
const PAGE = 4096;

const each = (byte: number) => BigInt(byte) * 0x0101_0101_0101_0101n;
const NEEDS: Record<Access, number> = {
  [Access.Fetch]: PMP.X,
  [Access.Load]: PMP.R,
  [Access.Store]: PMP.W,
};

/** What `check` answers. `part`: the access is allowed, but its page is not all alike. */
export const ALLOWED = { no: 0, page: 1, part: 2 } as const;

/** First byte that an entry covers, and the first beyond. */
function range<V, C>(o: Ops<V, C>, i: V, mode: V): { first: V; end: V } {
  const [zero, one, two] = [o.konst(0), o.konst(1), o.konst(2)];
  const addr = o.getAt("pmpaddr0", i);
  const isFirst = o.eq(i, zero);
  const before = o.getAt("pmpaddr0", o.select(isFirst, zero, o.sub(i, one)));
  const below = o.select(isFirst, zero, before);
  const ones = o.xor(addr, o.add(addr, one));
  const napot = o.eq(mode, o.konst(MATCH.napot));
  const base = o.select(napot, o.and(addr, o.xor(ones, o.konst(-1))), addr);
  const size = o.select(napot, o.add(ones, one), one);
  const tor = o.eq(mode, o.konst(MATCH.tor));
  return {
    first: o.shl(o.select(tor, below, base), two),
    end: o.shl(o.select(tor, addr, o.add(base, size)), two),
  };
}

/** (pa, bytes, privilege, bit of the permission needed) → ALLOWED. The lowest entry that matches decides. */
export const check: Routine = {
  name: "pmpCheck",
  params: 4,
  raises: false,
  body: (o, pa, bytes, priv, needed) => {
    const [zero, one] = [o.konst(0), o.konst(1)];
    const isM = o.eq(priv, o.konst(3));
    const page = o.and(pa, o.konst(-PAGE));
    const [accessEnd, pageEnd] = [o.add(pa, bytes), o.add(page, o.konst(PAGE))];
    const answer = o.var(o.bool(isM)); // Without a match only M-mode passes.
    const split = o.var(zero);
    const i = o.var(zero);
    const last = o.konst(64);
    const decide = (cfg: V, covered: C) => {
      const open = o.both(isM, o.eq(o.and(cfg, o.konst(1 << PMP.L)), zero));
      const granted = o.either(open, o.ne(o.and(cfg, needed), zero));
      answer.set(o.bool(o.both(covered, granted)));
      i.set(last);
    };
    type V = typeof pa;
    type C = typeof isM;
    const entry = (cfg: V, mode: V) => {
      const { first, end } = range(o, i.get(), mode);
      const inPage = o.both(o.ltU(first, pageEnd), o.ltU(page, end));
      o.when(o.both(inPage, o.ltU(first, end)), () => {
        const whole = o.not(o.either(o.ltU(page, first), o.ltU(end, pageEnd)));
        o.when(o.not(whole), () => split.set(one));
        const touched = o.both(o.ltU(first, accessEnd), o.ltU(pa, end));
        const covered = o.not(o.either(o.ltU(pa, first), o.ltU(end, accessEnd)));
        o.when(touched, () => decide(cfg, covered));
      });
      i.set(o.add(i.get(), one));
    };
    o.loop(() => {
      const word = o.getAt("pmpcfg0", o.shr(i.get(), o.konst(3)));
      const active = o.ne(o.and(word, o.konst(each(3 << PMP.A))), zero);
      o.when(active, () => {
        const cfg = o.shr(word, o.shl(o.and(i.get(), o.konst(7)), o.konst(3)));
        const mode = o.and(o.shr(cfg, o.konst(PMP.A)), o.konst(3));
        o.when(o.ne(mode, zero), () => entry(cfg, mode), () => i.set(o.add(i.get(), one)));
      }, () => i.set(o.add(i.get(), o.konst(8))));
      return o.ltU(i.get(), last);
    });
    const partly = o.both(o.ne(answer.get(), zero), o.ne(split.get(), zero));
    return o.select(partly, o.konst(ALLOWED.part), answer.get());
  },
};

/** ALLOWED for an access of `kind`; everything where there is no M-mode software. */
export function allowed<V, C>(o: Ops<V, C>, pa: V, bytes: V, priv: V, kind: Access): V {
  const answer = o.var(o.konst(ALLOWED.page));
  o.when(o.eq(o.get("sbi"), o.konst(0)), () => {
    answer.set(o.call(check, pa, bytes, priv, o.konst(NEEDS[kind])));
  });
  return answer.get();
}

/** pmpcfg as written, entries that are locked left alone. */
function legalConfig<V, C>(o: Ops<V, C>, old: V, v: V): V {
  const writable = each(1 << PMP.L | 3 << PMP.A | PMP.X | PMP.R);
  const readable = o.and(v, o.konst(each(PMP.R)));
  const writes = o.and(o.and(v, o.konst(each(PMP.W))), o.shl(readable, o.konst(1)));
  const wanted = o.or(o.and(v, o.konst(writable)), writes);
  const locks = o.shr(o.and(old, o.konst(each(1 << PMP.L))), o.konst(PMP.L));
  const locked = o.mul(locks, o.konst(255));
  return o.or(o.and(old, locked), o.and(wanted, o.xor(locked, o.konst(-1))));
}

const changed = <V, C>(o: Ops<V, C>) => {
  o.flushTlb();
  o.set("dirty", o.konst(1));
};

export const writeConfig = <V, C>(o: Ops<V, C>, word: number, v: V): void => {
  const slot = PMP_CONFIGS[word];
  o.set(slot, legalConfig(o, o.get(slot), v));
  changed(o);
};

const config = <V, C>(o: Ops<V, C>, i: V): V =>
  o.shr(o.getAt("pmpcfg0", o.shr(i, o.konst(3))), o.shl(o.and(i, o.konst(7)), o.konst(3)));

/**
 * (entry) → 1 when its address is locked: by the entry itself, or by the next one when that is a
 * range from here.
 */
const lockedAddress: Routine = {
  name: "pmpLocked",
  params: 1,
  raises: false,
  body: (o, i) => {
    const lock = 1 << PMP.L;
    const own = o.ne(o.and(config(o, i), o.konst(lock)), o.konst(0));
    const next = o.add(i, o.konst(1));
    const there = o.ltU(next, o.konst(PMP_ADDRESSES.length));
    const nextConfig = config(o, o.select(there, next, i));
    const ranged = o.eq(
      o.and(nextConfig, o.konst(lock | 3 << PMP.A)),
      o.konst(lock | MATCH.tor << PMP.A),
    );
    return o.bool(o.either(own, o.both(there, ranged)));
  },
};

export const writeAddress = <V, C>(o: Ops<V, C>, i: number, v: V): void => {
  o.when(o.eq(o.call(lockedAddress, o.konst(i)), o.konst(0)), () => {
    o.set(PMP_ADDRESSES[i], o.and(v, o.konst(ADDRESS)));
    changed(o);
  });
};
