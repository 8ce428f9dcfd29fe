/** Traps, interrupts, timer, WFI, SBI mode and device accesses, by example. @module */
import assert from "node:assert/strict";
import { type Hart, type RiscvCpu, Stop } from "./mod.ts";
import { PTE } from "./mstatus.ts";
import { RAM_BASE } from "./random_streams.ts";
import { type Line, machine, NS_PER_INSN, program, test, word } from "./testing.ts";

const NOP: Line = ["addi", { rd: 0, rs1: 0, imm: 0 }];
const [A0, A1, A2] = [10, 11, 12];
const STVEC = 0x1000;

function started(
  lines: Line[],
  o: { sbi?: boolean; priv?: 1 | 3; harts?: number } = {},
): { cpu: RiscvCpu; h: Hart } {
  const cpu = machine({ sbi: o.sbi, harts: o.harts });
  program(cpu, 0, lines);
  program(cpu, STVEC, Array.from({ length: 64 }, () => NOP));
  const h = cpu.hart(0);
  h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: o.priv ?? 1 });
  h.setCsr(0x105, BigInt(RAM_BASE + STVEC));
  return { cpu, h };
}

test("sbi: an ecall from S-mode stops before it is counted; retire goes on behind it", () => {
  const { cpu, h } = started([NOP, ["ecall"], NOP], { sbi: true });
  assert.equal(cpu.run(0, 10), Stop.Ecall);
  assert.deepEqual([h.pc, h.icount], [BigInt(RAM_BASE + 4), 1]);
  h.retire();
  assert.deepEqual([h.pc, h.icount], [BigInt(RAM_BASE + 8), 2]);
});

test("sbi: M-mode CSRs and MRET are illegal in S-mode, and the trap stays in S-mode", () => {
  for (const line of [["csrrs", { rd: A0, csr: 0x300 }], ["mret"]] as Line[]) {
    const { cpu, h } = started([line], { sbi: true });
    assert.equal(cpu.run(0, 1), Stop.Budget);
    assert.deepEqual([h.csr(0x142), h.csr(0x143), h.priv], [2n, BigInt(word(...line).bits), 1]);
    assert.equal(h.pc, BigInt(RAM_BASE + STVEC));
  }
});

test("ecall: its cause names the privilege, M-mode's is never delegated", () => {
  const { cpu, h } = started([["ecall"]], { priv: 3 });
  h.setCsr(0x302, 0xffffn);
  cpu.run(0, 1);
  assert.deepEqual([h.csr(0x342), h.priv], [11n, 3]);
});

test("interrupt: taken at the exact count, costs none, and vectors", () => {
  const { cpu, h } = started([NOP, NOP, NOP, NOP, NOP, NOP], { sbi: true });
  h.setCsr(0x105, BigInt(RAM_BASE + STVEC + 1));
  h.setCsr(0x104, 0x222n);
  h.setCsr(0x100, 2n);
  assert.equal(cpu.run(0, 3), Stop.Budget);
  h.setIrq(9, true);
  assert.equal(cpu.run(0, 3), Stop.Interrupt);
  assert.deepEqual([h.cause, h.icount], [9, 3]);
  assert.equal(h.pc, BigInt(RAM_BASE + STVEC + 4 * 9));
  assert.equal(h.csr(0x141), BigInt(RAM_BASE + 12));
  assert.equal(h.csr(0x142), 1n << 63n | 9n);
  assert.equal(h.csr(0x100) & 0x122n, 0x120n, "SIE stacked in SPIE, SPP = S");
});

test("interrupt: enabling it by a CSR write takes it before the next instruction", () => {
  const { cpu, h } = started([["csrrsi", { rd: 0, csr: 0x100, uimm: 2 }], NOP], { sbi: true });
  h.setCsr(0x104, 0x222n);
  h.setIrq(1, true);
  assert.equal(cpu.run(0, 5), Stop.Interrupt);
  assert.deepEqual([h.cause, h.icount, h.csr(0x141)], [1, 1, BigInt(RAM_BASE + 4)]);
});

test("interrupt: an enable bit set in sie counts from the next instruction on", () => {
  const { cpu, h } = started([["csrrs", { rd: 0, csr: 0x104, rs1: A0 }], NOP, NOP], { sbi: true });
  h.setX(A0, 0x200n);
  h.setCsr(0x100, 2n);
  h.setIrq(9, true);
  assert.equal(cpu.run(0, 3), Stop.Interrupt);
  assert.equal(h.icount, 1);
});

test("interrupt: software that sets sip.SSIP is interrupted at once", () => {
  const { cpu, h } = started([["csrrsi", { rd: 0, csr: 0x144, uimm: 2 }], NOP], { sbi: true });
  h.setCsr(0x104, 2n);
  h.setCsr(0x100, 2n);
  assert.equal(cpu.run(0, 3), Stop.Interrupt);
  assert.deepEqual([h.icount, h.cause], [1, 1]);
});

