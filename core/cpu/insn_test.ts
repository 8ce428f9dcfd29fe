/** Rows: encoder, decoder and disassembler agree with each other and with the GNU tools. @module */
import assert from "node:assert/strict";
import { csrName } from "./csr.ts";
import { disassemble } from "./disassemble.ts";
import { encode, type Insn, insn, operands } from "./insn.ts";
import { DECODER, INSNS } from "./isa/mod.ts";
import { instruction, Rng } from "./random_streams.ts";
import { extract } from "./row.ts";
import { needs } from "../../tests/needs.ts";

Deno.test("row: one that does not add up throws at load, with the count", () => {
  const sem = () => {};
  const short = { row: "imm[11:1] rs1 010 rd 0000011", asm: "lw rd, imm(rs1)", sem };
  assert.throws(() => insn(short), /^Error: lw: row .* covers 31 bits, expected 32$/);
  assert.throws(() => insn({ ...short, row: "imm rs1 010 rd 0000011" }), /needs its bits/);
});

for (const i of INSNS) {
  Deno.test(`${i.asm}: a decoded instruction encodes to the word it came from`, () => {
    const r = new Rng(i.row.match);
    let [decoded, tries] = [0, 0];
    for (; decoded < 50 && tries < 2000; tries++) {
      const bits = i.row.length === 4 ? r.u32() : r.u32() & 0xffff;
      const word = (i.row.match | bits & ~i.row.mask) >>> 0;
      if (DECODER.find(word) !== i) continue; // Excluded operand, or a row with more fixed bits.
      decoded++;
      const values = Object.fromEntries(
        [...i.row.operands.values()].map((o) => [o.name, extract(o, word)]),
      );
      assert.equal(encode(i, values), word);
      assert.equal(operands(i, word).insn, i);
    }
    assert.ok(decoded > 0, "no random word decodes to this row");
  });
}

Deno.test("encode: a value that does not fit is refused by name", () => {
  const addi = INSNS.find((i) => i.name === "addi")!;
  assert.throws(() => encode(addi, { imm: 2048 }), /addi: operand imm cannot be 2048/);
  assert.throws(() => encode(addi, { shamt: 1 }), /addi: has no operand shamt/);
});

/** Differences of notation, not of meaning. */
function normalize(text: string): string {
  return text.replace(/\s+<.*$/, "").replace(/\s+#.*$/, "").replace(/\s*,\s*/g, ",")
    .replace(/\s+/g, " ").trim().replace(/\b0x(?=[0-9a-f]+$)/, "");
}

/** Conversions that never round. */
const EXACT = /^fcvt\.(d\.(s|h|wu?)|s\.h)$/;

/** Words that objdump spells as something else, or not at all: HINTs and reserved fields. */
function spelledOtherwise(i: Insn, word: number): boolean {
  const zero = (name: string) => extract(i.row.operands.get(name)!, word) === 0;
  if (/^c\.s(ll|rl|ra)i$/.test(i.name)) return zero("shamt");
  if (i.name === "fence") return !(zero("fm") && zero("rd") && zero("rs1"));
  if (i.name.startsWith("czero.")) return true; // binutils 2.40 has no Zicond.
  if (i.name === "fence.i") return !(zero("imm") && zero("rd") && zero("rs1"));
  if (EXACT.test(i.name)) return !zero("rm"); // Printed as data with another mode.
  const csr = i.row.operands.get("csr"); // Other versions know other names.
  return i.name === "c.nop" || csr !== undefined && csrName(extract(csr, word)) === undefined;
}

const BASE = 0x10000;

const MARCH = "rv64gc_zicbom_zicboz_zihintpause_zawrs_zfh_zba_zbb_zbc_zbs_svinval";

/** Name and listing of objdump for each word, in order; an object file says which extensions count. */
function objdump(words: { word: number; bytes: number }[]): Map<number, string> {
  const image = new Uint8Array(words.reduce((n, w) => n + w.bytes, 0));
  const view = new DataView(image.buffer);
  let at = 0;
  for (const { word, bytes } of words) {
    view.setUint16(at, word & 0xffff, true);
    if (bytes === 4) view.setUint16(at + 2, word >>> 16, true);
    at += bytes;
  }
  const folder = Deno.makeTempDirSync();
  const tool = (name: string, ...args: string[]) => {
    const { success, stdout, stderr } = new Deno.Command(`riscv64-unknown-elf-${name}`, {
      args,
      cwd: folder,
    }).outputSync();
    const text = new TextDecoder();
    if (!success) throw new Error(`${name}: ${text.decode(stderr)}`);
    return text.decode(stdout);
  };
  try {
    // An object file whose attributes name the extensions, then our words in place of its code.
    Deno.writeTextFileSync(`${folder}/a.s`, "nop\n");
    Deno.writeFileSync(`${folder}/words`, image);
    tool("as", `-march=${MARCH}`, "a.s", "-o", "a.o");
    tool("objcopy", "--update-section", ".text=words", "a.o");
    const flags = ["-D", "-j", ".text", "-M", "no-aliases", "-z", `--adjust-vma=${BASE}`];
    const lines = tool("objdump", ...flags, "a.o").split("\n");
    const rows = lines.map((l) => /^\s*([0-9a-f]+):\s+[0-9a-f]+\s+(.*)$/.exec(l)).filter((m) =>
      !!m
    );
    return new Map(
      rows.map((m) => [parseInt(m[1], 16), normalize(m[2].replace(/\b([0-9a-f]+) <.*$/, "0x$1"))]),
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

needs("riscv64-unknown-elf-objdump", { apt: "binutils-riscv64-unknown-elf" }).test(
  "disassemble: prints what objdump prints without aliases",
  () => {
    const seed = Number(Deno.env.get("SEED") ?? 1);
    const r = new Rng(seed);
    const words: { word: number; bytes: number }[] = [];
    while (words.length < 20000) {
      const { word, bytes } = instruction(r);
      const i = DECODER.find(word);
      if (!i || i.row.length !== bytes || spelledOtherwise(i, word)) continue;
      words.push({ word, bytes });
    }
    const listing = objdump(words);
    let at = BASE;
    for (const { word, bytes } of words) {
      const ours = normalize(disassemble(word, BigInt(at)));
      const theirs = listing.get(at) ?? "(nothing)";
      assert.equal(ours, theirs, `word ${word.toString(16)}; to repeat: SEED=${seed} deno test -A`);
      at += bytes;
    }
  },
);

needs("riscv64-unknown-elf-objdump", { apt: "binutils-riscv64-unknown-elf" }).test(
  "disassemble: all 16-bit words print what objdump prints, the reserved ones as data",
  () => {
    const words: { word: number; bytes: number }[] = [];
    for (let word = 0; word < 65536; word++) if ((word & 3) !== 3) words.push({ word, bytes: 2 });
    const listing = objdump(words);
    words.forEach(({ word }, i) => {
      const at = BASE + i * 2;
      const theirs = listing.get(at) ?? "(nothing)";
      const insn = DECODER.find(word);
      if (insn ? spelledOtherwise(insn, word) : /^c\.unimp/.test(theirs)) return;
      if (word === 0x6101) return assert.equal(insn, undefined, "c.addi16sp by zero is reserved");
      assert.equal(normalize(disassemble(word, BigInt(at))), theirs, word.toString(16));
    });
  },
);
