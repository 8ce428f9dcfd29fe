/**
 * Floating point by exact rational arithmetic, for the oracle. It shares with the interpreter's
 * arithmetic only the facts in format.ts: a value is decoded to an integer times a power of two, the
 * operation is exact, and one function rounds.
 * Source: IEEE 754-2019 §4.3 (rounding), §7 (flags); RISC-V Unprivileged ISA, "F" (NaNs, tininess
 * after rounding, conversions).
 *
 * @module
 */
import {
  canonicalNaN,
  D,
  FLAG,
  type FloatOp,
  type Format,
  H,
  infinityOf,
  type Integer,
  integerBits,
  isSigned,
  quietBitOf,
  RM,
  S,
  signBitOf,
} from "./format.ts";

/** A result and the flags that it raises. */
export interface Exact {
  bits: bigint;
  flags: number;
}

/** (−1)^negative × magnitude × 2^exponent, or not a number. */
interface Value {
  kind: "finite" | "infinite" | "quiet" | "signaling";
  negative: boolean;
  magnitude: bigint;
  exponent: number;
}

/** A positive quotient times a power of two. */
interface Ratio {
  over: bigint;
  under: bigint;
  exponent: number;
}

export function decode(bits: bigint, f: Format): Value {
  const fractionBits = BigInt(f.precision - 1);
  const negative = (bits & signBitOf(f)) !== 0n;
  const field = Number((bits & infinityOf(f)) >> fractionBits);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const exponent = Math.max(field, 1) - f.bias - Number(fractionBits);
  if (field < 2 * f.bias + 1) {
    const hidden = field === 0 ? 0n : 1n << fractionBits;
    return { kind: "finite", negative, magnitude: fraction | hidden, exponent };
  }
  const nan = (bits & quietBitOf(f)) !== 0n ? "quiet" : "signaling";
  const kind = fraction === 0n ? "infinite" : nan;
  return { kind, negative, magnitude: fraction, exponent };
}

const isNaN = (v: Value) => v.kind === "quiet" || v.kind === "signaling";
const isZero = (v: Value) => v.kind === "finite" && v.magnitude === 0n;
const signed = (v: Value) => v.negative ? -v.magnitude : v.magnitude;
const bitLength = (v: bigint) => v.toString(2).length;

const invalid = (f: Format): Exact => ({ bits: canonicalNaN(f), flags: FLAG.NV });
const withSign = (negative: boolean, bits: bigint, f: Format) =>
  negative ? bits | signBitOf(f) : bits;
const zero = (negative: boolean, f: Format): Exact => ({
  bits: withSign(negative, 0n, f),
  flags: 0,
});
const infinity = (negative: boolean, f: Format, flags = 0): Exact => ({
  bits: withSign(negative, infinityOf(f), f),
  flags,
});

/** The nearest integers to over/under by `mode`: value, and whether anything was lost. */
function roundRatio(over: bigint, under: bigint, negative: boolean, mode: number) {
  const [below, rest] = [over / under, over % under];
  const twice = rest * 2n - under;
  const away = {
    [RM.RNE]: twice > 0n || (twice === 0n && below % 2n === 1n),
    [RM.RTZ]: false,
    [RM.RDN]: negative && rest > 0n,
    [RM.RUP]: !negative && rest > 0n,
    [RM.RMM]: twice >= 0n,
  }[mode];
  return { value: away ? below + 1n : below, inexact: rest !== 0n };
}

/** The ratio in units of 2^quantum, rounded. */
function inUnits(r: Ratio, quantum: number, negative: boolean, mode: number) {
  const shift = r.exponent - quantum;
  const over = shift > 0 ? r.over << BigInt(shift) : r.over;
  const under = shift < 0 ? r.under << BigInt(-shift) : r.under;
  return roundRatio(over, under, negative, mode);
}

/** Floor of the binary logarithm. */
function magnitudeOf(r: Ratio): number {
  const guess = bitLength(r.over) - bitLength(r.under);
  const [over, under] = guess > 0
    ? [r.over, r.under << BigInt(guess)]
    : [r.over << BigInt(-guess), r.under];
  return r.exponent + (over < under ? guess - 1 : guess);
}

/** The one rounding: a positive ratio with a sign becomes bits and flags. */
function round(r: Ratio, negative: boolean, f: Format, mode: number): Exact {
  const least = 1 - f.bias;
  const top = magnitudeOf(r);
  const quantum = Math.max(top, least) - f.precision + 1;
  const { value, inexact } = inUnits(r, quantum, negative, mode);
  const limit = 2n ** BigInt(f.precision);
  const carried = value === limit;
  const exponent = quantum + f.precision - 1 + (carried ? 1 : 0);
  if (exponent > f.bias) {
    const away = mode === RM.RNE || mode === RM.RMM || mode === (negative ? RM.RDN : RM.RUP);
    const flags = FLAG.OF | FLAG.NX;
    if (away) return infinity(negative, f, flags);
    return { bits: withSign(negative, infinityOf(f) - 1n, f), flags };
  }
  const unbounded = inUnits(r, top - f.precision + 1, negative, mode);
  const tiny = top < least && !(top === least - 1 && unbounded.value === limit);
  const flags = inexact ? FLAG.NX | (tiny ? FLAG.UF : 0) : 0;
  const hidden = limit / 2n;
  const significand = carried ? hidden : value;
  const field = significand < hidden ? 0 : exponent + f.bias;
  const bits = BigInt(field) << BigInt(f.precision - 1) | significand % hidden;
  return { bits: withSign(negative, bits, f), flags };
}

