/**
 * Interpreter against oracle on random streams: after every chunk all registers, CSRs, clocks and
 * RAM must be equal, and both must have stopped for the same reason.
 * `SEED=7 STREAMS=1 deno test -A core/cpu/differential_test.ts` repeats one stream.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { extensionsOf, featureBits, misa } from "./extensions.ts";
import { ISA, RiscvCpu } from "./mod.ts";
import { FS_MASK, MSTATUS, MSTATUS_WRITE, SATP } from "./mstatus.ts";
import { Oracle } from "./oracle.ts";
import {
  floatValue,
  pointer,
  RAM_BASE,
  RAM_BYTES,
  randomPc,
  randomPmp,
  randomRam,
  registerValue,
  Rng,
  ROOTS,
  watched,
} from "./random_streams.ts";
import { ARCH_SLOTS, type ArchSlot, FLOAT_REGISTERS, Stop } from "./state.ts";
import { disassemble } from "./disassemble.ts";
import { type Execution, MODES } from "./testing.ts";

const NS = 100;
const PAGE = 4096;

/** Both machines, and what it takes to keep them alike from outside. */
class Pair {
  readonly cpu: RiscvCpu;
  readonly oracle: Oracle;
  readonly #tables = new Set<bigint>();
  #tableWritten = false;
  #seen = { icount: 0n, exceptions: 0n };

