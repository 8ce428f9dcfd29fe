/**
 * Fused multiply-add in integers: the exact product and the addend as 128-bit significands, their
 * sum, one rounding. Source: IEEE 754-2019 §5.4.1; RISC-V Unprivileged ISA, "F" (∞ × 0 is invalid
 * even where the addend is a quiet NaN).
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import { packParts } from "./arithmetic.ts";
import { type Format, infinityOf } from "./format.ts";
import {
  isInfinite,
  isNaNBits,
  isSpecial,
  isZero,
  magnitude,
  nan,
  sign,
  unpack,
  widen,
  withSign,
  zeroSign,
} from "./parts.ts";

/** A 128-bit significand: 2^exponent × (high × 2^64 + low) / 2^127. */
interface Wide<V> {
  sign: V;
  exponent: V;
  high: V;
  low: V;
}

function special<V, C>(o: Ops<V, C>, f: Format, a: V, b: V, c: V): V {
  const [ma, mb, mc] = [magnitude(o, a), magnitude(o, b), magnitude(o, c)];
  const productSign = o.xor(sign(o, a), sign(o, b));
  const infinite = o.either(isInfinite(o, ma), isInfinite(o, mb));
  const badProduct = o.either(
    o.both(isInfinite(o, ma), isZero(o, mb)),
    o.both(isInfinite(o, mb), isZero(o, ma)),
  );
  const noNumber = [ma, mb, mc].map((m) => isNaNBits(o, m)).reduce((x, y) => o.either(x, y));
  const opposite = o.both(
    o.both(infinite, isInfinite(o, mc)),
    o.both(o.ne(productSign, sign(o, c)), o.not(noNumber)),
  );
  const invalid = o.either(badProduct, opposite);
  const result = o.var(o.konst(0));
  o.when(
    o.either(noNumber, invalid),
    () => result.set(nan(o, f, [ma, mb, mc], invalid)),
    () => {
      const from = o.select(infinite, productSign, sign(o, c));
      result.set(withSign(o, f, from, o.konst(infinityOf(f))));
    },
  );
  return result.get();
}

/** v / 2^n with a sticky last bit. */
function shiftWide<V, C>(o: Ops<V, C>, v: Wide<V>, n: V): { high: V; low: V } {
  const [high, low] = [o.var(v.high), o.var(v.low)];
  const one = o.konst(1);
  const below = (x: V, bits: V) => o.and(x, o.sub(o.shl(one, bits), one));
  const sticky = (x: V) => o.bool(o.ne(x, o.konst(0)));
  o.when(o.ltU(n, o.konst(64)), () => {
    const carried = o.shl(o.shl(v.high, one), o.sub(o.konst(63), n));
    low.set(o.or(o.or(o.shr(v.low, n), carried), sticky(below(v.low, n))));
    high.set(o.shr(v.high, n));
  }, () => {
    high.set(o.konst(0));
    o.when(o.ltU(n, o.konst(128)), () => {
      const lost = o.or(v.low, below(v.high, n)); // Shifts use the low six bits of n.
      low.set(o.or(o.shr(v.high, n), sticky(lost)));
    }, () => low.set(sticky(o.or(v.high, v.low))));
  });
  return { high: high.get(), low: low.get() };
}

/** Leading one to the top, then 64 bits with a sticky last one. */
function round<V, C>(o: Ops<V, C>, f: Format, mode: V, v: Wide<V>): V {
  const [high, low, exponent] = [o.var(v.high), o.var(v.low), o.var(v.exponent)];
  o.when(isZero(o, v.high), () => {
    high.set(v.low);
    low.set(o.konst(0));
    exponent.set(o.sub(v.exponent, o.konst(64)));
  });
  const [h, l, e] = [high.get(), low.get(), exponent.get()];
  const zeros = o.clz(h);
  const carried = o.shr(o.shr(l, o.konst(1)), o.sub(o.konst(63), zeros));
  const rest = o.bool(o.ne(o.shl(l, zeros), o.konst(0)));
  return packParts(o, f, mode, {
    sign: v.sign,
    exponent: o.sub(e, zeros),
    significand: o.or(o.or(o.shl(h, zeros), carried), rest),
  });
}