/** A signed integer times a power of two; `zeroSign` decides for zero. */
function fromScaled(v: bigint, exponent: number, zeroSign: boolean, f: Format, mode: number) {
  if (v === 0n) return zero(zeroSign, f);
  return round({ over: v < 0n ? -v : v, under: 1n, exponent }, v < 0n, f, mode);
}

/** NaN operands: any NaN gives the canonical one, a signaling one raises NV. */
function nanResult(f: Format, values: Value[]): Exact | undefined {
  if (!values.some(isNaN)) return undefined;
  return values.some((v) => v.kind === "signaling")
    ? invalid(f)
    : { bits: canonicalNaN(f), flags: 0 };
}

function add(a: Value, b: Value, f: Format, mode: number): Exact {
  const nan = nanResult(f, [a, b]);
  if (nan) return nan;
  if (a.kind === "infinite" || b.kind === "infinite") {
    if (a.kind === b.kind && a.negative !== b.negative) return invalid(f);
    return infinity(a.kind === "infinite" ? a.negative : b.negative, f);
  }
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = (v: Value) => signed(v) << BigInt(v.exponent - exponent);
  const zeroSign = a.negative === b.negative ? a.negative : mode === RM.RDN;
  return fromScaled(scaled(a) + scaled(b), exponent, zeroSign, f, mode);
}

function product(a: Value, b: Value): Value {
  return {
    kind: a.kind === "infinite" || b.kind === "infinite" ? "infinite" : "finite",
    negative: a.negative !== b.negative,
    magnitude: a.magnitude * b.magnitude,
    exponent: a.exponent + b.exponent,
  };
}
const infiniteTimesZero = (a: Value, b: Value) =>
  (a.kind === "infinite" && isZero(b)) || (b.kind === "infinite" && isZero(a));

function mul(a: Value, b: Value, f: Format, mode: number): Exact {
  const nan = nanResult(f, [a, b]);
  if (nan) return nan;
  if (infiniteTimesZero(a, b)) return invalid(f);
  const p = product(a, b);
  if (p.kind === "infinite") return infinity(p.negative, f);
  return fromScaled(signed(p), p.exponent, p.negative, f, mode);
}

/** An infinity times a zero is invalid even where the addend is a quiet NaN. */
function fma(a: Value, b: Value, c: Value, f: Format, mode: number): Exact {
  if (infiniteTimesZero(a, b)) return invalid(f);
  return nanResult(f, [a, b, c]) ?? add(product(a, b), c, f, mode);
}

function div(a: Value, b: Value, f: Format, mode: number): Exact {
  const nan = nanResult(f, [a, b]);
  if (nan) return nan;
  const negative = a.negative !== b.negative;
  if (a.kind === "infinite") return b.kind === "infinite" ? invalid(f) : infinity(negative, f);
  if (b.kind === "infinite") return zero(negative, f);
  if (isZero(b)) return isZero(a) ? invalid(f) : infinity(negative, f, FLAG.DZ);
  if (isZero(a)) return zero(negative, f);
  const exponent = a.exponent - b.exponent;
  return round({ over: a.magnitude, under: b.magnitude, exponent }, negative, f, mode);
}

/** Floor of the square root, by Newton's method. */
function integerRoot(n: bigint): bigint {
  let x = 1n << BigInt(Math.ceil(bitLength(n) / 2));
  for (;;) {
    const next = (x + n / x) / 2n;
    if (next >= x) return x;
    x = next;
  }
}

function sqrt(a: Value, f: Format, mode: number): Exact {
  const nan = nanResult(f, [a]);
  if (nan) return nan;
  if (isZero(a)) return zero(a.negative, f);
  if (a.negative) return invalid(f);
  if (a.kind === "infinite") return infinity(false, f);
  const odd = a.exponent % 2 === 0 ? 0 : 1;
  const extra = 2 * f.precision + 4; // Even, and more bits than any rounding looks at.
  const n = a.magnitude << BigInt(odd + 2 * extra);
  const root = integerRoot(n);
  const over = root * 2n + (root * root === n ? 0n : 1n); // What lies behind the last bit is not zero.
  return round({ over, under: 2n, exponent: (a.exponent - odd) / 2 - extra }, false, f, mode);
}

