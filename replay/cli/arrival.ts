/**
 * That the data of a pair arrived, on every side: checked by what each guest said and by what lies
 * outside it afterwards.
 * @module
 */
import type { Medium } from "../../core/mmio/medium.ts";
import { checkBuffer } from "./buffer_check.ts";
import { type Arrived, checkDisk } from "./disk_check.ts";
import { EXIT, UserError } from "./errors.ts";
import type { PairCheck } from "./pairs.ts";
import { checkPayload } from "./payload_check.ts";

/** What is looked at of a machine that is done. */
export interface Side {
  readonly path: string;
  readonly output: Uint8Array;
  readonly disks: readonly Medium[];
}

const count = (n: number) => n.toLocaleString("en-US");
const ALL = (n: number) => n === 2 ? "Both" : `All ${n}`;

interface Way {
  check(side: Side): Arrived;
  sentence(sides: number, bytes: string): string;
}

const WAYS: Readonly<Record<PairCheck, Way>> = {
  console: {
    check: ({ output }) => checkPayload(output),
    sentence: (n, bytes) =>
      `${ALL(n)} consoles received ${bytes} bytes unchanged (CRC-32 by the guest).`,
  },
  disk: {
    check: ({ output, disks }) => checkDisk(output, disks[0]),
    sentence: (n, bytes) =>
      `${
        ALL(n)
      } guests read back what they wrote, and their disks hold it: ${bytes} bytes moved each ` +
      "(CRC-32 by the guest, and of the disk's contents by the host).",
  },
  buffer: {
    check: ({ output }) => checkBuffer(output),
    sentence: (n, bytes) =>
      `${
        ALL(n)
      } guests got back what they copied: ${bytes} bytes moved each (CRC-32 by the guest).`,
  },
};

/** A sentence that says so; throws UserError naming the side where data were lost. */
export function arrival(how: PairCheck, sides: readonly Side[]): string {
  const { check, sentence } = WAYS[how];
  const found = sides.map((side) => ({ path: side.path, ...check(side) }));
  const lost = found.find(({ fault }) => fault !== null);
  if (lost !== undefined) {
    throw new UserError(
      `${lost.path}: ${lost.fault}`,
      "The device or its driver loses data: query the trace's access table around it.",
      EXIT.no,
    );
  }
  const uneven = found.find(({ bytes }) => bytes !== found[0].bytes);
  if (uneven !== undefined) {
    throw new UserError(
      `${uneven.path}: ${uneven.bytes} bytes were moved, ${found[0].bytes} on the other side`,
      "The work is not equal: give the guests the same words.",
      EXIT.no,
    );
  }
  return sentence(sides.length, count(found[0].bytes));
}
