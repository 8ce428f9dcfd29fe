/**
 * A guest that generates code for ever does not grow the host: what is not reached any more is given back.
 * @module
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Stop } from "../mod.ts";
import { RAM_BASE } from "../random_streams.ts";
import { EAGER, type Line, machine, program, word } from "../testing.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const [A0, A1, A2, A3, A4] = [10, 11, 12, 13, 14];
/** Where the guest writes its code. */
const BUFFER = 0x4000;
/** How often it runs each piece, which is then compiled. */
const TIMES = 40;
const ADDI = word("addi", { rd: A0, rs1: A0, imm: 0 }).bits;
const BACK = word("jalr", { rd: 0, rs1: 1, imm: 0 }).bits;

/**
 * For ever: writes `addi a0, a0, N` and a return into BUFFER, N another each time, and calls it TIMES
 * times. a1: BUFFER, a2: the next instruction, a3: one more in its immediate.
 */
const GENERATOR: Line[] = [
  ["sw", { rs1: A1, rs2: A2, imm: 0 }],
  ["add", { rd: A2, rs1: A2, rs2: A3 }],
  ["fence.i"],
  ["addi", { rd: A4, rs1: 0, imm: TIMES }],
  ["jalr", { rd: 1, rs1: A1, imm: 0 }],
  ["addi", { rd: A4, rs1: A4, imm: -1 }],
  ["bne", { rs1: A4, rs2: 0, imm: -8 }],
  ["jal", { rd: 0, imm: -28 }],
];
/** Instructions of one round, the two of the buffer among them. */
const ROUND = 5 + 5 * TIMES;

/** Modules that are made while `act` runs, by their size; what is collected is not kept alive. */
function modulesMade(act: () => void): { ref: WeakRef<WebAssembly.Module>; bytes: number }[] {
  const made: { ref: WeakRef<WebAssembly.Module>; bytes: number }[] = [];
  const real = WebAssembly.Module;
  WebAssembly.Module = new Proxy(real, {
    construct(target, args: [Uint8Array<ArrayBuffer>]) {
      const module = new target(...args);
      made.push({ ref: new WeakRef(module), bytes: args[0].length });
      return module;
    },
  });
  try {
    act();
  } finally {
    WebAssembly.Module = real;
  }
  return made;
}

/** After tasks have ended, which hold what weak references were made of. */
async function alive(made: readonly { ref: WeakRef<WebAssembly.Module>; bytes: number }[]) {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
  }
  const kept = made.filter(({ ref }) => ref.deref() !== undefined);
  return { modules: kept.length, bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function generator() {
  const most = 20;
  const cpu = machine({ mode: "compiled", policy: { ...EAGER, slice: 10, most } });
  program(cpu, 0, GENERATOR);
  cpu.ramView.setUint32(BUFFER + 4, BACK, true);
  cpu.wroteRam(BUFFER, 8);
  const h = cpu.hart(0);
  h.start({ pc: RAM_BASE, a0: 0, a1: RAM_BASE + BUFFER, priv: 3 });
  h.setX(A2, BigInt(ADDI));
  h.setX(A3, BigInt(1 << 20));
  return { cpu, h, most };
}

Deno.test("generated code: modules of code that is gone are given back", async () => {
  const { cpu, h, most } = generator();
  const rounds = 1000;
  const made = modulesMade(() => assert.equal(cpu.run(0, rounds * ROUND), Stop.Budget));
  // The immediates are 0 to 999: below 2048, none is negative.
  assert.equal(h.x(A0), BigInt(TIMES * rounds * (rounds - 1) / 2));
  const { regions, modules, moduleBytes, executed } = cpu.compilation!;
  assert.ok(executed > rounds * ROUND / 4, `only ${executed} instructions were compiled`);
  assert.ok(regions > rounds / 2, `only ${regions} regions`);
  const kept = await alive(made);
  assert.ok(kept.modules <= most, `${kept.modules} of ${modules} modules live, at most ${most}`);
  assert.ok(kept.bytes <= moduleBytes / 10, `${kept.bytes} of ${moduleBytes} bytes live`);
  assert.equal(cpu.run(0, ROUND), Stop.Budget); // The machine lives, and so does what it needs.
});
