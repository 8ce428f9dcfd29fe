/**
 * Runs a test program on bare harts: M-mode from its entry, RAM and nothing else, no hypervisor.
 * `tohost` is looked at between quanta, so a run is the same each time. HTIF (riscv-isa-sim): value
 * 1 ends the run as passed, an odd value v as failed at test v >> 1; device 1 command 1 writes a
 * character and is answered by clearing `tohost`.
 *
 * @module
 */
import { type CpuMode, RiscvCpu, Stop } from "../../core/cpu/mod.ts";
import { EAGER } from "../../core/cpu/testing.ts";
import { type Program, RAM_BASE, RAM_BYTES } from "./program.ts";

export interface RunOptions {
  harts: number;
  /** null: what the project claims. */
  isa: string | null;
  /** Instructions, over all harts, after which a program is given up. */
  timeoutInsns: number;
  /** Bytes a line of the signature; null: no signature wanted. */
  granularity: 4 | 8 | null;
  cpu: CpuMode;
}

export interface Outcome {
  name: string;
  end: "passed" | "failed" | "timeout";
  /** Number of the test that failed. */
  test: number;
  insns: number;
  console: string;
  signature: string | null;
}

const QUANTUM_INSNS = 1000;
const CHARACTER = 0x0101;

/** Runs hart `i` for exactly `insns`; what lies outside RAM refuses every access. */
function quantum(cpu: RiscvCpu, i: number, insns: number): void {
  const hart = cpu.hart(i);
  const end = hart.icount + insns;
  while (hart.icount < end) {
    const stop = cpu.run(i, end - hart.icount);
    if (stop === Stop.Load || stop === Stop.Store) hart.faultAccess();
  }
}

class Htif {
  console = "";
  readonly #at: number;
  constructor(readonly cpu: RiscvCpu, readonly program: Program) {
    this.#at = program.tohost - RAM_BASE;
  }
  #clear(addr: number): void {
    this.cpu.ramView.setBigUint64(addr - RAM_BASE, 0n, true);
    this.cpu.wroteRam(addr - RAM_BASE, 8);
  }
  /** The value that ends the run, once there is one. */
  poll(): number | null {
    const lo = this.cpu.ramView.getUint32(this.#at, true);
    const hi = this.cpu.ramView.getUint32(this.#at + 4, true);
    if (lo === 0 && hi === 0) return null;
    if (hi === 0 && lo % 2 === 1) return lo;
    if (hi >>> 16 === CHARACTER) this.console += String.fromCharCode(lo & 0xff);
    this.#clear(this.program.tohost);
    return null;
  }
}

function load(cpu: RiscvCpu, program: Program): void {
  for (const s of program.image.segments) cpu.ram.set(s.bytes, s.addr - RAM_BASE);
  cpu.stage2.fill(1);
}

/** One word a line, in hexadecimal, the highest address of the word first. */
export function signatureText(ram: Uint8Array, granularity: 4 | 8): string {
  const lines: string[] = [];
  for (let at = 0; at < ram.length; at += granularity) {
    const word = [...ram.subarray(at, at + granularity)].reverse();
    lines.push(
      word.map((b) => b.toString(16).padStart(2, "0")).join("").padStart(granularity * 2, "0"),
    );
  }
  return lines.map((l) => `${l}\n`).join("");
}

function signature(cpu: RiscvCpu, program: Program, granularity: 4 | 8 | null): string | null {
  if (granularity === null || program.signature === null) return null;
  const { start, end } = program.signature;
  return signatureText(cpu.ram.subarray(start - RAM_BASE, end - RAM_BASE), granularity);
}

export function execute(program: Program, o: RunOptions): Outcome {
  const cpu = new RiscvCpu({
    ...{ harts: o.harts, ramBase: RAM_BASE, ramBytes: RAM_BYTES },
    ...{ nsPerInsn: 1, timebaseHz: 10_000_000, sbi: false, isa: o.isa ?? undefined },
    ...{ mode: o.cpu, policy: EAGER },
  });
  load(cpu, program);
  for (let i = 0; i < o.harts; i++) {
    cpu.hart(i).start({ pc: program.image.entry, a0: i, a1: 0, priv: 3 });
  }
  const htif = new Htif(cpu, program);
  let value: number | null = null;
  let insns = 0;
  while (value === null && insns < o.timeoutInsns) {
    for (let i = 0; i < o.harts; i++) {
      quantum(cpu, i, QUANTUM_INSNS);
      if (o.harts > 1) cpu.clearReservation(i);
    }
    insns += QUANTUM_INSNS * o.harts;
    value = htif.poll();
  }
  return {
    name: program.name,
    end: value === null ? "timeout" : value === 1 ? "passed" : "failed",
    test: value === null ? 0 : value >>> 1,
    insns,
    console: htif.console,
    signature: signature(cpu, program, o.granularity),
  };
}
