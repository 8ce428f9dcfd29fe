/**
 * The usual case in the host's floating point: rounding to nearest even, ordinary numbers, a result
 * that is far from overflow and from the subnormals. Whatever is not provably right, value and flags,
 * goes to the integer routines. While NX is set already, nobody needs to know whether a result is
 * exact.
 *
 * f64: the residual of TwoSum is the rounding error of a sum (Knuth, TAOCP vol. 2, §4.2.2); a product
 * is exact when the operands' trailing zeros say so. f32: computed as f64, which is exact or rounds
 * innocuously (Figueroa 1995: 53 ≥ 2 × 24 + 2), then demoted.
 *
 * @module
 */
import type { Ops, Routine } from "../ops.ts";
import { softAdd, softDiv, softMul, softSqrt } from "./arithmetic.ts";
import { softFma } from "./fma.ts";
import { D, FLAG, type Format, RM, S } from "./format.ts";
import { HIDDEN, isZero, magnitude, raise, sign } from "./parts.ts";

/** 2^27 + 1. */
const SPLITTER = 0x41a0_0000_0200_0000n;

export type Body = <V, C>(o: Ops<V, C>, args: V[]) => {
  /** Bits of the result, and whether the host's arithmetic may be trusted. */
  result: V;
  sure: C;
  /** Whether the result differs from the exact value; asked only while NX is clear. */
  inexact: () => C;
  /** Nothing but the integers can tell: they are asked while NX is clear. */
  exactOnly?: boolean;
};

/** The cases of a format, for who asks about rounding mode and NX himself (quick.ts). */
export const BODIES: Record<"s" | "d", Record<"add" | "mul" | "div" | "sqrt", Body>> = {
  get s() {
    return { add: addS, mul: mulS, div: divS, sqrt: sqrtS };
  },
  get d() {
    return { add: addD, mul: mulD, div: divD, sqrt: sqrtD };
  },
};

const isNearestEven = <V, C>(o: Ops<V, C>, mode: V): C => o.eq(mode, o.konst(RM.RNE));
const nxSet = <V, C>(o: Ops<V, C>): C => o.ne(o.and(o.get("fflags"), o.konst(FLAG.NX)), o.konst(0));

/** `soft` is right always, `body` in its cases. */
const fast = (name: string, f: Format, soft: Routine, body: Body): Routine => ({
  name: `${name}.${f.letter}`,
  params: soft.params,
  raises: false,
  body: (o, mode, ...args) => {
    const { result, sure, inexact, exactOnly } = body(o, args);
    const final = o.var(result);
    const inIntegers = () => final.set(o.call(soft, mode, ...args));
    o.when(o.both(isNearestEven(o, mode), sure), () => {
      o.when(o.not(nxSet(o)), () => {
        o.when(inexact(), exactOnly ? inIntegers : () => raise(o, FLAG.NX));
      });
    }, inIntegers);
    return final.get();
  },
});

/** Exponent fields of `f` from `low` up to `high`, inclusive; `bits` is a pattern of f. */
export function exponentWithin<V, C>(
  o: Ops<V, C>,
  f: Format,
  bits: V,
  low: number,
  high: number,
): C {
  const at = BigInt(f.precision - 1);
  const unsigned = o.and(bits, o.konst((1n << BigInt(f.bytes * 8 - 1)) - 1n));
  const above = low === 0 ? unsigned : o.sub(unsigned, o.konst(BigInt(low) << at));
  return o.ltU(above, o.konst(BigInt(high - low + 1) << at));
}
/** Sums below the normal range are exact, so only overflow is out; TwoSum keeps clear of it too. */
const sumIsSafe = <V, C>(o: Ops<V, C>, f: Format, bits: V): C =>
  exponentWithin(o, f, bits, 0, 2 * f.bias - 1);
