/**
 * Add, subtract, multiply, divide and square root in integers, for every mode and operand (parts.ts
 * has the representation). Division and square root take 53 bits from the host's correctly rounded
 * operation on normal doubles; the sign of the exact remainder says on which side the result lies.
 * Source: IEEE 754-2019 §5.4.1, §6, §7.
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import { D, FLAG, type Format, infinityOf } from "./format.ts";
import {
  HIDDEN,
  isInfinite,
  isNaNBits,
  isSpecial,
  isZero,
  magnitude,
  nan,
  pack,
  type Parts,
  raise,
  shiftSticky,
  sign,
  SPARE,
  unpack,
  widen,
  withSign,
  zeroSign,
} from "./parts.ts";

type Body = <V, C>(o: Ops<V, C>, f: Format, mode: V, a: V, b: V) => V;

/** A routine over two operands that have become doubles. */
const twoOperands = (name: string, body: Body) => (f: Format): Routine => ({
  name: `${name}.${f.letter}`,
  params: 3,
  raises: false,
  body: (o, mode, x, y) => body(o, f, mode, widen(o, f, x), widen(o, f, y)),
});

/** Chooses between the paths for special, zero and ordinary operands. */
function choose<V, C>(
  o: Ops<V, C>,
  special: [C, () => V],
  zero: [C, () => V],
  ordinary: () => V,
): V {
  const result = o.var(o.konst(0));
  o.when(
    special[0],
    () => result.set(special[1]()),
    () => o.when(zero[0], () => result.set(zero[1]()), () => result.set(ordinary())),
  );
  return result.get();
}

export const packParts = <V, C>(o: Ops<V, C>, f: Format, mode: V, p: Parts<V>): V =>
  o.call(pack(f), mode, p.sign, p.exponent, p.significand);

/** Moves the leading one to bit 63. */
function normalize<V, C>(o: Ops<V, C>, p: Parts<V>): Parts<V> {
  const zeros = o.clz(p.significand);
  return {
    sign: p.sign,
    exponent: o.sub(p.exponent, zeros),
    significand: o.shl(p.significand, zeros),
  };
}

function addSpecial<V, C>(o: Ops<V, C>, f: Format, a: V, b: V): V {
  const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
  const opposite = o.both(
    o.both(isInfinite(o, ma), isInfinite(o, mb)),
    o.ne(sign(o, a), sign(o, b)),
  );
  const noNumber = o.either(isNaNBits(o, ma), isNaNBits(o, mb));
  const result = o.var(o.konst(0));
  o.when(
    o.either(opposite, noNumber),
    () => result.set(nan(o, f, [ma, mb], opposite)),
    () => {
      const from = o.select(isInfinite(o, ma), a, b);
      result.set(withSign(o, f, sign(o, from), o.konst(infinityOf(f))));
    },
  );
  return result.get();
}

/** Not both are zero. */
function addFinite<V, C>(o: Ops<V, C>, f: Format, mode: V, a: V, b: V): V {
  const swap = o.ltU(magnitude(o, a), magnitude(o, b));
  const big = unpack(o, o.select(swap, b, a));
  const small = unpack(o, o.select(swap, a, b));
  const distance = o.sub(big.exponent, small.exponent);
  // Bit 63 is left free for the carry.
  const x = o.shr(big.significand, o.konst(1));
  const y = shiftSticky(o, o.shr(small.significand, o.konst(1)), distance);
  const agree = o.eq(big.sign, small.sign);
  const sum = o.select(agree, o.add(x, y), o.sub(x, y));
  const result = o.var(withSign(o, f, zeroSign(o, mode, big.sign, small.sign), o.konst(0)));
  o.when(o.ne(sum, o.konst(0)), () => {
    const exponent = o.add(big.exponent, o.konst(1));
    const parts = { sign: big.sign, exponent, significand: sum };
    result.set(packParts(o, f, mode, normalize(o, parts)));
  });
  return result.get();
}

export const softAdd = twoOperands("softAdd", (o, f, mode, a, b) => {
  const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
  return choose(
    o,
    [o.either(isSpecial(o, ma), isSpecial(o, mb)), () => addSpecial(o, f, a, b)],
    [
      isZero(o, o.or(ma, mb)),
      () => withSign(o, f, zeroSign(o, mode, sign(o, a), sign(o, b)), o.konst(0)),
    ],
    () => addFinite(o, f, mode, a, b),
  );
});

export const softMul = twoOperands("softMul", (o, f, mode, a, b) => {
  const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
  const sgn = o.xor(sign(o, a), sign(o, b));
  const oneZero = o.either(isZero(o, ma), isZero(o, mb));
  return choose(
    o,
    [o.either(isSpecial(o, ma), isSpecial(o, mb)), () => {
      const noNumber = o.either(isNaNBits(o, ma), isNaNBits(o, mb));
      const result = o.var(withSign(o, f, sgn, o.konst(infinityOf(f))));
      o.when(o.either(noNumber, oneZero), () => {
        const invalid = o.both(oneZero, o.not(noNumber));
        result.set(nan(o, f, [ma, mb], invalid));
      });
      return result.get();
    }],
    [oneZero, () => withSign(o, f, sgn, o.konst(0))],
    () => {
      const [x, y] = [unpack(o, a), unpack(o, b)];
      const high = o.mulh(x.significand, y.significand, "uu");
      const low = o.mul(x.significand, y.significand);
      const significand = o.or(high, o.bool(o.ne(low, o.konst(0))));
      const exponent = o.add(o.add(x.exponent, y.exponent), o.konst(1));
      return packParts(o, f, mode, normalize(o, { sign: sgn, exponent, significand }));
    },
  );
});