  constructor(readonly r: Rng, readonly sbi: boolean, readonly user: boolean, mode: Execution) {
    const ram = randomRam(r, user);
    this.cpu = new RiscvCpu({
      ...{
        harts: 1,
        ramBase: RAM_BASE,
        ramBytes: RAM_BYTES,
        nsPerInsn: NS,
        timebaseHz: 10_000_000,
      },
      ...{ sbi, codePages: 3, ...mode },
    });
    this.cpu.ram.set(ram);
    this.oracle = new Oracle(ram.slice(), new Uint8Array(RAM_BYTES / PAGE), BigInt(RAM_BASE));
    this.oracle.configure({
      sbi: sbi ? 1n : 0n,
      nsPerInsn: BigInt(NS),
      timeMul: 1n,
      timeDiv: 100n,
      features: featureBits(extensionsOf(ISA)),
      misa: misa(extensionsOf(ISA)),
    });
    this.oracle.onWalk = (pa) => this.#tables.add(pa & ~0xfffn);
    this.oracle.onRamWrite = (pa) => {
      if (this.#tables.has(pa & ~0xfffn)) this.#tableWritten = true;
    };
    if (r.chance(50)) { for (const s of [this.cpu.stage2, this.oracle.stage2]) s.fill(1); }
    this.randomState();
  }

  /** Sets slots in both through the saved state, which also empties the interpreter's TLB. */
  #patch(values: Partial<Record<ArchSlot, bigint>>): void {
    const b = this.cpu.stateBytes();
    const view = new DataView(b.buffer);
    for (const [slot, v] of Object.entries(values)) {
      view.setBigUint64(
        (31 + ARCH_SLOTS.indexOf(slot as ArchSlot)) * 8,
        BigInt.asUintN(64, v!),
        true,
      );
    }
    this.cpu.loadState(b);
    this.oracle.loadState(b);
  }
  randomState(): void {
    const { r, sbi, user } = this;
    const low = r.chance(85) === user ? 0n : 1n;
    const priv = sbi || r.chance(75) ? low : 3n;
    const pc = randomPc(r);
    const slots: Partial<Record<ArchSlot, bigint>> = {
      ...{ priv, pc },
      stvec: randomPc(r) & ~3n | BigInt(r.below(2)),
      satp: r.chance(70) ? this.#satp() : 0n,
      mie: sbi ? 0x222n : BigInt(r.below(0x1000) & 0xaaa),
      mip: BigInt(r.below(0x1000) & 0x222),
      stimecmp: BigInt(this.cpu.hart(0).icount + r.below(200)),
      scounteren: BigInt(r.below(8)),
      frm: BigInt(r.chance(80) ? r.below(5) : r.below(8)),
      fflags: BigInt(r.below(32)),
    };
    const fs = r.chance(12) ? 0 : r.chance(60) ? 3 : 1 + r.below(2); // Off gives a stream of traps.
    const float = BigInt(fs << MSTATUS.FS);
    const machine: Partial<Record<ArchSlot, bigint>> = {
      mstatus: 0xa_0000_0000n | float | r.u64() & MSTATUS_WRITE & ~(3n << 11n | FS_MASK) |
        (r.chance(50) ? 3n << 11n : 0n),
      mtvec: randomPc(r) & ~3n | BigInt(r.below(2)),
      medeleg: BigInt(r.u32()) & 0xb3ffn,
      mideleg: BigInt(r.u32()) & 0x222n,
      mcounteren: BigInt(r.below(8)),
      menvcfg: BigInt(r.below(8)) << 61n | (r.chance(50) ? 1n << 61n : 0n) | 0xd0n,
      ...this.#pmp(pc),
      tdata1_1: r.chance(40) ? 6n << 60n | BigInt(r.below(0x80) & 0x5f) : 15n << 60n,
      tdata2_1: watched(r, pc),
      mepc: randomPc(r),
      sepc: randomPc(r),
    };
    const supervisor = { mstatus: this.oracle.get("mstatus") & ~FS_MASK | float };
    this.#patch({ ...slots, ...(sbi ? supervisor : machine) });
    this.registers();
  }
  #satp(): bigint {
    const mode = this.r.pick([SATP.sv39, SATP.sv39, SATP.sv48, SATP.sv57]);
    return BigInt(mode) << 60n | BigInt(ROOTS[mode] / PAGE);
  }
  #pmp(pc: bigint): Partial<Record<ArchSlot, bigint>> {
    const slots: Partial<Record<ArchSlot, bigint>> = { pmpcfg0: 0n };
    randomPmp(this.r, pc).forEach(([cfg, addr], i) => {
      slots.pmpcfg0! |= BigInt(cfg) << BigInt(8 * i);
      slots[`pmpaddr${i}`] = addr;
    });
    return slots;
  }
  registers(): void {
    for (let i = 1; i < 32; i++) {
      const v = BigInt.asUintN(64, registerValue(this.r, i));
      this.cpu.hart(0).setX(i, v);
      this.oracle.regs[i] = v;
    }
    FLOAT_REGISTERS.forEach((slot, i) => {
      const v = floatValue(this.r);
      this.cpu.hart(0).setFp(i, v);
      this.oracle.set(slot, v);
    });
  }
  /** Something from outside: a wire, a pointer, a jump, or a DMA write. */
  disturb(): void {
    const { r, cpu, oracle } = this;
    const what = r.below(6);
    if (what === 0) {
      const bit = r.pick([3, 7, 9, 11] as const);
      const level = r.chance(50);
      cpu.hart(0).setIrq(bit, level);
      const lines = oracle.get("irqLines") & ~(1n << BigInt(bit));
      oracle.set("irqLines", lines | (level ? 1n << BigInt(bit) : 0n));
    } else if (what === 1) {
      const pc = randomPc(r);
      cpu.hart(0).pc = pc;
      oracle.set("pc", pc);
    } else if (what === 2) {
      const at = r.below(32 * PAGE - 8);
      for (const ram of [cpu.ram, oracle.ram]) ram[at] ^= 0x55;
      cpu.wroteRam(at, 1);
      const held = oracle.get("reservation") - BigInt(RAM_BASE);
      if (held <= BigInt(at) && held + 8n > BigInt(at)) oracle.set("reservation", (1n << 64n) - 1n);
      this.#onHostWrite(BigInt(RAM_BASE + at));
    } else if (what === 3) {
      const i = 8 + r.below(8);
      const v = BigInt.asUintN(64, pointer(r));
      cpu.hart(0).setX(i, v);
      oracle.regs[i] = v;
    } else if (what === 4) this.registers();
    else if (r.chance(70)) this.randomState();
  }
  #onHostWrite(pa: bigint): void {
    if (this.#tables.has(pa & ~0xfffn)) this.cpu.flushTlb(0);
  }

  /** Little more is learnt here: every other instruction trapped, or a trap to M-mode was the end. */
  stale(): boolean {
    const [icount, exceptions] = [this.oracle.get("icount"), this.oracle.get("exceptions")];
    const [ran, trapped] = [icount - this.#seen.icount, exceptions - this.#seen.exceptions];
    this.#seen = { icount, exceptions };
    return trapped * 2n > ran || this.oracle.get("priv") === 3n && this.r.chance(40);
  }

  /** Runs the oracle for up to `counts` and the interpreter as far; both must agree. */
  chunk(counts: number): void {
    const start = this.oracle.get("icount");
    const done = () => Number(this.oracle.get("icount") - start);
    this.#tableWritten = false;
    let stop = Stop.Budget;
    while (stop === Stop.Budget && done() < counts && !this.#tableWritten) {
      stop = this.oracle.step();
    }
    const early = stop === Stop.Budget && this.#tableWritten;
    const got = this.cpu.run(0, early ? done() : counts);
    if (this.#tableWritten) this.cpu.flushTlb(0);
    assert.equal(Stop[got], Stop[stop], "stopped for another reason");
    this.compare();
    if (stop === Stop.Load || stop === Stop.Store) this.#device(stop);
    if (stop === Stop.Stage2) this.#stage2();
    if (stop === Stop.Ecall) {
      this.cpu.hart(0).retire();
      this.oracle.set("pc", BigInt.asUintN(64, this.oracle.get("pc") + 4n));
      this.oracle.set("icount", this.oracle.get("icount") + 1n);
    }
    if (stop === Stop.Interrupt) {
      assert.equal(BigInt(this.cpu.hart(0).cause), this.oracle.get("lastCause"));
    }
  }
  #stage2(): void {
    const gpa = this.oracle.get("stage2Gpa");
    const { gpa: got, kind } = this.cpu.hart(0).stage2Fault;
    assert.deepEqual(
      [BigInt(got), kind],
      [gpa, ["fetch", "load", "", "store"][Number(this.oracle.get("stage2Kind"))]],
    );
    const page = Number(gpa - BigInt(RAM_BASE)) >> 12;
    this.cpu.stage2[page] = this.oracle.stage2[page] = 1;
  }
  #device(stop: Stop): void {
    const h = this.cpu.hart(0);
    const a = this.oracle.access;
    const value = stop === Stop.Store ? BigInt(h.access.hi) << 32n | BigInt(h.access.lo) : 0n;
    if (a.gpa < 1n << 53n) {
      assert.deepEqual([BigInt(h.access.gpa), h.access.size, value], [a.gpa, a.bytes, a.value]);
    }
    if (this.r.chance(20)) {
      h.faultAccess();
      this.oracle.refuse(stop === Stop.Store);
      return;
    }
    const answer = this.r.u64();
    if (stop === Stop.Store) h.completeStore();
    else h.completeLoad(Number(answer & 0xffffffffn), Number(answer >> 32n));
    this.oracle.complete(answer);
  }
  compare(): void {
    const [a, b] = [this.cpu.stateBytes(), this.oracle.stateBytes()];
    if (Buffer.compare(a, b) !== 0) assert.deepEqual(named(a), named(b));
    if (Buffer.compare(this.cpu.ram, this.oracle.ram) !== 0) {
      const at = this.cpu.ram.findIndex((v, i) => v !== this.oracle.ram[i]);
      assert.fail(`RAM differs at ${(RAM_BASE + at).toString(16)}`);
    }
  }
}

