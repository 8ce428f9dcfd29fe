/**
 * Bytes that look random and follow from a seed and a position: any part of the sequence is found
 * without the rest. Two rounds of the finalizer of MurmurHash3 per 32-bit word; not for secrets.
 * @module
 */

function mix(h: number): number {
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}

function word(seed: number, index: number): number {
  const high = Math.floor(index / 2 ** 32);
  return mix(
    mix(seed ^ Math.imul(high + 1, 0x9e3779b1)) ^ mix(Math.imul(index | 0, 0x9e3779b1) + 1),
  );
}

/** Fills `into` with the bytes from position `at` on. */
export function noise(seed: number, at: number, into: Uint8Array): void {
  let bits = 0;
  for (let i = 0; i < into.length; i++) {
    const lane = (at + i) % 4;
    if (i === 0 || lane === 0) bits = word(seed, Math.floor((at + i) / 4));
    into[i] = bits >>> 8 * lane;
  }
}