/** Page 8 at 0x4000_0000 with these PTE bits; the program in RAM under an S-mode gigapage. */
function paged(bits: number, lines: Line[]): { cpu: RiscvCpu; h: Hart } {
  const { cpu, h } = started(lines, { sbi: true });
  const page = (n: number) => BigInt(RAM_BASE / 4096 + n) << 10n;
  const entry = (table: number, i: number, v: bigint) =>
    cpu.ramView.setBigUint64(table * 4096 + i * 8, v, true);
  entry(16, 2, page(0) | 0xcfn);
  entry(16, 1, page(17) | 1n);
  entry(17, 0, page(18) | 1n);
  entry(18, 0, page(8) | BigInt(bits));
  h.setCsr(0x180, 8n << 60n | BigInt(RAM_BASE / 4096 + 16));
  h.setX(A1, 0x4000_0000n);
  return { cpu, h };
}

for (
  const [name, bit, bits] of [["SUM", 0x4_0000n, PTE.R | PTE.U], ["MXR", 0x8_0000n, PTE.X]] as const
) {
  test(`sstatus.${name}: opens and closes a page at once, without SFENCE.VMA`, () => {
    const load: Line = ["lw", { rd: A0, rs1: A1, imm: 0 }];
    const { cpu, h } = paged(PTE.V | PTE.A | bits, [
      ["csrrs", { rd: 0, csr: 0x100, rs1: A2 }],
      load,
      ["csrrc", { rd: 0, csr: 0x100, rs1: A2 }],
      load,
    ]);
    h.setX(A2, bit);
    cpu.run(0, 3);
    assert.equal(h.csr(0x142), 0n);
    cpu.run(0, 1);
    assert.deepEqual([h.csr(0x142), h.csr(0x143)], [13n, 0x4000_0000n]);
  });
}

test("sip: software clears SSIP; a wired SEIP survives a read-modify-write", () => {
  const { cpu, h } = started([
    ["csrrci", { rd: A0, csr: 0x144, uimm: 2 }],
    ["csrrs", { rd: A1, csr: 0x144 }],
  ], { sbi: true });
  h.setIrq(1, true);
  h.setIrq(9, true);
  cpu.run(0, 2);
  assert.deepEqual([h.x(A0), h.x(A1)], [0x202n, 0x200n]);
  h.setIrq(9, false);
  assert.equal(h.csr(0x144), 0n, "the read-modify-write did not latch the wire");
});

test("Sstc: stimecmp's write stops, and its interrupt comes at the deadline, however long the run", () => {
  const { cpu, h } = started([
    ["csrrw", { rd: 0, csr: 0x14d, rs1: A0 }],
    ...Array.from({ length: 40 }, () => NOP),
  ], { sbi: true });
  h.setX(A0, 25n);
  h.setCsr(0x104, 0x20n);
  h.setCsr(0x100, 2n);
  assert.equal(h.timerDeadlineNs(), Infinity);
  assert.equal(cpu.run(0, 1000), Stop.Timer);
  assert.deepEqual([h.icount, h.timerDeadlineNs()], [1, 25 * NS_PER_INSN]);
  assert.equal(h.interruptPending(), false);
  assert.equal(cpu.run(0, 1000), Stop.Interrupt);
  assert.deepEqual([h.cause, h.icount], [5, 25]);
  assert.equal(h.timerDeadlineNs(), Infinity, "it has fired");
});

test("wfi: stops behind itself; an idle jump raises the pending bit", () => {
  const { cpu, h } = started([["wfi"], ["csrrs", { rd: A0, csr: 0xc01 }]], { sbi: true });
  h.setCsr(0x14d, 1000n);
  h.setCsr(0x104, 0x20n);
  assert.equal(cpu.run(0, 10), Stop.Wfi);
  assert.deepEqual([h.pc, h.icount], [BigInt(RAM_BASE + 4), 1]);
  h.addNs(h.timerDeadlineNs() - h.clockNs);
  assert.equal(h.interruptPending(), true, "though sstatus.SIE is off");
  cpu.run(0, 1);
  assert.equal(h.x(A0), 1000n);
});

test("mstatus.TW, TVM, TSR: WFI, SFENCE.VMA, satp and SRET are illegal in S-mode", () => {
  const cases: [number, Line][] = [
    [21, ["wfi"]],
    [20, ["sfence.vma", { rs1: 1, rs2: 0 }]],
    [20, ["csrrs", { rd: A0, csr: 0x180 }]],
    [22, ["sret"]],
  ];
  for (const [bit, line] of cases) {
    const { cpu, h } = started([line]);
    h.setCsr(0x300, 1n << BigInt(bit));
    cpu.run(0, 1);
    assert.deepEqual([h.csr(0x342), h.priv], [2n, 3], line[0]);
  }
});

