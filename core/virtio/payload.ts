/**
 * The bytes that a chain carries: where they lie in guest memory, piece by piece, and the `dma` rows of
 * moving them. Source: Virtio 1.2 §2.7.4.1: how a payload is cut into buffers means nothing.
 * @module
 */
import type { Port } from "../mmio/device.ts";
import type { Span } from "./virtio.ts";
import { type Chain, partBytes } from "./virtqueue.ts";

/**
 * Hands over the pieces of guest memory that hold `count` bytes from `at` on of one part, each with its
 * offset in those bytes; returns how many there were.
 */
export function eachPiece(
  port: Port,
  chain: Chain,
  write: boolean,
  at: number,
  count: number,
  framing: boolean,
  take: (gpa: number, bytes: number, from: number) => void,
): number {
  let skip = at, done = 0;
  for (const s of chain.segments) {
    if (s.write !== write) continue;
    const bytes = Math.min(s.length - skip, count - done);
    if (bytes > 0) {
      const gpa = s.gpa + skip;
      take(gpa, bytes, done);
      port.trace.dma({ gpa, bytes, write, framing, request: chain.request });
      done += bytes;
    }
    skip = Math.max(0, skip - s.length);
  }
  return done;
}

/** A copy of what `span` has of the device-readable part. */
export function readPart(port: Port, chain: Chain, span: Span): Uint8Array {
  const bytes = Math.max(0, Math.min(span.bytes, partBytes(chain, false) - span.at));
  const { framing = false } = span;
  // What lies in one piece is copied once.
  const first = chain.segments[0];
  if (bytes > 0 && span.at + bytes <= first.length) {
    const gpa = first.gpa + span.at;
    const out = port.mem.read(gpa, bytes);
    port.trace.dma({ gpa, bytes, write: false, framing, request: chain.request });
    return out;
  }
  const out = new Uint8Array(bytes);
  eachPiece(port, chain, false, span.at, bytes, framing, (gpa, count, from) => {
    out.set(port.mem.read(gpa, count), from);
  });
  return out;
}
