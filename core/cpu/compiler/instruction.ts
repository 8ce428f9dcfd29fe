/**
 * What the compiler knows of an instruction word, remembered: its kind, its registers, its code.
 *
 * @module
 */
import type { Routines } from "../emit.ts";
import { type Decoded, type Decoder, type Insn, operands } from "../insn.ts";
import { beq, bge, bgeu, blt, bltu, bne, jal, jalr } from "../isa/rv64i.ts";
import { SVINVAL, SYSTEM } from "../isa/system.ts";
import { ZICBOM } from "../isa/zicbo.ts";
import { RegionOps } from "./region_ops.ts";
import { type Template, TemplateFunc } from "./template.ts";

/** Registers as bits: x1..x31, f0..f31. */
export interface Registers {
  x: number;
  f: number;
}

/**
 * How control goes on behind an instruction. `serialize`: straight on, unless modes or interrupts have
 * changed. `interpret`: it is left to the interpreter.
 */
export type Kind = "plain" | "branch" | "jump" | "indirect" | "serialize" | "interpret";

export interface Instruction {
  readonly decoded: Decoded;
  readonly length: number;
  readonly kind: Kind;
  readonly isCall: boolean;
  readonly isReturn: boolean;
  readonly isFloat: boolean;
  /** Floating-point registers are used as bits rather than as doubles. */
  readonly isNarrow: boolean;
  readonly used: Readonly<Registers>;
  readonly written: Readonly<Registers>;
  /** Made when first asked for: plain, and for a steady access. */
  template: Template | null;
  steadyTemplate: Template | null;
}

const BRANCHES = new Set([beq, bne, blt, bge, bltu, bgeu].map((i) => i.sem));
const isCsr = (i: Insn) => i.name.startsWith("csr");
const writesCsr = (i: Insn) =>
  isCsr(i) && (i.row.operands.has("rs1") || i.row.operands.has("uimm"));
const SERIALIZING = new Set(SYSTEM.filter(writesCsr).map((i) => i.sem));
const INTERPRETED = new Set(
  [...SYSTEM.filter((i) => !isCsr(i)), ...SVINVAL, ...ZICBOM].map((i) => i.sem),
);
const DOUBLE = /^(c\.)?f[ls]d|^f\w+\.d$|\.d\.[wl]u?$|\.[wl]u?\.d$|^fmv\.[dx]\.[dx]$/;
const RA = 1;
const REMEMBERED = 1 << 16;

function kindOf(d: Decoded): Kind {
  const { sem } = d.insn;
  if (BRANCHES.has(sem)) return "branch";
  if (sem === jal.sem) return "jump";
  if (sem === jalr.sem) return "indirect";
  if (SERIALIZING.has(sem)) return "serialize";
  return INTERPRETED.has(sem) ? "interpret" : "plain";
}

function registersOf(d: Decoded): { used: Registers; written: Registers } {
  const used = { x: 0, f: 0 };
  const written = { x: 0, f: 0 };
  for (const field of ["rd", "rs1", "rs2", "rs3"] as const) {
    if (d.insn.mapping[field] === undefined) continue;
    const bit = 1 << d[field];
    for (const set of field === "rd" ? [used, written] : [used]) {
      if (d.insn.floats.has(field)) set.f |= bit;
      else set.x |= bit & ~1;
    }
  }
  return { used, written };
}

export class Instructions {
  readonly #known = new Map<number, Instruction | null>();

  readonly #ops: RegionOps;

  constructor(private readonly decoder: Decoder, routines: Routines) {
    this.#ops = new RegionOps(new TemplateFunc(), routines);
  }

  /** null: there is no such instruction. */
  get(word: number): Instruction | null {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const insn = this.decoder.find(word);
    const made = insn ? this.#make(operands(insn, word)) : null;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(word, made);
    return made;
  }
  #make(decoded: Decoded): Instruction {
    const kind = kindOf(decoded);
    return {
      ...{ decoded, kind, length: decoded.insn.row.length },
      ...{ template: null, steadyTemplate: null },
      isCall: (kind === "jump" || kind === "indirect") && decoded.rd === RA,
      isReturn: kind === "indirect" && decoded.rd === 0 && decoded.rs1 === RA && decoded.imm === 0,
      isFloat: decoded.insn.floats.size > 0,
      isNarrow: !DOUBLE.test(decoded.insn.name),
      ...registersOf(decoded),
    };
  }
  template(i: Instruction): Template {
    return i.template ??= this.#ops.template(i.decoded, false);
  }
  steadyTemplate(i: Instruction): Template {
    return i.steadyTemplate ??= this.#ops.template(i.decoded, true);
  }
}
