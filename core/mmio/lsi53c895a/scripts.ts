/**
 * The SCRIPTS processor: fetches instructions, executes them, waits for the bus. Source:
 * LSI53C895A Technical Manual, chapter 5 (SCSI SCRIPTS Instruction Set).
 *
 * Each instruction takes `insn_ns` of virtual time and is an event of its own, so that what it reads and
 * writes in memory happens then and not before. An instruction that waits for the bus (a phase, a
 * disconnection, a reselection) takes no events until the bus has it.
 *
 * A program that executes MAX_IDLE instructions without moving a byte over the bus is taken for one that
 * loops: it rests for REST_NS, then goes on. A chip would loop at full speed.
 *
 * Simplified: initiator role only; instructions that need the target role are illegal. There is no
 * prefetch: an instruction is read when it is executed.
 * @module
 */
import type { Port } from "../port.ts";
import type { ParallelBus } from "../scsi/parallel_bus.ts";
import { PHASE } from "../scsi/parallel_bus.ts";
import { flag, num, type StateOf, u16, u32, u8 } from "../state.ts";
import type { RegisterBytes } from "./file.ts";
import type { Interrupts } from "./interrupts.ts";
import type { ChipMemory } from "./memory.ts";
import { moveSource, type MoveState, upperOf } from "./move.ts";
import {
  CCNTL0,
  CCNTL1,
  DCNTL,
  DMODE,
  DSTAT,
  ISTAT0,
  type registerFields,
  SCID,
  SCNTL2,
  SIST0,
  SSID,
} from "./registers.ts";
import {
  IO,
  KIND,
  MEMORY,
  MODIFY,
  MOVE,
  opcodeOf,
  operate,
  opOf,
  SELECT,
  SIGNAL,
  signed24,
  TRANSFER,
  WHEN,
} from "./script.ts";

/** What the instruction that is being executed waits for. */
const WAIT = { nothing: 0, phase: 1, disconnect: 2, reselect: 3, selection: 4 } as const;

/** More than any driver's path from one bus phase to the next. */
const MAX_IDLE = 256;
const REST_NS = 5_000_000;
/** Instructions of one event, for a processor that takes no time. */
const BURST = 64;
const TRG = 0x01; // SCNTL0

export const scriptsFields = {
  running: flag(),
  wait: u8(),
  /** The wait is over: the instruction goes on. */
  resumed: flag(),
  /** The instruction that is being executed. */
  word: u32(),
  operand: u32(),
  third: u32(),
  carry: flag(),
  /** A selection is under way that nobody has answered. */
  selecting: flag(),
  idle: u16(),
  /** Exit of the CPU's access that started the processor or woke it, -1 for none. */
  kickExitSeq: num(-1),
};
type State = StateOf<typeof scriptsFields & typeof registerFields> & Pick<MoveState, "scratch">;

export interface ScriptsParts {
  readonly port: Port;
  readonly bus: ParallelBus;
  readonly memory: ChipMemory;
  readonly interrupts: Interrupts;
  readonly file: () => RegisterBytes;
  readonly insnNs: number;
  /** ns of the selection timer, Infinity when it is off. */
  readonly selectionNs: () => number;
}

export class Scripts {
  constructor(private readonly s: State, private readonly p: ScriptsParts) {}

  /** The CPU started the processor: at DSP, its first instruction. */
  start(): void {
    const { s } = this;
    s.kickExitSeq = this.p.port.trace.exitSeq ?? -1;
    s.running = true;
    s.resumed = false;
    s.wait = WAIT.nothing;
    s.idle = 0;
    this.#schedule();
  }

  stop(): void {
    const { s } = this;
    s.running = s.resumed = false;
    s.wait = WAIT.nothing;
    this.p.port.timer("step", null);
  }

  /** SIGP was set: WAIT RESELECT ends. */
  signalled(): void {
    this.s.kickExitSeq = this.p.port.trace.exitSeq ?? -1;
    if (this.s.wait === WAIT.reselect) this.#resume();
  }

