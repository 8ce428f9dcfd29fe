/**
 * Every operation in every mode against QEMU, whose arithmetic descends from Berkeley SoftFloat: the
 * same program runs on both and prints a digest of results and flags for each instruction and mode;
 * where digests differ, a second program prints each result. `SEED=7 deno test -A
 * core/cpu/float/qemu_test.ts` draws other vectors.
 *
 * @module
 */
import assert from "node:assert/strict";
import { qemu as qemuNeed } from "../../../tests/needs.ts";
import { Assembler, FINISHER, ours, PASS, qemu, RAM, UART } from "../bare_metal.ts";
import { encode, type Insn } from "../insn.ts";
import { INSNS } from "../isa/mod.ts";
import { FS_MASK } from "../mstatus.ts";
import { Rng } from "../random_streams.ts";
import { COMPUTING, operandsFor, sourceOf } from "./vectors.ts";

/** Offsets in RAM; results follow the vectors. */
const AT = { vectors: 0x4_0000, results: 0x10_0000 } as const;
/** Three operands and the flags before; result and flags after. */
const VECTOR_BYTES = 32;
const RESULT_BYTES = 16;
const [MSTATUS, MTVEC, MEPC, MCAUSE] = [0x300, 0x305, 0x341, 0x342];
const [FFLAGS, FRM] = [0x001, 0x002];
const [X_AT, X_END, X_OUT, X_DIGEST, X_PRIME] = [8, 9, 18, 19, 20];
const [X_IN, X_RESULT, X_FLAGS, X_BOTH] = [10, 11, 12, 13];
const PRIME = 0x0100_0193;
const DYN = 7;

interface Variant {
  insn: Insn;
  mode: number;
}
const VARIANTS: Variant[] = COMPUTING.flatMap((insn) =>
  (insn.mapping.rm === undefined ? [0] : [0, 1, 2, 3, 4]).map((mode) => ({ insn, mode }))
);
const nameOf = (v: Variant) => `${v.insn.name}, mode ${v.mode}`;

/** The word with its operands in f1..f3 or x10, its result in f4 or x11. */
function wordOf({ insn }: Variant): number {
  const rs1 = insn.floats.has("rs1") ? 1 : X_IN;
  const rd = insn.floats.has("rd") ? 4 : X_RESULT;
  const values = Object.entries({ rd, rs1, rs2: 2, rs3: 3, rm: DYN });
  return encode(insn, Object.fromEntries(values.filter(([n]) => insn.row.operands.has(n))));
}

/** Runs the instruction on each vector from `from`, and folds what it gives, or stores it. */
function loop(a: Assembler, v: Variant, from: number, vectors: number, store: boolean): void {
  a.li(X_AT, RAM + from);
  a.li(X_END, RAM + from + vectors * VECTOR_BYTES);
  a.put("csrrwi", { rd: 0, csr: FRM, uimm: v.mode });
  const start = a.at;
  for (let i = 0; i < 3; i++) a.put("fld", { rd: 1 + i, rs1: X_AT, imm: i * 8 });
  a.put("ld", { rd: X_IN, rs1: X_AT, imm: 0 });
  a.put("ld", { rd: X_FLAGS, rs1: X_AT, imm: 24 });
  a.put("csrrw", { rd: 0, csr: FFLAGS, rs1: X_FLAGS });
  a.word(wordOf(v));
  a.put("csrrs", { rd: X_FLAGS, csr: FFLAGS });
  if (v.insn.floats.has("rd")) a.put("fmv.x.d", { rd: X_RESULT, rs1: 4 });
  if (store) {
    a.put("sd", { rs2: X_RESULT, rs1: X_OUT, imm: 0 });
    a.put("sd", { rs2: X_FLAGS, rs1: X_OUT, imm: 8 });
    a.put("addi", { rd: X_OUT, rs1: X_OUT, imm: RESULT_BYTES });
  } else {
    for (const part of [X_RESULT, X_FLAGS]) {
      a.put("srli", { rd: X_BOTH, rs1: X_DIGEST, shamt: 32 });
      a.put("xor", { rd: X_DIGEST, rs1: X_DIGEST, rs2: X_BOTH });
      a.put("xor", { rd: X_DIGEST, rs1: X_DIGEST, rs2: part });
      a.put("mul", { rd: X_DIGEST, rs1: X_DIGEST, rs2: X_PRIME });
    }
  }
  a.put("addi", { rd: X_AT, rs1: X_AT, imm: VECTOR_BYTES });
  a.put("bne", { rs1: X_AT, rs2: X_END, imm: start - a.at });
}

