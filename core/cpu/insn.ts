/**
 * An instruction is one definition: `row` (encoding), `asm` (name and syntax), `sem` (meaning, over
 * `Ops`). Decoder, encoder, disassembler, interpreter and oracle derive from it.
 *
 * In `asm`, `fd` and `fs1`..`fs3` are the operands `rd` and `rs1`..`rs3` that name registers of the
 * floating-point file.
 *
 * A compressed instruction has `as` in place of `sem`: the base instruction, and where each of its
 * operands comes from (an operand of this row, or a constant).
 *
 * @module
 */
import type { Fields, Ops } from "./ops.ts";
import { encodeRow, extract, type Operand, parseRow, type Row, rowMatches } from "./row.ts";

export type Sem = <V, C>(o: Ops<V, C>, f: Fields) => void;
export type Field = keyof Fields;
type Mapping = Partial<Record<Field, string | number>>;

interface Definition {
  row: string;
  asm: string;
  sem?: Sem;
  as?: [Insn, Mapping];
}

export interface Insn {
  name: string;
  row: Row;
  asm: string;
  sem: Sem;
  /** Where each field of `sem` comes from. */
  mapping: Mapping;
  /** The same, ready to be read: an operand of the row, or a constant. */
  sources: Readonly<Record<Field, Operand | number>>;
  /** Which of them name floating-point registers. */
  floats: ReadonlySet<Field>;
}

/** Operands of one decoded instruction, as `sem` wants them. */
export interface Decoded {
  insn: Insn;
  rd: number;
  rs1: number;
  rs2: number;
  rs3: number;
  rm: number;
  imm: number;
  csr: number;
}

const FIELD_OF: Record<string, Field> = {
  rd: "rd",
  rs1: "rs1",
  rs2: "rs2",
  rs3: "rs3",
  rm: "rm",
  csr: "csr",
  imm: "imm",
  uimm: "imm",
  shamt: "imm",
};

function floatsIn(asm: string): Set<Field> {
  const rest = asm.slice(asm.indexOf(" ") + 1);
  return new Set([...rest.matchAll(/\bf(d|s[123])\b/g)].map((m) => `r${m[1]}` as Field));
}

function sourcesOf(row: Row, mapping: Mapping): Insn["sources"] {
  const of = (f: Field) => {
    const from = mapping[f] ?? 0;
    return typeof from === "number" ? from : row.operands.get(from)!;
  };
  return {
    ...{ rd: of("rd"), rs1: of("rs1"), rs2: of("rs2"), rs3: of("rs3") },
    ...{ rm: of("rm"), imm: of("imm"), csr: of("csr") },
  };
}

export function insn(d: Definition): Insn {
  const name = d.asm.split(/[ {]/)[0];
  const row = parseRow(d.row, name);
  if (d.as) {
    const [base, mapping] = d.as;
    for (const from of Object.values(mapping)) {
      if (typeof from === "string" && !row.operands.has(from)) {
        throw new Error(`${name}: row has no operand ${from}`);
      }
    }
    const sources = sourcesOf(row, mapping);
    return { name, row, asm: d.asm, sem: base.sem, mapping, sources, floats: base.floats };
  }
  if (!d.sem) throw new Error(`${name}: neither sem nor as`);
  const mapping: Mapping = {};
  for (const operand of row.operands.keys()) {
    if (FIELD_OF[operand]) mapping[FIELD_OF[operand]] = operand;
  }
  const sources = sourcesOf(row, mapping);
  return { name, row, asm: d.asm, sem: d.sem, mapping, sources, floats: floatsIn(d.asm) };
}

/** The word of `i` with these operands, by the names in its row. */
export const encode = (i: Insn, values: Record<string, number> = {}): number =>
  encodeRow(i.row, i.name, values);

const read = (from: Operand | number, word: number): number =>
  typeof from === "number" ? from : extract(from, word);

export function operands(i: Insn, word: number): Decoded {
  const { rd, rs1, rs2, rs3, rm, imm, csr } = i.sources;
  return {
    insn: i,
    rd: read(rd, word),
    rs1: read(rs1, word),
    rs2: read(rs2, word),
    rs3: read(rs3, word),
    rm: read(rm, word),
    imm: read(imm, word),
    csr: read(csr, word),
  };
}

const ones = (v: number) => {
  let n = 0;
  for (; v !== 0; v &= v - 1) n++;
  return n;
};

/**
 * Buckets by opcode and funct3; within one, the row with more fixed bits wins. A bucket is filled when
 * the first word that belongs there is met.
 */
export class Decoder {
  readonly #wide: Insn[][] = [];
  readonly #narrow: Insn[][] = [];

  constructor(private readonly insns: readonly Insn[]) {}

  #bucket(word: number): Insn[] {
    const wide = (word & 3) === 3;
    const care = wide ? 0x707f : 0xe003;
    return this.insns
      .filter(({ row }) => row.length === (wide ? 4 : 2))
      .filter(({ row }) => ((word ^ row.match) & row.mask & care) === 0)
      .sort((a, b) => weight(b) - weight(a));
  }

  /** undefined: no such instruction. `word` has 16 bits when its two lowest are not both set. */
  find(word: number): Insn | undefined {
    const bucket = (word & 3) === 3
      ? this.#wide[(word >>> 2 & 31) | (word >>> 12 & 7) << 5] ??= this.#bucket(word)
      : this.#narrow[(word & 3) | (word >>> 13 & 7) << 2] ??= this.#bucket(word);
    for (const i of bucket) if (rowMatches(i.row, word)) return i;
    return undefined;
  }
}

const weight = (i: Insn) =>
  ones(i.row.mask) * 8 +
  [...i.row.operands.values()].reduce((n, o) => n + Math.min(o.excluded.length, 1), 0);
