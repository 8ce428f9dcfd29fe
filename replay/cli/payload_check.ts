/**
 * Did the bundled serial guest's data arrive unchanged? Its console output frames each region:
 * a line with `bytes=N`, N bytes of payload, a line with their CRC-32 as the guest computed it.
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";

const REGION = /^exitscope: serial=\S+ write=(\d+) bytes=(\d+)\r?\n/;
const CRC = /^exitscope: crc32 ([0-9a-f]{8})\r?\n/;

export interface Payload {
  /** Payload bytes of all regions. */
  bytes: number;
  /** What went wrong first; null when every CRC agrees. */
  fault: string | null;
}

const hex = (crc: number) => crc.toString(16).padStart(8, "0");

export function checkPayload(output: Uint8Array): Payload {
  const text = Buffer.from(output).toString("latin1");
  let at = 0;
  let bytes = 0;
  while (at < text.length) {
    const head = REGION.exec(text.slice(at, at + 200));
    if (head === null) {
      at = text.indexOf("\n", at) + 1 || text.length;
      continue;
    }
    const start = at + head[0].length;
    const end = start + Number(head[2]);
    const told = CRC.exec(text.slice(end, end + 200))?.[1];
    const got = hex(crc32(output.subarray(start, end)));
    if (told !== got) {
      const fault = told === undefined
        ? `write-${head[1]}: ${Number(head[2])} bytes were announced, and no CRC follows them`
        : `write-${head[1]}: the guest sent CRC-32 ${told}, ${got} arrived`;
      return { bytes, fault };
    }
    bytes += Number(head[2]);
    at = end;
  }
  return { bytes, fault: bytes === 0 ? "no payload arrived" : null };
}