/** Both with bit 127 free for the carry; exponents are those of the wider scale. */
function sum<V, C>(o: Ops<V, C>, f: Format, mode: V, p: Wide<V>, c: Wide<V>): V {
  const distance = o.sub(p.exponent, c.exponent);
  const productLeads = o.not(o.ltS(distance, o.konst(0)));
  const pick = (x: V, y: V) => o.select(productLeads, x, y);
  const big = {
    ...{ sign: pick(p.sign, c.sign), exponent: pick(p.exponent, c.exponent) },
    ...{ high: pick(p.high, c.high), low: pick(p.low, c.low) },
  };
  const other = { ...big, high: pick(c.high, p.high), low: pick(c.low, p.low) };
  const shift = pick(distance, o.sub(o.konst(0), distance));
  const small = shiftWide(o, other, shift);
  const otherSign = pick(c.sign, p.sign);
  const [high, low] = [o.var(o.konst(0)), o.var(o.konst(0))];
  const resultSign = o.var(big.sign);
  o.when(o.eq(big.sign, otherSign), () => {
    low.set(o.add(big.low, small.low));
    const carry = o.bool(o.ltU(low.get(), big.low));
    high.set(o.add(o.add(big.high, small.high), carry));
  }, () => {
    low.set(o.sub(big.low, small.low));
    const borrow = o.bool(o.ltU(big.low, small.low));
    high.set(o.sub(o.sub(big.high, small.high), borrow));
    o.when(o.ltS(high.get(), o.konst(0)), () => {
      resultSign.set(otherSign);
      const [h, l] = [high.get(), low.get()];
      low.set(o.sub(o.konst(0), l));
      high.set(o.sub(o.sub(o.konst(0), h), o.bool(o.ne(l, o.konst(0)))));
    });
  });
  const [h, l] = [high.get(), low.get()];
  const result = o.var(withSign(o, f, zeroSign(o, mode, p.sign, c.sign), o.konst(0)));
  o.when(o.ne(o.or(h, l), o.konst(0)), () => {
    const wide = { sign: resultSign.get(), exponent: big.exponent, high: h, low: l };
    result.set(round(o, f, mode, wide));
  });
  return result.get();
}

/** Less than the exponent of any product. */
const BELOW_ALL = -8192;

/** a and b are not zero. */
function finite<V, C>(o: Ops<V, C>, f: Format, mode: V, a: V, b: V, c: V): V {
  const [x, y, z] = [unpack(o, a), unpack(o, b), unpack(o, c)];
  const [high, low] = [
    o.mulh(x.significand, y.significand, "uu"),
    o.mul(x.significand, y.significand),
  ];
  // The product of two significands lies in [1, 4): its leading one is bit 126 or 127 already.
  const product = {
    sign: o.xor(x.sign, y.sign),
    exponent: o.add(o.add(x.exponent, y.exponent), o.konst(2)),
    high: o.shr(high, o.konst(1)),
    low: o.or(o.shr(low, o.konst(1)), o.shl(high, o.konst(63))), // Its low 22 bits are zero.
  };
  const addend = {
    sign: z.sign,
    exponent: o.select(isZero(o, z.significand), o.konst(BELOW_ALL), o.add(z.exponent, o.konst(1))),
    high: o.shr(z.significand, o.konst(1)),
    low: o.konst(0), // As the significand's low 11.
  };
  return sum(o, f, mode, product, addend);
}

export const softFma = (f: Format): Routine => ({
  name: `softFma.${f.letter}`,
  params: 4,
  raises: false,
  body: (o, mode, x, y, z) => {
    const [a, b, c] = [x, y, z].map((v) => widen(o, f, v));
    const [ma, mb, mc] = [magnitude(o, a), magnitude(o, b), magnitude(o, c)];
    const result = o.var(o.konst(0));
    const anySpecial = [ma, mb, mc].map((m) => isSpecial(o, m)).reduce((p, q) => o.either(p, q));
    o.when(anySpecial, () => result.set(special(o, f, a, b, c)), () => {
      o.when(o.either(isZero(o, ma), isZero(o, mb)), () => {
        const productSign = o.xor(sign(o, a), sign(o, b));
        const zero = withSign(o, f, zeroSign(o, mode, productSign, sign(o, c)), o.konst(0));
        result.set(o.select(isZero(o, mc), zero, z)); // z is of the format: nothing to round.
      }, () => result.set(finite(o, f, mode, a, b, c)));
    });
    return result.get();
  },
});
