/**
 * The target side of a parallel SCSI bus: phases, messages, disconnection and reselection, for all
 * targets of the bus. Source: SCSI-2 (phases), SPI-3 (messages), SAM-5 (tasks).
 *
 * The initiator's chip looks at `phase` and `requesting` (REQ), moves bytes, and clears ACK behind the
 * last byte of each message, as its own rules say; nothing else goes between the two.
 *
 * Simplified: the bus is 8 bits wide and asynchronous, for every negotiation is rejected; there is no
 * parity error and bytes take no time of their own, only the medium and the chip do; head of queue and
 * ordered tags are taken as simple ones. A target disconnects while its medium reads, where IDENTIFY
 * lets it, and stays on the bus while it writes, as QEMU's does.
 * @module
 */
import type { RequestRow } from "../port.ts";
import { bytes, flag, list, num, type RecordOf, type StateOf, u16, u8 } from "../state.ts";
import { cdbBytes } from "./cdb.ts";
import { check } from "./disk.ts";
import { IDENTIFY, IGNORED, MESSAGE } from "./messages.ts";
import { SENSE, STATUS } from "./sense.ts";
import type { Targets } from "./target.ts";
import { DIRECTION, newTask, taskFields } from "./task.ts";

/** SCSI-2, information transfer phases: MSG, C/D and I/O. */
export const PHASE = {
  DATA_OUT: 0,
  DATA_IN: 1,
  COMMAND: 2,
  STATUS: 3,
  MESSAGE_OUT: 6,
  MESSAGE_IN: 7,
} as const;

/** What a target does once the initiator has taken its messages. */
const AFTER = { goOn: 0, disconnect: 1, complete: 2 } as const;
/** How far a task is. */
const STAGE = { command: 0, data: 1, status: 2 } as const;
/** A tag as a number; an untagged task has `UNTAGGED`. */
const UNTAGGED = 0x100;

export const MAX_TASKS = 256;
const MAX_MESSAGE_OUT = 64;
/** Of one byte each; the longest is a reselection's. */
const MAX_MESSAGE_IN = 8;

const parallelTaskFields = {
  ...taskFields,
  tag: u16(),
  mayDisconnect: flag(),
  /** The nexus had a task already (SAM-5, overlapped commands). */
  overlaps: flag(),
  stage: u8(),
  /** The medium works; it is done at `doneNs`. */
  busy: flag(),
  doneNs: num(),
  request: num(),
  submitNs: num(),
  submitIcount: num(),
  kickExitSeq: num(),
};
export type ParallelTask = RecordOf<typeof parallelTaskFields>;

export const busFields = {
  connected: flag(),
  /** The initiator selected, and its command has not begun yet. */
  selected: flag(),
  /** The nexus of the connection. */
  target: u8(),
  lun: u8(),
  tag: u16(UNTAGGED),
  mayDisconnect: flag(),
  /** Id of the request that the connection is, or will be, about. */
  request: num(),
  phase: u8(),
  requesting: flag(),
  /** ATN: the initiator has a message. */
  attention: flag(),
  /** The initiator has taken a byte of a message and ACK is still up. */
  acknowledging: flag(),
  messageIn: bytes(MAX_MESSAGE_IN),
  messageOut: bytes(MAX_MESSAGE_OUT),
  after: u8(),
  tasks: list(parallelTaskFields, MAX_TASKS),
};
export type BusState = StateOf<typeof busFields>;

/** The chip at the initiator's end, as the bus needs it. */
export interface Initiator {
  now(): number;
  /** Asks for `elapsed` at that time; null: no more. */
  wake(atNs: number | null): void;
  nextRequestId(): number;
  /** Where and when the command that begins now came from. */
  origin(): { readonly icount: number; readonly kickExitSeq: number };
  /** A target has let go of the bus. */
  freed(): void;
  /** REQ went up, or the phase changed. */
  requested(): void;
  /** A task is done. */
  completed(row: Omit<RequestRow, "irq_seq">): void;
}

export class ParallelBus {
  constructor(
    private readonly s: BusState,
    private readonly targets: () => Targets,
    private readonly initiator: Initiator,
  ) {}

  get #task(): ParallelTask | undefined {
    return this.s.selected ? undefined : this.s.tasks.find((t) => this.#isOurs(t));
  }

