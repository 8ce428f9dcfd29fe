/**
 * Fills decoded entries: the one import of the interpreter. What a word packs to is remembered, for
 * programs repeat themselves.
 *
 * @module
 */
import { csrIndex } from "./csr.ts";
import { type Decoder, type Insn, operands } from "./insn.ts";
import type { Operations } from "./interpreter.ts";
import { CODE_PAGE, ENTRY, ENTRY_BYTES, PAGE, PSEUDO } from "./layout.ts";
import { SLOT, X_SINK } from "./state.ts";

interface Packed {
  length: number;
  far: number;
  near: number;
  rd: number;
  rs1: number;
  rs2: number;
  /** The immediate's halves. */
  imm: number;
  high: number;
}

/** Words that are remembered, each at the place that its bits give: a power of two. */
const REMEMBERED = 1 << 14;
/** Straight-line code is decoded so many instructions at a time. */
const AHEAD = 32;
const NONE = -1;

export class Packer {
  readonly #words = new Int32Array(REMEMBERED);
  readonly #packed: (Packed | null)[] = new Array(REMEMBERED).fill(null);

  constructor(
    private readonly view: DataView,
    private readonly operations: ReadonlyMap<Insn, Operations>,
    private readonly decoder: Decoder,
  ) {}

  #pack(word: number): Packed {
    const at = (word ^ word >>> 7 ^ word >>> 18) & (REMEMBERED - 1);
    const known = this.#packed[at];
    if (known !== null && this.#words[at] === (word | 0)) return known;
    const length = (word & 3) === 3 ? 4 : 2;
    const insn = this.decoder.find(word);
    const packed = insn
      ? this.#packInsn(insn, word, length)
      : { length, far: PSEUDO.illegal, near: NONE, rd: 0, rs1: 0, rs2: 0, imm: 0, high: 0 };
    this.#words[at] = word;
    this.#packed[at] = packed;
    return packed;
  }
  #packInsn(insn: Insn, word: number, length: number): Packed {
    const d = operands(insn, word);
    const { far, near = NONE } = this.operations.get(insn)!;
    const { floats, mapping } = insn;
    const register = (field: "rd" | "rs1" | "rs2" | "rs3") =>
      (floats.has(field) ? SLOT.f0 : 0) + d[field] * 8;
    const imm = mapping.rm ? d.rm : d.imm;
    return {
      length,
      far,
      near,
      rd: d.rd === 0 && !floats.has("rd") ? X_SINK : register("rd"),
      rs1: register("rs1"),
      rs2: mapping.csr ? csrIndex(d.csr) : register("rs2"),
      imm,
      high: mapping.rm ? register("rs3") : imm < 0 ? -1 : 0,
    };
  }

  #write(ep: number, p: Packed, near: boolean): void {
    const v = this.view;
    const imm = near ? p.imm * 8 : p.imm;
    v.setUint16(ep + ENTRY.rd, p.rd, true);
    v.setUint16(ep + ENTRY.rs1, p.rs1, true);
    v.setUint16(ep + ENTRY.rs2, p.rs2, true);
    v.setInt32(ep + ENTRY.imm, imm, true);
    v.setInt32(ep + ENTRY.imm + 4, p.high, true);
    v.setUint16(ep + ENTRY.op, near ? p.near : p.far, true);
  }

  /** Decodes the entry at `ep` of the page at `code`, and those after it up to the next branch. */
  decode = (ep: number, code: number): void => {
    const v = this.view;
    const host = v.getUint32(code + CODE_PAGE.host, true);
    let at = (ep - code) / 8;
    for (let i = 0; i < AHEAD && at < PAGE; i++) {
      const entry = code + at / 2 * ENTRY_BYTES;
      if (v.getUint16(entry + ENTRY.op, true) !== PSEUDO.decode) return;
      let word = v.getUint16(host + at, true);
      if ((word & 3) === 3) {
        if (at === PAGE - 2) {
          v.setUint16(entry + ENTRY.op, PSEUDO.straddle, true);
          return;
        }
        word = (word | v.getUint16(host + at + 2, true) << 16) >>> 0;
      }
      const p = this.#pack(word);
      const target = at + p.imm;
      this.#write(entry, p, p.near !== NONE && target >= 0 && target < PAGE);
      if (p.near !== NONE || p.far === PSEUDO.illegal) return;
      at += p.length;
    }
  };

  /** Decodes `word` into a lone entry. */
  decodeWord = (ep: number, word: number): void => this.#write(ep, this.#pack(word >>> 0), false);
}
