/** CSRs: what each keeps of what is written (WARL), and who may touch it. @module */
import assert from "node:assert/strict";
import { csrName, CSRS } from "./csr.ts";
import { Stop } from "./mod.ts";
import { RAM_BASE } from "./random_streams.ts";
import { type Line, machine, program, test, word } from "./testing.ts";

const ONES = (1n << 64n) - 1n;
const XL = 0xa_0000_0000n;

/** Number, what reads back after all ones were written, and after zero. */
const WARL: [number, bigint, bigint][] = [
  [0x001, 31n, 0n],
  [0x002, 7n, 0n],
  [0x003, 255n, 0n],
  [0x100, 1n << 63n | 0x2_000c_6122n, 0x2_0000_0000n], // FS all ones shows as SD.
  [0x105, 0n, 0n], // Mode 3 is reserved: the write changes nothing.
  [0x106, 7n, 0n],
  [0x10a, 0xf1n, 0n],
  [0x140, ONES, 0n],
  [0x141, ONES - 1n, 0n],
  [0x142, ONES, 0n],
  [0x143, ONES, 0n],
  [0x14d, ONES, 0n],
  [0x180, 0n, 0n], // Mode 15 is reserved.
  [0x300, 1n << 63n | XL | 0x7e_79aan, XL],
  [0x301, 0x8000_0000_0014_112dn, 0x8000_0000_0014_112dn],
  [0x302, 0xb3ffn, 0n],
  [0x303, 0x222n, 0n],
  [0x304, 0xaaan, 0n],
  [0x305, 0n, 0n],
  [0x306, 7n, 0n],
  [0x30a, 7n << 61n | 0xf1n, 0n],
  [0x320, 5n, 0n],
  [0x323, 0n, 0n],
  [0x340, ONES, 0n],
  [0x341, ONES - 1n, 0n],
  [0x342, ONES, 0n],
  [0x343, ONES, 0n],
  [0x344, 0x222n, 0n],
  [0x3a2, 0x9f9f_9f9f_9f9f_9f9fn, 0x9f9f_9f9f_9f9f_9f9fn], // Locked by the first write.
  [0x3ef, (1n << 54n) - 1n, 0n],
  [0xb00, ONES, 0n],
  [0xb02, ONES, 0n],
  [0xb1f, 0n, 0n],
];

for (const [number, ones, zero] of WARL) {
  test(`${csrName(number)}: keeps only the bits that exist`, () => {
    const h = machine().hart(0);
    h.setCsr(number, ONES);
    assert.equal(h.csr(number).toString(16), ones.toString(16));
    h.setCsr(number, 0n);
    assert.equal(h.csr(number).toString(16), zero.toString(16));
  });
}

test("mstatus: MPP keeps its value when asked for the reserved 2", () => {
  const h = machine().hart(0);
  for (const legal of [0n, 1n, 3n]) {
    h.setCsr(0x300, legal << 11n);
    h.setCsr(0x300, 2n << 11n);
    assert.equal(h.csr(0x300) >> 11n & 3n, legal);
  }
});

test("satp: modes that exist are kept with a zero ASID, others change nothing", () => {
  for (const [isa, modes] of [["rv64ic_sv48_sv57", [8, 9, 10, 0]], ["rv64ic", [8, 0]]] as const) {
    const h = machine({ isa }).hart(0);
    for (const mode of modes) {
      h.setCsr(0x180, BigInt(mode) << 60n | 0xffffn << 44n | 0x8_0000n);
      assert.equal(h.csr(0x180), BigInt(mode) << 60n | 0x8_0000n);
      for (const other of [9, 10, 11].filter((m) => !(modes as readonly number[]).includes(m))) {
        h.setCsr(0x180, BigInt(other) << 60n | 5n);
        assert.equal(h.csr(0x180), BigInt(mode) << 60n | 0x8_0000n);
      }
    }
  }
});

test("menvcfg, senvcfg: fields exist with their extensions", () => {
  const fields: [string, bigint][] = [
    ["sstc", 1n << 63n],
    ["svpbmt", 1n << 62n],
    ["svadu", 1n << 61n],
    ["zicboz", 0x80n],
    ["zicbom", 0x70n],
  ];
  for (const [name, bits] of fields) {
    const h = machine({ isa: `rv64ic_${name}` }).hart(0);
    h.setCsr(0x30a, ONES);
    assert.equal(h.csr(0x30a), bits | 1n);
    h.setCsr(0x10a, ONES);
    assert.equal(h.csr(0x10a), bits & 0xffn | 1n);
  }
});

