/**
 * Streams from seeds: random code with snippets in it, page tables, registers, and what comes from
 * outside. The instructions are drawn from the definitions, so that a new one is covered by itself.
 * @module
 */
import {
  floatValue,
  pointer,
  randomPc,
  randomPmp,
  randomRam,
  registerValue,
  Rng,
  ROOTS,
  watched,
} from "../../core/cpu/random_streams.ts";
import { FS_MASK, MSTATUS_RESET, MSTATUS_WRITE, PTE, SATP } from "../../core/cpu/mstatus.ts";
import { FLOAT_REGISTERS } from "../../core/cpu/state.ts";
import {
  HANDLER_BYTES,
  HANDLER_PAGE,
  handlers,
  instructions,
  snippet,
  trapVector,
} from "./snippets.ts";
import {
  type Act,
  type HartStart,
  RAM_BASE,
  type Slots,
  type Stream,
  type Turn,
  turnsUntil,
} from "./stream.ts";

const PAGE = 4096;
const CODE_BYTES = HANDLER_PAGE * PAGE;
/** The page table of the identity's last level. */
const IDENTITY_TABLE = ROOTS[SATP.sv39] - RAM_BASE + 2 * PAGE;
const SNIPPETS = 400;
const TURNS = 200;

interface Kind {
  sbi: boolean;
  /** Most pages are for U-mode. */
  user: boolean;
  harts: number;
}

function registers(r: Rng): HartStart {
  const x = Array.from({ length: 32 }, (_, i) => BigInt.asUintN(64, i ? registerValue(r, i) : 0n));
  const slots: Slots = {};
  for (const f of FLOAT_REGISTERS) slots[f] = floatValue(r);
  return { x, slots };
}

function satp(r: Rng): bigint {
  const mode = r.pick([SATP.sv39, SATP.sv39, SATP.sv48, SATP.sv57]);
  return BigInt(mode) << 60n | BigInt(ROOTS[mode] / PAGE);
}
/** A few entries, and a trigger: both near the pc, where they act. */
function guards(r: Rng, pc: bigint): Slots {
  const slots: Slots = { pmpcfg0: 0n };
  randomPmp(r, pc).forEach(([config, addr], i) => {
    slots.pmpcfg0! |= BigInt(config) << BigInt(8 * i);
    slots[`pmpaddr${i}`] = addr;
  });
  slots.tdata1_1 = r.chance(25) ? 6n << 60n | BigInt(r.below(0x80) & 0x5f) : 15n << 60n;
  slots.tdata2_1 = watched(r, pc);
  return slots;
}

function machineSlots(r: Rng, float: bigint, pc: bigint): Slots {
  return {
    mstatus: MSTATUS_RESET | float | r.u64() & MSTATUS_WRITE & ~(3n << 11n) & ~FS_MASK |
      (r.chance(50) ? 3n << 11n : 0n),
    mtvec: trapVector(r, "m"),
    medeleg: BigInt(r.u32()) & 0xb3ffn,
    mideleg: BigInt(r.u32()) & 0x222n,
    mcounteren: BigInt(r.below(8)),
    menvcfg: BigInt(r.below(8)) << 61n | (r.chance(50) ? 1n << 61n : 0n) | 0xd0n,
    ...guards(r, pc),
    mepc: randomPc(r),
    sepc: randomPc(r),
  };
}

function state(r: Rng, k: Kind): HartStart {
  const low = r.chance(85) === k.user ? 0n : 1n;
  const float = r.chance(85) ? FS_MASK : 0n; // A stream without its registers is a stream of traps.
  const { x, slots } = registers(r);
  const pc = randomPc(r);
  const common: Slots = {
    priv: k.sbi || r.chance(75) ? low : 3n,
    pc,
    stvec: trapVector(r, "s"),
    satp: r.chance(70) ? satp(r) : 0n,
    mie: k.sbi ? 0x222n : BigInt(r.below(0x1000) & 0xaaa),
    mip: BigInt(r.below(0x1000) & 0x222),
    scounteren: BigInt(r.below(8)),
    frm: BigInt(r.chance(80) ? r.below(5) : r.below(8)),
    fflags: BigInt(r.below(32)),
  };
  const supervisor: Slots = { mstatus: MSTATUS_RESET | float | (r.chance(50) ? 2n : 0n) };
  return {
    x,
    slots: { ...slots, ...common, ...(k.sbi ? supervisor : machineSlots(r, float, pc)) },
  };
}

