/**
 * Conversions in integers. Source: RISC-V Unprivileged ISA, "F", "Single-Precision Floating-Point
 * Conversion and Move Instructions" (ranges, NaN and infinities: NV and the nearest end).
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import { packParts } from "./arithmetic.ts";
import { FLAG, type Format, infinityOf, type Integer, integerBits, isSigned } from "./format.ts";
import {
  isInfinite,
  isNaNBits,
  isSpecial,
  isZero,
  magnitude,
  nan,
  pack,
  type Parts,
  raise,
  roundsAway,
  sign,
  unpack,
  when,
  widen,
  withSign,
} from "./parts.ts";

/** Whole part, and the fraction as 64 bits after the point with a sticky last one. */
function split<V, C>(o: Ops<V, C>, p: Parts<V>): { whole: V; fraction: V } {
  const shift = o.sub(o.konst(63), p.exponent); // At least 0.
  const inside = o.ltU(shift, o.konst(64));
  const whole = o.select(inside, o.shr(p.significand, shift), o.konst(0));
  const above = o.shl(o.shl(p.significand, o.konst(1)), p.exponent); // shl by 64 − shift.
  const half = o.eq(shift, o.konst(64));
  const outside = o.select(half, p.significand, o.bool(o.ne(p.significand, o.konst(0))));
  return { whole, fraction: o.select(inside, above, outside) };
}

/** The largest magnitudes that a type holds, without and with a sign. */
function limits(kind: Integer): { most: bigint; least: bigint } {
  const bits = BigInt(integerBits(kind));
  return isSigned(kind)
    ? { most: 2n ** (bits - 1n) - 1n, least: 2n ** (bits - 1n) }
    : { most: 2n ** bits - 1n, least: 0n };
}

export const softToInteger = (f: Format, kind: Integer): Routine => ({
  name: `softTo${kind}.${f.letter}`,
  params: 2,
  raises: false,
  body: (o, mode, v) => {
    const d = widen(o, f, v);
    const noNumber = isNaNBits(o, magnitude(o, d));
    const negative = o.ne(sign(o, d), o.konst(0));
    const isNegative = o.both(negative, o.not(noNumber));
    const { most, least } = limits(kind);
    const limit = o.select(isNegative, o.konst(least), o.konst(most));
    const result = o.var(limit);
    const p = unpack(o, d);
    const flags = o.var(o.konst(FLAG.NV));
    o.when(o.ltS(p.exponent, o.konst(64)), () => {
      const { whole, fraction } = split(o, p);
      const odd = o.and(whole, o.konst(1));
      const away = roundsAway(o, mode, p.sign, odd, fraction, o.konst(1n << 63n));
      const rounded = o.add(whole, o.bool(away));
      o.when(o.not(o.ltU(limit, rounded)), () => {
        result.set(rounded);
        flags.set(when(o, o.ne(fraction, o.konst(0)), FLAG.NX));
      });
    });
    o.when(o.ne(flags.get(), o.konst(0)), () => raise(o, flags.get()));
    const n = result.get();
    const signed = o.select(isNegative, o.sub(o.konst(0), n), n);
    return integerBits(kind) === 32 ? o.extend(signed, 4, "signed") : signed;
  },
});

export const softFromInteger = (f: Format, kind: Integer): Routine => ({
  name: `softFrom${kind}.${f.letter}`,
  params: 2,
  raises: false,
  body: (o, mode, v) => {
    const wide = integerBits(kind) === 64;
    const n = wide ? v : o.extend(v, 4, isSigned(kind) ? "signed" : "unsigned");
    const sgn = isSigned(kind) ? sign(o, n) : o.konst(0);
    const size = isSigned(kind) ? o.select(o.ne(sgn, o.konst(0)), o.sub(o.konst(0), n), n) : n;
    const zeros = o.clz(size);
    const exponent = o.sub(o.konst(63), zeros);
    const result = o.var(o.konst(0));
    o.when(o.ne(n, o.konst(0)), () => {
      result.set(packParts(o, f, mode, { sign: sgn, exponent, significand: o.shl(size, zeros) }));
    });
    return result.get();
  },
});

export const softConvert = (to: Format, from: Format): Routine => ({
  name: `softConvert.${to.letter}.${from.letter}`,
  params: 2,
  raises: false,
  body: (o, mode, v) => {
    const d = widen(o, from, v);
    const m = magnitude(o, d);
    const result = o.var(o.konst(0));
    o.when(isNaNBits(o, m), () => result.set(nan(o, to, [m])), () => {
      const end = o.select(isInfinite(o, m), o.konst(infinityOf(to)), o.konst(0));
      o.when(o.either(isSpecial(o, m), isZero(o, m)), () => {
        result.set(withSign(o, to, sign(o, d), end));
      }, () => {
        const p = unpack(o, d);
        result.set(o.call(pack(to), mode, p.sign, p.exponent, p.significand));
      });
    });
    return result.get();
  },
});
