/** PMP and triggers: pages of which a part is protected or watched. @module */
import assert from "node:assert/strict";
import type { Hart, RiscvCpu } from "./mod.ts";
import { RAM_BASE } from "./random_streams.ts";
import { type Line, machine, program, test } from "./testing.ts";

const [A0, A1, A2] = [10, 11, 12];
const PAGE = 4096;
const HANDLER = 0x2000;
const NOP: Line = ["addi", { rd: 0, rs1: 0, imm: 0 }];
const SPIN: Line = ["jal", { rd: 0, imm: 0 }];
const CSR = { mcause: 0x342, mtval: 0x343, mepc: 0x341, cfg: 0x3a0, addr: 0x3b0 };

/** Runs `lines` in S-mode from `at`; traps go to a loop in M-mode. */
function start(lines: Line[], at = 0, o: { priv?: 1 | 3 } = {}): { cpu: RiscvCpu; h: Hart } {
  const cpu = machine();
  const h = cpu.hart(0);
  program(cpu, at, lines);
  program(cpu, HANDLER, [SPIN]);
  h.start({ pc: RAM_BASE + at, a0: 0, a1: RAM_BASE + 0x4000, priv: o.priv ?? 1 });
  h.setCsr(0x305, BigInt(RAM_BASE + HANDLER));
  return { cpu, h };
}
/** Entries in order, the last one open to all. */
function protect(h: Hart, entries: [config: number, addr: number][]): void {
  h.setCsr(CSR.cfg, 0n);
  const open = entries.length;
  let config = 0x1fn << BigInt(8 * open);
  h.setCsr(CSR.addr + open, (1n << 54n) - 1n);
  entries.forEach(([c, addr], i) => {
    h.setCsr(CSR.addr + i, BigInt(addr) >> 2n);
    config |= BigInt(c) << BigInt(8 * i);
  });
  h.setCsr(CSR.cfg, config);
}
const trap = (h: Hart) => [h.csr(CSR.mcause), h.csr(CSR.mtval) - BigInt(RAM_BASE)];

const [R, W, X, NA4, TOR, NAPOT] = [1, 2, 4, 0x10, 0x08, 0x18];
const DATA = RAM_BASE + 0x4000;

test("pmp: a word in the middle of a page is refused, its neighbours are not", () => {
  for (const [name, cause] of [["lw", 5n], ["sw", 7n]] as const) {
    const use = (imm: number): Line =>
      name === "lw" ? ["lw", { rd: A0, rs1: A1, imm }] : ["sw", { rs2: A0, rs1: A1, imm }];
    const { cpu, h } = start([use(0), use(12), use(4), use(8)]);
    protect(h, [[NA4, DATA + 8]]);
    cpu.run(0, 3);
    assert.equal(h.csr(CSR.mcause), 0n);
    cpu.run(0, 1);
    assert.deepEqual(trap(h), [cause, 0x4008n]);
  }
});

test("pmp: an access that an entry covers in part fails, whatever the entry allows", () => {
  const { cpu, h } = start([["ld", { rd: A0, rs1: A1, imm: 0 }]]);
  protect(h, [[NA4 | R | W | X, DATA]]);
  cpu.run(0, 1);
  assert.deepEqual(trap(h), [5n, 0x4000n]);
});

test("pmp: NAPOT and TOR ranges begin and end where they say", () => {
  const ranges: [[number, number][], number, number][] = [
    [[[NAPOT | R, DATA + 0x1c]], 0, 64], // 64 bytes: three ones below a zero.
    [[[0, DATA + 16], [TOR | R, DATA + 40]], 16, 40],
  ];
  for (const [entries, from, to] of ranges) {
    for (let at = 0; at < 72; at += 4) {
      const { cpu, h } = start([["sw", { rs2: A0, rs1: A1, imm: at }]]);
      protect(h, entries);
      cpu.run(0, 1);
      assert.equal(h.csr(CSR.mcause), at >= from && at < to ? 7n : 0n, `at ${at}`);
    }
  }
});

test("pmp: M-mode is held by locked entries alone; without a match S-mode has nothing", () => {
  for (const [config, expected] of [[NAPOT, 0n], [NAPOT | 0x80, 5n]] as const) {
    const { cpu, h } = start([["lw", { rd: A0, rs1: A1, imm: 0 }]], 0, { priv: 3 });
    protect(h, [[config, DATA]]);
    cpu.run(0, 1);
    assert.equal(h.csr(CSR.mcause), expected);
  }
  const { cpu, h } = start([NOP]);
  h.setCsr(CSR.cfg, 0n);
  cpu.run(0, 1);
  assert.deepEqual(trap(h), [1n, 0n]);
});

test("pmp: MPRV loads are checked as the privilege in MPP", () => {
  const { cpu, h } = start([["lw", { rd: A0, rs1: A1, imm: 0 }]], 0, { priv: 3 });
  protect(h, [[NAPOT, DATA]]);
  h.setCsr(0x300, 1n << 17n | 1n << 11n);
  cpu.run(0, 1);
  assert.deepEqual(trap(h), [5n, 0x4000n]);
});