  #schedule(): void {
    const { s, p: { port, insnNs } } = this;
    if (!s.running || s.wait !== WAIT.nothing) return;
    let inNs = s.resumed ? 0 : insnNs;
    if (s.idle >= MAX_IDLE) {
      s.idle = 0;
      inNs = REST_NS;
    }
    port.timer("step", port.now() + inNs);
  }

  #await(what: number): void {
    this.s.wait = what;
  }

  #resume(): void {
    const { s } = this;
    s.wait = WAIT.nothing;
    s.resumed = true;
    this.#schedule();
  }

  /** The event `step`. */
  step(): void {
    const { s, p } = this;
    let left = p.insnNs === 0 ? BURST : 1;
    while (left-- > 0 && s.running && s.wait === WAIT.nothing && s.idle < MAX_IDLE) {
      if (!s.resumed && !this.#fetch()) return;
      this.#execute();
      s.resumed = false;
      const stepped = s.running && s.wait === WAIT.nothing && s.DCNTL & DCNTL.SSM;
      if (stepped) p.interrupts.dma(DSTAT.SSI);
    }
    this.#schedule();
  }

  /** Reads the instruction at DSP; false, and a bus fault, where there is no memory. */
  #fetch(): boolean {
    const { s, p: { memory, port, bus } } = this;
    const gpa = upperOf(s.SFS, s.DSP);
    const word = memory.word(gpa), operand = memory.word(gpa + 4);
    const long = word !== null && this.#isLong(word);
    const third = long ? memory.word(gpa + 8) : 0;
    if (word === null || operand === null || third === null) return this.#busFault(), false;
    const bytes = long ? 12 : 8;
    s.word = word;
    s.operand = operand;
    s.third = third;
    s.DSP += bytes;
    s.DSPS = operand;
    s.DCMD = word >>> 24;
    this.#count = word & 0xff_ffff;
    s.idle++;
    const own_memory = memory.own(gpa, bytes) >= 0;
    const row = { gpa, word, operand, bytes, own_memory, request: bus.request };
    port.trace.step({ kind: "instruction", op: opOf(word), ...row });
    return true;
  }

  #isLong(word: number): boolean {
    if (word >>> 30 === KIND.memory) return (word & MEMORY.loadStore) === 0;
    const direct = (word & (MOVE.table | MOVE.indirect)) === 0;
    return word >>> 30 === KIND.move && direct && (this.s.CCNTL1 & CCNTL1.EN64DBMV) !== 0;
  }

  /** DBC. */
  get #count(): number {
    const { s } = this;
    return s.DBC2 << 16 | s.DBC1 << 8 | s.DBC0;
  }
  set #count(v: number) {
    const { s } = this;
    s.DBC0 = v;
    s.DBC1 = v >>> 8;
    s.DBC2 = v >>> 16;
  }

  #busFault(): void {
    this.p.interrupts.dma(DSTAT.BF);
  }

  #illegal(): void {
    this.p.interrupts.dma(DSTAT.IID);
  }

  #execute(): void {
    const { word } = this.s;
    switch (word >>> 30) {
      case KIND.move:
        return this.#move();
      case KIND.io:
        return this.#io(word);
      case KIND.transfer:
        return this.#transfer(word);
      default:
        return word & MEMORY.loadStore ? this.#loadStore(word) : this.#moveMemory();
    }
  }

  /** Block move. Moves what the target wants or has in this phase, at most what the instruction says. */
  #move(): void {
    const { s, p: { bus } } = this;
    if (s.SCNTL0 & TRG) return this.#illegal();
    if (!s.resumed && !this.#beginMove()) return;
    const phase = s.word >>> 24 & 7;
    while (this.#count > 0) {
      if (!bus.requesting) return this.#await(WAIT.phase);
      if (bus.phase !== phase) return this.#mismatch(phase);
      if (!this.#moveBytes(phase)) return;
    }
    if (phase === PHASE.MESSAGE_OUT) bus.messageSent();
  }

  /** Finds address and count; false when the instruction ends here. */
  #beginMove(): boolean {
    const { s, p: { memory, port, bus } } = this;
    const found = moveSource(s, memory, (row) =>
      port.trace.step({
        kind: "table_fetch",
        op: opOf(s.word),
        ...row,
        request: bus.request,
      }));
    if (found === null) return this.#busFault(), false;
    this.#count = found.count;
    s.DNAD = found.address;
    s.DNAD64 = found.upper;
    s.IA = s.DSP - (this.#isLong(s.word) ? 12 : 8);
    s.ESA = found.entry ?? s.IA;
    s.RBC = found.tag << 24 | found.count;
    s.UA = found.address;
    s.SBC = 0;
    if (found.count === 0) return this.#illegal(), false;
    return true;
  }

  /** False, and a bus fault, where there is no memory. */
  #moveBytes(phase: number): boolean {
    const { s, p: { bus, memory } } = this;
    const bytes = Math.min(this.#count, bus.wanted(phase));
    if (bytes === 0) return bus.abandon(), false; // A message without end.
    const at = upperOf(s.DNAD64, s.DNAD);
    if (!memory.ok(at, bytes)) return this.#busFault(), false;
    const { request } = bus;
    if (phase & 1) {
      const data = bus.receive(phase, bytes);
      memory.write(at, data);
      s.SFBR = data[0];
      s.SIDL = data[data.length - 1];
    } else {
      const data = memory.read(at, bytes)!;
      bus.send(phase, data);
      s.SODL = data[data.length - 1];
    }
    memory.traced(at, bytes, (phase & 1) === 1, request, phase > PHASE.DATA_IN);
    if (phase !== PHASE.MESSAGE_OUT) s.idle = 0;
    const left = this.#count - bytes;
    this.#count = left;
    s.DNAD += bytes;
    s.UA = s.DNAD;
    s.RBC = (s.RBC & 0xff00_0000) >>> 0 | left;
    s.SBC += bytes;
    if (phase <= PHASE.DATA_IN) s.CSBC += bytes;
    return true;
  }

  /** The target is in another phase: SCRIPTS go on at PMJAD1 or PMJAD2, or stop. */
  #mismatch(phase: number): void {
    const { s } = this;
    if ((s.CCNTL0 & CCNTL0.ENPMJ) === 0) return this.p.interrupts.scsi(SIST0.MA);
    const first = s.CCNTL0 & CCNTL0.PMJCTL ? (phase & 1) === 0 : (s.SCNTL2 & SCNTL2.WSR) === 0;
    s.DSP = first ? s.PMJAD1 : s.PMJAD2;
  }

  #io(word: number): void {
    const opcode = opcodeOf(word);
    switch (opcode) {
      case IO.select:
        return this.#select(word);
      case IO.waitDisconnect:
        if (this.p.bus.connected || this.s.selecting) this.#await(WAIT.disconnect);
        return;
      case IO.waitReselect:
        return this.#waitReselect();
      case IO.set:
        return this.#signals(word, true);
      case IO.clear:
        return this.#signals(word, false);
      default:
        return this.#modify(opcode, word);
    }
  }

  #alternate(): number {
    const { s } = this;
    return s.word & SELECT.relative ? s.DSP + signed24(s.operand) : s.operand;
  }

  /** Select. A chip that was reselected before it could select goes on at the alternate address. */
  #select(word: number): void {
    const { s, p: { bus, memory, port } } = this;
    if (s.SCNTL0 & TRG) return this.#illegal();
    if (s.selecting) return this.#await(WAIT.selection);
    if (bus.connected) return void (s.DSP = this.#alternate());
    let id = word >>> 16 & 0xf;
    if (word & SELECT.table) {
      const gpa = upperOf(s.DRS, s.DSA + signed24(word));
      const entry = memory.word(gpa);
      if (entry === null) return this.#busFault();
      const own_memory = memory.own(gpa, 4) >= 0;
      const row = { gpa, word: entry, operand: 0, bytes: 4, own_memory };
      port.trace.step({ kind: "table_fetch", op: "SELECT", ...row, request: null });
      s.SCNTL3 = entry >>> 24;
      s.SXFER = entry >>> 8;
      id = entry >>> 16 & 0xf;
    }
    s.SDID = id;
    s.SCNTL2 |= SCNTL2.SDU;
    if (bus.select(id, (word & SELECT.attention) !== 0)) return;
    s.selecting = true;
    const inNs = this.p.selectionNs();
    if (inNs !== Infinity) port.timer("selection", port.now() + inNs);
  }

  /** Wait reselect. */
  #waitReselect(): void {
    const { s, p: { bus } } = this;
    if (s.SCNTL0 & TRG) return this.#illegal();
    if (bus.connected) return;
    if (s.ISTAT0 & ISTAT0.SIGP) s.DSP = this.#alternate();
    else this.#await(WAIT.reselect);
  }

  /** After anything that may have changed: a target that waits for the bus gets it. */
  offerReselection(): void {
    const { s, p: { bus, interrupts } } = this;
    if (s.selecting || !bus.wantsReselection) return;
    const waits = s.wait === WAIT.reselect;
    const enabled = s.SIEN0 & SIST0.RSL && s.SCID & SCID.RRE;
    if (!waits && (s.running || !enabled || interrupts.pending)) return;
    const id = bus.reselect();
    if (id === null) return;
    s.SSID = SSID.VAL | id;
    if ((s.DCNTL & DCNTL.COM) === 0) s.SFBR = 1 << (id & 7);
    s.SCNTL2 |= SCNTL2.SDU;
    s.idle = 0;
    if (waits) this.#resume();
    else interrupts.scsi(SIST0.RSL);
  }

  /** Set and clear. ATN goes down before ACK does, so that the target sees it in time. */
  #signals(word: number, on: boolean): void {
    const { s, p: { bus } } = this;
    if (word & SIGNAL.carry) s.carry = on;
    if (word & SIGNAL.target) s.SCNTL0 = on ? s.SCNTL0 | TRG : s.SCNTL0 & ~TRG;
    if (word & SIGNAL.attention) bus.setAttention(on);
    if (word & SIGNAL.acknowledge && !on) bus.clearAck();
  }

  /** Read/write. */
  #modify(opcode: number, word: number): void {
    const { s } = this;
    const file = this.p.file();
    const at = word >>> 16 & 0x7f | (word & MODIFY.highRegister ? 0x80 : 0);
    const data = word & MODIFY.useSfbr ? s.SFBR : word >>> 8 & 0xff;
    const from = opcode === IO.fromSfbr ? s.SFBR : file.read(at);
    const { value, carry } = operate(word >>> 24 & 7, from, data, s.carry);
    s.carry = carry;
    if (opcode === IO.toSfbr) s.SFBR = value;
    else file.write(at, value);
  }

  /** Transfer control. */
  #transfer(word: number): void {
    const { s, p: { bus, interrupts } } = this;
    const opcode = opcodeOf(word);
    if (opcode > TRANSFER.interrupt) return this.#illegal();
    if (word & WHEN.wait && !bus.requesting) return this.#await(WAIT.phase);
    if (!this.#holds(word)) return;
    const to = word & WHEN.relative ? s.DSP + signed24(s.operand) : s.operand;
    switch (opcode) {
      case TRANSFER.jump:
        s.DSP = to;
        return;
      case TRANSFER.call:
        s.TEMP = s.DSP;
        s.DSP = to;
        return;
      case TRANSFER.return:
        s.DSP = s.TEMP;
        return;
      default:
        if (word & WHEN.onTheFly) interrupts.onTheFly();
        else interrupts.dma(DSTAT.SIR);
    }
  }

  /** All comparisons must be true to go on a true condition, all false to go on a false one. */
  #holds(word: number): boolean {
    const { s, p: { bus } } = this;
    const wanted = (word & WHEN.isTrue) !== 0;
    const compared: boolean[] = [];
    if (word & WHEN.carry) compared.push(s.carry);
    if (word & WHEN.phase) compared.push(bus.phase === (word >>> 24 & 7));
    if (word & WHEN.data) compared.push(((s.SFBR ^ word) & ~(word >>> 8) & 0xff) === 0);
    return compared.length === 0 ? wanted : compared.every((c) => c === wanted);
  }

  /** Memory move. */
  #moveMemory(): void {
    const { s, p: { memory, bus } } = this;
    const count = this.#count;
    const from = upperOf(s.MMRS, s.operand), to = upperOf(s.MMWS, s.third);
    if (count === 0 || (from ^ to) & 3) return this.#illegal();
    const data = s.DMODE & (DMODE.SIOM | DMODE.DIOM) ? null : memory.read(from, count);
    if (data === null || !memory.write(to, data)) return this.#busFault();
    memory.traced(from, count, false, bus.request, true);
    memory.traced(to, count, true, bus.request, true);
    s.DNAD = to + count;
    this.#count = 0;
  }

  /** Load and store. Registers and memory must lie alike within a word. */
  #loadStore(word: number): void {
    const { s, p: { memory, bus } } = this;
    const count = word & 7, at = word >>> 16 & 0xff;
    const load = (word & MEMORY.load) !== 0;
    const addr = word & MEMORY.dsaRelative
      ? upperOf(s.DRS, s.DSA + signed24(s.operand))
      : upperOf(load ? s.MMRS : s.MMWS, s.operand);
    if (count === 0 || (at & 3) + count > 4 || (at ^ addr) & 3) return this.#illegal();
    const file = this.p.file();
    if (load) {
      const data = memory.read(addr, count);
      if (data === null) return this.#busFault();
      memory.traced(addr, count, false, bus.request, true);
      data.forEach((v, i) => file.write(at + i, v));
      return;
    }
    if (!memory.ok(addr, count)) return this.#busFault();
    const data = Uint8Array.from({ length: count }, (_, i) => file.read(at + i));
    memory.write(addr, data);
    memory.traced(addr, count, true, bus.request, true);
  }

  /** The bus: REQ went up. */
  requested(): void {
    if (this.s.wait === WAIT.phase) this.#resume();
  }

  /** The bus: a target let go of it. */
  freed(): void {
    const { s, p } = this;
    if (s.wait === WAIT.disconnect) this.#resume();
    else if (s.SCNTL2 & SCNTL2.SDU) p.interrupts.scsi(SIST0.UDC);
  }

  /** The event `selection`: nobody answered in time. */
  selectionTimedOut(sto: number): void {
    this.s.selecting = false;
    this.p.interrupts.scsi(0, sto);
  }

  /** A selection under way is given up. */
  forgetSelection(): void {
    this.s.selecting = false;
    this.p.port.timer("selection", null);
  }
}
