/**
 * What directed tests share: a machine, and programs as lists of [name, operands].
 *
 * @module
 */
import { encode } from "./insn.ts";
import { INSNS } from "./isa/mod.ts";
import { type CpuOptions, RiscvCpu } from "./mod.ts";
import { RAM_BASE, RAM_BYTES } from "./random_streams.ts";

/** 10 MHz, and an instruction a tick. */
export const NS_PER_INSN = 100;

export type Execution = Pick<CpuOptions, "mode" | "policy">;
/** Compiles what has run once or twice. */
export const EAGER = {
  ...{ samples: 1, jumps: 1, often: 1, slice: 3 },
  ...{ batch: 1, patience: 0, most: 100 },
};
/** Ways to execute, between which nobody can tell; the compiler has no patience here. */
export const MODES: Record<string, Execution> = {
  interpreter: { mode: "interpreter" },
  compiled: { mode: "compiled", policy: EAGER },
  lockstep: { mode: "lockstep", policy: EAGER },
};
let current = MODES.interpreter;

/** A test of machines, in each mode: `machine` makes one of the mode's. */
export function test(name: string, body: () => void): void {
  for (const [mode, execution] of Object.entries(MODES)) {
    Deno.test(`${name} (${mode})`, () => {
      current = execution;
      body();
    });
  }
}

export function machine(
  o: Execution & { codePages?: number; sbi?: boolean; harts?: number; isa?: string } = {},
): RiscvCpu {
  const cpu = new RiscvCpu({
    ...{ harts: o.harts ?? 1, ramBase: RAM_BASE, ramBytes: RAM_BYTES, nsPerInsn: NS_PER_INSN },
    ...{ timebaseHz: 10_000_000, sbi: o.sbi ?? false, codePages: o.codePages, isa: o.isa },
    ...(o.mode ? { mode: o.mode, policy: o.policy } : current),
  });
  cpu.stage2.fill(1);
  return cpu;
}

/** Name of a row (the one with all these operands), and their values. */
export type Line = [string, Record<string, number>?];

export function word(
  name: string,
  values: Record<string, number> = {},
): { bits: number; bytes: number } {
  const insn = INSNS.find((i) =>
    i.name === name && Object.keys(values).every((v) => i.row.operands.has(v))
  );
  if (!insn) throw new Error(`no row ${name} with ${Object.keys(values)}`);
  return { bits: encode(insn, values), bytes: insn.row.length };
}

/** Writes a program at `at`, an offset in RAM. */
export function program(cpu: RiscvCpu, at: number, lines: Line[]): void {
  let offset = at;
  for (const [name, values] of lines) {
    const { bits, bytes } = word(name, values);
    cpu.ramView.setUint16(offset, bits & 0xffff, true);
    if (bytes === 4) cpu.ramView.setUint16(offset + 2, bits >>> 16, true);
    offset += bytes;
  }
  cpu.wroteRam(at, offset - at);
}