function named(state: Uint8Array): Record<string, string> {
  const v = new DataView(state.buffer, state.byteOffset);
  const names = [...Array.from({ length: 31 }, (_, i) => `x${i + 1}`), ...ARCH_SLOTS];
  return Object.fromEntries(names.map((n, i) => [n, v.getBigUint64(i * 8, true).toString(16)]));
}

/** The words around the place where the last chunk began. */
function context(pair: Pair, pc: bigint): string {
  const at = Number(BigInt.asUintN(64, pc - BigInt(RAM_BASE)));
  if (at > RAM_BYTES - 4) return `pc ${pc.toString(16)}`;
  const word = new DataView(pair.oracle.ram.buffer).getUint32(at & ~1, true);
  return `pc ${pc.toString(16)}: ${disassemble(word, pc)}`;
}

function stream(seed: number, chunks: number, mode: Execution): void {
  const r = new Rng(seed);
  const pair = new Pair(r, r.chance(40), r.chance(50), mode);
  for (let step = 0; step < chunks; step++) {
    const pc = pair.oracle.get("pc");
    try {
      if (pair.stale() && r.chance(40)) pair.randomState();
      else if (r.chance(30)) pair.disturb();
      pair.chunk(r.chance(50) ? 1 + r.below(4) : 1 + r.below(60));
    } catch (e) {
      const repeat = `SEED=${seed} STREAMS=1 deno test -A core/cpu/differential_test.ts`;
      throw new Error(`at step ${step}, ${context(pair, pc)}; to repeat: ${repeat}`, { cause: e });
    }
  }
}

const SEED = Number(Deno.env.get("SEED") ?? 1);
const STREAMS = Number(Deno.env.get("STREAMS") ?? 60);

for (const [name, mode] of Object.entries(MODES)) {
  Deno.test(`${name}: equals the oracle on random streams, in every register, CSR and byte`, () => {
    for (let seed = SEED; seed < SEED + STREAMS; seed++) stream(seed, 250, mode);
  });
}
