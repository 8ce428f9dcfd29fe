/**
 * RV64 harts with M, S and U modes, interpreted by generated WebAssembly and compiled to it where they
 * are hot. Every instruction, CSR, trap and walk has one definition (isa/, csr.ts, trap.ts, translate.ts).
 * Source: RISC-V Unprivileged ISA 20240411 and Privileged ISA 20240411.
 *
 * @module
 */
import { Compiler, type Policy, type Statistics } from "./compiler/compiler.ts";
import { extensionsOf } from "./extensions.ts";
import { Hart } from "./hart.ts";
import { moduleFor, type ModuleStore } from "./generated.ts";
import { HOT, type InterpreterExports } from "./interpreter.ts";
import { decoderFor } from "./isa/mod.ts";
import { type Layout, layout, PAGE } from "./layout.ts";
import { Lockstep, STRETCH } from "./lockstep.ts";
import type { Meter, WalkStep } from "./meter.ts";
import { Packer } from "./packer.ts";
import { Stop } from "./state.ts";

export { disassemble } from "./disassemble.ts";
export { described, extensionsOf } from "./extensions.ts";
export { csrName } from "./csr.ts";
export { ACCESS_BYTES, Hart, type Privilege, WORD } from "./hart.ts";
export { META_BOXED, META_SIGNED, META_STORE } from "./memory_ops.ts";
export { FS_MASK as MSTATUS_FS } from "./mstatus.ts";
export { SLOT, Stop } from "./state.ts";
export type { Statistics } from "./compiler/compiler.ts";
export type { ModuleStore } from "./generated.ts";

/** What harts have unless they are asked for something else. */
export const ISA = "rv64imafdc_zicbom_zicboz_ziccid_zicntr_zicond_zicsr_zifencei_zihintpause" +
  "_zawrs_zfh_zfhmin_zba_zbb_zbc_zbs_sstc_sv39_sv48_sv57_svadu_svinval_svnapot_svpbmt";

/** Ways to execute. Lockstep runs interpreter and compiled code, and throws where they differ. */
export type CpuMode = "interpreter" | "compiled" | "lockstep";

export interface CpuOptions {
  harts: number;
  ramBase: number;
  ramBytes: number;
  /** Virtual nanoseconds per instruction, a whole number. */
  nsPerInsn: number;
  timebaseHz: number;
  /** No M-mode software: harts run S and U only, an ecall from S is Stop.Ecall. */
  sbi: boolean;
  /** ISA string; default: ISA. What it lacks is illegal. */
  isa?: string;
  /** Bound of the pool of decoded pages; the guest cannot see it. */
  codePages?: number;
  /** How the harts execute; the guest cannot see it. Default: interpreter. */
  mode?: CpuMode;
  /** When code is compiled (tests want it early). */
  policy?: Policy;
  /** Where generated modules are kept; default: nowhere. */
  modules?: ModuleStore;
  /** Told when code is compiled, and of page walks. */
  meter?: Meter;
}

/** One activation stays so short that optimized code takes over soon after it is ready. */
const SLICE = 200_000;

const nothing = () => {};

function validate(o: CpuOptions): void {
  for (const [name, v] of Object.entries({ nsPerInsn: o.nsPerInsn, timebaseHz: o.timebaseHz })) {
    if (!Number.isInteger(v) || v < 1 || v > 1e9) {
      throw new RangeError(`${name}: got ${v}, expected a whole number from 1 to 1e9`);
    }
  }
  if (o.ramBase % PAGE !== 0) throw new RangeError(`ramBase ${o.ramBase}: not page-aligned`);
}

export class RiscvCpu {
  /** Everything lies in it: harts where `Hart.at` says. */
  readonly memory: WebAssembly.Memory;
  /** Guest RAM; tell `wroteRam` of writes. */
  readonly ram: Uint8Array<ArrayBuffer>;
  readonly ramView: DataView<ArrayBuffer>;
  /** A byte for each 4 KiB page of RAM: 1 mapped. Call flushTlb after unmapping one. */
  readonly stage2: Uint8Array<ArrayBuffer>;
  readonly #harts: Hart[];
  readonly #wasm: InterpreterExports;
  readonly #layout: Layout;
  readonly #codeMap: Uint32Array;
  readonly #compiler: Compiler | null;
  readonly #shadow: { cpu: RiscvCpu; lockstep: Lockstep } | null = null;
  readonly #buffer: ArrayBuffer;

