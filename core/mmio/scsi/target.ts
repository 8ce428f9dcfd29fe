/**
 * The targets of one SCSI domain and their logical units: which unit a command reaches, what stands
 * before it there (unit attention, an absent unit), and how long it takes. The transports, a parallel
 * bus or virtio-scsi, bring commands and data, and know no command. Source: SAM-5; SPC-4
 * for REPORT LUNS.
 *
 * A transport begins a task once it has the CDB, moves the data that the task says, and ends it for
 * its status:
 *
 *     targets.begin(task);                    // direction, sizeBytes
 *     targets.read(task, n) / targets.write(task, bytes);
 *     targets.end(task);                      // status, sense
 *
 * Data goes between initiator and medium as it is moved; a task holds no blocks. Tasks of one unit may
 * be open together and end in any order, as SIMPLE tasks may.
 * @module
 */
import type { Drive } from "../medium.ts";
import type { RequestRow } from "../port.ts";
import { records, type StateOf } from "../state.ts";
import { type CommandName, commandOf, COMMANDS, fieldOf } from "./cdb.ts";
import { check, Disk, reply, unitFields } from "./disk.ts";
import { absentInquiryData, be } from "./pages.ts";
import { encodeSense, packSense, SENSE, STATUS } from "./sense.ts";
import { DIRECTION, type Task } from "./task.ts";

/** A unit's place in the domain. */
export interface Place {
  readonly target: number;
  readonly lun: number;
}

/** State of the units; a transport declares it beside its own, with room for as many drives. */
export const targetFields = (units: number) => ({ units: records(units, unitFields) });
export type TargetState = StateOf<ReturnType<typeof targetFields>>;

/** What the units are called. */
export interface Naming {
  readonly product: string;
  readonly serial: string;
}

export const MAX_LUN = 255;
const MIN_REPORT_LUNS = 16;
const SELECT_REPORT = { usual: 0, wellKnown: 1, all: 2 } as const;

/** A command as the trace tells it. */
export interface Described {
  readonly command: CommandName | null;
  readonly kind: RequestRow["kind"];
}

export class Targets {
  readonly #units = new Map<number, Disk>();

  /** `places[i]` is where the drive in bay `i` answers. */
  constructor(
    state: TargetState,
    places: readonly Place[],
    drive: (bay: number) => Drive | null,
    naming: Naming,
  ) {
    places.forEach(({ target, lun }, bay) => {
      const found = drive(bay);
      if (found === null) return;
      const identity = {
        vendor: "EXITSCOP",
        product: naming.product,
        revision: "1",
        serial: naming.serial === "" ? "" : `${naming.serial}-${bay}`,
        name: found.id,
      };
      this.#units.set(key(target, lun), new Disk(found, state.units[bay], identity));
    });
  }

  /** Does anything answer at this target? */
  has(target: number): boolean {
    return this.#lunsOf(target).length > 0;
  }

  /** Is there such a unit? */
  holds({ target, lun }: Place): boolean {
    return this.#units.has(key(target, lun));
  }

  #lunsOf(target: number): number[] {
    return [...this.#units.keys()].filter((k) => k >>> 8 === target).map((k) => k & MAX_LUN)
      .sort((a, b) => a - b);
  }

