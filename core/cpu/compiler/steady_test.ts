/**
 * Loops whose accesses are steady, while everything that a copy of a TLB entry depends on changes under them:
 * pages are crossed, mapped elsewhere with and without a fence, evicted, watched, closed to the mode, and another
 * hart's turn comes.
 * `SEED=7 PROGRAMS=1 deno test -A core/cpu/compiler/steady_test.ts` repeats one program.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type CpuMode, type Hart, RiscvCpu, Stop } from "../mod.ts";
import { FS_MASK, PTE } from "../mstatus.ts";
import { RAM_BASE, RAM_BYTES, Rng } from "../random_streams.ts";
import { EAGER, type Line, machine, program, word } from "../testing.ts";

const PAGE = 4096;
const [CODE, HANDLER, TABLES, OTHER_TABLES, DATA] = [0, 0x1000, 0x1_0000, 0x1_8000, 0x2_0000];
/** Virtual pages of data, and how far behind them the addresses lie that share their TLB entries. */
const DATA_VA = 0x4000_0000;
const PAGES = 3;
const ALIAS = 256 * PAGE;
const LEAF = PTE.V | PTE.R | PTE.W | PTE.A | PTE.D;

const BASES = [8, 9, 18, 19];
const TEMPS = [10, 11, 12, 13];
/** Page-table leaf, values for it, satp and the other satp, SUM or SUM and MXR. */
const [LEAF_AT, LEAF_A, LEAF_B, SATP_A, SATP_B, SUM] = [20, 21, 22, 23, 24, 25];
const COUNTER = 27;
const LOADS = ["lb", "lh", "lw", "ld", "lbu", "lhu", "lwu", "fld", "flw"];
const STORES = ["sb", "sh", "sw", "sd", "fsd", "fsw"];

function randomAccess(r: Rng): Line {
  const rs1 = r.pick(BASES);
  const imm = r.chance(95) ? r.below(32) * 8 : r.below(256);
  if (r.chance(50)) return [r.pick(LOADS), { rd: r.pick(TEMPS), rs1, imm }];
  return [r.pick(STORES), { rs2: r.pick(TEMPS), rs1, imm }];
}
/** What changes under the accesses, in one or two places. */
function randomChanges(r: Rng): Line[][] {
  const csr = (name: string, rs1: number, csr: number): Line => [name, { rd: 0, rs1, csr }];
  const page = (r.chance(60) ? 0 : r.below(PAGES)) * 8;
  const leaf = (rs2: number): Line => ["sd", { rs2, rs1: LEAF_AT, imm: page }];
  const fence: Line = ["sfence.vma", { rs1: r.pick([0, ...BASES, ...BASES]), rs2: 0 }];
  switch (r.below(6)) {
    case 0:
    case 1:
      return [[leaf(LEAF_A)], [leaf(LEAF_B), ...(r.chance(80) ? [fence] : [])]];
    case 2:
      return [[csr("csrrw", SATP_A, 0x180)], [csr("csrrw", SATP_B, 0x180)]];
    case 3:
      return [[csr("csrrs", SUM, 0x100)], [csr("csrrc", SUM, 0x100)]];
    case 4:
      return [[["amoadd.d", { rd: 14, rs1: r.pick(BASES), rs2: 0, aq: 0, rl: 0 }]]];
    default:
      return [[["cbo.zero", { rs1: r.pick(BASES) }]]];
  }
}

/** A loop around accesses; steps of the bases cancel each other, more or less. */
function randomLoop(r: Rng): Line[] {
  const lines: Line[] = [];
  const step = (rd: number, imm: number): Line => ["addi", { rd, rs1: rd, imm }];
  const [moving, by] = [r.pick(BASES), r.pick([8, 16, 64, 520])];
  for (let n = 6 + r.below(14); n > 0; n--) lines.push(randomAccess(r));
  for (let n = 1 + r.below(2); n > 0; n--) {
    for (const some of randomChanges(r)) lines.splice(r.below(lines.length), 0, ...some);
  }
  lines.splice(r.below(lines.length), 0, step(moving, by));
  lines.push(...lines.splice(0, r.below(3)), step(COUNTER, -1));
  const bytes = lines.length * 4;
  lines.push(["bne", { rs1: COUNTER, rs2: 0, imm: -bytes }]);
  lines.push(step(moving, -1000), step(moving, -1000), step(COUNTER, 6 + r.below(30)));
  lines.push(["jal", { rd: 0, imm: -bytes - 16 }]);
  return lines;
}

