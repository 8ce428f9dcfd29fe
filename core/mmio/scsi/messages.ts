/**
 * Messages of a parallel bus, as far as a target sends or understands them. Source: SPI-3, link control,
 * task attribute and task management messages.
 * @module
 */

/** Their codes. */
export const MESSAGE = {
  COMMAND_COMPLETE: 0x00,
  EXTENDED: 0x01,
  SAVE_DATA_POINTER: 0x02,
  DISCONNECT: 0x04,
  INITIATOR_DETECTED_ERROR: 0x05,
  ABORT: 0x06,
  MESSAGE_REJECT: 0x07,
  NO_OPERATION: 0x08,
  MESSAGE_PARITY_ERROR: 0x09,
  BUS_DEVICE_RESET: 0x0c,
  ABORT_TAG: 0x0d,
  CLEAR_QUEUE: 0x0e,
  SIMPLE_QUEUE_TAG: 0x20,
  ORDERED_QUEUE_TAG: 0x22,
  IDENTIFY: 0x80,
} as const;
/** Bits of IDENTIFY. */
export const IDENTIFY = { disconnect: 0x40, lun: 0x3f } as const;
/** Messages that need no answer: the target goes on as it would have. */
export const IGNORED: readonly number[] = [
  MESSAGE.NO_OPERATION,
  MESSAGE.MESSAGE_REJECT,
  MESSAGE.INITIATOR_DETECTED_ERROR,
  MESSAGE.MESSAGE_PARITY_ERROR,
];
