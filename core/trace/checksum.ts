/** The checksum that the manifest keeps of a table's bytes. @module */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";

/** CRC-32 of `bytes` behind others whose CRC-32 is `before`. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return crc32(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), before);
}