const T = 31;
const SKIP: Line[] = [
  ["csrrw", { rd: T, rs1: T, csr: 0x340 }],
  ["csrrs", { rd: T, rs1: 0, csr: 0x341 }],
  ["addi", { rd: T, rs1: T, imm: 4 }],
  ["csrrw", { rd: 0, rs1: T, csr: 0x341 }],
  ["csrrw", { rd: T, rs1: T, csr: 0x340 }],
  ["mret"],
];

const pte = (offset: number, bits: number) =>
  BigInt(RAM_BASE + offset) >> 12n << 10n | BigInt(bits);
const satp = (tables: number) => 8n << 60n | BigInt(RAM_BASE + tables) >> 12n;

/** Two address spaces with the same code and tables, and data in another order. */
function tables(cpu: RiscvCpu, r: Rng): void {
  const put = (at: number, v: bigint) => cpu.ramView.setBigUint64(at, v, true);
  for (const root of [TABLES, OTHER_TABLES]) {
    const index = (va: number, level: number) => Math.floor(va / PAGE / 512 ** level) % 512 * 8;
    put(root + index(RAM_BASE, 2), BigInt(RAM_BASE) >> 12n << 10n | BigInt(LEAF | PTE.X));
    put(root + index(DATA_VA, 2), pte(root + PAGE, PTE.V));
    put(root + PAGE + index(DATA_VA, 1), pte(root + 2 * PAGE, PTE.V));
    for (let i = 0; i < 512; i++) {
      const bits = r.chance(4) ? PTE.V | PTE.X | PTE.A : r.chance(12) ? LEAF | PTE.U : LEAF;
      if (i % 256 < PAGES) put(root + 2 * PAGE + i * 8, pte(DATA + r.below(PAGES) * PAGE, bits));
    }
  }
}

function build(seed: number, mode: CpuMode, harts = 1, loop?: Line[]): RiscvCpu {
  const r = new Rng(seed);
  const cpu = new RiscvCpu({
    ...{ harts, ramBase: RAM_BASE, ramBytes: RAM_BYTES, nsPerInsn: 100, timebaseHz: 10_000_000 },
    ...{ sbi: false, mode, policy: { ...EAGER, slice: 50 } },
  });
  cpu.stage2.fill(1);
  tables(cpu, r);
  program(cpu, CODE, loop ?? randomLoop(r));
  program(cpu, HANDLER, SKIP);
  cpu.wroteRam(0, RAM_BYTES);
  for (let i = 0; i < harts; i++) begin(cpu.hart(i), r, i % 2 === 0 ? TABLES : OTHER_TABLES);
  return cpu;
}
function begin(h: Hart, r: Rng, root: number): void {
  h.start({ pc: RAM_BASE + CODE, a0: 0, a1: 0, priv: 1 });
  h.setCsr(0x300, h.csr(0x300) | FS_MASK);
  h.setCsr(0x305, BigInt(RAM_BASE + HANDLER));
  h.setCsr(0x180, satp(root));
  for (const b of BASES) {
    const page = (r.chance(60) ? 0 : r.below(PAGES - 1) * PAGE) + (r.chance(40) ? ALIAS : 0);
    h.setX(b, BigInt(DATA_VA + page + r.below(PAGE / 8) * 8));
  }
  for (const t of TEMPS) h.setX(t, r.u64());
  h.setX(LEAF_AT, BigInt(RAM_BASE + TABLES + 2 * PAGE));
  h.setX(LEAF_A, pte(DATA + r.below(PAGES) * PAGE, LEAF));
  h.setX(LEAF_B, pte(DATA + r.below(PAGES) * PAGE, LEAF));
  h.setX(SATP_A, satp(TABLES));
  h.setX(SATP_B, satp(OTHER_TABLES));
  h.setX(SUM, r.chance(70) ? 1n << 18n : 3n << 18n);
  h.setX(COUNTER, 20n);
}

