/**
 * Status and sense data. Source: SAM-5 (status codes), SPC-4 (sense data, ASC and ASCQ).
 *
 * Sense data is of the fixed format without the information field.
 * @module
 */

/** SAM-5, status codes. */
export const STATUS = { GOOD: 0x00, CHECK_CONDITION: 0x02, TASK_SET_FULL: 0x28 } as const;

/** Sense key, additional sense code and its qualifier. */
export interface Sense {
  readonly key: number;
  readonly asc: number;
  readonly ascq: number;
}

const sense = (key: number, asc: number, ascq: number): Sense => ({ key, asc, ascq });

/** SPC-4, sense keys and additional sense codes, as far as a disk says them. */
export const SENSE = {
  NO_SENSE: sense(0x0, 0x00, 0x00),
  STOPPED: sense(0x2, 0x04, 0x02), // Initializing command required.
  PARAMETER_LIST_LENGTH_ERROR: sense(0x5, 0x1a, 0x00),
  INVALID_COMMAND: sense(0x5, 0x20, 0x00),
  LBA_OUT_OF_RANGE: sense(0x5, 0x21, 0x00),
  INVALID_FIELD_IN_CDB: sense(0x5, 0x24, 0x00),
  LUN_NOT_SUPPORTED: sense(0x5, 0x25, 0x00),
  INVALID_FIELD_IN_PARAMETERS: sense(0x5, 0x26, 0x00),
  SAVING_NOT_SUPPORTED: sense(0x5, 0x39, 0x00),
  POWER_ON_OR_RESET: sense(0x6, 0x29, 0x00),
  WRITE_PROTECTED: sense(0x7, 0x27, 0x00),
  OVERLAPPED_COMMANDS: sense(0xb, 0x4e, 0x00),
} as const satisfies Record<string, Sense>;

export const SENSE_BYTES = 18;

/** SPC-4, fixed format sense data: the current error. */
export function encodeSense({ key, asc, ascq }: Sense): number[] {
  const out: number[] = new Array(SENSE_BYTES).fill(0);
  out[0] = 0x70;
  out[2] = key;
  out[7] = SENSE_BYTES - 8; // Bytes that follow this one.
  out[12] = asc;
  out[13] = ascq;
  return out;
}

/** Sense as one number, to be kept in state; 0 is NO_SENSE. */
export const packSense = (s: Sense): number => s.key << 16 | s.asc << 8 | s.ascq;
export const unpackSense = (v: number): Sense => sense(v >>> 16, v >>> 8 & 0xff, v & 0xff);
