/**
 * Bounds that devices share.
 * @module
 */

/** Harts that per-hart device state has room for. */
export const MAX_HARTS = 32;

export function checkHarts(device: string, harts: number): void {
  if (harts < 1 || harts > MAX_HARTS) {
    throw new Error(`${device}: harts is ${harts}, expected 1 to ${MAX_HARTS}`);
  }
}
