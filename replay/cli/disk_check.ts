/**
 * Did the data reach the disk? The guest says what it wrote, by CRC-32; the disk is looked at from
 * outside once the guest is done.
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import type { Medium } from "../../core/mmio/medium.ts";

/** A line of block.elf, and the two with which fixtures/guests/linux/init ends a region. */
const BLOCK =
  /^exitscope: (?<what>write|read)=(?<chunk>\d+) bytes=(?<bytes>\d+) crc32 (?<crc>\w{8})/gm;
const LINUX =
  /^exitscope: (?<what>read)\S* of (?<bytes>\d+) bytes in blocks of (?<chunk>\d+): done[^]*?^exitscope: crc32 (?<crc>\w{8})/gm;

export interface Arrived {
  /** Bytes that the guest wrote and read back. */
  readonly bytes: number;
  /** What went wrong first; null when all CRCs agree. */
  readonly fault: string | null;
}

const hex = (crc: number) => crc.toString(16).padStart(8, "0");

function contents(disk: Medium, at: number, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  disk.read(at, data);
  return data;
}

/**
 * Regions lie behind each other on the disk, in the order of their lines, a write and a read each: what
 * the guest wrote, what lies there and what it read back must be the same.
 */
export function checkDisk(output: Uint8Array, disk: Medium): Arrived {
  const text = Buffer.from(output).toString("latin1");
  const lines = [BLOCK, LINUX].flatMap((line) => [...text.matchAll(line)].map((m) => m.groups!));
  let at = 0;
  let moved = 0;
  for (const { what, chunk, bytes: size, crc: told } of lines) {
    const bytes = Number(size);
    if (at + bytes > disk.sizeBytes) return { bytes: moved, fault: "more was moved than fits" };
    const there = hex(crc32(contents(disk, at, bytes)));
    if (there !== told) {
      const fault = `${what}-${chunk}: the guest says CRC-32 ${told}, the disk holds ${there}`;
      return { bytes: moved, fault };
    }
    moved += bytes;
    // Its read ends a region.
    if (what === "read") at += bytes;
  }
  return { bytes: moved, fault: at === 0 ? "no data arrived" : null };
}