test("counters: cycle counts traps, instret does not", () => {
  const { cpu, h } = started([["ebreak"]], { sbi: true });
  program(cpu, STVEC, [["csrrs", { rd: A0, csr: 0xc00 }], ["csrrs", { rd: A1, csr: 0xc02 }]]);
  cpu.run(0, 3);
  assert.deepEqual([h.x(A0), h.x(A1)], [1n, 1n]);
});

const UART = 0x1000_0000;
test("device load: the value is extended as the instruction asks", () => {
  const cases: [string, bigint][] = [
    ["lb", 0xffff_ffff_ffff_ff85n],
    ["lbu", 0x85n],
    ["lh", 0xffff_ffff_ffff_8485n],
    ["lhu", 0x8485n],
    ["lw", 0xffff_ffff_8283_8485n],
    ["lwu", 0x8283_8485n],
    ["ld", 0x7778_797a_8283_8485n],
  ];
  for (const [name, expected] of cases) {
    const { cpu, h } = started([[name, { rd: A0, rs1: A1, imm: 8 }]], { sbi: true });
    h.setX(A1, BigInt(UART));
    assert.equal(cpu.run(0, 5), Stop.Load);
    assert.deepEqual([h.access.gpa, h.icount, h.pc], [UART + 8, 0, BigInt(RAM_BASE)]);
    h.completeLoad(0x8283_8485, 0x7778_797a);
    assert.deepEqual([h.x(A0), h.icount, h.pc], [expected, 1, BigInt(RAM_BASE + 4)], name);
  }
});

test("device access: into x0 it happens all the same; a refusal is an access fault", () => {
  const { cpu, h } = started([
    ["lw", { rd: 0, rs1: A1, imm: 0 }],
    ["sh", { rs2: A2, rs1: A1, imm: 2 }],
  ], { sbi: true });
  h.setX(A1, BigInt(UART));
  h.setX(A2, 0x1234_5678n);
  assert.equal(cpu.run(0, 5), Stop.Load);
  h.completeLoad(7, 0);
  assert.equal(h.x(0), 0n);
  assert.equal(cpu.run(0, 5), Stop.Store);
  assert.deepEqual({ ...h.access }, { gpa: UART + 2, size: 2, lo: 0x5678, hi: 0 });
  h.faultAccess();
  assert.deepEqual([h.csr(0x142), h.csr(0x143), h.icount], [7n, BigInt(UART + 2), 2]);
});

test("misaligned device access: an address-misaligned exception", () => {
  const { cpu, h } = started([["lw", { rd: A0, rs1: A1, imm: 2 }]], { sbi: true });
  h.setX(A1, BigInt(UART));
  assert.equal(cpu.run(0, 1), Stop.Budget);
  assert.deepEqual([h.csr(0x142), h.csr(0x143)], [4n, BigInt(UART + 2)]);
});

test("LR/SC: broken by a device's write, by the scheduler, and by a store-conditional", () => {
  const breaks: [string, (cpu: RiscvCpu) => void, bigint][] = [
    ["nothing", () => {}, 0n],
    ["dma", (cpu) => cpu.wroteRam(0x2000, 4), 1n],
    ["dma elsewhere", (cpu) => cpu.wroteRam(0x3000, 4), 0n],
    ["scheduler", (cpu) => cpu.clearReservation(0), 1n],
  ];
  for (const [name, act, expected] of breaks) {
    const { cpu, h } = started([
      ["lr.w", { rd: A0, rs1: A1 }],
      ["sc.w", { rd: A2, rs2: A0, rs1: A1 }],
    ], { sbi: true });
    h.setX(A1, BigInt(RAM_BASE + 0x2000));
    cpu.run(0, 1);
    act(cpu);
    cpu.run(0, 1);
    assert.equal(h.x(A2), expected, name);
  }
});

test("harts: each has its own registers, clock and translations", () => {
  const { cpu } = started([["addi", { rd: A0, rs1: A0, imm: 1 }]], { sbi: true, harts: 2 });
  cpu.hart(1).start({ pc: RAM_BASE, a0: 41, a1: 0, priv: 1 });
  cpu.run(1, 1);
  assert.deepEqual([cpu.hart(0).x(A0), cpu.hart(1).x(A0)], [0n, 42n]);
  assert.deepEqual([cpu.hart(0).clockNs, cpu.hart(1).clockNs], [0, NS_PER_INSN]);
});

test("fetch outside RAM: an access fault that spends its count", () => {
  const { cpu, h } = started([["jalr", { rd: 0, rs1: A1, imm: 0 }]], { sbi: true });
  h.setX(A1, BigInt(UART));
  cpu.run(0, 2);
  assert.deepEqual([h.csr(0x142), h.csr(0x143), h.icount], [1n, BigInt(UART), 2]);
});
