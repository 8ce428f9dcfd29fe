/** CSRs: what each keeps of what is written (WARL), and who may touch it. @module */
import assert from "node:assert/strict";
import { csrName, CSRS } from "./csr.ts";
import { Stop } from "./mod.ts";
import { RAM_BASE } from "./random_streams.ts";
import { machine, program, word } from "./testing.ts";

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
  [0x10a, 1n, 0n],
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
  [0x30a, 1n << 63n | 1n, 0n],
  [0x320, 0n, 0n],
  [0x323, 0n, 0n],
  [0x340, ONES, 0n],
  [0x341, ONES - 1n, 0n],
  [0x342, ONES, 0n],
  [0x343, ONES, 0n],
  [0x344, 0x222n, 0n],
  [0x3a0, 0n, 0n],
  [0x3ef, 0n, 0n],
  [0xb00, ONES, 0n],
  [0xb02, ONES, 0n],
  [0xb1f, 0n, 0n],
];

for (const [number, ones, zero] of WARL) {
  Deno.test(`${csrName(number)}: keeps only the bits that exist`, () => {
    const h = machine().hart(0);
    h.setCsr(number, ONES);
    assert.equal(h.csr(number).toString(16), ones.toString(16));
    h.setCsr(number, 0n);
    assert.equal(h.csr(number).toString(16), zero.toString(16));
  });
}

Deno.test("mstatus: MPP keeps its value when asked for the reserved 2", () => {
  const h = machine().hart(0);
  for (const legal of [0n, 1n, 3n]) {
    h.setCsr(0x300, legal << 11n);
    h.setCsr(0x300, 2n << 11n);
    assert.equal(h.csr(0x300) >> 11n & 3n, legal);
  }
});

Deno.test("satp: bare and Sv39 are kept with a zero ASID, other modes change nothing", () => {
  const h = machine().hart(0);
  h.setCsr(0x180, 8n << 60n | 0xffffn << 44n | 0x8_0000n);
  assert.equal(h.csr(0x180), 8n << 60n | 0x8_0000n);
  h.setCsr(0x180, 9n << 60n | 5n);
  assert.equal(h.csr(0x180), 8n << 60n | 0x8_0000n);
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
  const stop = cpu.run(0, 2);
  assert.ok(stop === Stop.Budget || stop === Stop.Timer, Stop[stop]);
  const cause = h.csr(0x342);
  return cause === ONES ? null : { cause, tval: h.csr(0x343) };
}

for (const c of CSRS) {
  Deno.test(`${c.name}: read and written from its own privilege up, if writable`, () => {
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

Deno.test("CSR numbers that no register has: illegal instructions", () => {
  for (const csr of [0x000, 0x004, 0x5a8, 0x7a0, 0xc20, 0xfff]) {
    assert.equal(trapOf("M", word("csrrs", { rd: 1, csr }).bits)?.cause, 2n);
  }
});
