/** Page tables of every depth, Svnapot, Svpbmt, Svade and Svadu, fences, and cache blocks. @module */
import assert from "node:assert/strict";
import { Stop } from "./mod.ts";
import { PTE } from "./mstatus.ts";
import { RAM_BASE } from "./random_streams.ts";
import { type Line, machine, program, test } from "./testing.ts";

const [A0, A1, A2] = [10, 11, 12];
const PAGE = 4096;
const TABLES = 0x2_0000;
const LEAF = BigInt(PTE.V | PTE.R | PTE.W | PTE.X | PTE.A | PTE.D);
const ppn = (offset: number) => BigInt(RAM_BASE + offset) >> 12n << 10n;
const LOAD: Line = ["ld", { rd: A0, rs1: A1, imm: 0 }];
const STORE: Line = ["sd", { rs2: A2, rs1: A1, imm: 0 }];
const [MCAUSE, MTVAL, MENVCFG] = [0x342, 0x343, 0x30a];

/** A machine in S-mode with `levels` levels of tables; the code is mapped to itself. */
function paged(lines: Line[], levels: 3 | 4 | 5, isa?: string) {
  const cpu = machine({ isa });
  const h = cpu.hart(0);
  const word = (at: number, v: bigint) => {
    cpu.ramView.setBigUint64(at, BigInt.asUintN(64, v), true);
    cpu.wroteRam(at, 8);
  };
  let tables = 1;
  /** Maps `va` by a leaf at `level` that holds `pte`; gives the place of the leaf. */
  const map = (va: bigint, level: number, pte: bigint): number => {
    let table = TABLES;
    for (let l = levels - 1;; l--) {
      const at = table + Number(va >> BigInt(12 + 9 * l) & 511n) * 8;
      if (l === level) {
        word(at, pte);
        return at;
      }
      const entry = cpu.ramView.getBigUint64(at, true);
      table = entry === 0n ? TABLES + tables++ * PAGE : Number(entry >> 10n << 12n) - RAM_BASE;
      word(at, ppn(table) | BigInt(PTE.V));
    }
  };
  map(BigInt(RAM_BASE), 2, BigInt(RAM_BASE) >> 12n << 10n | LEAF);
  program(cpu, 0, lines);
  h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 1 });
  h.setCsr(0x305, BigInt(RAM_BASE + 0x1000));
  h.setCsr(0x180, BigInt(levels + 5) << 60n | BigInt(RAM_BASE + TABLES) >> 12n);
  return { cpu, h, map, word };
}

for (const levels of [3, 4, 5] as const) {
  const bits = BigInt(12 + 9 * levels);
  test(`Sv${bits}: leaves at every level, the same address bits unused`, () => {
    for (let level = 0; level < levels; level++) {
      for (const high of [0n, -1n]) {
        const shift = BigInt(12 + 9 * level);
        const va = BigInt.asIntN(Number(bits), high << (bits - 2n)) + (5n << shift);
        const { cpu, h, map, word } = paged([LOAD], levels);
        if (level < 3) map(va, level, BigInt(RAM_BASE) >> shift << (shift - 2n) | LEAF);
        else map(va, level, LEAF);
        const offset = BigInt(RAM_BASE) & (1n << shift) - 1n;
        word(0x3008, 0x1234n);
        h.setX(A1, va + offset + 0x3008n - (level === 0 ? 0x3000n : 0n));
        if (level === 0) map(va, 0, ppn(0x3000) | LEAF);
        assert.equal(cpu.run(0, 1), Stop.Budget);
        assert.deepEqual([h.csr(MCAUSE), h.x(A0)], [0n, 0x1234n], `level ${level}`);
      }
    }
    const { cpu, h } = paged([LOAD], levels);
    h.setX(A1, 1n << (bits - 1n)); // Bits above are not its copies.
    cpu.run(0, 1);
    assert.deepEqual([h.csr(MCAUSE), h.csr(MTVAL)], [13n, 1n << (bits - 1n)]);
  });
}