/** −1, 0, 1; the operands are no NaNs. */
function order(a: Value, b: Value): number {
  const rank = (v: Value) => v.kind === "infinite" ? (v.negative ? -1 : 1) : 0;
  if (rank(a) !== rank(b)) return Math.sign(rank(a) - rank(b));
  if (rank(a) !== 0) return 0;
  const exponent = Math.min(a.exponent, b.exponent);
  const difference = (signed(a) << BigInt(a.exponent - exponent)) -
    (signed(b) << BigInt(b.exponent - exponent));
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** minimumNumber and maximumNumber, with −0 below +0. */
function extremum(op: "min" | "max", x: bigint, y: bigint, f: Format): Exact {
  const [a, b] = [decode(x, f), decode(y, f)];
  const flags = a.kind === "signaling" || b.kind === "signaling" ? FLAG.NV : 0;
  if (isNaN(a)) return { bits: isNaN(b) ? canonicalNaN(f) : y, flags };
  if (isNaN(b)) return { bits: x, flags };
  const byValue = order(a, b);
  const less = byValue < 0 || (byValue === 0 && a.negative);
  return { bits: less === (op === "min") ? x : y, flags };
}

function compare(op: "eq" | "lt" | "le", a: Value, b: Value): Exact {
  if (isNaN(a) || isNaN(b)) {
    const signals = op !== "eq" || a.kind === "signaling" || b.kind === "signaling";
    return { bits: 0n, flags: signals ? FLAG.NV : 0 };
  }
  const o = order(a, b);
  return { bits: (op === "eq" ? o === 0 : op === "lt" ? o < 0 : o <= 0) ? 1n : 0n, flags: 0 };
}

function classify(v: Value, f: Format): bigint {
  if (v.kind === "signaling") return 1n << 8n;
  if (v.kind === "quiet") return 1n << 9n;
  const normal = v.magnitude >= 1n << BigInt(f.precision - 1);
  const size = v.kind === "infinite" ? 3 : isZero(v) ? 0 : normal ? 2 : 1;
  return 1n << BigInt(v.negative ? 3 - size : 4 + size);
}

/** Out of range: the nearest end and NV; a NaN counts as +∞. */
function toInteger(v: Value, kind: Integer, mode: number): Exact {
  const width = BigInt(integerBits(kind));
  const most = isSigned(kind) ? 2n ** (width - 1n) - 1n : 2n ** width - 1n;
  const least = isSigned(kind) ? -(2n ** (width - 1n)) : 0n;
  const register = (n: bigint) => BigInt.asUintN(64, BigInt.asIntN(Number(width), n));
  const saturated = (n: bigint) => ({ bits: register(n), flags: FLAG.NV });
  if (v.kind !== "finite") return saturated(v.kind === "infinite" && v.negative ? least : most);
  const ratio = { over: v.magnitude, under: 1n, exponent: v.exponent };
  const { value, inexact } = inUnits(ratio, 0, v.negative, mode);
  const n = v.negative ? -value : value;
  if (n > most) return saturated(most);
  if (n < least) return saturated(least);
  return { bits: register(n), flags: inexact ? FLAG.NX : 0 };
}

function fromInteger(bits: bigint, kind: Integer, f: Format, mode: number): Exact {
  const width = integerBits(kind);
  const n = isSigned(kind) ? BigInt.asIntN(width, bits) : BigInt.asUintN(width, bits);
  return fromScaled(n, 0, false, f, mode);
}

function convert(v: Value, f: Format, mode: number): Exact {
  const nan = nanResult(f, [v]);
  if (nan) return nan;
  if (v.kind === "infinite") return infinity(v.negative, f);
  return fromScaled(signed(v), v.exponent, v.negative, f, mode);
}

/** `args` are bits of `f`, but for conversions from an integer or another format. */
export function exactFloat(op: FloatOp, f: Format, mode: number, args: readonly bigint[]): Exact {
  const conversion = /^(to|from)(WU?|LU?|[SDH])$/.exec(op);
  if (conversion?.[1] === "to") {
    return toInteger(decode(args[0], f), conversion[2] as Integer, mode);
  }
  if (conversion) {
    const from = { S, D, H }[conversion[2]];
    if (from) return convert(decode(args[0], from), f, mode);
    return fromInteger(args[0], conversion[2] as Integer, f, mode);
  }
  const [a, b, c] = args.map((v) => decode(v, f));
  switch (op) {
    case "add":
      return add(a, b, f, mode);
    case "sub":
      return add(a, { ...b, negative: !b.negative }, f, mode);
    case "mul":
      return mul(a, b, f, mode);
    case "div":
      return div(a, b, f, mode);
    case "sqrt":
      return sqrt(a, f, mode);
    case "fma":
      return fma(a, b, c, f, mode);
    case "min":
    case "max":
      return extremum(op, args[0], args[1], f);
    case "eq":
    case "lt":
    case "le":
      return compare(op, a, b);
    case "class":
      return { bits: classify(a, f), flags: 0 };
    default:
      throw new Error(`${op}: no such operation`);
  }
}