/** A double in [1, 2) with this significand, or twice that. */
const unitDouble = <V, C>(o: Ops<V, C>, significand: V, doubled: V): V => {
  const fraction = o.shr(o.shl(significand, o.konst(1)), o.konst(SPARE + 1));
  const field = o.shl(o.add(o.konst(D.bias), doubled), o.konst(D.precision - 1));
  return o.or(field, fraction);
};
/** 53 bits and the side on which the exact value lies, as a significand. */
function besides<V, C>(o: Ops<V, C>, bits: V, remainder: V): V {
  const side = o.or(o.sar(remainder, o.konst(63)), o.bool(o.ne(remainder, o.konst(0))));
  return o.add(o.shl(bits, o.konst(SPARE)), side);
}
const bitsOfUnit = <V, C>(o: Ops<V, C>, d: V): V =>
  o.or(o.and(d, o.konst(HIDDEN - 1n)), o.konst(HIDDEN));

/** The quotient is kept in [1, 2), so that its 53 bits are never those of a number below 1. */
function divFinite<V, C>(o: Ops<V, C>, f: Format, mode: V, sgn: V, a: V, b: V): V {
  const [x, y] = [unpack(o, a), unpack(o, b)];
  const doubled = o.bool(o.ltU(x.significand, y.significand));
  const numerator = unitDouble(o, x.significand, doubled);
  const q = bitsOfUnit(
    o,
    o.host("f64.div", numerator, unitDouble(o, y.significand, o.konst(0))),
  );
  // Below 2^53 in size, so arithmetic modulo 2^64 gives it exactly.
  const top = o.shl(o.shr(x.significand, o.konst(SPARE)), o.add(doubled, o.konst(D.precision - 1)));
  const remainder = o.sub(top, o.mul(q, o.shr(y.significand, o.konst(SPARE))));
  return packParts(o, f, mode, {
    sign: sgn,
    exponent: o.sub(o.sub(x.exponent, y.exponent), doubled),
    significand: besides(o, q, remainder),
  });
}

export const softDiv = twoOperands("softDiv", (o, f, mode, a, b) => {
  const [ma, mb] = [magnitude(o, a), magnitude(o, b)];
  const sgn = o.xor(sign(o, a), sign(o, b));
  const infinite = withSign(o, f, sgn, o.konst(infinityOf(f)));
  return choose(
    o,
    [o.either(isSpecial(o, ma), isSpecial(o, mb)), () => {
      const noNumber = o.either(isNaNBits(o, ma), isNaNBits(o, mb));
      const invalid = o.both(isInfinite(o, ma), isInfinite(o, mb));
      const zero = withSign(o, f, sgn, o.konst(0));
      const result = o.var(o.select(isInfinite(o, ma), infinite, zero));
      o.when(o.either(noNumber, invalid), () => result.set(nan(o, f, [ma, mb], invalid)));
      return result.get();
    }],
    [o.either(isZero(o, ma), isZero(o, mb)), () => {
      const result = o.var(withSign(o, f, sgn, o.konst(0)));
      o.when(isZero(o, mb), () => {
        o.when(isZero(o, ma), () => result.set(nan(o, f, [ma], isZero(o, ma))), () => {
          raise(o, FLAG.DZ);
          result.set(infinite);
        });
      });
      return result.get();
    }],
    () => divFinite(o, f, mode, sgn, a, b),
  );
});

/** The exponent is made even; the root of a number in [1, 4) lies in [1, 2). */
function sqrtFinite<V, C>(o: Ops<V, C>, f: Format, mode: V, a: V): V {
  const x = unpack(o, a);
  const odd = o.and(x.exponent, o.konst(1));
  const root = bitsOfUnit(o, o.host("f64.sqrt", unitDouble(o, x.significand, odd)));
  const top = o.shl(o.shr(x.significand, o.konst(SPARE)), o.add(odd, o.konst(D.precision - 1)));
  return packParts(o, f, mode, {
    sign: o.konst(0),
    exponent: o.sar(x.exponent, o.konst(1)),
    significand: besides(o, root, o.sub(top, o.mul(root, root))),
  });
}

export const softSqrt = (f: Format): Routine => ({
  name: `softSqrt.${f.letter}`,
  params: 2,
  raises: false,
  body: (o, mode, v) => {
    const a = widen(o, f, v);
    const m = magnitude(o, a);
    const negative = o.ne(sign(o, a), o.konst(0));
    return choose(
      o,
      [o.either(isSpecial(o, m), o.both(negative, o.not(isZero(o, m)))), () => {
        const result = o.var(o.konst(infinityOf(f)));
        const noNumber = isNaNBits(o, m);
        o.when(
          o.either(noNumber, negative),
          () => result.set(nan(o, f, [m], o.not(noNumber))),
        );
        return result.get();
      }],
      [isZero(o, m), () => withSign(o, f, sign(o, a), o.konst(0))],
      () => sqrtFinite(o, f, mode, a),
    );
  },
});