test("Svadu: A and D are set in memory; Svade: clear ones are page faults", () => {
  for (const [isa, faults] of [["rv64ic_svadu", false], ["rv64ic_svade", true]] as const) {
    for (
      const [line, cause, marked] of [[LOAD, 13n, PTE.A], [STORE, 15n, PTE.A | PTE.D]] as const
    ) {
      const { cpu, h, map } = paged([line], 3, isa);
      const bare = ppn(0x3000) | BigInt(PTE.V | PTE.R | PTE.W);
      const at = map(0x4000_0000n, 0, bare);
      h.setX(A1, 0x4000_0000n);
      cpu.run(0, 1);
      assert.equal(h.csr(MCAUSE), faults ? cause : 0n);
      assert.equal(cpu.ramView.getBigUint64(at, true), faults ? bare : bare | BigInt(marked));
    }
  }
});

test("Svnapot: 64 KiB by one leaf; its fence forgets all of it; other sizes are reserved", () => {
  const fence: Line = ["sfence.vma", { rs1: A2, rs2: 0 }];
  const { cpu, h, map, word } = paged([LOAD, fence, LOAD], 3);
  const base = 0x4000_0000n;
  const leaf = ppn(0x1_0000) | 8n << 10n | LEAF | PTE.N;
  const places = Array.from({ length: 16 }, (_, i) => map(base + BigInt(i * PAGE), 0, leaf));
  word(0x1_5010, 0x77n);
  h.setX(A1, base + 0x5010n);
  h.setX(A2, base + 0x9000n); // Another page of the same 64 KiB.
  cpu.run(0, 1);
  assert.equal(h.x(A0), 0x77n);
  for (const at of places) word(at, 0n);
  cpu.run(0, 2);
  assert.equal(h.csr(MCAUSE), 13n);
  for (const [isa, size, cause] of [["", 4n, 13n], ["rv64ic", 8n, 13n], ["", 8n, 0n]] as const) {
    const other = paged([LOAD], 3, isa || undefined);
    other.map(base, 0, ppn(0x1_0000) | size << 10n | LEAF | PTE.N);
    other.h.setX(A1, base);
    other.cpu.run(0, 1);
    assert.equal(other.h.csr(MCAUSE), cause);
  }
});

test("Svpbmt: types need menvcfg.PBMTE, 3 is reserved, and only leaves have one", () => {
  for (const enable of [0n, 1n << 62n]) {
    for (const type of [0n, 1n, 2n, 3n]) {
      const { cpu, h, map } = paged([LOAD], 3);
      h.setCsr(MENVCFG, enable);
      map(0x4000_0000n, 0, ppn(0x3000) | LEAF | type << 61n);
      h.setX(A1, 0x4000_0000n);
      cpu.run(0, 1);
      const fine = type === 0n || type < 3n && enable !== 0n;
      assert.equal(h.csr(MCAUSE), fine ? 0n : 13n);
    }
  }
  const { cpu, h, map, word } = paged([LOAD], 3);
  h.setCsr(MENVCFG, 1n << 62n);
  const leaf = map(0x4000_0000n, 0, ppn(0x3000) | LEAF);
  const table = Math.floor(leaf / PAGE) * PAGE;
  for (let at = TABLES; at < table; at += 8) {
    const entry = cpu.ramView.getBigUint64(at, true);
    if (entry >> 10n << 12n === BigInt(RAM_BASE + table)) word(at, entry | 1n << 61n);
  }
  h.setX(A1, 0x4000_0000n);
  cpu.run(0, 1);
  assert.equal(h.csr(MCAUSE), 13n);
});

for (const name of ["sfence.vma", "sinval.vma"]) {
  test(`${name}: the next instruction is already fetched by the new tables`, () => {
    const lines: Line[] = [STORE, [name, { rs1: A0, rs2: 0 }], LOAD];
    const { cpu, h, map } = paged(lines, 3);
    const at = map(0x4000_0000n, 0, ppn(0) | LEAF);
    h.pc = 0x4000_0000n;
    h.setX(A0, 0x4000_0000n);
    h.setX(A1, BigInt(RAM_BASE + at));
    h.setX(A2, 0n);
    cpu.run(0, 3);
    assert.deepEqual([h.csr(MCAUSE), h.csr(MTVAL)], [12n, 0x4000_0008n]);
  });
}

