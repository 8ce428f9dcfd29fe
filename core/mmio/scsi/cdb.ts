/**
 * Command descriptor blocks as a table: operation code, fields, and what a request of that command is
 * called in the trace. Source: SPC-4 and SBC-3, each command's own clause; SBC-2 for the 6-byte READ and WRITE.
 * @module
 */
import type { RequestRow } from "../port.ts";

export type CommandName = NonNullable<RequestRow["command"]>;
type Kind = RequestRow["kind"];

/** First byte, count of bytes (most significant first), and the mask of a field less than that wide. */
type Field = readonly [at: number, bytes: number, mask?: number];

export interface Command {
  readonly opcode: number;
  /** SERVICE ACTION, for operation codes that have one. */
  readonly action?: number;
  readonly kind: Kind;
  readonly fields: Readonly<Record<string, Field>>;
  /** May be asked while a unit attention is pending, which it leaves alone (SAM-5, unit attention condition). */
  readonly always?: boolean;
}

const CONTROL = "scsi_control" as const;
const control = (
  opcode: number,
  fields: Command["fields"] = {},
  more: Partial<Command> = {},
): Command => ({ opcode, kind: CONTROL, fields, ...more });

/** A command on blocks: its LBA and its count stand where its length puts them. */
const BLOCKS: Readonly<Record<6 | 10 | 12 | 16, Command["fields"]>> = {
  6: { lba: [1, 3, 0x1f_ffff], blocks: [4, 1] },
  10: { flags: [1, 1], lba: [2, 4], blocks: [7, 2] },
  12: { flags: [1, 1], lba: [2, 4], blocks: [6, 4] },
  16: { flags: [1, 1], lba: [2, 8], blocks: [10, 4] },
};
const onBlocks = (length: 6 | 10 | 12 | 16, opcode: number, kind: Kind): Command => ({
  opcode,
  kind,
  fields: BLOCKS[length],
});

export const COMMANDS: Readonly<Record<CommandName, Command>> = {
  "TEST UNIT READY": control(0x00),
  "REQUEST SENSE": control(0x03, { desc: [1, 1, 0x01], allocation: [4, 1] }, { always: true }),
  "READ (6)": onBlocks(6, 0x08, "disk_read"),
  "WRITE (6)": onBlocks(6, 0x0a, "disk_write"),
  "INQUIRY": control(0x12, { evpd: [1, 1, 0x03], page: [2, 1], allocation: [3, 2] }, {
    always: true,
  }),
  "MODE SELECT (6)": control(0x15, { flags: [1, 1], length: [4, 1] }),
  "RESERVE (6)": control(0x16),
  "RELEASE (6)": control(0x17),
  "MODE SENSE (6)": control(0x1a, {
    dbd: [1, 1, 0x08],
    page: [2, 1],
    subpage: [3, 1],
    allocation: [4, 1],
  }),
  "START STOP UNIT": control(0x1b, {
    power: [4, 1, 0xf0],
    loej: [4, 1, 0x02],
    start: [4, 1, 0x01],
  }),
  "SEND DIAGNOSTIC": control(0x1d, { code: [1, 1, 0xe0], selftest: [1, 1, 0x04], length: [3, 2] }),
  "PREVENT ALLOW MEDIUM REMOVAL": control(0x1e),
  "READ CAPACITY (10)": control(0x25, { lba: [2, 4], pmi: [8, 1, 0x01] }),
  "READ (10)": onBlocks(10, 0x28, "disk_read"),
  "WRITE (10)": onBlocks(10, 0x2a, "disk_write"),
  "WRITE AND VERIFY (10)": onBlocks(10, 0x2e, "disk_write"),
  "VERIFY (10)": onBlocks(10, 0x2f, CONTROL),
  "SYNCHRONIZE CACHE (10)": onBlocks(10, 0x35, "disk_flush"),
  "WRITE SAME (10)": onBlocks(10, 0x41, "disk_write_zeroes"),
  "UNMAP": { opcode: 0x42, kind: "disk_discard", fields: { anchor: [1, 1, 0x01], length: [7, 2] } },
  "MODE SELECT (10)": control(0x55, { flags: [1, 1], length: [7, 2] }),
  "MODE SENSE (10)": control(0x5a, {
    dbd: [1, 1, 0x08],
    page: [2, 1],
    subpage: [3, 1],
    allocation: [7, 2],
  }),
  "READ (16)": onBlocks(16, 0x88, "disk_read"),
  "WRITE (16)": onBlocks(16, 0x8a, "disk_write"),
  "WRITE AND VERIFY (16)": onBlocks(16, 0x8e, "disk_write"),
  "VERIFY (16)": onBlocks(16, 0x8f, CONTROL),
  "SYNCHRONIZE CACHE (16)": onBlocks(16, 0x91, "disk_flush"),
  "WRITE SAME (16)": onBlocks(16, 0x93, "disk_write_zeroes"),
  "READ CAPACITY (16)": control(0x9e, { lba: [2, 8], allocation: [10, 4], pmi: [14, 1, 0x01] }, {
    action: 0x10,
  }),
  "REPORT LUNS": control(0xa0, { select: [2, 1], allocation: [6, 4] }, { always: true }),
  "READ (12)": onBlocks(12, 0xa8, "disk_read"),
  "WRITE (12)": onBlocks(12, 0xaa, "disk_write"),
  "WRITE AND VERIFY (12)": onBlocks(12, 0xae, "disk_write"),
  "VERIFY (12)": onBlocks(12, 0xaf, CONTROL),
};

/** SPC-4, operation code: bytes of a CDB by its group code; groups without a length of their own get 10. */
const GROUP_BYTES = [6, 10, 10, 10, 16, 12, 10, 10] as const;
export const MAX_CDB_BYTES = 16;

export const cdbBytes = (opcode: number): number => GROUP_BYTES[opcode >>> 5 & 7];

const byOpcode = new Map<number, CommandName>();
for (const [name, { opcode, action }] of Object.entries(COMMANDS)) {
  byOpcode.set(opcode << 8 | (action ?? 0), name as CommandName);
}
const withAction = new Set(
  Object.values(COMMANDS).filter((c) => c.action !== undefined).map((c) => c.opcode),
);

/** What the CDB asks for; null for what no command here is. */
export function commandOf(cdb: readonly number[]): CommandName | null {
  const action = withAction.has(cdb[0]) ? cdb[1] & 0x1f : 0;
  return byOpcode.get(cdb[0] << 8 | action) ?? null;
}

/** A field of a CDB; 0 for one that the command does not have. Above 2^53 it is rounded. */
export function fieldOf(cdb: readonly number[], name: CommandName, field: string): number {
  const found = COMMANDS[name].fields[field];
  if (found === undefined) return 0;
  const [at, bytes, mask] = found;
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + (cdb[at + i] ?? 0);
  return mask === undefined ? value : value & mask;
}

/** The CONTROL byte (SAM-5, command descriptor block), the last one. */
export const controlOf = (cdb: readonly number[]): number => cdb[cdbBytes(cdb[0]) - 1] ?? 0;