test("menvcfg.ADUE: set after reset where Svadu stands alone", () => {
  for (const [isa, expected] of [["svadu", 1n], ["svade", 0n], ["svade_svadu", 0n]] as const) {
    assert.equal(machine({ isa: `rv64ic_${isa}` }).hart(0).csr(0x30a) >> 61n, expected, isa);
  }
});

test("pmpcfg: W without R is written as neither; a locked entry keeps its byte and address", () => {
  const h = machine().hart(0);
  h.setCsr(0x3a0, 0x02_07_06n);
  assert.equal(h.csr(0x3a0), 0x00_07_04n);
  for (const [config, kept] of [[0x98n, 0x3b0], [0x80n, 0x3b0]] as const) {
    const l = machine().hart(0);
    l.setCsr(kept, 5n);
    l.setCsr(0x3a0, config);
    l.setCsr(0x3a0, 0x0fn << 8n | 0x0fn);
    assert.equal(l.csr(0x3a0), 0x0fn << 8n | config);
    l.setCsr(kept, 6n);
    l.setCsr(kept + 1, 6n);
    assert.deepEqual([l.csr(kept), l.csr(kept + 1)], [5n, 6n]);
  }
  const range = machine().hart(0);
  range.setCsr(0x3a0, 0x88n << 8n); // Entry 1 is a locked range from pmpaddr0.
  range.setCsr(0x3b0, 7n);
  assert.equal(range.csr(0x3b0), 0n);
});

test("mcountinhibit: a stopped counter keeps its value and goes on from there", () => {
  const nop: Line = ["addi", { rd: 0, rs1: 0, imm: 0 }];
  const cpu = machine();
  const h = cpu.hart(0);
  program(cpu, 0, Array.from({ length: 8 }, () => nop));
  h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 3 });
  for (const [counter, bit] of [[0xb00, 1n], [0xb02, 4n]] as const) {
    h.setCsr(counter, 100n);
    cpu.run(0, 1);
    h.setCsr(0x320, bit);
    cpu.run(0, 2);
    assert.equal(h.csr(counter), 101n);
    h.setCsr(0x320, 0n);
    cpu.run(0, 1);
    assert.equal(h.csr(counter), 102n);
  }
});

const PRIVILEGE = { U: 0, S: 1, M: 3 } as const;
/** Cause of the trap that one instruction takes at a privilege; null: none. */
function trapOf(
  priv: keyof typeof PRIVILEGE,
  bits: number,
): { cause: bigint; tval: bigint } | null {
  const cpu = machine();
  const h = cpu.hart(0);
  program(cpu, 0, [["mret"]]);
  cpu.ramView.setUint32(4, bits, true);
  h.start({ pc: RAM_BASE, a0: 0, a1: 0, priv: 3 });
  h.setCsr(0x300, BigInt(PRIVILEGE[priv]) << 11n);
  h.setCsr(0x341, BigInt(RAM_BASE + 4));
  h.setCsr(0x342, ONES);
  h.setCsr(0x3b0, ONES);
  h.setCsr(0x3a0, 0x1fn);
  const stop = cpu.run(0, 2);
  assert.ok(stop === Stop.Budget || stop === Stop.Timer, Stop[stop]);
  const cause = h.csr(0x342);
  return cause === ONES ? null : { cause, tval: h.csr(0x343) };
}

for (const c of CSRS) {
  test(`${c.name}: read and written from its own privilege up, if writable`, () => {
    const needed = c.number >> 8 & 3;
    const counter = c.number >= 0xc00 && c.number < 0xc20; // Closed by mcounteren after reset.
    const gated = counter || c.name === "stimecmp"; // And by menvcfg.
    const float = c.number < 4; // Closed by mstatus.FS.
    const readOnly = (c.number >> 10 & 3) === 3;
    for (const [name, priv] of Object.entries(PRIVILEGE) as [keyof typeof PRIVILEGE, number][]) {
      const open = !float && (priv === 3 || priv >= needed && !gated);
      for (const write of [false, true]) {
        const { bits } = word(
          "csrrs",
          write ? { rd: 0, csr: c.number, rs1: 1 } : { rd: 0, csr: c.number },
        );
        const trap = trapOf(name, bits);
        if (open && !(write && readOnly)) assert.equal(trap, null, `${name} ${write}`);
        else assert.deepEqual(trap, { cause: 2n, tval: BigInt(bits) }, `${name} ${write}`);
      }
    }
  });
}

test("CSR numbers that no register has: illegal instructions", () => {
  for (const csr of [0x000, 0x004, 0x5a8, 0x7a5, 0xc20, 0xfff]) {
    assert.equal(trapOf("M", word("csrrs", { rd: 1, csr }).bits)?.cause, 2n);
  }
});