/** Clear of overflow, and of what is tiny before rounding. */
export const isSafe = <V, C>(o: Ops<V, C>, f: Format, bits: V): C =>
  exponentWithin(o, f, bits, 2, 2 * f.bias - 1);

/** a + b − s, exactly. */
export function residual<V, C>(o: Ops<V, C>, a: V, b: V, s: V): V {
  const bPart = o.host("f64.sub", s, a);
  const aPart = o.host("f64.sub", s, bPart);
  return o.host("f64.add", o.host("f64.sub", a, aPart), o.host("f64.sub", b, bPart));
}

const addD: Body = (o, [a, b]) => {
  const result = o.host("f64.add", a, b);
  return {
    result,
    sure: sumIsSafe(o, D, result),
    inexact: () => o.ne(magnitude(o, residual(o, a, b, result)), o.konst(0)),
  };
};
const mulD: Body = (o, [a, b]) => {
  const result = o.host("f64.mul", a, b);
  return {
    result,
    sure: isSafe(o, D, result),
    inexact: () => {
      const zeros = o.add(o.ctz(o.or(a, o.konst(HIDDEN))), o.ctz(o.or(b, o.konst(HIDDEN))));
      return o.ltU(zeros, o.konst(D.precision));
    },
    exactOnly: true,
  };
};
const divD: Body = (o, [a, b]) => {
  const result = o.host("f64.div", a, b);
  return {
    result,
    sure: isSafe(o, D, result),
    inexact: () => o.eq(o.konst(0), o.konst(0)),
    exactOnly: true,
  };
};
const sqrtD: Body = (o, [a]) => {
  const result = o.host("f64.sqrt", a);
  return {
    result,
    sure: o.both(isSafe(o, D, result), isZero(o, sign(o, a))),
    inexact: () => o.eq(o.konst(0), o.konst(0)),
    exactOnly: true,
  };
};

export const promote = <V, C>(o: Ops<V, C>, v: V): V => o.host("f64.promote_f32", v);
export const demote = <V, C>(o: Ops<V, C>, v: V): V => o.host("f32.demote_f64", v);

const addS: Body = (o, args) => {
  const [a, b] = args.map((v) => promote(o, v));
  const wide = o.host("f64.add", a, b);
  const result = demote(o, wide);
  return {
    result,
    sure: sumIsSafe(o, S, result),
    inexact: () =>
      o.either(
        o.ne(promote(o, result), wide),
        o.ne(magnitude(o, residual(o, a, b, wide)), o.konst(0)),
      ),
  };
};
const mulS: Body = (o, args) => {
  const [a, b] = args.map((v) => promote(o, v));
  const wide = o.host("f64.mul", a, b);
  const result = demote(o, wide);
  return { result, sure: isSafe(o, S, result), inexact: () => o.ne(promote(o, result), wide) };
};
const divS: Body = (o, args) => {
  const [a, b] = args.map((v) => promote(o, v));
  const result = demote(o, o.host("f64.div", a, b));
  return {
    result,
    sure: isSafe(o, S, result),
    inexact: () => o.ne(o.host("f64.mul", promote(o, result), b), a),
  };
};
const sqrtS: Body = (o, args) => {
  const a = promote(o, args[0]);
  const result = demote(o, o.host("f64.sqrt", a));
  const root = promote(o, result);
  return {
    result,
    sure: o.both(isSafe(o, S, result), isZero(o, sign(o, a))),
    inexact: () => o.ne(o.host("f64.mul", root, root), a),
  };
};
/** A sum rounded to odd, given its nearest double and what that leaves. */
function toOdd<V, C>(o: Ops<V, C>, nearest: V, rest: V): V {
  const towards = o.eq(sign(o, rest), sign(o, nearest));
  const truncated = o.select(towards, nearest, o.sub(nearest, o.konst(1)));
  const exact = isZero(o, magnitude(o, rest));
  return o.select(exact, nearest, o.or(truncated, o.konst(1)));
}

