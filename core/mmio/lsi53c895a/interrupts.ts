/**
 * The chip's interrupts: what stops SCRIPTS, what shows in ISTAT, what drives INTA/. Source: LSI53C895A
 * Technical Manual, chapter 2 (interrupt handling) and chapter 4.
 *
 * Requests that are done wait here for the interrupt that tells of them, and are then written to the
 * trace with it.
 * @module
 */
import type { Port, RequestRow } from "../port.ts";
import { list, num, type StateOf, text, u8 } from "../state.ts";
import { DCNTL, ISTAT0, type registerFields, SIST0, SIST1 } from "./registers.ts";

/** Fatal and non-fatal interrupts: these stop SCRIPTS only when they are enabled. */
const NON_FATAL = {
  sist0: SIST0.CMP | SIST0.SEL | SIST0.RSL,
  sist1: SIST1.GEN | SIST1.HTH,
} as const;
/** Requests that wait to be announced; a driver that never is told lets the oldest go unannounced. */
const MAX_UNANNOUNCED = 64;

export const interruptFields = {
  /** Stacked interrupts: conditions behind those that SIST0 and SIST1 show. */
  stacked0: u8(),
  stacked1: u8(),
  unannounced: list({
    id: num(),
    kind: text(24),
    command: text(32),
    bytes: num(),
    submitNs: num(),
    submitIcount: num(),
    completeNs: num(),
    status: text(8),
    kickExitSeq: num(),
  }, MAX_UNANNOUNCED),
};
type State = StateOf<typeof interruptFields & typeof registerFields>;

export class Interrupts {
  constructor(
    private readonly s: State,
    private readonly port: Port,
    private readonly stopScripts: () => void,
  ) {}

  /** A condition of the SCSI core. */
  scsi(sist0: number, sist1 = 0): void {
    const { s } = this;
    if (s.SIST0 | s.SIST1) {
      s.stacked0 |= sist0 & ~s.SIST0;
      s.stacked1 |= sist1 & ~s.SIST1;
    } else {
      s.SIST0 |= sist0;
      s.SIST1 |= sist1;
    }
    const stops = sist0 & (s.SIEN0 | ~NON_FATAL.sist0) || sist1 & (s.SIEN1 | ~NON_FATAL.sist1);
    if (stops) this.stopScripts();
    if (sist0 & s.SIEN0 || sist1 & s.SIEN1) this.#signal();
  }

  /** A condition of the DMA core: SCRIPTS stop. */
  dma(dstat: number): void {
    this.s.DSTAT |= dstat;
    this.stopScripts();
    if (dstat & this.s.DIEN) this.#signal();
  }

  /** INTFLY: SCRIPTS go on. */
  onTheFly(): void {
    this.s.ISTAT0 |= ISTAT0.INTF;
    this.#signal();
  }

  /** SIST0 or SIST1 was read: what stood behind them comes forward once both are clear. */
  cleared(): void {
    const { s } = this;
    if (s.SIST0 | s.SIST1) return;
    s.SIST0 = s.stacked0;
    s.SIST1 = s.stacked1;
    s.stacked0 = s.stacked1 = 0;
  }

  get level(): boolean {
    const { s } = this;
    if (s.DCNTL & DCNTL.IRQD) return false;
    return (s.DSTAT & s.DIEN) !== 0 || (s.SIST0 & s.SIEN0) !== 0 || (s.SIST1 & s.SIEN1) !== 0 ||
      (s.ISTAT0 & ISTAT0.INTF) !== 0;
  }

  get pending(): boolean {
    const { s } = this;
    return (s.DSTAT | s.SIST0 | s.SIST1) !== 0;
  }

  #signal(): void {
    if (!this.level) return;
    const seq = this.port.signal();
    for (const row of this.s.unannounced.splice(0)) this.#write(row, seq < 0 ? null : seq);
  }

  /** A request is done; the next interrupt tells of it. */
  completed(row: Omit<RequestRow, "irq_seq">): void {
    const { unannounced } = this.s;
    if (unannounced.length === MAX_UNANNOUNCED) this.#write(unannounced.shift()!, null);
    unannounced.push({
      id: row.id,
      kind: row.kind,
      command: row.command ?? "",
      bytes: row.bytes,
      submitNs: row.submit_ns,
      submitIcount: row.submit_icount,
      completeNs: row.complete_ns,
      status: row.status,
      kickExitSeq: row.kick_exit_seq ?? -1,
    });
  }

  #write(r: State["unannounced"][number], irqSeq: number | null): void {
    this.port.trace.request({
      id: r.id,
      kind: r.kind as RequestRow["kind"],
      bytes: r.bytes,
      submit_ns: r.submitNs,
      submit_icount: r.submitIcount,
      complete_ns: r.completeNs,
      status: r.status as RequestRow["status"],
      command: r.command === "" ? null : r.command as RequestRow["command"],
      kick_exit_seq: r.kickExitSeq < 0 ? null : r.kickExitSeq,
      irq_seq: irqSeq,
    });
  }
}