/** Exactly `counts`: there are no devices, only budgets. */
function runExactly(cpu: RiscvCpu, counts: number, hart = 0): void {
  assert.equal(cpu.run(hart, counts), Stop.Budget);
}

function randomRun(seed: number): number {
  const r = new Rng(seed + 1_000_000);
  const harts = r.pick([1, 1, 2, 3]);
  const interpreted = build(seed, "interpreter", harts);
  const others = [build(seed, "compiled", harts), build(seed, "lockstep", harts)];
  for (let chunk = 0; chunk < 12 * harts; chunk++) {
    const counts = 1 + r.below(1500);
    const hart = r.below(harts);
    // From outside, alike for all: another watched byte, or none; that flushes.
    const changes = r.chance(50);
    const [watched, bits] = [DATA_VA + r.below(PAGES * PAGE), r.pick([0, 0, 0x11, 0x12])];
    for (const cpu of [interpreted, ...others]) {
      if (changes) {
        cpu.hart(hart).setCsr(0x7a2, BigInt(watched));
        cpu.hart(hart).setCsr(0x7a1, 6n << 60n | BigInt(bits));
      }
      runExactly(cpu, counts, hart);
    }
    for (const cpu of others) {
      const repeat = `SEED=${seed} PROGRAMS=1 deno test -A core/cpu/compiler/steady_test.ts`;
      const place = `at chunk ${chunk} of ${counts} on hart ${hart}; to repeat: ${repeat}`;
      assert.deepEqual(cpu.stateBytes(), interpreted.stateBytes(), place);
      assert.equal(Buffer.compare(cpu.ram, interpreted.ram), 0, `RAM differs ${place}`);
    }
  }
  const icounts = Array.from({ length: harts }, (_, i) => interpreted.hart(i).icount);
  return others[0].compilation!.executed / icounts.reduce((a, b) => a + b);
}

for (const rs1 of [0, BASES[0]]) {
  Deno.test(`steady accesses: sfence.vma ${rs1 === 0 ? "" : "of a page "}ends what is remembered`, () => {
    const [base, sum] = [BASES[0], 14];
    const lines: Line[] = [
      ["ld", { rd: TEMPS[0], rs1: base, imm: 0 }],
      ["add", { rd: sum, rs1: sum, rs2: TEMPS[0] }],
      ["sd", { rs2: LEAF_A, rs1: LEAF_AT, imm: 0 }],
      ["addi", { rd: COUNTER, rs1: COUNTER, imm: -1 }],
      ["bne", { rs1: COUNTER, rs2: 0, imm: -16 }],
      ["xor", { rd: LEAF_A, rs1: LEAF_A, rs2: LEAF_B }],
      ["sfence.vma", { rs1, rs2: 0 }],
      ["addi", { rd: COUNTER, rs1: 0, imm: 20 }],
      ["jal", { rd: 0, imm: -32 }],
    ];
    const cpu = build(1, "compiled", 1, lines);
    const h = cpu.hart(0);
    const leaves = [0, 1].map((page) => pte(DATA + page * PAGE, LEAF));
    cpu.ramView.setBigUint64(TABLES + 2 * PAGE, leaves[0], true);
    [1n, 1000n].forEach((v, page) => cpu.ramView.setBigUint64(DATA + page * PAGE, v, true));
    h.setX(base, BigInt(DATA_VA));
    h.setX(LEAF_A, leaves[1]);
    h.setX(LEAF_B, leaves[0] ^ leaves[1]);
    runExactly(cpu, 104 * 100);
    assert.equal(h.x(sum), 20n * 50n * 1001n);
    assert.ok(cpu.compilation!.executed > 500);
  });
}

