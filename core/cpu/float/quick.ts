/**
 * Floating point for compiled code: the host's operation in line, and when its result is right. What is
 * not sure is asked of the routines, as is everything in another mode than the one named here, and what
 * may be inexact while NX is clear: so no flag but NX can rise here, and that one is up already.
 *
 * @module
 */
import type { Ops } from "../ops.ts";
import {
  BODIES,
  demote,
  exponentWithin,
  fmaS,
  isSafe,
  productError,
  promote,
  residual,
} from "./fast.ts";
import { D, type FloatOp, type Format, H, RM, S, signBitOf } from "./format.ts";
import { infinityOf } from "./format.ts";
import { isZero, magnitude } from "./parts.ts";

/** `inexact`, asked while NX is clear: whether the result, which is sure, may differ from the exact value. */
type Operation = <V, C>(o: Ops<V, C>, args: V[]) => {
  result: V;
  sure: C;
  inexact?: () => C;
};

export interface Quick {
  readonly operation: Operation;
  /** The rounding mode, null: any. */
  readonly mode: number | null;
  /** The result may be inexact. */
  readonly rounds: boolean;
  /** A second case, for operands that the first one leaves out; exact, so NX does not matter. */
  readonly second?: Operation;
}

const nearest = (operation: Operation): Quick => ({ operation, mode: RM.RNE, rounds: true });
const exact = (operation: Operation): Quick => ({ operation, mode: null, rounds: false });

/** 1 − 2^-52 and 1 + 2^-52. */
const [BELOW, ABOVE] = [0x3fef_ffff_ffff_fffen, 0x3ff0_0000_0000_0001n];

/**
 * a × b + c with one rounding. The product is an unevaluated pair, its sum with c another one, and of what
 * is left over, `rest`, only the rounding to a double is unknown: the result is right when both ends of
 * what `rest` may be round alike (Ziv 1991).
 */
const fmaD: Operation = (o, [a, b, c]) => {
  const plus = (x: typeof a, y: typeof a) => o.host("f64.add", x, y);
  const product = o.host("f64.mul", a, b);
  const error = productError(o, a, b, product);
  const sum = plus(product, c);
  const rest = plus(residual(o, product, c, sum), error);
  const [low, high] = [BELOW, ABOVE].map((k) => plus(sum, o.host("f64.mul", rest, o.konst(k))));
  // Then everything here is a multiple of 2^-1004 and far from overflow: no term is subnormal or lost.
  const factors = o.both(
    exponentWithin(o, D, a, D.bias - 450, D.bias + 450),
    exponentWithin(o, D, b, D.bias - 450, D.bias + 450),
  );
  const addend = o.either(
    exponentWithin(o, D, c, D.bias - 900, D.bias + 900),
    isZero(o, magnitude(o, c)),
  );
  return {
    result: low,
    sure: o.both(o.both(factors, addend), o.eq(low, high)),
    inexact: () => o.ne(magnitude(o, rest), o.konst(0)),
  };
};

const wide = <V, C>(o: Ops<V, C>, f: Format, v: V): V => f === S ? promote(o, v) : v;
/** A factor is zero, and the other one is finite: the product is zero and exact, and so is what is added. */
const zeroProduct = (f: Format): Operation => (o, [a, b, c]) => {
  const product = o.host("f64.mul", wide(o, f, a), wide(o, f, b));
  const sum = c === undefined ? product : o.host("f64.add", product, wide(o, f, c));
  const isNought = (v: typeof a) => isZero(o, o.and(v, o.konst(signBitOf(f) - 1n)));
  const zero = o.both(o.either(isNought(a), isNought(b)), isZero(o, magnitude(o, product)));
  return {
    result: f === S ? demote(o, sum) : sum,
    sure: c === undefined ? zero : o.both(zero, isNumber(o, f, c)),
  };
};
const isNumber = <V, C>(o: Ops<V, C>, f: Format, v: V): C =>
  o.not(o.ltU(o.konst(infinityOf(f)), o.and(v, o.konst(signBitOf(f) - 1n))));

const compare = (f: Format, op: "eq" | "lt" | "le"): Operation => (o, [x, y]) => ({
  result: o.host(`f64.${op}`, wide(o, f, x), wide(o, f, y)),
  sure: o.both(isNumber(o, f, x), isNumber(o, f, y)),
});
/** Of different operands that are not both zero, which the order decides. */
const extremum = (f: Format, op: "min" | "max"): Operation => (o, [x, y]) => {
  const less = o.ne(o.host("f64.lt", wide(o, f, x), wide(o, f, y)), o.konst(0));
  const more = o.ne(o.host("f64.lt", wide(o, f, y), wide(o, f, x)), o.konst(0));
  return { result: o.select(op === "min" ? less : more, x, y), sure: o.either(less, more) };
};
const toInteger = (f: Format, bits: 32 | 64): Quick => ({
  operation: (o, [x]) => ({
    result: o.host("i64.trunc_f64_s", wide(o, f, x)),
    sure: exponentWithin(o, f, x, 0, f.bias + bits - 2),
  }),
  mode: RM.RTZ,
  rounds: true,
});
const always = <V, C>(o: Ops<V, C>): C => o.eq(o.konst(0), o.konst(0));
const fromInteger = (bits: 32 | 64, signed: boolean): Quick => ({
  operation: (o, [x]) => ({
    result: o.host(
      "f64.convert_i64_s",
      bits === 32 ? o.extend(x, 4, signed ? "signed" : "unsigned") : x,
    ),
    sure: always(o),
  }),
  mode: bits === 32 ? null : RM.RNE,
  rounds: bits === 64,
});

function operations(f: Format): Map<FloatOp, Quick> {
  const { add, mul, div, sqrt } = BODIES[f === S ? "s" : "d"];
  const sub: Operation = (o, [a, b]) => add(o, [a, o.xor(b, o.konst(signBitOf(f)))]);
  const all = new Map<FloatOp, Quick>([
    ...([["add", add], ["sub", sub], ["div", div], ["sqrt", sqrt]] as const)
      .map(([name, op]) => [name, nearest(op)] as const),
    ["mul", { ...nearest(mul), second: zeroProduct(f) }],
    ["fma", { ...nearest(f === S ? fmaS : fmaD), second: zeroProduct(f) }],
    ["toW", toInteger(f, 32)],
    ["toL", toInteger(f, 64)],
  ]);
  for (const op of ["eq", "lt", "le"] as const) all.set(op, exact(compare(f, op)));
  for (const op of ["min", "max"] as const) all.set(op, exact(extremum(f, op)));
  if (f === S) {
    for (const [op, extend] of [["fromW", "signed"], ["fromWU", "unsigned"]] as const) {
      all.set(
        op,
        nearest((o, [x]) => {
          const exactly = o.host("f64.convert_i64_s", o.extend(x, 4, extend));
          return { result: demote(o, exactly), sure: always(o) };
        }),
      );
    }
    all.set(
      "fromD",
      nearest((o, [x]) => {
        const result = demote(o, x);
        return { result, sure: isSafe(o, S, result) };
      }),
    );
    return all;
  }
  all.set("fromS", exact((o, [x]) => ({ result: promote(o, x), sure: isNumber(o, S, x) })));
  all.set("fromW", fromInteger(32, true));
  all.set("fromWU", fromInteger(32, false));
  all.set("fromL", fromInteger(64, true));
  return all;
}
const QUICK = new Map([S, D].map((f) => [f, operations(f)]));

/** undefined: only the routine knows. */
export const quickCase = (op: FloatOp, f: Format): Quick | undefined =>
  f === H ? undefined : QUICK.get(f)?.get(op);