/** The product is exact, the sum rounded to odd; demoting that rounds as if once. */
export const fmaS: Body = (o, args) => {
  const [a, b, c] = args.map((v) => promote(o, v));
  const product = o.host("f64.mul", a, b);
  const nearest = o.host("f64.add", product, c);
  const odd = toOdd(o, nearest, residual(o, product, c, nearest));
  const result = demote(o, odd);
  return { result, sure: isSafe(o, S, result), inexact: () => o.ne(promote(o, result), odd) };
};

/** v = high + low, of 26 bits each (Veltkamp). */
function halves<V, C>(o: Ops<V, C>, v: V): { high: V; low: V } {
  const scaled = o.host("f64.mul", v, o.konst(SPLITTER));
  const high = o.host("f64.sub", scaled, o.host("f64.sub", scaled, v));
  return { high, low: o.host("f64.sub", v, high) };
}
/** a × b − product, exactly (Dekker). */
export function productError<V, C>(o: Ops<V, C>, a: V, b: V, product: V): V {
  const [x, y] = [halves(o, a), halves(o, b)];
  const times = (p: V, q: V) => o.host("f64.mul", p, q);
  const first = o.host("f64.sub", times(x.high, y.high), product);
  const second = o.host("f64.add", first, times(x.high, y.low));
  return o.host("f64.add", o.host("f64.add", second, times(x.low, y.high)), times(x.low, y.low));
}

/** Product and sum as unevaluated pairs, their low parts added to odd (Boldo and Melquiond 2008). */
const fmaD: Body = (o, [a, b, c]) => {
  const product = o.host("f64.mul", a, b);
  const error = productError(o, a, b, product);
  const low = o.host("f64.add", c, error);
  const lowRest = residual(o, c, error, low);
  const high = o.host("f64.add", product, low);
  const highRest = residual(o, product, low, high);
  const small = o.host("f64.add", lowRest, highRest);
  const lost = residual(o, lowRest, highRest, small);
  const tail = toOdd(o, small, lost);
  const result = o.host("f64.add", high, tail);
  // Far enough from both ends that no error term is subnormal and nothing overflows.
  const factors = o.both(
    exponentWithin(o, D, a, D.bias - 450, D.bias + 450),
    exponentWithin(o, D, b, D.bias - 450, D.bias + 450),
  );
  const addend = o.either(
    exponentWithin(o, D, c, D.bias - 900, D.bias + 900),
    isZero(o, magnitude(o, c)),
  );
  return {
    result,
    sure: o.both(o.both(factors, addend), isSafe(o, D, result)),
    inexact: () => o.ne(magnitude(o, o.or(lost, residual(o, high, tail, result))), o.konst(0)),
    exactOnly: true,
  };
};

/** a − b = a + (−b); a NaN stays what it is. */
const minus = (f: Format, add: Routine): Routine => ({
  name: `sub.${f.letter}`,
  params: 3,
  raises: false,
  body: (o, mode, a, b) => o.call(add, mode, a, o.xor(b, o.konst(1n << BigInt(f.bytes * 8 - 1)))),
});

export const arithmetic = (f: Format) => {
  const [add, mul, div, sqrt, fma] = [
    softAdd(f),
    softMul(f),
    softDiv(f),
    softSqrt(f),
    softFma(f),
  ];
  const wrap = (name: string, soft: Routine, d?: Body, s?: Body) => {
    const body = f === D ? d : f === S ? s : undefined;
    return body ? fast(name, f, soft, body) : soft;
  };
  const sum = wrap("add", add, addD, addS);
  return {
    ...{ add: sum, sub: minus(f, sum), mul: wrap("mul", mul, mulD, mulS) },
    ...{ div: wrap("div", div, divD, divS), sqrt: wrap("sqrt", sqrt, sqrtD, sqrtS) },
    fma: wrap("fma", fma, fmaD, fmaS),
  };
};