Deno.test("steady accesses: what is remembered is the running hart's", () => {
  const [base, other, sum] = [BASES[0], BASES[1], 14];
  const lines: Line[] = [
    ["ld", { rd: TEMPS[0], rs1: base, imm: 0 }],
    ["add", { rd: sum, rs1: sum, rs2: TEMPS[0] }],
    ["sd", { rs2: sum, rs1: other, imm: 8 }],
    ["addi", { rd: COUNTER, rs1: COUNTER, imm: -1 }],
    ["bne", { rs1: COUNTER, rs2: 0, imm: -16 }],
  ];
  const [harts, turns, rounds] = [2, 40, 30];
  const cpu = build(1, "compiled", harts, lines);
  const put = (at: number, v: bigint) => cpu.ramView.setBigUint64(at, v, true);
  for (let i = 0; i < harts; i++) {
    put([TABLES, OTHER_TABLES][i] + 2 * PAGE, pte(DATA + i * PAGE, LEAF));
    put(DATA + i * PAGE, [1n, 1000n][i]);
    for (const b of [base, other]) cpu.hart(i).setX(b, BigInt(DATA_VA));
    cpu.hart(i).setX(sum, 0n);
    cpu.hart(i).setX(COUNTER, 1_000_000n);
  }
  for (let turn = 0; turn < harts * turns; turn++) {
    runExactly(cpu, rounds * lines.length, turn % harts);
    const sums = [0, 1].map((i) => cpu.ramView.getBigUint64(DATA + i * PAGE + 8, true));
    const each = (i: number) => BigInt(rounds * ((turn + harts - i) >> 1));
    assert.deepEqual(sums, [each(0), 1000n * each(1)], `after turn ${turn}`);
  }
  assert.ok(cpu.compilation!.executed > 500);
});

Deno.test("steady accesses: a page of data that is executed becomes code", () => {
  const [A0, A1, A2, A3, A4] = [10, 11, 12, 13, 14];
  const page = 0x3000;
  // Stores a word to the page again and again, and in the end calls it; a1: the page, a2: the word.
  const lines: Line[] = [
    ["sw", { rs2: A2, rs1: A1, imm: 0 }],
    ["addi", { rd: A3, rs1: A3, imm: -1 }],
    ["bne", { rs1: A3, rs2: 0, imm: -8 }],
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
    ["xor", { rd: A2, rs1: A2, rs2: A4 }],
    ["addi", { rd: A3, rs1: 0, imm: 50 }],
    ["jal", { rd: 0, imm: -24 }],
  ];
  const one = word("addi", { rd: A0, rs1: A0, imm: 1 }).bits;
  const results = (["interpreter", "compiled"] as const).map((mode) => {
    const cpu = machine({ mode, policy: EAGER });
    program(cpu, 0, lines);
    program(cpu, page, [["addi", { rd: A0, rs1: A0, imm: 1 }], ["jalr", {
      rd: 0,
      rs1: 1,
      imm: 0,
    }]]);
    const h = cpu.hart(0);
    h.start({ pc: RAM_BASE, a0: 0, a1: RAM_BASE + page, priv: 3 });
    h.setX(A2, BigInt(one));
    h.setX(A3, 50n);
    h.setX(A4, BigInt(one ^ word("addi", { rd: A0, rs1: A0, imm: 100 }).bits));
    runExactly(cpu, 150 + 5 + 3 * 155);
    return h.x(A0);
  });
  assert.deepEqual(results, [202n, 202n]);
});

const SEED = Number(Deno.env.get("SEED") ?? 1);
const PROGRAMS = Number(Deno.env.get("PROGRAMS") ?? 60);
/** From so many on a mean says something. */
const MANY = 30;

Deno.test("steady accesses: the TLB may change under them in any way", () => {
  let compiled = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) compiled += randomRun(seed);
  if (PROGRAMS < MANY) return;
  assert.ok(compiled > PROGRAMS / 3, `only ${compiled / PROGRAMS} was compiled`);
});