/** Prints RAM from `from` on, byte by byte, and powers off. */
function print(a: Assembler, from: number): void {
  a.li(5, UART);
  a.li(6, RAM + from);
  a.put("lbu", { rd: 7, rs1: 6, imm: 0 });
  a.put("sb", { rs2: 7, rs1: 5, imm: 0 });
  a.put("addi", { rd: 6, rs1: 6, imm: 1 });
  a.put("bne", { rs1: 6, rs2: X_OUT, imm: -12 });
  a.li(5, FINISHER);
  a.li(6, PASS);
  a.put("sw", { rs2: 6, rs1: 5, imm: 0 });
  a.put("jal", { rd: 0, imm: 0 });
}

/** Vectors of instructions that read alike are shared. */
class Program {
  readonly bytes = new Uint8Array(AT.results);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #asm = new Assembler(this.#view);
  readonly #placed = new Map<string, { from: number; count: number }>();
  #next: number = AT.vectors;

  constructor(readonly seed: number, variants: readonly Variant[], readonly store: boolean) {
    const a = this.#asm;
    a.li(X_BOTH, Number(FS_MASK));
    a.put("csrrs", { rd: 0, csr: MSTATUS, rs1: X_BOTH });
    a.li(X_OUT, RAM + AT.results);
    a.li(X_PRIME, PRIME);
    for (const v of variants) {
      const { from, count } = this.#vectors(v.insn);
      a.put("addi", { rd: X_DIGEST, rs1: 0, imm: 0 });
      loop(a, v, from, count, store);
      if (store) continue;
      a.put("sd", { rs2: X_DIGEST, rs1: X_OUT, imm: 0 });
      a.put("addi", { rd: X_OUT, rs1: X_OUT, imm: 8 });
    }
    print(a, AT.results);
    assert.ok(a.at <= AT.vectors && this.#next <= AT.results);
  }
  #vectors(insn: Insn): { from: number; count: number } {
    const key = [
      sourceOf(insn).letter,
      insn.mapping.rs2 !== undefined,
      insn.mapping.rs3 !== undefined,
      insn.floats.has("rs1"),
    ].join();
    const known = this.#placed.get(key);
    if (known) return known;
    const from = this.#next;
    const r = new Rng(this.seed);
    for (const args of operandsFor(insn, r, 500)) {
      args.forEach((v, i) => this.#view.setBigUint64(this.#next + i * 8, v, true));
      this.#view.setUint32(this.#next + 24, r.chance(70) ? 0 : r.below(32), true);
      this.#next += VECTOR_BYTES;
    }
    const placed = { from, count: (this.#next - from) / VECTOR_BYTES };
    this.#placed.set(key, placed);
    return placed;
  }
  /** Operands and flags of vector i, where only one instruction has vectors. */
  vector(i: number): string {
    const at = AT.vectors + i * VECTOR_BYTES;
    return [0, 8, 16, 24].map((o) => this.#view.getBigUint64(at + o, true).toString(16)).join(" ");
  }
}

const EXTENSIONS = ",Zfh=true";
function onBoth(p: Program): { ours: BigUint64Array; theirs: BigUint64Array } {
  const words = (b: Uint8Array) => new BigUint64Array(b.slice().buffer);
  return { ours: words(ours(p.bytes)), theirs: words(qemu(p.bytes, EXTENSIONS)) };
}

/** The first vector on which they differ, in words. */
function explain(seed: number, v: Variant): string {
  const p = new Program(seed, [v], true);
  const { ours, theirs } = onBoth(p);
  const at = ours.findIndex((w, i) => w !== theirs[i]) & ~1;
  const pair = (words: BigUint64Array) => `${words[at].toString(16)} flags ${words[at + 1]}`;
  return `${nameOf(v)}: operands and flags ${p.vector(at / 2)}: ` +
    `ours ${pair(ours)}, QEMU ${pair(theirs)}`;
}

const SEED = Number(Deno.env.get("SEED") ?? 1);
qemuNeed().test("floating point: results and flags equal QEMU's in every mode", () => {
  const { ours, theirs } = onBoth(new Program(SEED, VARIANTS, false));
  assert.equal(ours.length, VARIANTS.length);
  assert.equal(theirs.length, VARIANTS.length);
  const differ = VARIANTS.filter((_, i) => ours[i] !== theirs[i]);
  const shown = differ.slice(0, 8).map((v) => explain(SEED, v));
  assert.deepEqual(shown, [], `SEED=${SEED}; differ: ${differ.map(nameOf).join("; ")}`);
});

/** An instruction, static and dynamic rounding mode, and mstatus.FS before it. */
interface Probe {
  insn: Insn;
  rm: number;
  frm: number;
  fs: number;
}
const PROBES: Probe[] = INSNS.filter((i) => i.floats.size > 0 && i.row.length === 4).flatMap(
  (insn) =>
    [0, 1, 2, 3].flatMap((fs) => [{ insn, rm: 0, frm: 0, fs }, { insn, rm: 7, frm: 1, fs }])
      .concat(
        insn.mapping.rm === undefined ? [] : [5, 6].map((rm) => ({ insn, rm, frm: 0, fs: 2 })),
        insn.mapping.rm === undefined ? [] : [5, 6, 7].map((frm) => ({ insn, rm: 7, frm, fs: 2 })),
      ),
);

/** Runs each probe and prints the cause of its trap, or 0, and mstatus. */
function probeProgram(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(AT.results);
  const a = new Assembler(new DataView(bytes.buffer));
  a.put("jal", { rd: 0, imm: 32 });
  a.at = 16; // The trap handler: notes the cause, goes on behind the instruction.
  a.put("csrrs", { rd: X_RESULT, csr: MCAUSE });
  a.put("csrrs", { rd: X_FLAGS, csr: MEPC });
  a.put("jalr", { rd: 0, rs1: X_FLAGS, imm: 4 });
  a.at = 32;
  a.li(X_BOTH, RAM + 16);
  a.put("csrrw", { rd: 0, csr: MTVEC, rs1: X_BOTH });
  a.li(X_OUT, RAM + AT.results);
  a.li(1, RAM + AT.vectors);
  a.li(X_DIGEST, Number(FS_MASK));
  for (const { insn, rm, frm, fs } of PROBES) {
    a.put("csrrs", { rd: 0, csr: MSTATUS, rs1: X_DIGEST });
    a.put("csrrwi", { rd: 0, csr: FRM, uimm: frm });
    a.put("csrrwi", { rd: 0, csr: FFLAGS, uimm: 0 });
    a.put("csrrc", { rd: 0, csr: MSTATUS, rs1: X_DIGEST });
    a.li(X_BOTH, fs << 13);
    a.put("csrrs", { rd: 0, csr: MSTATUS, rs1: X_BOTH });
    a.put("addi", { rd: X_RESULT, rs1: 0, imm: 0 });
    const values = Object.entries({ rd: 14, rs1: 1, rs2: 2, rs3: 3, rm });
    a.put(insn, Object.fromEntries(values.filter(([n]) => insn.row.operands.has(n))));
    a.put("csrrs", { rd: X_FLAGS, csr: MSTATUS });
    a.put("sd", { rs2: X_RESULT, rs1: X_OUT, imm: 0 });
    a.put("sd", { rs2: X_FLAGS, rs1: X_OUT, imm: 8 });
    a.put("addi", { rd: X_OUT, rs1: X_OUT, imm: RESULT_BYTES });
  }
  print(a, AT.results);
  return bytes;
}

/**
 * QEMU 7.2 leaves FS as it is when an instruction changes nothing but flags; fcsr is part of the state
 * that FS stands for (Privileged ISA, "Extension Context Status in mstatus Register").
 */
const onlyFlags = (i: Insn) => /^f(eq|lt|le|cvt)/.test(i.name) && !i.floats.has("rd");

qemuNeed().test("floating point: traps and mstatus.FS are QEMU's", () => {
  const program = probeProgram();
  const words = (b: Uint8Array) => new BigUint64Array(b.slice().buffer);
  const [mine, theirs] = [words(ours(program)), words(qemu(program, EXTENSIONS))];
  const show = (w: BigUint64Array, i: number) =>
    `cause ${w[2 * i]}, FS ${w[2 * i + 1] >> 13n & 3n}, SD ${w[2 * i + 1] >> 63n}`;
  const differ = PROBES.flatMap(({ insn, rm, frm, fs }, i) => {
    const [a, b] = [show(mine, i), show(theirs, i)];
    const dirty = "cause 0, FS 3, SD 1";
    if (onlyFlags(insn) && a === dirty && b === `cause 0, FS ${fs}, SD 0`) return [];
    return a === b ? [] : [`${insn.name} rm ${rm} frm ${frm} FS ${fs}: ours ${a}; QEMU ${b}`];
  });
  assert.deepEqual(differ, []);
});
