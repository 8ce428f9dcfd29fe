/**
 * A hart as the machine around it sees it: registers, clock, interrupt wires, and the accesses that
 * left RAM. The state itself lies in linear memory (state.ts).
 *
 * @module
 */
import { csrIndex } from "./csr.ts";
import { type ExtensionSet, featureBits, misa } from "./extensions.ts";
import { META_BOXED, META_SIGNED, META_STORE } from "./memory_ops.ts";
import type { InterpreterExports } from "./interpreter.ts";
import { CAUSE, FS_MASK, IRQ, IRQ_S, MENVCFG, MSTATUS_RESET } from "./mstatus.ts";
import {
  Access,
  ARCH_SLOTS,
  DERIVED_SLOTS,
  HART_STATE_BYTES,
  SLOT,
  type Slot,
  TRIGGER_CONTROLS,
} from "./state.ts";
import { TRIGGERS_RESET } from "./trigger.ts";

const CSR_MENVCFG = 0x30a;
/** What firmware opens to S-mode: everything that exists, CBO.INVAL as a flush. */
const SBI_MENVCFG = 1n << BigInt(MENVCFG.STCE) | 1n << BigInt(MENVCFG.PBMTE) |
  1n << BigInt(MENVCFG.CBZE) | 1n << BigInt(MENVCFG.CBCFE) | 1n << BigInt(MENVCFG.CBIE);
const OPEN_PMP = { config: 0x1f, address: (1n << 54n) - 1n };

/** Configuration of a machine's harts. */
export interface HartConfig {
  extensions: ExtensionSet;
  sbi: boolean;
  nsPerInsn: number;
  timebaseHz: number;
}

/**
 * Index of each slot of `Hart.words`, the lower half; the upper one is the next. Where a hart has
 * stopped, the words pc, priv and icount tell of the instruction that stopped it, and for Stop.Load and
 * Stop.Store accessGpa, accessMeta and, of a store, accessValue tell what it asks for.
 */
export const WORD = Object.fromEntries(
  Object.entries(SLOT).map(([s, at]) => [s, at >> 2]),
) as Record<
  Slot,
  number
>;
const W = WORD;
/** Of the word accessMeta: the bytes accessed. */
export const ACCESS_BYTES = 15;
const TWO32 = 4294967296;
const STCE_HIGH = 1 << (MENVCFG.STCE - 32);
const FS = Number(FS_MASK);
/** Highest of the floating-point CSRs, which mstatus.FS closes to the guest. */
const FCSR = 0x003;
const NS_PER_SECOND = 1_000_000_000;

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b);
const STAGE2_KIND = { [Access.Fetch]: "fetch", [Access.Load]: "load", [Access.Store]: "store" };

/** Privilege: 0 user, 1 supervisor, 3 machine. */
export type Privilege = 0 | 1 | 3;

export class Hart {
  /** The state as it lies in linear memory, for those who serve exits; WORD tells what is where. */
  readonly words: Uint32Array;
  readonly #mem: DataView;
  readonly #timeMul: number;
  readonly #timeDiv: number;

  constructor(
    private readonly wasm: InterpreterExports,
    memory: WebAssembly.Memory,
    /** Address in linear memory. */
    readonly at: number,
    readonly id: number,
    private readonly config: HartConfig,
  ) {
    const bytes = HART_STATE_BYTES;
    this.#mem = new DataView(memory.buffer, at, bytes);
    this.words = new Uint32Array(memory.buffer, at, bytes / 4);
    const divisor = gcd(config.timebaseHz, NS_PER_SECOND);
    this.#timeMul = config.timebaseHz / divisor;
    this.#timeDiv = NS_PER_SECOND / divisor;
    this.reset();
  }

