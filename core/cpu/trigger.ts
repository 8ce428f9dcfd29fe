/**
 * Four address triggers, types mcontrol and mcontrol6. Source: RISC-V Debug Specification 1.0, "Sdtrig".
 * One fires before the instruction takes effect and raises a breakpoint exception: on execution at
 * exactly its address, on a load or store that touches the byte there. In M-mode it fires only while
 * mstatus.MIE is set, in S-mode with breakpoints delegated only while SIE is, so that a handler does not
 * interrupt itself.
 * Simplifications: action 0, match 0, select 0, any size, no chains, no hit bits, no tcontrol; other
 * values are written as these. The privilege is the current one, also under MPRV.
 *
 * @module
 */
import { CAUSE, MSTATUS } from "./mstatus.ts";
import type { Ops, Routine } from "./ops.ts";
import { Access, TRIGGER_ADDRESSES, TRIGGER_CONTROLS } from "./state.ts";
import { bitSet } from "./values.ts";

const TYPE = { mcontrol: 2n, mcontrol6: 6n, disabled: 15n } as const;
/** m, s, u, execute, store, load: the same bits in both types. U, S and M have bit 3 + privilege. */
const CONTROL = 0x5fn;
const PRIVILEGES = 3;
const FIRES: Record<Access, number> = { [Access.Fetch]: 4, [Access.Load]: 1, [Access.Store]: 2 };
const PAGE = 4096;

/** Where triggers of this kind may fire at all. */
function armed<V, C>(o: Ops<V, C>): C {
  const [priv, mstatus] = [o.get("priv"), o.get("mstatus")];
  const delegated = bitSet(o, o.get("medeleg"), CAUSE.Breakpoint);
  const inM = o.eq(priv, o.konst(3));
  const inS = o.both(o.eq(priv, o.konst(1)), delegated);
  const m = o.either(o.not(inM), bitSet(o, mstatus, MSTATUS.MIE));
  return o.both(m, o.either(o.not(inS), bitSet(o, mstatus, MSTATUS.SIE)));
}

/** (va, bytes, FIRES bit) → 2: a trigger fires; 1: one lies in the page; 0: none does. */
const look: Routine = {
  name: "triggerLook",
  params: 3,
  raises: false,
  body: (o, va, bytes, kind) => {
    const [zero, one] = [o.konst(0), o.konst(1)];
    const found = o.var(zero);
    const page = o.and(va, o.konst(-PAGE));
    TRIGGER_CONTROLS.forEach((slot, i) => {
      const control = o.get(slot);
      o.when(o.ne(o.and(control, kind), zero), () => {
        const at = o.get(TRIGGER_ADDRESSES[i]);
        const near = o.eq(o.and(at, o.konst(-PAGE)), page);
        o.when(o.both(near, o.eq(found.get(), zero)), () => found.set(one));
        const here = o.ltU(o.sub(at, va), bytes);
        const mode = o.and(o.shr(control, o.add(o.get("priv"), o.konst(PRIVILEGES))), one);
        const fires = o.both(o.both(here, o.ne(mode, zero)), armed(o));
        o.when(fires, () => found.set(o.konst(2)));
      });
    });
    return found.get();
  },
};

/** Raises the breakpoint of a trigger that fires; gives 1 when one lies in the same page. */
export function checkTriggers<V, C>(o: Ops<V, C>, va: V, bytes: V, kind: Access, rest: boolean): V {
  const extent = kind === Access.Fetch ? o.konst(rest ? 0 : 1) : bytes;
  const found = o.call(look, va, extent, o.konst(FIRES[kind]));
  o.when(o.eq(found, o.konst(2)), () => o.raise(CAUSE.Breakpoint, va));
  return found;
}

/** Types that exist, as tinfo gives them, and version 1 of the specification. */
export const TINFO = 1n << TYPE.mcontrol | 1n << TYPE.mcontrol6 | 1n << TYPE.disabled | 1n << 24n;
export const TRIGGERS_RESET = TYPE.disabled << 60n;

const changed = <V, C>(o: Ops<V, C>) => {
  o.flushTlb();
  o.set("dirty", o.konst(1));
};

export function writeControl<V, C>(o: Ops<V, C>, v: V): void {
  const type = o.shr(v, o.konst(60));
  const known = o.either(o.eq(type, o.konst(TYPE.mcontrol)), o.eq(type, o.konst(TYPE.mcontrol6)));
  const kept = o.and(v, o.konst(15n << 60n | CONTROL));
  const next = o.select(known, kept, o.konst(TRIGGERS_RESET));
  o.switch(o.get("tselect"), TRIGGER_CONTROLS.map((slot) => () => o.set(slot, next)));
  changed(o);
}
export function writeAddress<V, C>(o: Ops<V, C>, v: V): void {
  o.switch(o.get("tselect"), TRIGGER_ADDRESSES.map((slot) => () => o.set(slot, v)));
  changed(o);
}
