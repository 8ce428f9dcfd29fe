/**
 * Puts the oracle behind a machine's CPU: whatever the machine's own scheduler, devices and SBI make
 * the interpreter do, each call of `run` is done by the oracle too, and hart and memory must be equal.
 * Between calls the machine may change anything (wires, completed accesses, DMA): the oracle takes it
 * over.
 * @module
 */
import { Buffer } from "node:buffer";
import type { RiscvCpu } from "../../core/cpu/mod.ts";
import { ARCH_SLOTS, Stop } from "../../core/cpu/state.ts";
import { differences } from "./pair.ts";
import { TracingOracle, Watch } from "./tracing_oracle.ts";

const PAGE = 4096;
const STATE_BYTES = (31 + ARCH_SLOTS.length) * 8;

export interface ShadowOptions {
  harts: number;
  ramBase: number;
  sbi: boolean;
  nsPerInsn: number;
  timebaseHz: number;
}

/** How much was compared. */
export interface Shadow {
  instructions: number;
  calls: number;
  /** Instructions that a call left for the machine to complete. */
  left: number;
}

/** Throws out of `cpu.run` at the first difference. */
export function shadow(cpu: RiscvCpu, o: ShadowOptions): Shadow {
  const done: Shadow = { instructions: 0, calls: 0, left: 0 };
  const ram = cpu.ram.slice();
  const watch = new Watch();
  const oracles = Array.from({ length: o.harts }, (_, i) => {
    const oracle = new TracingOracle(ram, cpu.stage2, BigInt(o.ramBase), watch);
    oracle.configureAs({ ...o, hartid: i });
    return oracle;
  });
  const run = cpu.run.bind(cpu);
  const wroteRam = cpu.wroteRam.bind(cpu);
  let written: [number, number][] = []; // Told before it happens: taken over at the next run.
  cpu.wroteRam = (offset, bytes) => {
    written.push([offset, bytes]);
    wroteRam(offset, bytes);
  };
  const stateOf = (hart: number) =>
    cpu.stateBytes().subarray(hart * STATE_BYTES, (hart + 1) * STATE_BYTES);
  cpu.run = (hart, counts) => {
    const oracle = oracles[hart];
    oracle.loadState(stateOf(hart));
    for (const [at, bytes] of written) ram.set(cpu.ram.subarray(at, at + bytes), at);
    written = [];
    const start = oracle.get("icount");
    let stop = Stop.Budget;
    while (stop === Stop.Budget && oracle.get("icount") - start < BigInt(counts)) {
      stop = oracle.step();
    }
    const got = run(hart, counts);
    done.calls++;
    if (stop === Stop.Ecall || stop === Stop.Load || stop === Stop.Store) done.left++;
    done.instructions += Number(oracle.get("icount") - start);
    const where = `hart ${hart}, call ${done.calls}, from icount ${start}, ${counts} instructions`;
    if (got !== stop) throw new Error(`${where}: stopped ${Stop[got]}, oracle ${Stop[stop]}`);
    if (Buffer.compare(stateOf(hart), oracle.stateBytes()) !== 0) {
      throw new Error(`${where}: ${differences(stateOf(hart), oracle.stateBytes())}`);
    }
    for (const page of watch.written) {
      const at = page * PAGE;
      const same = Buffer.compare(cpu.ram.subarray(at, at + PAGE), ram.subarray(at, at + PAGE));
      if (same !== 0) throw new Error(`${where}: memory differs in page ${page}`);
    }
    watch.written.clear();
    watch.stores.clear();
    watch.edited = [];
    return got;
  };
  return done;
}
