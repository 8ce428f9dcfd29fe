/**
 * Comparisons, minimum, maximum and FCLASS on bits. Source: RISC-V Unprivileged ISA, "F" (FMIN and
 * FMAX follow IEEE 754-2019 minimumNumber and maximumNumber, with −0 below +0; FEQ is quiet, FLT and
 * FLE are signaling).
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import { canonicalNaN, CLASSES, FLAG, type Format, infinityOf, quietBitOf } from "./format.ts";
import { signBitOf } from "./format.ts";
import { isNaNBits, isSignaling, isZero, magnitude, raise, sign, widen } from "./parts.ts";

/** Doubles in an order of signed integers; −0 comes before +0. */
function rank<V, C>(o: Ops<V, C>, d: V): V {
  const m = magnitude(o, d);
  return o.select(o.ne(sign(o, d), o.konst(0)), o.xor(m, o.konst(-1)), m);
}

export const softExtremum = (f: Format, op: "min" | "max"): Routine => ({
  name: `soft.${op}.${f.letter}`,
  params: 3,
  raises: false,
  body: (o, _mode, x, y) => {
    const [a, b] = [widen(o, f, x), widen(o, f, y)];
    const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
    const signals = o.either(isSignaling(o, ma), isSignaling(o, mb));
    o.when(signals, () => raise(o, FLAG.NV));
    const less = op === "min" ? o.ltS(rank(o, a), rank(o, b)) : o.ltS(rank(o, b), rank(o, a));
    const chosen = o.select(less, x, y);
    const withY = o.select(isNaNBits(o, mb), o.konst(canonicalNaN(f)), y);
    const withX = o.select(isNaNBits(o, mb), x, chosen);
    return o.select(isNaNBits(o, ma), withY, withX);
  },
});

export const softCompare = (f: Format, op: "eq" | "lt" | "le"): Routine => ({
  name: `soft.${op}.${f.letter}`,
  params: 3,
  raises: false,
  body: (o, _mode, x, y) => {
    const [a, b] = [widen(o, f, x), widen(o, f, y)];
    const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
    const unordered = o.either(isNaNBits(o, ma), isNaNBits(o, mb));
    const signaling = o.either(isSignaling(o, ma), isSignaling(o, mb));
    o.when(op === "eq" ? signaling : unordered, () => raise(o, FLAG.NV));
    const equal = o.either(o.eq(a, b), isZero(o, o.or(ma, mb)));
    const less = o.both(o.ltS(rank(o, a), rank(o, b)), o.not(equal));
    const holds = op === "eq" ? equal : op === "lt" ? less : o.either(less, equal);
    return o.bool(o.both(holds, o.not(unordered)));
  },
});

const classBit = (name: typeof CLASSES[number]) => 1n << BigInt(CLASSES.indexOf(name));

export const softClass = (f: Format): Routine => ({
  name: `soft.class.${f.letter}`,
  params: 2,
  raises: false,
  body: (o, _mode, v) => {
    const m = o.and(v, o.konst(signBitOf(f) - 1n));
    const negative = o.ne(o.and(v, o.konst(signBitOf(f))), o.konst(0));
    const size = o.var(o.konst(classBit("quiet NaN")));
    const pick = (name: "inf" | "normal" | "subnormal" | "0") =>
      o.select(negative, o.konst(classBit(`-${name}`)), o.konst(classBit(`+${name}`)));
    const [infinity, hidden] = [infinityOf(f), 1n << BigInt(f.precision - 1)];
    const quiet = o.konst(infinity | quietBitOf(f));
    o.when(o.ltU(m, quiet), () => size.set(o.konst(classBit("signaling NaN"))));
    o.when(o.eq(m, o.konst(infinity)), () => size.set(pick("inf")));
    o.when(o.ltU(m, o.konst(infinity)), () => size.set(pick("normal")));
    o.when(o.ltU(m, o.konst(hidden)), () => size.set(pick("subnormal")));
    o.when(isZero(o, m), () => size.set(pick("0")));
    return size.get();
  },
});
