/**
 * The port: a device's only way out. No clock, host I/O or randomness reaches a device but through it.
 *
 * Rows are given as the trace schema's columns without the common ones, `device` and `exit_seq`, which
 * the port fills in; codes are given by name.
 * @module
 */
import type { CODES } from "../trace/schema.ts";
import type { Drive } from "./medium.ts";
import type { GuestMemory } from "./memory.ts";

type CodeName<K extends keyof typeof CODES> = (typeof CODES)[K][number]["name"];

/** What a row of `vring` tells of a queue. */
export interface VringRow {
  event: CodeName<"vring_event">;
  queue: number;
  head?: number | null;
  desc_index?: number | null;
  /** Lower 32 bits. */
  gpa?: number | null;
  gpa_hi?: number;
  length?: number | null;
  flags?: number | null;
  avail_idx?: number | null;
  used_idx?: number | null;
  request?: number | null;
}

/** A column of `vring` beside those that say whose event it is. */
export type VringCell = Exclude<keyof VringRow, "event" | "queue">;

/** A number for each of some cells. */
export type CellValues<C extends readonly unknown[]> = { readonly [K in keyof C]: number };

/** A row of `dma`. */
export interface DmaRow {
  gpa: number;
  bytes: number;
  /** True when the device wrote guest memory. */
  write: boolean;
  /** Header or status of the request, rather than what it carries; false unless said. */
  framing?: boolean;
  request?: number | null;
}

/** A row of `step`. */
export interface StepRow {
  kind: CodeName<"step_kind">;
  op: CodeName<"step_op">;
  gpa: number;
  word: number;
  operand: number;
  bytes: number;
  own_memory: boolean;
  request?: number | null;
}

/** A row of `irq`; for a controller, `device` is found from the line. */
export interface IrqRow {
  event: CodeName<"irq_event">;
  line: number;
  path: CodeName<"irq_path">;
}

/** A row of `request`, written when the request completes. */
export interface RequestRow {
  id: number;
  kind: CodeName<"request_kind">;
  bytes: number;
  submit_ns: number;
  submit_icount: number;
  complete_ns: number;
  status: CodeName<"request_status">;
  /** Null for what is no SCSI command. */
  command?: CodeName<"scsi_command"> | null;
  kick_exit_seq: number | null;
  irq_seq: number | null;
}

/** A row of `mark`. */
export interface MarkRow {
  label: string;
  /** Lower and upper 32 bits. */
  number: number;
  number_hi: number;
}

export interface DeviceTrace {
  /**
   * For what a queue does all the time: a function that writes such rows, given the values of `cells` in
   * their order; the other columns are null. It costs much less than an object for each. -1 is null but
   * in gpa, gpa_hi and length, which take the lower 32 bits of any number.
   */
  vringRows<const C extends readonly VringCell[]>(
    event: VringRow["event"],
    queue: number,
    cells: C,
  ): (...values: CellValues<C>) => void;
  dma(row: DmaRow): void;
  step(row: StepRow): void;
  /** seq of the row. */
  irq(row: IrqRow): number;
  request(row: RequestRow): void;
  mark(row: MarkRow): void;
  /** Request ids count from 1 over all devices. */
  nextRequestId(): number;
  /**
   * A request that began and ended within the access being served. Not for a byte through a data
   * register: that is an access, and its row says all.
   */
  served(kind: RequestRow["kind"], bytes: number): void;
  /** Instructions executed by the hart being served. */
  readonly icount: number;
  /** seq of the exit being served, null outside one. */
  readonly exitSeq: number | null;
}

export interface Port {
  /**
   * Sets the level of an interrupt line; `line` counts the device's own lines from 0. Calling it
   * again with the same level does nothing. Returns the seq of the `irq` row, -1 when nothing changed.
   */
  irq(level: boolean, line?: number): number;
  /**
   * A new cause to interrupt: raises the line, or tells the trace that the cause coalesced with the one
   * pending. Returns the seq of that `irq` row. `settle` must then keep the line up.
   */
  signal(line?: number): number;
  /** PCI functions only: does the driver take messages (MSI or MSI-X) instead of the line? */
  messages(): boolean;
  /**
   * PCI functions only: sends message `vector`, or holds it back while it is masked. Returns the seq of
   * its `irq` row, -1 when none was sent. In `signal` it is message 0 that takes the line's place.
   */
  message(vector: number): number;
  /** PCI functions only: bus address of base address register `bar`, null while it decodes nothing. */
  bar(bar: number): number | null;
  /** Virtual ns on the clock of the hart whose access is served, or of the event. */
  now(): number;
  /**
   * Asks for `events[name](arg)` at virtual time `atNs` (at once when past), null cancels. There is
   * one pending event per (device, name, arg): asking again moves it.
   */
  timer(name: string, atNs: number | null, arg?: number): void;
  /** Bytes, or one byte, to the outside world. */
  out(bytes: Uint8Array | number): void;
  /** Ends the run after this access. */
  stop(kind: "poweroff" | "reboot" | "fail", code: number): void;
  /** Interrupt controllers only: drives bit `bit` of mip (3 MSIP, 7 MTIP, 9 SEIP, 11 MEIP) of a hart. */
  hartIrq(hart: number, bit: number, level: boolean): void;
  /** The device can take more input than it could before. */
  inputSpace(): void;
  /** The drive in the device's bay `index`, null for an empty one. */
  drive(index: number): Drive | null;
  /** Guest RAM, and nothing but RAM: a device cannot reach registers, its own or another's. */
  readonly mem: GuestMemory;
  readonly trace: DeviceTrace;
}