  #isOurs(t: ParallelTask): boolean {
    const { target, lun, tag } = this.s;
    return t.target === target && t.lun === lun && t.tag === tag;
  }

  /** Id of the request that the connection is about, null without one. */
  get request(): number | null {
    return this.s.connected && this.s.request > 0 ? this.s.request : null;
  }

  /** Selection (SCSI-2): false when nothing answers there. */
  select(target: number, attention: boolean): boolean {
    if (!this.targets().has(target)) return false;
    this.#connect(target, 0, UNTAGGED);
    this.s.selected = true;
    this.s.mayDisconnect = false;
    this.s.attention = attention;
    this.s.request = this.initiator.nextRequestId();
    this.#goOn();
    return true;
  }

  #connect(target: number, lun: number, tag: number): void {
    const { s } = this;
    s.connected = true;
    s.target = target;
    s.lun = lun;
    s.tag = tag;
    s.attention = s.acknowledging = false;
    s.messageIn.length = s.messageOut.length = 0;
    s.after = AFTER.goOn;
  }

  /** Moves bytes to the target; returns how many it took. It takes none in another phase. */
  send(phase: number, data: Uint8Array): number {
    const { s } = this;
    if (!s.connected || !s.requesting || s.phase !== phase || phase & 1) return 0;
    if (phase === PHASE.MESSAGE_OUT) return this.#takeMessage(data);
    const task = this.#task;
    if (task === undefined) return 0;
    if (phase === PHASE.COMMAND) return this.#takeCommand(task, data);
    const taken = this.targets().write(task, data);
    if (task.moved === task.sizeBytes) this.#dataMoved(task);
    return taken;
  }

  /** How many bytes the target has for the initiator in this phase, or wants from it. */
  wanted(phase: number): number {
    const { s } = this;
    if (!s.connected || !s.requesting || s.phase !== phase) return 0;
    const task = this.#task;
    switch (phase) {
      case PHASE.MESSAGE_OUT:
        return MAX_MESSAGE_OUT - s.messageOut.length;
      case PHASE.MESSAGE_IN:
        return s.messageIn.length;
      case PHASE.STATUS:
        return 1;
      case PHASE.COMMAND:
        return task === undefined
          ? 0
          : task.cdb.length === 0
          ? 1
          : cdbBytes(task.cdb[0]) - task.cdb.length;
      default:
        return task === undefined ? 0 : task.sizeBytes - task.moved;
    }
  }

  /** Moves bytes from the target. Of a message the last byte waits for `clearAck`. */
  receive(phase: number, sizeBytes: number): Uint8Array {
    const { s } = this;
    const ready = s.connected && s.requesting && s.phase === phase && (phase & 1) === 1;
    if (!ready) return new Uint8Array();
    if (phase === PHASE.MESSAGE_IN) {
      const taken = Uint8Array.from(s.messageIn.splice(0, sizeBytes));
      s.acknowledging = true;
      s.requesting = false;
      return taken;
    }
    const task = this.#task;
    if (task === undefined) return new Uint8Array();
    if (phase === PHASE.STATUS) {
      this.#tell([MESSAGE.COMMAND_COMPLETE], AFTER.complete);
      return Uint8Array.of(task.status);
    }
    const data = this.targets().read(task, sizeBytes);
    if (task.moved === task.sizeBytes) this.#dataMoved(task);
    return data;
  }

  /** A target that waits for its medium looks at once; another one as it changes its phase. */
  setAttention(on: boolean): void {
    const { s } = this;
    s.attention = on && s.connected;
    if (s.attention && !s.requesting && !s.acknowledging) this.#enter(PHASE.MESSAGE_OUT);
  }

  /** ACK goes down: the target goes on behind the message byte that was taken last. */
  clearAck(): void {
    const { s } = this;
    if (!s.acknowledging) return;
    s.acknowledging = false;
    if (s.attention) this.#enter(PHASE.MESSAGE_OUT);
    else this.#goOn();
  }

  /** What stands next for the connection, its messages first. */
  #goOn(): void {
    const { s } = this;
    if (s.attention) return this.#enter(PHASE.MESSAGE_OUT);
    if (s.messageIn.length > 0) return this.#enter(PHASE.MESSAGE_IN);
    const { after } = s;
    s.after = AFTER.goOn;
    if (after === AFTER.disconnect) return this.#free();
    const task = this.#task;
    if (after === AFTER.complete) {
      if (task !== undefined) this.#complete(task);
      return this.#free();
    }
    if (s.selected) this.#begin();
    else if (task !== undefined) this.#continue(task);
  }

  #enter(phase: number): void {
    this.s.phase = phase;
    this.s.requesting = true;
    this.initiator.requested();
  }

  #tell(message: readonly number[], after: number): void {
    this.s.messageIn.push(...message);
    this.s.after = after;
    this.#enter(PHASE.MESSAGE_IN);
  }

  /** A connection that has no task yet: the target asks for a command. */
  #begin(): void {
    const { s } = this;
    const { icount, kickExitSeq } = this.initiator.origin();
    const overlaps = s.tasks.some((t) => this.#isOurs(t));
    if (overlaps) this.#drop((t) => this.#isOurs(t));
    s.selected = false;
    s.tasks.push({
      ...newTask(s.target, s.lun),
      tag: s.tag,
      mayDisconnect: s.mayDisconnect,
      overlaps,
      stage: STAGE.command,
      busy: false,
      doneNs: 0,
      request: s.request,
      submitNs: this.initiator.now(),
      submitIcount: icount,
      kickExitSeq,
    });
    this.#enter(PHASE.COMMAND);
  }

  #takeCommand(task: ParallelTask, data: Uint8Array): number {
    let taken = 0;
    while (taken < data.length && (task.cdb.length === 0 || this.wanted(PHASE.COMMAND) > 0)) {
      task.cdb.push(data[taken++]);
    }
    if (task.cdb.length < cdbBytes(task.cdb[0])) return taken;
    // There is always room for the task of the next connection, for it to be refused.
    if (this.s.tasks.length >= MAX_TASKS) task.status = STATUS.TASK_SET_FULL;
    else if (task.overlaps) check(task, SENSE.OVERLAPPED_COMMANDS);
    else this.targets().begin(task);
    task.stage = STAGE.data;
    const writes = task.direction === DIRECTION.out;
    if (!writes) this.#work(task);
    this.#continue(task);
    return taken;
  }

  /** The medium has something to do. */
  #work(task: ParallelTask): void {
    task.doneNs = this.targets().doneNs(task, this.initiator.now());
    task.busy = task.doneNs > this.initiator.now();
    this.#arm();
  }

  /** All data of the task went over: what was written takes its time, then comes the status. */
  #dataMoved(task: ParallelTask): void {
    task.stage = STAGE.status;
    if (task.direction === DIRECTION.out) this.#work(task);
    this.#continue(task);
  }

  /** The connection's task goes on, or waits. */
  #continue(task: ParallelTask): void {
    const { s } = this;
    if (s.attention) return this.#enter(PHASE.MESSAGE_OUT);
    if (task.stage === STAGE.command) return this.#enter(PHASE.COMMAND);
    if (task.busy) {
      s.requesting = false;
      if (!task.mayDisconnect || task.direction === DIRECTION.out) return;
      const save = task.direction === DIRECTION.in ? [MESSAGE.SAVE_DATA_POINTER] : [];
      return this.#tell([...save, MESSAGE.DISCONNECT], AFTER.disconnect);
    }
    if (task.stage === STAGE.data && task.direction !== DIRECTION.none) {
      return this.#enter(task.direction === DIRECTION.in ? PHASE.DATA_IN : PHASE.DATA_OUT);
    }
    if (task.stage === STAGE.data) task.stage = STAGE.status;
    if (task.status !== STATUS.TASK_SET_FULL) this.targets().end(task);
    this.#enter(PHASE.STATUS);
  }

  #complete(task: ParallelTask): void {
    const { s, initiator } = this;
    s.tasks.splice(s.tasks.indexOf(task), 1);
    const targets = this.targets();
    const { command, kind } = targets.describe(task);
    initiator.completed({
      id: task.request,
      kind,
      command,
      bytes: targets.bytesOf(task),
      submit_ns: task.submitNs,
      submit_icount: task.submitIcount,
      complete_ns: initiator.now(),
      status: task.status === STATUS.GOOD ? "ok" : "error",
      kick_exit_seq: task.kickExitSeq < 0 ? null : task.kickExitSeq,
    });
  }

  #free(): void {
    const { s } = this;
    s.connected = s.selected = s.requesting = false;
    s.attention = s.acknowledging = false;
    s.messageIn.length = s.messageOut.length = 0;
    s.request = 0;
    s.phase = 0;
    this.initiator.freed();
  }

  /** A message of several bytes ends where the initiator drops ATN: `attention` is then false. */
  #takeMessage(data: Uint8Array): number {
    const { s } = this;
    const taken = data.subarray(0, MAX_MESSAGE_OUT - s.messageOut.length);
    s.messageOut.push(...taken);
    return taken.length;
  }

  /** The initiator has sent the last byte of its message. */
  messageSent(): void {
    const { s } = this;
    if (!s.connected || s.phase !== PHASE.MESSAGE_OUT) return;
    s.attention = false;
    if (this.#obey(s.messageOut.splice(0))) this.#goOn();
  }

  /** Does what messages say; false when they made the target leave. */
  #obey(message: readonly number[]): boolean {
    const { s } = this;
    let rejected = false;
    for (let i = 0; i < message.length; i++) {
      const m = message[i];
      if (m & MESSAGE.IDENTIFY) this.#identify(m);
      else if (m >= MESSAGE.SIMPLE_QUEUE_TAG && m <= MESSAGE.ORDERED_QUEUE_TAG) {
        s.tag = message[++i] ?? UNTAGGED;
      } else if (m === MESSAGE.EXTENDED) {
        // SDTR, WDTR, PPR: this bus stays as it is. A length of 0 stands for 256.
        i += 1 + (message[i + 1] || 256);
        rejected = true;
      } else if (this.#abort(m)) return false;
      else if (!IGNORED.includes(m)) rejected = true;
    }
    if (rejected) s.messageIn.unshift(MESSAGE.MESSAGE_REJECT);
    return true;
  }

  #identify(m: number): void {
    this.s.lun = m & IDENTIFY.lun;
    this.s.mayDisconnect = (m & IDENTIFY.disconnect) !== 0;
    const task = this.#task;
    if (task !== undefined) task.mayDisconnect = this.s.mayDisconnect;
  }

  /** Messages that end tasks and free the bus; false for any other. */
  #abort(m: number): boolean {
    const { target, lun, tag } = this.s;
    const ends: Record<number, (t: ParallelTask) => boolean> = {
      [MESSAGE.ABORT_TAG]: (t) => t.lun === lun && t.tag === tag,
      [MESSAGE.ABORT]: (t) => t.lun === lun,
      [MESSAGE.CLEAR_QUEUE]: (t) => t.lun === lun,
      [MESSAGE.BUS_DEVICE_RESET]: () => true,
    };
    const end = ends[m];
    if (end === undefined) return false;
    this.#drop((t) => t.target === target && end(t));
    if (m === MESSAGE.BUS_DEVICE_RESET) this.targets().reset(target);
    this.#free();
    return true;
  }

  #drop(ended: (t: ParallelTask) => boolean): void {
    const { tasks } = this.s;
    for (let i = tasks.length - 1; i >= 0; i--) if (ended(tasks[i])) tasks.splice(i, 1);
    this.#arm();
  }

  #arm(): void {
    const busy = this.s.tasks.filter((t) => t.busy).map((t) => t.doneNs);
    this.initiator.wake(busy.length === 0 ? null : Math.min(...busy));
  }

  /** Time has passed: media are done. */
  elapsed(): void {
    const { s } = this;
    const now = this.initiator.now();
    for (const task of s.tasks) if (task.busy && task.doneNs <= now) task.busy = false;
    this.#arm();
    const task = this.#task;
    // A target that stayed on the bus goes on, unless it waits for the initiator.
    const waits = s.requesting || s.acknowledging || s.after !== AFTER.goOn;
    if (s.connected && task !== undefined && !task.busy && !waits) this.#continue(task);
  }

  /** The disconnected task that has waited longest for the bus. */
  #ready(): ParallelTask | undefined {
    return this.s.tasks.filter((t) => !t.busy && t.stage !== STAGE.command)
      .sort((a, b) => a.doneNs - b.doneNs)[0];
  }

  get connected(): boolean {
    return this.s.connected;
  }
  get requesting(): boolean {
    return this.s.requesting;
  }
  get phase(): number {
    return this.s.phase;
  }

  /** A target waits to reselect, and the bus is free. */
  get wantsReselection(): boolean {
    return !this.s.connected && this.#ready() !== undefined;
  }

  /** A target reselects the initiator (SCSI-2); its id, null when none wants to. */
  reselect(): number | null {
    const { s } = this;
    const task = this.#ready();
    if (s.connected || task === undefined) return null;
    this.#connect(task.target, task.lun, task.tag);
    s.mayDisconnect = task.mayDisconnect;
    s.request = task.request;
    const tag = task.tag === UNTAGGED ? [] : [MESSAGE.SIMPLE_QUEUE_TAG, task.tag];
    this.#tell([MESSAGE.IDENTIFY | task.lun, ...tag], AFTER.goOn);
    return task.target;
  }

  /** The RST signal: all tasks are gone, all units say so to whoever asks next. */
  reset(): void {
    this.#drop(() => true);
    this.targets().reset(null);
    if (this.s.connected) this.#free();
  }

  /** The initiator lets go in the middle: the connection's task is lost. */
  abandon(): void {
    if (!this.s.connected) return;
    if (!this.s.selected) this.#drop((t) => this.#isOurs(t));
    this.#free();
  }
}
