/**
 * Floating point in integers, over `Ops`: operands become doubles, which hold every value of the
 * narrower formats, then sign, exponent and a significand whose leading one is bit 63; `pack` rounds
 * that to a format and raises flags. The last bit of a significand is sticky: it stands for
 * everything below.
 * Source: IEEE 754-2019 §4.3, §7; RISC-V Unprivileged ISA, "F" (tininess after rounding).
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import {
  canonicalNaN,
  D,
  FLAG,
  type Format,
  infinityOf,
  quietBitOf,
  RM,
  signBitOf,
  widthOf,
} from "./format.ts";

export const INFINITY = infinityOf(D);
const FRACTION_BITS = D.precision - 1;
const FRACTION = (1n << BigInt(FRACTION_BITS)) - 1n;
export const HIDDEN = FRACTION + 1n;
/** From a double's significand to one whose leading one is bit 63. */
export const SPARE = 64 - D.precision;

export const magnitude = <V, C>(o: Ops<V, C>, d: V): V => o.and(d, o.konst(signBitOf(D) - 1n));
export const sign = <V, C>(o: Ops<V, C>, d: V): V => o.shr(d, o.konst(63));
export const isZero = <V, C>(o: Ops<V, C>, v: V): C => o.eq(v, o.konst(0));
/** NaN or infinity; `m` is a magnitude. */
export const isSpecial = <V, C>(o: Ops<V, C>, m: V): C => o.not(o.ltU(m, o.konst(INFINITY)));
export const isNaNBits = <V, C>(o: Ops<V, C>, m: V): C => o.ltU(o.konst(INFINITY), m);
export const isInfinite = <V, C>(o: Ops<V, C>, m: V): C => o.eq(m, o.konst(INFINITY));
export const isSignaling = <V, C>(o: Ops<V, C>, m: V): C =>
  o.both(isNaNBits(o, m), isZero(o, o.and(m, o.konst(quietBitOf(D)))));

export function raise<V, C>(o: Ops<V, C>, flags: V | number): void {
  const v = typeof flags === "number" ? o.konst(flags) : flags;
  o.set("fflags", o.or(o.get("fflags"), v));
}
export const when = <V, C>(o: Ops<V, C>, c: C, flag: number): V =>
  o.select(c, o.konst(flag), o.konst(0));

/** The double of the same value; a NaN stays quiet or signaling. */
export function widen<V, C>(o: Ops<V, C>, f: Format, v: V): V {
  if (f === D) return v;
  const fraction = o.and(v, o.konst((1n << BigInt(f.precision - 1)) - 1n));
  const moved = o.shl(o.and(v, o.konst(signBitOf(f) - 1n)), o.konst(D.precision - f.precision));
  const topped = o.or(moved, o.konst(INFINITY));
  const field = o.and(v, o.konst(infinityOf(f)));
  const rebias = o.konst(BigInt(D.bias - f.bias) << BigInt(FRACTION_BITS));
  // A subnormal is an integer times a power of two: the host's conversion is exact.
  const unit = BigInt(D.bias + 2 - f.bias - f.precision) << BigInt(FRACTION_BITS);
  const tiny = o.host("f64.mul", o.host("f64.convert_i64_s", fraction), o.konst(unit));
  const finite = o.select(isZero(o, field), tiny, o.add(moved, rebias));
  const special = o.eq(field, o.konst(infinityOf(f)));
  const signBit = o.shl(o.and(v, o.konst(signBitOf(f))), o.konst(64 - widthOf(f)));
  return o.or(o.select(special, topped, finite), signBit);
}

export interface Parts<V> {
  sign: V;
  exponent: V;
  /** Zero for zero. */
  significand: V;
}

/** Of a finite double. */
export function unpack<V, C>(o: Ops<V, C>, d: V): Parts<V> {
  const m = magnitude(o, d);
  const field = o.shr(m, o.konst(FRACTION_BITS));
  const normal = o.ne(field, o.konst(0));
  const zeros = o.clz(m);
  const full = o.or(o.shl(m, o.konst(SPARE)), o.konst(1n << 63n));
  const subnormal = o.sub(o.konst(SPARE + 1 - D.bias), zeros);
  return {
    sign: sign(o, d),
    exponent: o.select(normal, o.sub(field, o.konst(D.bias)), subnormal),
    significand: o.select(normal, full, o.shl(m, zeros)),
  };
}

/** v / 2^n with a sticky last bit; n is unsigned. */
export function shiftSticky<V, C>(o: Ops<V, C>, v: V, n: V): V {
  const lost = o.and(v, o.sub(o.shl(o.konst(1), n), o.konst(1)));
  const near = o.or(o.shr(v, n), o.bool(o.ne(lost, o.konst(0))));
  return o.select(o.ltU(n, o.konst(64)), near, o.bool(o.ne(v, o.konst(0))));
}

const modeIs = <V, C>(o: Ops<V, C>, mode: V, m: number): C => o.eq(mode, o.konst(m));