  #big(word: number): bigint {
    return this.#mem.getBigUint64(word * 4, true);
  }
  #setBig(word: number, v: bigint | number): void {
    this.#mem.setBigUint64(word * 4, BigInt.asUintN(64, BigInt(v)), true);
  }
  #lo(word: number): number {
    return this.words[word];
  }
  #hi(word: number): number {
    return this.words[word + 1];
  }
  /** Exact below 2^53. */
  #number(word: number): number {
    return this.words[word] + this.words[word + 1] * TWO32;
  }
  #setNumber(word: number, v: number): void {
    this.words[word] = v; // The store keeps the lower 32 bits.
    this.words[word + 1] = v / TWO32;
  }

  get icount(): number {
    return this.#number(W.icount);
  }
  /** Of the instructions that `icount` counts, those that trapped instead of retiring. */
  get exceptions(): number {
    return this.#number(W.exceptions);
  }
  get pc(): bigint {
    return this.#big(W.pc);
  }
  set pc(v: bigint) {
    this.#setBig(W.pc, v);
  }
  get pcLo(): number {
    return this.#lo(W.pc);
  }
  get pcHi(): number {
    return this.#hi(W.pc);
  }
  x(i: number): bigint {
    return this.#mem.getBigUint64(i * 8, true);
  }
  setX(i: number, v: bigint): void {
    if (i !== 0) this.#mem.setBigUint64(i * 8, BigInt.asUintN(64, v), true);
  }
  /** Floating-point register, NaN boxes included. */
  fp(i: number): bigint {
    return this.#big(W.f0 + i * 2);
  }
  setFp(i: number, v: bigint): void {
    this.#setBig(W.f0 + i * 2, v);
  }
  xLo(i: number): number {
    return this.words[i * 2];
  }
  xHi(i: number): number {
    return this.words[i * 2 + 1];
  }
  get priv(): Privilege {
    return this.#lo(W.priv) as Privilege;
  }

  /** As an M-mode CSR instruction reads it. Throws for a number that no register has. */
  csr(n: number): bigint {
    return this.#asMachine((index) => BigInt.asUintN(64, this.wasm.csrRead(this.at, index)), n);
  }
  /** As an M-mode CSRRW writes it; read-only registers keep their value. */
  setCsr(n: number, v: bigint): void {
    const icount = this.#big(W.icount);
    this.#setBig(W.icount, icount - 1n); // A counter takes the value that it has behind the write.
    this.#asMachine((index) => this.wasm.csrWrite(this.at, index, BigInt.asIntN(64, v)), n);
    this.#setBig(W.icount, icount);
    this.#setBig(W.stopAfter, 0);
  }
  #asMachine<T>(act: (index: bigint) => T, n: number): T {
    const priv = this.priv;
    const off = n <= FCSR && !(this.words[W.mstatus] & FS);
    this.#setBig(W.priv, 3);
    if (off) this.words[W.mstatus] |= FS;
    const result = act(BigInt(csrIndex(n)));
    if (off) this.words[W.mstatus] &= ~FS;
    const failed = this.#lo(W.status) !== 0 && (n >> 10 & 3) !== 3;
    this.#setBig(W.status, 0);
    this.#setBig(W.priv, priv);
    if (failed) throw new RangeError(`CSR 0x${n.toString(16)} does not exist`);
    return result;
  }

  /** Virtual nanoseconds. */
  get clockNs(): number {
    return this.#number(W.skewNs) + this.icount * this.config.nsPerInsn;
  }
  addNs(ns: number): void {
    if (!Number.isInteger(ns) || ns < 0) throw new RangeError(`addNs: got ${ns}, expected ns ≥ 0`);
    this.#setNumber(W.skewNs, this.#number(W.skewNs) + ns);
  }
  /** Clock at which stimecmp's interrupt becomes pending; Infinity when it is, or never will be. */
  timerDeadlineNs(): number {
    if (!(this.#hi(W.menvcfg) & STCE_HIGH)) return Infinity;
    const ns = this.#number(W.stimecmp) / this.#timeMul * this.#timeDiv;
    if (ns > Number.MAX_SAFE_INTEGER) return Infinity;
    const ticks = this.#number(W.stimecmp);
    const exact = this.#timeMul === 1 ? ticks * this.#timeDiv : Number(
      (BigInt(ticks) * BigInt(this.#timeDiv) + BigInt(this.#timeMul - 1)) /
        BigInt(this.#timeMul),
    );
    return exact > this.clockNs ? exact : Infinity;
  }
  /** Instructions until the deadline, at least 1. */
  countsToDeadline(): number {
    const deadline = this.timerDeadlineNs();
    return deadline === Infinity
      ? Infinity
      : Math.ceil((deadline - this.clockNs) / this.config.nsPerInsn);
  }

  /**
   * MSIP 3, MTIP 7, SEIP 9 and MEIP 11 are wires; SSIP 1 is the bit that software also writes. True when
   * it was low and is high now.
   */
  setIrq(bit: 3 | 7 | 9 | 11 | 1, level: boolean): boolean {
    const at = bit === IRQ.SSI ? W.mip : W.irqLines;
    const old = this.words[at];
    this.words[at] = level ? old | 1 << bit : old & ~(1 << bit);
    return level && (old & 1 << bit) === 0;
  }
  /** Privileged ISA §3.3.3: WFI resumes for an interrupt that is enabled in mie, whatever mstatus says. */
  interruptPending(): boolean {
    const enabled = this.#lo(W.mie);
    return enabled !== 0 && (Number(this.wasm.mipNow(this.at) & 0xfffn) & enabled) !== 0;
  }
  /** Instructions from the exit before to `icount`. */
  insnsSinceExit(icount: number): number {
    return icount - this.#number(W.lastExit);
  }
  /** The exit unit has served an exit that happened at `icount`. */
  exited(icount: number): void {
    this.#setNumber(W.lastExit, icount);
  }
  /** Code of the interrupt just taken, without the top bit. */
  get cause(): number {
    return this.#lo(W.lastCause);
  }

  reset(): void {
    new Uint8Array(this.#mem.buffer, this.at, HART_STATE_BYTES).fill(0);
    this.#configure();
    this.#setBig(W.reservation, -1);
    this.#setBig(W.mstatus, MSTATUS_RESET);
    this.#setBig(W.stimecmp, -1);
    this.#setBig(W.priv, 3);
    for (const s of TRIGGER_CONTROLS) this.#setBig(W[s], TRIGGERS_RESET);
    const { extensions } = this.config;
    const adue = extensions.has("svadu") && !extensions.has("svade");
    if (adue) this.#setBig(W.menvcfg, 1n << BigInt(MENVCFG.ADUE));
    if (this.config.sbi) {
      this.#setBig(W.priv, 1);
      this.#setBig(W.medeleg, -1);
      this.#setBig(W.mideleg, IRQ_S);
      this.setCsr(CSR_MENVCFG, adue ? SBI_MENVCFG | 1n << BigInt(MENVCFG.ADUE) : SBI_MENVCFG);
      this.#setBig(W.mcounteren, 7);
      this.#setBig(W.scounteren, 7);
    }
    this.wasm.flushAll(this.at);
    this.wasm.rebank(this.at);
  }
  #configure(): void {
    this.#setBig(W.hartid, this.id);
    this.#setBig(W.sbi, this.config.sbi ? 1 : 0);
    this.#setBig(W.nsPerInsn, this.config.nsPerInsn);
    this.#setBig(W.timeMul, this.#timeMul);
    this.#setBig(W.timeDiv, this.#timeDiv);
    this.#setBig(W.features, featureBits(this.config.extensions));
    this.#setBig(W.misa, misa(this.config.extensions));
  }
  /** Starts from reset at `pc`; the clock goes on. In S-mode all memory is open, as firmware leaves it. */
  start(o: { pc: bigint | number; a0: bigint | number; a1: bigint | number; priv: 1 | 3 }): void {
    const [icount, skewNs, exceptions] = [
      this.icount,
      this.#big(W.skewNs),
      this.#big(W.exceptions),
    ];
    const [lines, lastExit] = [this.#big(W.irqLines), this.#big(W.lastExit)];
    this.reset();
    this.#setNumber(W.icount, icount);
    this.#setBig(W.skewNs, skewNs);
    this.#setBig(W.exceptions, exceptions);
    this.#setBig(W.irqLines, lines);
    this.#setBig(W.lastExit, lastExit);
    this.#setBig(W.pc, BigInt(o.pc));
    this.setX(10, BigInt(o.a0));
    this.setX(11, BigInt(o.a1));
    this.#setBig(W.priv, o.priv);
    if (o.priv === 1) {
      this.#setBig(W.pmpcfg0, OPEN_PMP.config);
      this.#setBig(W.pmpaddr0, OPEN_PMP.address);
    }
    this.wasm.rebank(this.at);
  }

  /** The access that Stop.Load or Stop.Store asks for; a store carries its value. */
  get access(): { gpa: number; size: number; lo: number; hi: number } {
    return {
      gpa: this.#number(W.accessGpa),
      size: this.#lo(W.accessMeta) & ACCESS_BYTES,
      lo: this.#lo(W.accessValue),
      hi: this.#hi(W.accessValue),
    };
  }
  /** Gives a load its value (`lo`, `hi`: unsigned lanes) and goes on behind it. */
  completeLoad(lo: number, hi: number): void {
    const meta = this.#lo(W.accessMeta);
    const size = meta & ACCESS_BYTES;
    const unused = 32 - size * 8;
    if (size < 4) lo = meta & META_SIGNED ? lo << unused >> unused : lo << unused >>> unused;
    if (size < 8) hi = meta & META_SIGNED ? lo >> 31 : 0;
    if (meta & META_BOXED) {
      if (size < 4) lo |= -1 << size * 8;
      if (size < 8) hi = -1;
      this.words[W.mstatus] |= FS;
    }
    const at = this.#lo(W.accessRd) >> 2;
    this.words[at] = lo;
    this.words[at + 1] = hi;
    this.#step(meta >> 8);
  }
  completeStore(): void {
    this.#step(this.#lo(W.accessMeta) >> 8);
  }
  /** The device refuses: load or store access fault. */
  faultAccess(): void {
    const store = (this.#lo(W.accessMeta) & META_STORE) !== 0;
    const cause = store ? CAUSE.StoreAccess : CAUSE.LoadAccess;
    const tval = BigInt.asIntN(64, this.#big(W.accessVa));
    this.#setNumber(W.icount, this.icount + 1);
    this.#setNumber(W.exceptions, this.#number(W.exceptions) + 1);
    this.wasm.raise(this.at, BigInt(cause), tval);
  }
  /** After Stop.Ecall, once its results are set. */
  retire(): void {
    this.#step(4);
  }
  #step(bytes: number): void {
    this.#add(W.pc, bytes);
    this.#add(W.icount, 1);
  }
  /** Adds less than 2^32. */
  #add(word: number, n: number): void {
    const words = this.words;
    const lo = words[word] + n;
    words[word] = lo;
    if (lo >= TWO32) words[word + 1]++;
  }

  /** The page that Stop.Stage2 wants mapped; a page walk's own read is a "load". */
  get stage2Fault(): { gpa: number; kind: "fetch" | "load" | "store" } {
    const kind = STAGE2_KIND[this.#lo(W.stage2Kind) as Access] as "fetch" | "load" | "store";
    return { gpa: this.#number(W.stage2Gpa), kind };
  }
  clearReservation(): void {
    this.words.fill(0xffffffff, W.reservation, W.reservation + 2);
  }
  /** Guest-physical address of the reservation, or −1. */
  get reservation(): number {
    return this.#hi(W.reservation) === 0xffffffff ? -1 : this.#number(W.reservation);
  }

  /** Architectural state: x1..x31, then the slots in their declared order. */
  save(out: DataView): void {
    for (let i = 1; i < 32; i++) out.setBigUint64((i - 1) * 8, this.x(i), true);
    ARCH_SLOTS.forEach((s, i) => out.setBigUint64((31 + i) * 8, this.#big(W[s]), true));
  }
  load(from: DataView): void {
    for (let i = 1; i < 32; i++) this.setX(i, from.getBigUint64((i - 1) * 8, true));
    ARCH_SLOTS.forEach((s, i) => this.#setBig(W[s], from.getBigUint64((31 + i) * 8, true)));
    for (const s of DERIVED_SLOTS) this.#setBig(W[s], 0);
    this.wasm.flushAll(this.at);
    this.wasm.rebank(this.at);
  }
  static readonly savedBytes = (31 + ARCH_SLOTS.length) * 8;
}
