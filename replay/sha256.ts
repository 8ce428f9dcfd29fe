/**
 * SHA-256 of what a machine is built from. node:crypto digests at once and takes longer to load than a
 * machine to start, so it is loaded when somebody cannot wait.
 * @module
 */
import type { createHash } from "node:crypto";

const hex = (digest: Uint8Array) => digest.toHex();

/** At once. */
export function sha256(bytes: Uint8Array): Uint8Array {
  // deno-lint-ignore no-process-global -- importing it is what takes long
  const node: { createHash: typeof createHash } = process.getBuiltinModule("node:crypto");
  return node.createHash("sha256").update(bytes).digest();
}

export const sha256Hex = (bytes: Uint8Array): string => hex(sha256(bytes));

/** As hex, for who can wait. */
export async function sha256Later(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