/** In a handler, somewhere in its second half, where most of them have instructions. */
const busyCode = (r: Rng): number =>
  HANDLER_PAGE * PAGE + r.below(32) * HANDLER_BYTES + 48 + r.below(16) * 2;

function act(r: Rng, k: Kind): Act {
  if (r.chance(50)) return { kind: "pc", value: randomPc(r) };
  const what = r.below(7);
  if (what === 0) return { kind: "irq", bit: r.pick([3, 7, 9, 11]), level: r.chance(50) };
  if (what === 1) return { kind: "state", start: { ...registers(r), slots: { pc: randomPc(r) } } };
  if (what === 2) {
    if (r.chance(60)) return { kind: "dma", at: busyCode(r), bytes: instructions(r) };
    const at = r.below(32 * PAGE - 64);
    const bytes = Array.from({ length: 1 + r.below(r.chance(80) ? 8 : 64) }, () => r.below(256));
    return { kind: "dma", at, bytes };
  }
  if (what === 3) return { kind: "x", index: 8 + r.below(8), value: pointer(r) };
  if (what === 4) return { kind: "deadline", ticks: r.below(100) };
  return r.chance(50)
    ? { kind: "state", start: registers(r) }
    : { kind: "state", start: state(r, k) };
}

function turns(r: Rng, k: Kind): Turn[] {
  let hart = 0;
  return Array.from({ length: TURNS }, () => {
    if (r.chance(60)) hart = r.below(k.harts);
    const counts = 1 + r.below(r.chance(30) ? 4 : r.chance(90) ? 50 : 300);
    return { hart, counts, acts: r.chance(70) ? [act(r, k)] : [] };
  });
}

/** Snippets over the code, and handlers in a page that S-mode can usually execute. */
function addPrograms(r: Rng, ram: Uint8Array<ArrayBuffer>): void {
  for (let i = 0; i < SNIPPETS; i++) {
    const bytes = snippet(r);
    ram.set(bytes, r.below((CODE_BYTES - bytes.length) / 2) * 2);
  }
  ram.set(handlers(r), HANDLER_PAGE * PAGE);
  const bits = PTE.V | PTE.R | PTE.X | PTE.A | (r.chance(50) ? PTE.W | PTE.D : 0);
  const leaf = BigInt(RAM_BASE / PAGE + HANDLER_PAGE) << 10n | BigInt(bits);
  if (r.chance(90)) {
    new DataView(ram.buffer).setBigUint64(IDENTITY_TABLE + HANDLER_PAGE * 8, leaf, true);
  }
}

function streamOf(r: Rng, seed: number, k: Kind, mapped: boolean): Stream {
  const ram = randomRam(r, k.user);
  addPrograms(r, ram);
  return {
    ...{ seed, sbi: k.sbi, mapped, current: 0, ram },
    harts: Array.from({ length: k.harts }, () => state(r, k)),
    turns: turns(r, k),
  };
}

export function generate(seed: number): Stream {
  const r = new Rng(seed);
  const harts = r.chance(70) ? 1 : r.pick([2, 2, 4, 8]);
  return streamOf(r, seed, { sbi: r.chance(35), user: r.chance(50), harts }, r.chance(60));
}

/** A stream for a peer that is slow and has no builtin SBI: one hart, short turns. */
export function generateForPeer(seed: number, instructions: number): Stream {
  const r = new Rng(seed);
  const s = streamOf(r, seed, { sbi: false, user: r.chance(50), harts: 1 }, true);
  const short = s.turns.map((t) => ({ ...t, counts: Math.min(t.counts, 24) }));
  return { ...s, turns: turnsUntil(short, instructions) };
}
