/**
 * Operands for tests: the corners of each format against each other, values next to a rounding
 * boundary, and random ones.
 *
 * @module
 */
import type { Insn } from "../insn.ts";
import { RV64D } from "../isa/d.ts";
import { RV64F } from "../isa/f.ts";
import { ZFH, ZFHMIN, ZFHMIN_D } from "../isa/zfh.ts";
import { floatBits, type Rng, value } from "../random_streams.ts";
import { exactFloat } from "./exact.ts";
import { canonicalNaN, D, type Format, H, infinityOf, S, signBitOf } from "./format.ts";

/** All but loads and stores. */
export const COMPUTING: readonly Insn[] = [RV64F, RV64D, ZFHMIN, ZFHMIN_D, ZFH].flat()
  .filter((i) => i.mapping.imm === undefined);

/** Zeros, subnormals, ends of the normal range, ones, infinities, NaNs. */
function corners(f: Format): bigint[] {
  const one = BigInt(f.bias) << BigInt(f.precision - 1);
  const least = 1n << BigInt(f.precision - 1);
  const infinity = infinityOf(f);
  const positive = [
    ...[0n, 1n, 2n, least - 1n, least, least + 1n, 2n * least, one - 1n, one, one + 1n],
    ...[one + least / 2n, one + least, infinity - 2n, infinity - 1n, infinity],
    ...[infinity + 1n, canonicalNaN(f), canonicalNaN(f) + 1n],
  ];
  return positive.flatMap((v) => [v, v | signBitOf(f)]);
}

/** The format whose registers an instruction reads: the last one in its name. */
export function sourceOf(insn: Insn): Format {
  const letters = insn.name.split(".").slice(1).reverse();
  const found = letters.map((l) => [S, D, H].find((f) => f.letter === l)).find((f) => f);
  return found ?? D;
}

const boxed = (f: Format, v: bigint) =>
  BigInt.asUintN(64, f === D ? v : v | -1n << BigInt(f.bytes * 8));

/** (1 + u) × (1 − u) scaled to half a unit of c: the exact sum lies just below or above a tie. */
function nextToTie(r: Rng, f: Format): bigint[] {
  const at = BigInt(f.precision - 1);
  const field = f.precision + 1 + r.below(f.bias - 1);
  const sign = () => r.chance(50) ? signBitOf(f) : 0n;
  const c = BigInt(field) << at | r.u64() & ((1n << at) - 1n);
  const a = BigInt(field - f.precision) << at | 1n;
  const b = BigInt(f.bias - 1) << at | ((1n << at) - 2n);
  return [a | sign(), b | sign(), c | sign()];
}

/** c is about −a × b, and b about −a where there is no c: what is left is all rounding error. */
function cancelling(r: Rng, f: Format, fused: boolean): bigint[] {
  const ordinary = () => {
    const field = BigInt(f.bias / 2 + r.below(f.bias) | 0);
    const fraction = r.u64() >> BigInt(r.below(64)) & ((1n << BigInt(f.precision - 1)) - 1n);
    return field << BigInt(f.precision - 1) | fraction;
  };
  const a = ordinary();
  const beside = BigInt(r.below(5) - 2);
  if (!fused) return [a, a + beside | signBitOf(f), 0n];
  const b = ordinary();
  return [a, b, exactFloat("mul", f, 0, [a, b]).bits + beside | signBitOf(f)];
}

/** Significands of any length about one: products and sums that are exact, or just not. */
function shortOnes(r: Rng, f: Format): bigint[] {
  const at = BigInt(f.precision - 1);
  const short = (by: number) => {
    const kept = -1n << BigInt(r.below(f.precision));
    const fraction = r.u64() & ((1n << at) - 1n) & kept;
    const sign = r.chance(50) ? signBitOf(f) : 0n;
    return sign | BigInt(f.bias + r.below(2 * by) - by) << at | fraction;
  };
  return [short(6), short(6), short(12)];
}

/** Operand lists of three registers, `random` of each kind beside the corners. */
export function* operandsFor(insn: Insn, r: Rng, random: number): Generator<bigint[]> {
  const f = sourceOf(insn);
  const box = (v: bigint) => boxed(f, v);
  const special = corners(f).map(box);
  const any = () => r.chance(3) ? r.u64() : box(floatBits(r, f));
  for (const a of special) {
    for (const b of insn.mapping.rs2 ? special : [0n]) yield [a, b, r.pick(special)];
  }
  for (let i = 0; i < random; i++) yield [any(), any(), any()];
  const fused = insn.mapping.rs3 !== undefined;
  for (let i = 0; insn.mapping.rs2 !== undefined && i < random; i++) {
    yield cancelling(r, f, fused).map(box);
    yield shortOnes(r, f).map(box);
    if (fused) yield nextToTie(r, f).map(box);
  }
  if (insn.floats.has("rs1")) return;
  for (let i = 0; i < random; i++) yield [BigInt.asUintN(64, value(r)), 0n, 0n];
}
