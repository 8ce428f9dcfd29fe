/**
 * Bounds that devices share.
 * @module
 */
import { PlugError } from "./error.ts";

/** Harts that per-hart device state has room for. */
export const MAX_HARTS = 32;

export function checkHarts(device: string, harts: number): void {
  if (harts < 1 || harts > MAX_HARTS) {
    throw new PlugError(`${device} cannot serve ${harts} harts`, `use 1 to ${MAX_HARTS}`);
  }
}
