/**
 * What a disk does for each command. Source: SPC-4 and SBC-3, each
 * command's own clause.
 *
 * Simplified: blocks of 512 bytes without protection information; reservations are granted and hold
 * nobody off, for there is one initiator; VERIFY compares nothing (BYTCHK is refused). The medium keeps
 * what reaches it, so that DPO and FUA ask for nothing more than is done.
 * @module
 */
import type { Drive } from "../medium.ts";
import { flag, type StateOf, u32 } from "../state.ts";
import { type CommandName, controlOf, fieldOf } from "./cdb.ts";
import {
  be,
  BLOCK_BYTES,
  blockDescriptor,
  type Identity,
  inquiryData,
  MAX_TRANSFER_BLOCKS,
  MAX_UNMAP_DESCRIPTORS,
  MAX_WRITE_SAME_BLOCKS,
  modePages,
  type ModeState,
  PAGE_CONTROL,
  selectedCache,
  vpdPage,
} from "./pages.ts";
import { encodeSense, packSense, SENSE, type Sense, STATUS, unpackSense } from "./sense.ts";
import { DIRECTION, MAX_PARAMETER_BYTES, PLACE, type Task } from "./task.ts";

export const unitFields = {
  /** Unit attention condition (SAM-5), packed; 0: none. */
  attention: u32(packSense(SENSE.POWER_ON_OR_RESET)),
  /** Sense data of the last CHECK CONDITION, packed, until another command comes. */
  sense: u32(),
  cached: flag(true),
  stopped: flag(),
};
export type UnitState = StateOf<typeof unitFields>;

const NACA = 0x04, LINK = 0x01;
const RDPROTECT = 0xe0;
/** BYTCHK of VERIFY (SBC-3). */
const BYTCHK = 0x06;
const WRITE_SAME = { unmap: 0x08, ndob: 0x01, refused: 0xf6 } as const;
/** MODE SELECT: page format, and no saving. */
const MODE_SELECT = { pf: 0x10, sp: 0x01 } as const;

type Run = (unit: Disk, task: Task, command: CommandName) => void;

/** Ends a task without data. */
export function check(task: Task, sense: Sense): void {
  task.status = STATUS.CHECK_CONDITION;
  task.sense = encodeSense(sense);
  task.direction = DIRECTION.none;
  task.sizeBytes = task.moved = 0;
  task.parameters.length = 0;
}

/** Answers with `data`, as much of it as the initiator has room for. */
export function reply(task: Task, data: readonly number[], allocation: number): void {
  task.parameters = data.slice(0, Math.min(allocation, MAX_PARAMETER_BYTES));
  task.place = PLACE.parameters;
  task.sizeBytes = task.parameters.length;
  task.direction = task.sizeBytes > 0 ? DIRECTION.in : DIRECTION.none;
}

/** Asks for a parameter list; `finish` deals with it. */
function expect(task: Task, sizeBytes: number): void {
  if (sizeBytes > MAX_PARAMETER_BYTES) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  task.place = PLACE.parameters;
  task.sizeBytes = sizeBytes;
  task.direction = sizeBytes > 0 ? DIRECTION.out : DIRECTION.none;
}

/** Blocks of the 6-byte commands: 0 stands for 256 (SBC-2). */
function blocksOf(task: Task, command: CommandName): number {
  const blocks = fieldOf(task.cdb, command, "blocks");
  return blocks === 0 && task.cdb[0] < 0x20 ? 256 : blocks;
}

/** Notes the blocks that a command concerns; false, and a CHECK CONDITION, where it may not. */
function locate(unit: Disk, task: Task, command: CommandName, maxBlocks: number): boolean {
  const lba = fieldOf(task.cdb, command, "lba");
  const blocks = blocksOf(task, command);
  if (unit.state.stopped) return check(task, SENSE.STOPPED), false;
  if (lba + blocks > unit.blocks) return check(task, SENSE.LBA_OUT_OF_RANGE), false;
  if (blocks > maxBlocks) return check(task, SENSE.INVALID_FIELD_IN_CDB), false;
  task.at = lba * BLOCK_BYTES;
  task.extent = blocks * BLOCK_BYTES;
  return true;
}

