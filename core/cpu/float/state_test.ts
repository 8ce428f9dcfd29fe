/**
 * Floating-point state around the arithmetic: mstatus.FS, loads and stores, registers from outside.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RiscvCpu, Stop } from "../mod.ts";
import { FS_MASK, MSTATUS } from "../mstatus.ts";
import { RAM_BASE } from "../random_streams.ts";
import { type Line, machine, program } from "../testing.ts";

const DEVICE = 0x1000_0000n;
const NOWHERE = 1n << 40n;
const A1 = 11;
const CLEAN = 2n;
const DIRTY = 3n;
const [CSR_MSTATUS, MCAUSE, FFLAGS] = [0x300, 0x342, 0x001];

const fsOf = (cpu: RiscvCpu) => cpu.hart(0).csr(CSR_MSTATUS) >> BigInt(MSTATUS.FS) & 3n;

function start(lines: Line[], fs: bigint, a1: bigint | number): RiscvCpu {
  const cpu = machine();
  const h = cpu.hart(0);
  program(cpu, 0, lines);
  h.start({ pc: RAM_BASE, a0: 0, a1, priv: 3 });
  h.setCsr(CSR_MSTATUS, fs << BigInt(MSTATUS.FS));
  return cpu;
}

const LOADS = [["flh", 2, 0xffff_ffff_ffff_5678n], ["flw", 4, 0xffff_ffff_1234_5678n], [
  "fld",
  8,
  0x9abc_def0_1234_5678n,
]] as const;
for (const [name, size, value] of LOADS) {
  const line: Line = [name, { rd: 7, rs1: A1, imm: 0 }];
  Deno.test(`${name}: a value from a device is boxed, and makes FS dirty once it arrives`, () => {
    const cpu = start([line], CLEAN, DEVICE);
    assert.equal(cpu.run(0, 1), Stop.Load);
    assert.equal(cpu.hart(0).access.size, size);
    assert.equal(fsOf(cpu), CLEAN);
    cpu.hart(0).completeLoad(0x1234_5678, 0x9abc_def0);
    assert.equal(cpu.hart(0).fp(7), value);
    assert.equal(fsOf(cpu), DIRTY);
  });
  Deno.test(`${name}: a load that faults leaves FS and register as they were`, () => {
    const cpu = start([line], CLEAN, DEVICE);
    cpu.hart(0).setFp(7, 5n);
    assert.equal(cpu.run(0, 1), Stop.Load);
    cpu.hart(0).faultAccess();
    assert.deepEqual([fsOf(cpu), cpu.hart(0).fp(7), cpu.hart(0).csr(MCAUSE)], [CLEAN, 5n, 5n]);
  });
  Deno.test(`${name}: with FS off it is illegal before it is an access`, () => {
    const cpu = start([line], 0n, NOWHERE);
    assert.equal(cpu.run(0, 1), Stop.Budget);
    assert.equal(cpu.hart(0).csr(MCAUSE), 2n);
  });
  Deno.test(`${name}: misaligned across a page, back through its store`, () => {
    const to = name.replace("fl", "fs");
    const lines: Line[] = [line, [to, { rs2: 7, rs1: A1, imm: 16 }]];
    const cpu = start(lines, CLEAN, RAM_BASE + 0x1fff);
    for (let i = 0; i < 8; i++) cpu.ram[0x1fff + i] = Number(value >> BigInt(8 * i) & 0xffn);
    cpu.wroteRam(0x1fff, 8);
    cpu.run(0, 2);
    assert.equal(cpu.hart(0).fp(7), value);
    assert.deepEqual(
      cpu.ram.slice(0x200f, 0x200f + size),
      cpu.ram.slice(0x1fff, 0x1fff + size),
    );
  });
}

Deno.test("FS: a store or a comparison that raises nothing leaves it clean, a flag makes it dirty", () => {
  const cpu = start(
    [["fsd", { rs2: 1, rs1: A1, imm: 0 }], ["feq.d", { rd: 5, rs1: 1, rs2: 1 }], [
      "flt.d",
      { rd: 5, rs1: 2, rs2: 1 },
    ]],
    CLEAN,
    RAM_BASE + 0x1000,
  );
  cpu.hart(0).setFp(2, 0x7ff8_0000_0000_0000n);
  cpu.run(0, 2);
  assert.equal(fsOf(cpu), CLEAN);
  cpu.run(0, 1);
  assert.equal(fsOf(cpu), DIRTY);
  assert.equal(cpu.hart(0).csr(FFLAGS), 16n);
  assert.equal(cpu.hart(0).csr(CSR_MSTATUS) >> 63n, 1n, "SD follows FS");
});

Deno.test("registers and fcsr: part of the state that is saved; fcsr is readable while FS is off", () => {
  const cpu = start([], 0n, 0);
  const h = cpu.hart(0);
  for (let i = 0; i < 32; i++) h.setFp(i, BigInt(i) << 60n | BigInt(i));
  h.setCsr(3, 0x7fn);
  assert.equal(h.csr(CSR_MSTATUS) & FS_MASK, 0n);
  const copy = machine();
  copy.loadState(cpu.stateBytes());
  assert.equal(copy.hart(0).fp(31), BigInt.asUintN(64, 31n << 60n) | 31n);
  assert.equal(copy.hart(0).csr(3), 0x7fn);
});
