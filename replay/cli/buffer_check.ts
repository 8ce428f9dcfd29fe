/**
 * Did what edu.elf copied by DMA come back? Its line says how much went there and back, with the CRC-32
 * of either.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Arrived } from "./disk_check.ts";

const COPIES =
  /^edu: (\d+) copies of (\d+) bytes, crc32 ([0-9a-f]{8}) there and ([0-9a-f]{8}) back\r?$/m;

export function checkBuffer(output: Uint8Array): Arrived {
  const found = COPIES.exec(Buffer.from(output).toString("latin1"));
  if (found === null) return { bytes: 0, fault: "no data arrived" };
  const [, copies, bytes, there, back] = found;
  const fault = there === back ? null : `CRC-32 ${there} went there, ${back} came back`;
  return { bytes: Number(copies) * Number(bytes), fault };
}
