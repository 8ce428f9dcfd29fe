/**
 * Traps, interrupts and clocks. Source: RISC-V Privileged ISA §3.1.6–3.1.9 (stacks, delegation,
 * pending and enabled interrupts), §3.3.2 (xRET), "Sstc".
 *
 * @module
 */
import { IRQ, IRQ_PRIORITY, MENVCFG, MSTATUS } from "./mstatus.ts";
import type { Ops, Routine } from "./ops.ts";
import type { Slot } from "./state.ts";
import { bitSet } from "./values.ts";

const INTERRUPT = 1n << 63n;

/** `v` with the bits from..from+width−1 replaced by `bits`. */
function deposit<V, C>(o: Ops<V, C>, v: V, from: number, width: number, bits: V): V {
  const mask = ((1n << BigInt(width)) - 1n) << BigInt(from);
  return o.or(o.and(v, o.konst(~mask)), o.shl(bits, o.konst(from)));
}
const bitOf = <V, C>(o: Ops<V, C>, v: V, n: number): V => o.bool(bitSet(o, v, n));

/** What a trap into, or a return from, M or S uses. */
const LEVEL = {
  m: { priv: 3, ie: MSTATUS.MIE, pie: MSTATUS.MPIE, pp: MSTATUS.MPP, ppWidth: 2 },
  s: { priv: 1, ie: MSTATUS.SIE, pie: MSTATUS.SPIE, pp: MSTATUS.SPP, ppWidth: 1 },
} as const;
export type Level = keyof typeof LEVEL;
const slot = (level: Level, name: string) => (level + name) as Slot;

function enter<V, C>(o: Ops<V, C>, level: Level, cause: V, tval: V, isInterrupt: C): void {
  const l = LEVEL[level];
  const code = o.and(cause, o.konst(~INTERRUPT));
  o.set(slot(level, "epc"), o.get("pc"));
  o.set(slot(level, "cause"), cause);
  o.set(slot(level, "tval"), tval);
  const old = o.get("mstatus");
  const stacked = deposit(o, old, l.pie, 1, bitOf(o, old, l.ie));
  const masked = deposit(o, stacked, l.ie, 1, o.konst(0));
  o.set("mstatus", deposit(o, masked, l.pp, l.ppWidth, o.get("priv")));
  o.set("priv", o.konst(l.priv));
  const tvec = o.get(slot(level, "tvec"));
  const base = o.and(tvec, o.konst(-4));
  const vectored = o.both(isInterrupt, bitSet(o, tvec, 0));
  o.set("pc", o.select(vectored, o.add(base, o.shl(code, o.konst(2))), base));
}

/** Enters the handler for `cause` (top bit: interrupt) at slot pc. */
export const takeTrap: Routine = {
  name: "takeTrap",
  params: 2,
  raises: false,
  body: (o, cause, tval) => {
    const isInterrupt = o.ltS(cause, o.konst(0));
    const code = o.and(cause, o.konst(63));
    const delegated = o.select(isInterrupt, o.get("mideleg"), o.get("medeleg"));
    const chosen = o.ne(o.and(o.shr(delegated, code), o.konst(1)), o.konst(0));
    o.when(
      o.both(chosen, o.ltU(o.get("priv"), o.konst(2))),
      () => enter(o, "s", cause, tval, isInterrupt),
      () => enter(o, "m", cause, tval, isInterrupt),
    );
    return o.konst(0);
  },
};

/** The return from a trap at `level`; gives the address to go to. */
export function leave<V, C>(o: Ops<V, C>, level: Level): V {
  const l = LEVEL[level];
  const old = o.get("mstatus");
  const pp = o.and(o.shr(old, o.konst(l.pp)), o.konst((1 << l.ppWidth) - 1));
  const restored = deposit(o, old, l.ie, 1, bitOf(o, old, l.pie));
  const armed = deposit(o, deposit(o, restored, l.pie, 1, o.konst(1)), l.pp, l.ppWidth, o.konst(0));
  const unprivileged = deposit(o, armed, MSTATUS.MPRV, 1, o.konst(0));
  o.set("mstatus", o.select(o.eq(pp, o.konst(3)), armed, unprivileged));
  o.set("priv", pp);
  o.set("dirty", o.konst(1));
  return o.get(slot(level, "epc"));
}

/** Ticks of the timebase: clock × timeMul / timeDiv, without overflow. */
export const time: Routine = {
  name: "time",
  params: 0,
  raises: false,
  body: (o) => {
    const ns = o.add(o.get("skewNs"), o.mul(o.get("icount"), o.get("nsPerInsn")));
    const [mul, div] = [o.get("timeMul"), o.get("timeDiv")];
    const whole = o.mul(o.div(ns, div, "unsigned"), mul);
    return o.add(whole, o.div(o.mul(o.rem(ns, div, "unsigned"), mul), div, "unsigned"));
  },
};

/** mip as software reads it: wires, software bits, and the Sstc comparison. */
export const mipNow: Routine = {
  name: "mipNow",
  params: 0,
  raises: false,
  body: (o) => {
    const pending = o.var(o.or(o.get("mip"), o.get("irqLines")));
    o.when(bitSet(o, o.get("menvcfg"), MENVCFG.STCE), () => {
      const late = o.not(o.ltU(o.call(time), o.get("stimecmp")));
      pending.set(deposit(o, pending.get(), IRQ.STI, 1, o.bool(late)));
    });
    return pending.get();
  },
};

/** Cause of the interrupt to take now (top bit clear), or −1. */
export const nextInterrupt: Routine = {
  name: "nextInterrupt",
  params: 0,
  raises: false,
  body: (o) => {
    const found = o.var(o.konst(-1));
    const enabled = o.get("mie");
    o.when(o.ne(enabled, o.konst(0)), () => {
      const pending = o.and(o.call(mipNow), enabled);
      const [priv, mstatus, mideleg] = [o.get("priv"), o.get("mstatus"), o.get("mideleg")];
      const below = (level: Level) => {
        const { priv: p, ie } = LEVEL[level];
        return o.either(
          o.ltU(priv, o.konst(p)),
          o.both(o.eq(priv, o.konst(p)), bitSet(o, mstatus, ie)),
        );
      };
      const forM = o.and(pending, o.xor(mideleg, o.konst(-1)));
      const forS = o.and(pending, mideleg);
      for (const [level, set] of [["s", forS], ["m", forM]] as const) {
        o.when(below(level), () => {
          for (const irq of [...IRQ_PRIORITY].reverse()) {
            o.when(bitSet(o, set, irq), () => found.set(o.konst(irq)));
          }
        });
      }
    });
    return found.get();
  },
};