test("Svinval: SINVAL.VMA obeys TVM, the fences around it only ask for S-mode", () => {
  const lines: Line[] = [["sfence.w.inval"], ["sfence.inval.ir"], ["sinval.vma", {
    rs1: A0,
    rs2: 0,
  }]];
  const { cpu, h } = paged(lines, 3);
  h.setCsr(0x300, 1n << 20n);
  cpu.run(0, 2);
  assert.equal(h.csr(MCAUSE), 0n);
  cpu.run(0, 1);
  assert.equal(h.csr(MCAUSE), 2n);
});

test("cbo.zero: clears the 64 bytes around its address, decoded code among them", () => {
  const cpu = machine();
  const h = cpu.hart(0);
  const inc: Line = ["addi", { rd: A0, rs1: A0, imm: 1 }];
  const back: Line = ["jalr", { rd: 0, rs1: 1, imm: 0 }];
  program(cpu, 0x1040, [inc, back]);
  program(cpu, 0, [
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
    ["cbo.zero", { rs1: A2 }],
    ["jalr", { rd: 1, rs1: A1, imm: 0 }],
  ]);
  for (const at of [0x103f, 0x1080]) cpu.ram[at] = 0xff;
  h.start({ pc: RAM_BASE, a0: 0, a1: RAM_BASE + 0x1040, priv: 3 });
  h.setX(A2, BigInt(RAM_BASE + 0x1077));
  h.setCsr(0x305, BigInt(RAM_BASE + 0x2000));
  cpu.run(0, 6);
  assert.deepEqual([h.x(A0), h.csr(MCAUSE), h.csr(0x341)], [1n, 2n, BigInt(RAM_BASE + 0x1040)]);
  assert.ok(cpu.ram.subarray(0x1040, 0x1080).every((b) => b === 0));
  assert.deepEqual([cpu.ram[0x103f], cpu.ram[0x1080]], [0xff, 0xff]);
});

test("cache blocks: envcfg opens them to S-mode; faults are a store's, with the address as given", () => {
  for (
    const [name, bits] of [["cbo.zero", 0x80n], ["cbo.clean", 0x40n], ["cbo.inval", 0x10n]] as const
  ) {
    for (const open of [false, true]) {
      const { cpu, h } = paged([[name, { rs1: A1 }]], 3);
      h.setCsr(MENVCFG, open ? bits : 0xf0n & ~bits & ~(name === "cbo.inval" ? 0x30n : 0n));
      h.setX(A1, 0x5000_0013n);
      cpu.run(0, 1);
      assert.deepEqual([h.csr(MCAUSE), h.csr(MTVAL) === 0x5000_0013n], [open ? 15n : 2n, open]);
    }
  }
});

test("ISA string: what it leaves out is illegal, and misa says so", () => {
  const lines: Line[] = [
    ["mul", { rd: A0, rs1: 0, rs2: 0 }],
    ["amoadd.w", { rd: A0, rs1: A1, rs2: 0 }],
    ["sh1add", { rd: A0, rs1: 0, rs2: 0 }],
    ["csrrs", { rd: A0, csr: 0x14d }],
  ];
  for (const line of lines) {
    for (const [isa, cause] of [["rv64ic", 2n], ["rv64imac_zba_sstc", 0n]] as const) {
      const cpu = machine({ isa });
      program(cpu, 0, [line]);
      cpu.hart(0).start({ pc: RAM_BASE, a0: 0, a1: RAM_BASE + 0x4000, priv: 3 });
      cpu.run(0, 1);
      assert.equal(cpu.hart(0).csr(MCAUSE), cause, `${line[0]} ${isa}`);
    }
  }
  const bare = machine({ isa: "rv64ic" }).hart(0);
  bare.setCsr(0x300, 3n << 13n);
  assert.deepEqual([bare.csr(0x301) & 0x1001n, bare.csr(0x300) & 3n << 13n], [0n, 0n]);
  assert.throws(() => machine({ isa: "rv64ic_sv57" }), /sv57 needs sv48/);
  assert.throws(() => machine({ isa: "rv64im" }), /c cannot be switched off/);
  assert.throws(() => machine({ isa: "rv64icv" }), /v is none of/);
  assert.throws(() => machine({ isa: "rv32imac" }), /expected one such as/);
});
