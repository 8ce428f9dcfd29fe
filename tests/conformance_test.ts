/** The conformance runner on programs of our own. @module */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ISA } from "../core/cpu/mod.ts";
import { parseIsa } from "../core/cpu/extensions.ts";
import type { Line } from "../core/cpu/testing.ts";
import { execute, type RunOptions, signatureText } from "./conformance/execute.ts";
import { runAll } from "./conformance/pool.ts";
import { readProgram } from "./conformance/program.ts";
import { report } from "./conformance/report.ts";
import { addressOf, tinyElf } from "./conformance/tiny_elf.ts";

const OPTIONS: RunOptions = {
  harts: 1,
  isa: null,
  timeoutInsns: 50_000,
  granularity: null,
  cpu: "compiled",
};
const [T0, T1, T2] = [5, 6, 7];
const SYMBOLS = ["tohost", "begin_signature", "end_signature"];

/** t0 = start of RAM, then stores `value` to the word at symbol `index`. */
const put = (index: number, value: number): Line[] => [
  ["addi", { rd: T1, rs1: 0, imm: value }],
  ["sd", { rs2: T1, rs1: T0, imm: addressOf(index) }],
];
const BASE: Line = ["auipc", { rd: T0, imm: 0 }];
const SPIN: Line = ["jal", { rd: 0, imm: 0 }];
const ending = (value: number): Line[] => [BASE, ...put(0, value), SPIN];
const run = (lines: Line[], o: Partial<RunOptions> = {}) =>
  execute(readProgram("x", tinyElf(lines, SYMBOLS))!, { ...OPTIONS, ...o });

Deno.test("conformance: tohost 1 passes, an odd value names the test, silence times out", () => {
  assert.equal(run(ending(1)).end, "passed");
  const failed = run(ending(7 << 1 | 1));
  assert.deepEqual([failed.end, failed.test], ["failed", 7]);
  const silent = run([SPIN]);
  assert.deepEqual([silent.end, silent.insns], ["timeout", 50_000]);
});

Deno.test("conformance: a character is written and answered, then the run goes on", () => {
  const character: Line[] = [
    ["addi", { rd: T1, rs1: 0, imm: 0x101 }],
    ["slli", { rd: T1, rs1: T1, shamt: 48 }],
    ["addi", { rd: T1, rs1: T1, imm: 0x41 }],
    ["sd", { rs2: T1, rs1: T0, imm: addressOf(0) }],
    ["ld", { rd: T2, rs1: T0, imm: addressOf(0) }],
    ["bne", { rs1: T2, rs2: 0, imm: -4 }],
  ];
  const o = run([BASE, ...character, ...put(0, 1), SPIN]);
  assert.deepEqual([o.end, o.console], ["passed", "A"]);
});

Deno.test("conformance: every hart starts, with its number in a0", () => {
  const lines: Line[] = [
    BASE,
    ["bne", { rs1: 10, rs2: 0, imm: 12 }],
    ["ld", { rd: T1, rs1: T0, imm: addressOf(1) }],
    ["beq", { rs1: T1, rs2: 0, imm: -4 }],
    ...put(1, 1),
    ...put(0, 1),
    SPIN,
  ];
  assert.equal(run(lines, { harts: 2 }).end, "passed");
  assert.equal(run(lines, { harts: 1 }).end, "timeout");
});

Deno.test("conformance: an access outside RAM is refused", () => {
  const handler = 6;
  const lines: Line[] = [
    BASE,
    ["addi", { rd: T1, rs1: T0, imm: handler * 4 }],
    ["csrrw", { rd: 0, csr: 0x305, rs1: T1 }],
    ["lw", { rd: T1, rs1: 0, imm: 0 }],
    SPIN,
    SPIN,
    ...put(0, 1),
    SPIN,
  ];
  assert.equal(run(lines).end, "passed");
});

Deno.test("conformance: a signature has one word a line, high byte first", () => {
  const lines: Line[] = [BASE, ...put(1, 0x123), ...put(0, 1), SPIN];
  const text = run(lines, { granularity: 4 }).signature!;
  assert.deepEqual(text.split("\n").slice(0, 2), ["00000123", "00000000"]);
  assert.equal(text.length, 64 / 4 * 9);
  assert.equal(signatureText(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), 8), "0807060504030201\n");
  assert.equal(run(lines).signature, null);
});

Deno.test("conformance: a folder runs in workers; failures and unclaimed features are told apart", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const files = {
      "rv64ui-p-good": ending(1),
      "rv64ui-p-bad": ending(7),
      "rv64uxyz-p-odd": ending(7),
    };
    for (const [name, lines] of Object.entries(files)) {
      Deno.writeFileSync(join(folder, name), tinyElf(lines, SYMBOLS));
    }
    Deno.writeTextFileSync(join(folder, "notes"), "no ELF");
    const paths = [...Object.keys(files), "notes"].map((n) => join(folder, n));
    const { text, failed } = report(await runAll(paths, OPTIONS, 2), parseIsa(ISA));
    assert.equal(failed, 1);
    assert.match(text, /rv64ui-p-bad: test 3 failed/);
    assert.match(text, /xyz: rv64uxyz-p-odd/);
    assert.match(text, /rv64ui-p +│ +1 │ +1 │ +0 /);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
