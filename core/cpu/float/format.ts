/**
 * Formats, rounding modes, flags and operations of floating point, as the instructions encode them.
 * Source: RISC-V Unprivileged ISA, "F", "D" and "Zfh" extensions; IEEE 754-2019, table 3.5.
 *
 * @module
 */

export interface Format {
  /** Suffix of mnemonics. */
  letter: "s" | "d" | "h";
  /** The instructions' fmt field. */
  code: "00" | "01" | "10";
  bytes: 2 | 4 | 8;
  /** Significand bits, the hidden one included. */
  precision: number;
  /** Largest exponent, and the bias; the least is 1 − bias. */
  bias: number;
}

export const S: Format = { letter: "s", code: "00", bytes: 4, precision: 24, bias: 127 };
export const D: Format = { letter: "d", code: "01", bytes: 8, precision: 53, bias: 1023 };
export const H: Format = { letter: "h", code: "10", bytes: 2, precision: 11, bias: 15 };

export const widthOf = (f: Format): number => f.bytes * 8;
/** Infinity: an exponent of ones. */
export const infinityOf = (f: Format): bigint => BigInt(2 * f.bias + 1) << BigInt(f.precision - 1);
/** Set in quiet NaNs. */
export const quietBitOf = (f: Format): bigint => 1n << BigInt(f.precision - 2);
export const canonicalNaN = (f: Format): bigint => infinityOf(f) | quietBitOf(f);
export const signBitOf = (f: Format): bigint => 1n << BigInt(widthOf(f) - 1);

export const RM = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4, DYN: 7 } as const;
export const FLAG = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;

/** Bits of FCLASS, least significant first. */
export const CLASSES = [
  "-inf",
  "-normal",
  "-subnormal",
  "-0",
  "+0",
  "+subnormal",
  "+normal",
  "+inf",
  "signaling NaN",
  "quiet NaN",
] as const;

/** Integer types of conversions; their order is that of the rs2 field. */
export const INTEGERS = ["W", "WU", "L", "LU"] as const;
export type Integer = typeof INTEGERS[number];
export const integerBits = (i: Integer): 32 | 64 => i[0] === "W" ? 32 : 64;
export const isSigned = (i: Integer): boolean => !i.endsWith("U");

/** Operands in order; conversions from another format are named after it. */
export type FloatOp =
  | ("add" | "sub" | "mul" | "div" | "sqrt" | "fma")
  | ("min" | "max" | "eq" | "lt" | "le" | "class")
  | `to${Integer}`
  | `from${Integer}`
  | ("fromS" | "fromD" | "fromH");