test("pmp: code runs up to a forbidden word, also compressed, also across a page's end", () => {
  const half: Line = ["c.addi", { rd: A0, imm: 1 }];
  const whole: Line = ["addi", { rd: A0, rs1: A0, imm: 1 }];
  const cases: [Line[], number, number][] = [
    [[whole, whole, whole], 0x100, 0x108],
    [[half, half, half, half, whole], 0x100, 0x108],
    [[whole, whole, whole], PAGE - 6, PAGE + 4],
    [[whole, whole], PAGE - 6, PAGE], // The second half of an instruction is the forbidden part.
  ];
  for (const [lines, at, forbidden] of cases) {
    const { cpu, h } = start(lines, at);
    protect(h, [[NA4 | R, RAM_BASE + forbidden]]);
    cpu.run(0, lines.length + 1);
    assert.deepEqual(trap(h), [1n, BigInt(forbidden)]);
    assert.equal(h.x(A0), BigInt(lines.length - 1));
    assert.equal(h.icount, lines.length + 1, "each attempt counts once");
  }
});

test("pmp: a write takes effect on the next instruction", () => {
  const { cpu, h } = start([["csrrw", { rd: 0, csr: CSR.cfg, rs1: A0 }], NOP], 0, { priv: 3 });
  h.setCsr(CSR.addr, BigInt(RAM_BASE) >> 2n | 0x1fn);
  h.setX(A0, BigInt(NAPOT | 0x80));
  h.setCsr(0x305, BigInt(RAM_BASE + HANDLER));
  cpu.run(0, 2);
  assert.deepEqual(trap(h), [1n, 4n]);
});

test("pmp: page tables are read and marked as S-mode reads and writes memory", () => {
  for (const [config, expected] of [[NAPOT | R | W, 0n], [NAPOT | R, 7n], [NAPOT, 7n]] as const) {
    const { cpu, h } = start([["sw", { rs2: A0, rs1: A1, imm: 0 }]]);
    const [table, self] = [0x8000, BigInt(RAM_BASE) >> 12n << 10n];
    cpu.ramView.setBigUint64(table + 16, self | 0x4fn, true); // A, not D.
    h.setCsr(0x180, 8n << 60n | BigInt(RAM_BASE + table) >> 12n);
    protect(h, [[config, RAM_BASE + table + 0x1c]]);
    if (config === NAPOT) h.setCsr(CSR.mcause, 0n);
    cpu.run(0, 1);
    assert.equal(h.csr(CSR.mcause), config === NAPOT ? 1n : expected);
  }
});

const T = { select: 0x7a0, control: 0x7a1, address: 0x7a2 };
function watch(h: Hart, bits: number, addr: number, index = 0): void {
  h.setCsr(T.select, BigInt(index));
  h.setCsr(T.address, BigInt(addr));
  h.setCsr(T.control, 6n << 60n | BigInt(bits));
}
const S = { execute: 0x14, store: 0x12, load: 0x11 };

test("trigger: execution at exactly the address, before the instruction", () => {
  const inc: Line = ["addi", { rd: A0, rs1: A0, imm: 1 }];
  const { cpu, h } = start([inc, inc, inc, inc]);
  watch(h, S.execute, RAM_BASE + 6, 1); // Not the address of an instruction.
  watch(h, S.execute, RAM_BASE + 8, 2);
  cpu.run(0, 3);
  assert.deepEqual([...trap(h), h.x(A0)], [3n, 8n, 2n]);
});

test("trigger: a load or store that touches the byte; others on the page pass", () => {
  const lines: Line[] = [
    ["lw", { rd: A0, rs1: A1, imm: 0 }],
    ["sd", { rs2: A2, rs1: A1, imm: 0 }],
    ["lw", { rd: A0, rs1: A1, imm: 8 }],
    ["ld", { rd: A0, rs1: A1, imm: 0 }],
  ];
  const { cpu, h } = start(lines);
  watch(h, S.load, DATA + 5);
  cpu.run(0, 3);
  assert.equal(h.csr(CSR.mcause), 0n);
  cpu.run(0, 1);
  assert.deepEqual(trap(h), [3n, 0x4000n]);
});

test("trigger: silent in another privilege, and in M-mode without MIE", () => {
  for (const [bits, mie, expected] of [[0x52, 8n, 3n], [0x52, 0n, 0n], [0x12, 8n, 0n]] as const) {
    const { cpu, h } = start([["sw", { rs2: A0, rs1: A1, imm: 0 }]], 0, { priv: 3 });
    watch(h, bits, DATA);
    h.setCsr(0x300, mie);
    cpu.run(0, 1);
    assert.equal(h.csr(CSR.mcause), expected);
  }
});

test("trigger: types and fields that do not exist are written as disabled, or as zero", () => {
  const h = machine().hart(0);
  h.setCsr(T.select, 4n);
  assert.equal(h.csr(T.select), 0n);
  h.setCsr(T.control, 6n << 60n | (1n << 60n) - 1n);
  assert.equal(h.csr(T.control), 6n << 60n | 0x5fn);
  h.setCsr(T.control, 3n << 60n | 0x5fn);
  assert.equal(h.csr(T.control), 15n << 60n);
});