function transfer(direction: number): Run {
  return (unit, task, command) => {
    const flags = fieldOf(task.cdb, command, "flags");
    const refused = command.startsWith("WRITE AND VERIFY") ? RDPROTECT | BYTCHK : RDPROTECT;
    if (flags & refused) return check(task, SENSE.INVALID_FIELD_IN_CDB);
    if (!locate(unit, task, command, MAX_TRANSFER_BLOCKS)) return;
    if (direction === DIRECTION.out && unit.readOnly) return check(task, SENSE.WRITE_PROTECTED);
    task.place = PLACE.medium;
    task.sizeBytes = task.extent;
    task.direction = task.sizeBytes > 0 ? direction : DIRECTION.none;
  };
}

const verify: Run = (unit, task, command) => {
  const flags = fieldOf(task.cdb, command, "flags");
  if (flags & (RDPROTECT | BYTCHK)) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  locate(unit, task, command, MAX_TRANSFER_BLOCKS);
};

/** 0 blocks means the rest of the medium. */
const synchronize: Run = (unit, task, command) => {
  if (locate(unit, task, command, Infinity)) unit.drive.medium.flush();
};

const writeSame: Run = (unit, task, command) => {
  const flags = fieldOf(task.cdb, command, "flags");
  const noData = (flags & WRITE_SAME.ndob) !== 0;
  if (flags & WRITE_SAME.refused || noData && command !== "WRITE SAME (16)") {
    return check(task, SENSE.INVALID_FIELD_IN_CDB);
  }
  if (unit.readOnly) return check(task, SENSE.WRITE_PROTECTED);
  if (!locate(unit, task, command, MAX_WRITE_SAME_BLOCKS)) return;
  if (task.extent === 0) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  if (!noData) expect(task, BLOCK_BYTES);
};

/** The block repeated; zeros free what they cover. */
function finishWriteSame(unit: Disk, task: Task, command: CommandName): void {
  const { medium } = unit.drive;
  const { at, extent } = task;
  const pattern = Uint8Array.from(task.parameters);
  if (fieldOf(task.cdb, command, "flags") & WRITE_SAME.ndob || pattern.every((v) => v === 0)) {
    return medium.zero(at, extent);
  }
  for (let done = 0; done < extent; done += BLOCK_BYTES) medium.write(at + done, pattern);
}

const number = (data: readonly number[], at: number, bytes: number) =>
  data.slice(at, at + bytes).reduce((value, byte) => value * 256 + byte, 0);

const unmap: Run = (unit, task, command) => {
  const length = fieldOf(task.cdb, command, "length");
  if (fieldOf(task.cdb, command, "anchor")) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  if (unit.readOnly) return check(task, SENSE.WRITE_PROTECTED);
  if (unit.state.stopped) return check(task, SENSE.STOPPED);
  if (length > 0 && length < 8) return check(task, SENSE.PARAMETER_LIST_LENGTH_ERROR);
  expect(task, length);
};

/** The UNMAP parameter list (SBC-3). All descriptors are checked before the first one has an effect. */
function finishUnmap(unit: Disk, task: Task): void {
  const list = task.parameters;
  if (list.length === 0) return;
  const descriptorBytes = number(list, 2, 2);
  if (descriptorBytes + 8 > list.length || descriptorBytes % 16 !== 0) {
    return check(task, SENSE.INVALID_FIELD_IN_PARAMETERS);
  }
  const ranges = Array.from({ length: descriptorBytes / 16 }, (_, i) => ({
    lba: number(list, 8 + 16 * i, 8),
    blocks: number(list, 16 + 16 * i, 4),
  }));
  if (ranges.length > MAX_UNMAP_DESCRIPTORS) {
    return check(task, SENSE.INVALID_FIELD_IN_PARAMETERS);
  }
  if (ranges.some(({ lba, blocks }) => lba + blocks > unit.blocks)) {
    return check(task, SENSE.LBA_OUT_OF_RANGE);
  }
  task.extent = 0;
  for (const { lba, blocks } of ranges) {
    unit.drive.medium.discard(lba * BLOCK_BYTES, blocks * BLOCK_BYTES);
    task.extent += blocks * BLOCK_BYTES;
  }
}

