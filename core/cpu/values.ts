/**
 * Small computations in the vocabulary of `Ops`.
 *
 * @module
 */
import type { Ops } from "./ops.ts";

export const bitSet = <V, C>(o: Ops<V, C>, v: V, n: number): C =>
  o.ne(o.and(v, o.konst(1n << BigInt(n))), o.konst(0));