  constructor(o: CpuOptions) {
    validate(o);
    const l = layout({ ...o, metered: o.meter !== undefined });
    const { module, operations } = moduleFor(l, o.modules ?? null);
    const memory = new WebAssembly.Memory({ initial: l.wasmPages, maximum: l.wasmPages });
    const buffer = memory.buffer as ArrayBuffer; // Not shared: the memory was not made so.
    this.#buffer = buffer;
    const extensions = extensionsOf(o.isa ?? ISA);
    const decoder = decoderFor(extensions);
    const packer = new Packer(new DataView(buffer), operations, decoder);
    const compiler = o.mode === "compiled" || o.mode === "lockstep"
      ? new Compiler(memory, l, decoder, o.policy, o.meter)
      : null;
    const env = {
      ...{ memory, decode: packer.decode, decodeWord: packer.decodeWord },
      table: compiler?.table ?? new WebAssembly.Table({ element: "anyfunc", initial: 0 }),
      changed: compiler?.changed ?? nothing,
      evicted: compiler?.evicted ?? nothing,
      walk: (step: WalkStep) => o.meter?.walk(step),
    };
    const { exports } = new WebAssembly.Instance(module, { env });
    compiler?.link(exports);
    this.#compiler = compiler;
    this.#wasm = exports as unknown as InterpreterExports;
    this.#layout = l;
    this.memory = memory;
    this.ram = new Uint8Array(buffer, l.ram, l.ramBytes);
    this.ramView = new DataView(buffer, l.ram, l.ramBytes);
    this.stage2 = new Uint8Array(buffer, l.stage2, l.ramBytes / PAGE);
    this.#codeMap = new Uint32Array(buffer, l.codeMap, l.ramBytes / PAGE);
    this.#harts = Array.from(
      { length: o.harts },
      (_, i) => new Hart(this.#wasm, memory, l.hartsAt + i * l.hartBytes, i, { ...o, extensions }),
    );
    if (o.mode === "lockstep") {
      const cpu = new RiscvCpu({ ...o, mode: "interpreter", meter: undefined });
      this.#shadow = { cpu, lockstep: new Lockstep(buffer, cpu.#buffer, l) };
    }
  }

  hart(i: number): Hart {
    return this.#harts[i];
  }

  /** Executes `counts` instructions unless something asks to be served first. */
  run(hart: number, counts: number): Stop {
    return this.#shadow ? this.#runBoth(hart, counts) : this.#run(hart, counts);
  }
  #runBoth(hart: number, counts: number): Stop {
    const { cpu, lockstep } = this.#shadow!;
    for (let left = counts; left > 0; left -= STRETCH) {
      const stretch = Math.min(left, STRETCH);
      lockstep.before();
      const stop = this.#run(hart, stretch);
      lockstep.after(hart, stop, cpu.#run(hart, stretch));
      if (stop !== Stop.Budget) return stop;
    }
    return Stop.Budget;
  }
  #run(hart: number, counts: number): Stop {
    const h = this.#harts[hart];
    const compiler = this.#compiler;
    if (compiler) return this.#compile(compiler, h, counts);
    for (let left = counts; left > 0;) {
      const slice = Math.min(left, SLICE, h.countsToDeadline());
      const stop: Stop = this.#wasm.run(h.at, slice);
      if (stop !== Stop.Budget) return stop;
      left -= slice;
    }
    return Stop.Budget;
  }
  /** The same in slices that end where the compiler wants to look. */
  #compile(compiler: Compiler, h: Hart, counts: number): Stop {
    for (let left = counts; left > 0;) {
      const start = h.icount;
      const slice = Math.min(left, compiler.untilSample, h.countsToDeadline());
      const stop = this.#wasm.run(h.at, slice);
      const executed = h.icount - start;
      compiler.ran(h.at, executed, stop === HOT);
      if (stop !== Stop.Budget && stop !== HOT) return stop;
      left -= executed;
    }
    return Stop.Budget;
  }
  /** Translations that no TLB held; 0 without a meter. A device's page is in none. */
  get walks(): number {
    return Number(new DataView(this.#buffer).getBigUint64(this.#layout.walks, true));
  }
  /** What the compiler has done; null without one. */
  get compilation(): Statistics | null {
    return this.#compiler?.statistics ?? null;
  }

  /** A device or a loader wrote RAM: decoded code goes, and reservations on what was written. */
  wroteRam(offset: number, bytes: number): void {
    if (bytes <= 0) return;
    this.#shadow?.lockstep.wrote(offset, bytes);
    this.#shadow?.cpu.wroteRam(offset, bytes);
    const end = offset + bytes;
    for (let at = offset; at < end;) {
      const next = Math.min(end, (Math.floor(at / PAGE) + 1) * PAGE);
      if (this.#codeMap[Math.floor(at / PAGE)] !== 0) {
        this.#wasm.invalidate(this.#layout.hartsAt, at, next - at);
      }
      at = next;
    }
    for (const h of this.#harts) {
      const reserved = h.reservation - this.#layout.ramBase;
      if (h.reservation >= 0 && reserved < end && reserved + 8 > offset) h.clearReservation();
    }
  }
  clearReservation(hart: number): void {
    this.#harts[hart].clearReservation();
  }
  flushTlb(hart: number): void {
    this.#wasm.flushAll(this.#harts[hart].at);
  }

  /** Architectural state of all harts, canonical: equal states give equal bytes. RAM is not in it. */
  stateBytes(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.#harts.length * Hart.savedBytes);
    this.#harts.forEach((h, i) => h.save(new DataView(out.buffer, i * Hart.savedBytes)));
    return out;
  }
  /** Restore RAM first, and tell `wroteRam`. A size that does not fit throws. */
  loadState(b: Uint8Array): void {
    const expected = this.#harts.length * Hart.savedBytes;
    if (b.length !== expected) {
      throw new RangeError(`CPU state of ${b.length} bytes: expected ${expected}`);
    }
    this.#harts.forEach((h, i) =>
      h.load(new DataView(b.buffer, b.byteOffset + i * Hart.savedBytes, Hart.savedBytes))
    );
  }
}