const inquiry: Run = (unit, task, command) => {
  const evpd = fieldOf(task.cdb, command, "evpd");
  const page = fieldOf(task.cdb, command, "page");
  const data = evpd === 1
    ? vpdPage(page, unit.identity)
    : evpd === 0 && page === 0
    ? inquiryData(unit.identity)
    : null; // CMDDT is obsolete.
  if (data === null) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  reply(task, data, fieldOf(task.cdb, command, "allocation"));
};

/** SPC-4, mode parameters: header, block descriptor, pages. */
const modeSense: Run = (unit, task, command) => {
  const { cdb } = task;
  const page = fieldOf(cdb, command, "page");
  const control = page >>> 6;
  if (control === PAGE_CONTROL.saved) return check(task, SENSE.SAVING_NOT_SUPPORTED);
  const pages = fieldOf(cdb, command, "subpage") === 0
    ? modePages(page & 0x3f, control, unit.mode)
    : null;
  if (pages === null) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  const descriptor = fieldOf(cdb, command, "dbd") ? [] : blockDescriptor(unit.blocks);
  const specific = unit.readOnly ? 0x80 : 0; // WP; neither DPO nor FUA.
  const long = command === "MODE SENSE (10)";
  const length = (long ? 6 : 3) + descriptor.length + pages.length;
  const header = long
    ? [...be(length, 2), 0, specific, 0, 0, ...be(descriptor.length, 2)]
    : [length, 0, specific, descriptor.length];
  reply(task, [...header, ...descriptor, ...pages], fieldOf(cdb, command, "allocation"));
};

const modeSelect: Run = (_unit, task, command) => {
  const flags = fieldOf(task.cdb, command, "flags");
  if ((flags & MODE_SELECT.pf) === 0 || flags & MODE_SELECT.sp) {
    return check(task, SENSE.INVALID_FIELD_IN_CDB);
  }
  expect(task, fieldOf(task.cdb, command, "length"));
};

function finishModeSelect(unit: Disk, task: Task, command: CommandName): void {
  const list = task.parameters;
  if (list.length === 0) return;
  const header = command === "MODE SELECT (10)" ? 8 : 4;
  if (list.length < header) return check(task, SENSE.PARAMETER_LIST_LENGTH_ERROR);
  const descriptor = header === 8 ? number(list, 6, 2) : list[3];
  if (descriptor !== 0 && descriptor !== 8 || list.length < header + descriptor) {
    return check(task, SENSE.INVALID_FIELD_IN_PARAMETERS);
  }
  const wrongBlocks = descriptor === 8 && number(list, header + 5, 3) !== BLOCK_BYTES;
  const cached = wrongBlocks ? null : selectedCache(list.slice(header + descriptor), unit.mode);
  if (cached === null) return check(task, SENSE.INVALID_FIELD_IN_PARAMETERS);
  if (unit.state.cached && !cached) unit.drive.medium.flush();
  unit.state.cached = cached;
}

const readCapacity: Run = (unit, task, command) => {
  const { cdb } = task;
  if (fieldOf(cdb, command, "lba") !== 0 && !fieldOf(cdb, command, "pmi")) {
    return check(task, SENSE.INVALID_FIELD_IN_CDB);
  }
  const last = unit.blocks - 1;
  if (command === "READ CAPACITY (10)") {
    return reply(task, [...be(Math.min(last, 0xffff_ffff), 4), ...be(BLOCK_BYTES, 4)], 8);
  }
  const data = [...be(last, 8), ...be(BLOCK_BYTES, 4), 0, 0, 0x80, 0, ...be(0, 16)]; // LBPME.
  reply(task, data, fieldOf(cdb, command, "allocation"));
};

const startStop: Run = (unit, task, command) => {
  const { cdb } = task;
  if (fieldOf(cdb, command, "loej")) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  if (fieldOf(cdb, command, "power")) return; // A power condition: nothing to save here.
  unit.state.stopped = !fieldOf(cdb, command, "start");
};

/** Only the default self-test, which passes. */
const sendDiagnostic: Run = (_unit, task, command) => {
  const { cdb } = task;
  const wrong = fieldOf(cdb, command, "code") !== 0 || fieldOf(cdb, command, "length") !== 0;
  if (wrong) check(task, SENSE.INVALID_FIELD_IN_CDB);
};

const testUnitReady: Run = (unit, task) => {
  if (unit.state.stopped) check(task, SENSE.STOPPED);
};

