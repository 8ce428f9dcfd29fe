/**
 * A task: one command on its way through a logical unit, whatever transport brought it. All of it is
 * declared, so that a transport keeps tasks in its state and they are saved with it.
 * @module
 */
import { bytes, num, type RecordOf, u8 } from "../state.ts";
import { MAX_CDB_BYTES } from "./cdb.ts";
import { MAX_UNMAP_DESCRIPTORS } from "./pages.ts";
import { SENSE_BYTES } from "./sense.ts";

/** The largest reply or parameter list: that of UNMAP with all its descriptors. */
export const MAX_PARAMETER_BYTES = 8 + 16 * MAX_UNMAP_DESCRIPTORS;

/** Which way the data of a command goes; `in` is to the initiator. */
export const DIRECTION = { none: 0, in: 1, out: 2 } as const;
/** Where it comes from, or goes to. */
export const PLACE = { parameters: 0, medium: 1 } as const;

export const taskFields = {
  target: u8(),
  lun: u8(),
  cdb: bytes(MAX_CDB_BYTES),
  direction: u8(),
  place: u8(),
  /** Data of the command, and how much of it has been moved. */
  sizeBytes: num(),
  moved: num(),
  /** Offset on the medium of the command's first byte, and bytes there that it concerns. */
  at: num(),
  extent: num(),
  /** A reply, or a parameter list as far as it arrived. */
  parameters: bytes(MAX_PARAMETER_BYTES),
  status: u8(),
  sense: bytes(SENSE_BYTES),
};
export type Task = RecordOf<typeof taskFields>;

/** A task as it begins. */
export function newTask(target: number, lun: number): Task {
  return {
    target,
    lun,
    cdb: [],
    direction: DIRECTION.none,
    place: PLACE.parameters,
    sizeBytes: 0,
    moved: 0,
    at: 0,
    extent: 0,
    parameters: [],
    status: 0,
    sense: [],
  };
}