  #unit(task: Task): Disk | undefined {
    return this.#units.get(key(task.target, task.lun));
  }

  describe(task: Task): Described {
    const command = commandOf(task.cdb);
    return { command, kind: command === null ? "disk_unknown" : COMMANDS[command].kind };
  }

  /** The CDB is there: `direction` and `sizeBytes` say what data follows. */
  begin(task: Task): void {
    task.status = STATUS.GOOD;
    const unit = this.#unit(task);
    const command = commandOf(task.cdb);
    if (unit !== undefined && command !== "REQUEST SENSE") unit.state.sense = 0;
    if (
      unit !== undefined && unit.state.attention !== 0 && !(command && COMMANDS[command].always)
    ) {
      check(task, SENSE.POWER_ON_OR_RESET);
      unit.state.attention = 0;
    } else if (command === "REPORT LUNS") this.#reportLuns(task);
    else if (unit === undefined) absent(task, command);
    else if (command === null) check(task, SENSE.INVALID_COMMAND);
    else unit.begin(task, command);
  }

  /** Sense data stays to be asked for, where the transport does not hand it over with the status. */
  #remember({ target, lun, status, sense }: Task): void {
    const unit = this.#units.get(key(target, lun));
    if (unit === undefined || status !== STATUS.CHECK_CONDITION) return;
    unit.state.sense = packSense({ key: sense[2], asc: sense[12], ascq: sense[13] });
  }

  /** When the unit has done its part: read what is asked for, or stored what it was given. */
  doneNs(task: Task, nowNs: number): number {
    const unit = this.#unit(task);
    const { kind } = this.describe(task);
    if (unit === undefined || kind === "scsi_control" || task.status !== STATUS.GOOD) return nowNs;
    const moves = kind === "disk_read" || kind === "disk_write";
    return unit.drive.doneNs(nowNs, moves ? task.sizeBytes : 0);
  }

  /** The next bytes of data-in, at most `sizeBytes` of what is left. */
  read(task: Task, sizeBytes: number): Uint8Array {
    const unit = this.#unit(task);
    const data = unit === undefined
      ? Uint8Array.from(task.parameters.slice(task.moved, task.moved + sizeBytes))
      : unit.read(task, sizeBytes);
    task.moved += data.length;
    return data;
  }

  /** The next bytes of data-out; returns how many of them were wanted. */
  write(task: Task, data: Uint8Array): number {
    const wanted = data.subarray(0, task.sizeBytes - task.moved);
    this.#unit(task)?.write(task, wanted);
    task.moved += wanted.length;
    return wanted.length;
  }

  /** All data that will be moved has been: `status` and `sense` stand. */
  end(task: Task): void {
    const command = commandOf(task.cdb);
    if (command !== null) this.#unit(task)?.finish(task, command);
    this.#remember(task);
  }

  /** Payload bytes of a task as the trace counts them: blocks, whether they were sent or not. */
  bytesOf(task: Task): number {
    const { kind } = this.describe(task);
    if (kind === "disk_discard" || kind === "disk_write_zeroes") {
      return task.status === STATUS.GOOD ? task.extent : 0;
    }
    return task.moved;
  }

  /** Reset of a unit, of a target or of the whole domain: units say so to whoever asks next. */
  reset(target: number | null, lun: number | null = null): void {
    for (const [k, { state }] of this.#units) {
      if (target !== null && k >>> 8 !== target) continue;
      if (lun !== null && (k & MAX_LUN) !== lun) continue;
      state.sense = 0;
      state.cached = true;
      state.stopped = false;
      state.attention = packSense(SENSE.POWER_ON_OR_RESET);
    }
  }

  #reportLuns(task: Task): void {
    const select = fieldOf(task.cdb, "REPORT LUNS", "select");
    const allocation = fieldOf(task.cdb, "REPORT LUNS", "allocation");
    const known = (Object.values(SELECT_REPORT) as number[]).includes(select);
    if (!known || allocation < MIN_REPORT_LUNS) return check(task, SENSE.INVALID_FIELD_IN_CDB);
    const luns = select === SELECT_REPORT.wellKnown ? [] : this.#lunsOf(task.target);
    const entries = luns.flatMap((lun) => [0, lun, ...be(0, 6)]); // Peripheral device addressing.
    reply(task, [...be(entries.length, 4), ...be(0, 4), ...entries], allocation);
  }
}

const key = (target: number, lun: number): number => target << 8 | lun;

/** SPC-4: what a target says for a logical unit that it does not have. */
function absent(task: Task, command: CommandName | null): void {
  if (command === "INQUIRY" && fieldOf(task.cdb, command, "evpd") === 0) {
    reply(task, absentInquiryData(), fieldOf(task.cdb, command, "allocation"));
  } else if (command === "REQUEST SENSE") {
    const data = encodeSense(SENSE.LUN_NOT_SUPPORTED);
    reply(task, data, fieldOf(task.cdb, command, "allocation"));
  } else check(task, SENSE.LUN_NOT_SUPPORTED);
  if (task.status !== STATUS.GOOD) task.direction = DIRECTION.none;
}