/** Whether the kept part grows, given what is lost: `rest`, compared with `half`. */
export function roundsAway<V, C>(o: Ops<V, C>, mode: V, sgn: V, odd: V, rest: V, half: V): C {
  const toOdd = o.either(o.ltU(half, rest), o.both(o.eq(rest, half), o.ne(odd, o.konst(0))));
  const nearest = o.either(
    o.both(modeIs(o, mode, RM.RNE), toOdd),
    o.both(modeIs(o, mode, RM.RMM), o.not(o.ltU(rest, half))),
  );
  return o.either(nearest, o.both(pointsAway(o, mode, sgn), o.ne(rest, o.konst(0))));
}
/** RDN with a sign of 1, RUP with one of 0: no other modes add up to 3. */
const pointsAway = <V, C>(o: Ops<V, C>, mode: V, sgn: V): C =>
  o.eq(o.add(mode, sgn), o.konst(RM.RUP));

function overflow<V, C>(o: Ops<V, C>, f: Format, mode: V, sgn: V): V {
  raise(o, FLAG.OF | FLAG.NX);
  const nearest = o.either(modeIs(o, mode, RM.RNE), modeIs(o, mode, RM.RMM));
  const infinite = o.either(nearest, pointsAway(o, mode, sgn));
  return o.select(infinite, o.konst(infinityOf(f)), o.konst(infinityOf(f) - 1n));
}

/** Below the normal range. The significand has bit 63 set. */
function packTiny<V, C>(o: Ops<V, C>, f: Format, mode: V, p: Parts<V>): V {
  const drop = 64 - f.precision;
  const mask = o.konst((1n << BigInt(drop)) - 1n);
  const half = o.konst(1n << BigInt(drop - 1));
  const split = (v: V) => {
    const [kept, rest] = [o.shr(v, o.konst(drop)), o.and(v, mask)];
    const away = roundsAway(o, mode, p.sign, o.and(kept, o.konst(1)), rest, half);
    return { rest, value: o.add(kept, o.bool(away)) };
  };
  const below = o.sub(o.konst(1 - f.bias), p.exponent);
  const { rest, value } = split(shiftSticky(o, p.significand, below));
  // With an unbounded exponent it would have rounded up to the normal range.
  const carries = isZero(o, o.shr(split(p.significand).value, o.konst(f.precision)));
  const tiny = o.either(carries, o.ne(below, o.konst(1)));
  o.when(
    o.ne(rest, o.konst(0)),
    () => raise(o, o.or(o.konst(FLAG.NX), when(o, tiny, FLAG.UF))),
  );
  return value;
}

/** Bits of `f` nearest to a significand that is not zero. */
export const pack = (f: Format): Routine => ({
  name: `pack.${f.letter}`,
  params: 4,
  raises: false,
  body: (o, mode, sgn, exponent, significand) => {
    const drop = 64 - f.precision;
    const result = o.var(o.konst(0));
    o.when(
      o.ltS(exponent, o.konst(1 - f.bias)),
      () => result.set(packTiny(o, f, mode, { sign: sgn, exponent, significand })),
      () => {
        const kept = o.shr(significand, o.konst(drop));
        const rest = o.and(significand, o.konst((1n << BigInt(drop)) - 1n));
        const half = o.konst(1n << BigInt(drop - 1));
        const away = roundsAway(o, mode, sgn, o.and(kept, o.konst(1)), rest, half);
        // The hidden bit, and a carry out of the significand, count up the exponent.
        const field = o.shl(o.add(exponent, o.konst(f.bias - 1)), o.konst(f.precision - 1));
        result.set(o.add(o.add(field, kept), o.bool(away)));
        o.when(
          o.ltU(result.get(), o.konst(infinityOf(f))),
          () => o.when(o.ne(rest, o.konst(0)), () => raise(o, FLAG.NX)),
          () => result.set(overflow(o, f, mode, sgn)),
        );
      },
    );
    return withSign(o, f, sgn, result.get());
  },
});

export const withSign = <V, C>(o: Ops<V, C>, f: Format, sgn: V, bits: V): V =>
  o.or(bits, o.shl(sgn, o.konst(widthOf(f) - 1)));

/** The canonical NaN; NV if an operand is signaling, or `invalid`. Operands are magnitudes. */
export function nan<V, C>(o: Ops<V, C>, f: Format, operands: V[], invalid?: C): V {
  const signaling = operands.map((m) => isSignaling(o, m)).reduce((a, b) => o.either(a, b));
  const raises = invalid === undefined ? signaling : o.either(signaling, invalid);
  o.when(raises, () => raise(o, FLAG.NV));
  return o.konst(canonicalNaN(f));
}

/** Sign of a sum that is exactly zero: that of the operands if they agree, else by the mode. */
export const zeroSign = <V, C>(o: Ops<V, C>, mode: V, a: V, b: V): V =>
  o.select(o.eq(a, b), a, o.bool(modeIs(o, mode, RM.RDN)));