const requestSense: Run = (unit, task, command) => {
  const { state } = unit;
  if (fieldOf(task.cdb, command, "desc")) return check(task, SENSE.INVALID_FIELD_IN_CDB);
  const told = state.sense || state.attention;
  if (state.sense === 0) state.attention = 0;
  state.sense = 0;
  reply(task, encodeSense(unpackSense(told)), fieldOf(task.cdb, command, "allocation"));
};

const granted: Run = () => {};
const read = transfer(DIRECTION.in), write = transfer(DIRECTION.out);

/** What happens when the CDB is there. REPORT LUNS is its target's to answer. */
const BEGIN: Readonly<Record<Exclude<CommandName, "REPORT LUNS">, Run>> = {
  "TEST UNIT READY": testUnitReady,
  "REQUEST SENSE": requestSense,
  "READ (6)": read,
  "WRITE (6)": write,
  "INQUIRY": inquiry,
  "MODE SELECT (6)": modeSelect,
  "RESERVE (6)": granted,
  "RELEASE (6)": granted,
  "MODE SENSE (6)": modeSense,
  "START STOP UNIT": startStop,
  "SEND DIAGNOSTIC": sendDiagnostic,
  "PREVENT ALLOW MEDIUM REMOVAL": granted,
  "READ CAPACITY (10)": readCapacity,
  "READ (10)": read,
  "WRITE (10)": write,
  "WRITE AND VERIFY (10)": write,
  "VERIFY (10)": verify,
  "SYNCHRONIZE CACHE (10)": synchronize,
  "WRITE SAME (10)": writeSame,
  "UNMAP": unmap,
  "MODE SELECT (10)": modeSelect,
  "MODE SENSE (10)": modeSense,
  "READ (16)": read,
  "WRITE (16)": write,
  "WRITE AND VERIFY (16)": write,
  "VERIFY (16)": verify,
  "SYNCHRONIZE CACHE (16)": synchronize,
  "WRITE SAME (16)": writeSame,
  "READ CAPACITY (16)": readCapacity,
  "READ (12)": read,
  "WRITE (12)": write,
  "WRITE AND VERIFY (12)": write,
  "VERIFY (12)": verify,
};

/** What happens when all data has been moved. */
const FINISH: Partial<Record<CommandName, Run>> = {
  "MODE SELECT (6)": finishModeSelect,
  "MODE SELECT (10)": finishModeSelect,
  "UNMAP": finishUnmap,
  "WRITE SAME (10)": finishWriteSame,
  "WRITE SAME (16)": finishWriteSame,
};

/** A logical unit with a medium. */
export class Disk {
  readonly blocks: number;

  constructor(
    readonly drive: Drive,
    readonly state: UnitState,
    readonly identity: Identity,
  ) {
    this.blocks = Math.floor(drive.medium.sizeBytes / BLOCK_BYTES);
  }

  get readOnly(): boolean {
    return this.drive.medium.readOnly;
  }

  get mode(): ModeState {
    return { blocks: this.blocks, readOnly: this.readOnly, cached: this.state.cached };
  }

  begin(task: Task, command: Exclude<CommandName, "REPORT LUNS">): void {
    if (controlOf(task.cdb) & (NACA | LINK)) return check(task, SENSE.INVALID_FIELD_IN_CDB);
    BEGIN[command](this, task, command);
  }

  /** The next bytes for the initiator, at most `sizeBytes`. */
  read(task: Task, sizeBytes: number): Uint8Array {
    const bytes = Math.min(sizeBytes, task.sizeBytes - task.moved);
    if (task.place === PLACE.parameters) {
      return Uint8Array.from(task.parameters.slice(task.moved, task.moved + bytes));
    }
    const into = new Uint8Array(bytes);
    this.drive.medium.read(task.at + task.moved, into);
    return into;
  }

  write(task: Task, data: Uint8Array): void {
    if (task.place === PLACE.parameters) task.parameters.push(...data);
    else this.drive.medium.write(task.at + task.moved, data);
  }

  finish(task: Task, command: CommandName): void {
    if (task.status !== STATUS.GOOD) return;
    if (task.moved < task.sizeBytes && task.place === PLACE.parameters) {
      if (task.direction === DIRECTION.out) check(task, SENSE.PARAMETER_LIST_LENGTH_ERROR);
      return;
    }
    FINISH[command]?.(this, task, command);
  }
}
