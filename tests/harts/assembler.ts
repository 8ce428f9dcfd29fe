/**
 * A small assembler with labels over the definitions of the instruction set, for guests that tests
 * make up.
 * @module
 */
import { type Line, word } from "../../core/cpu/testing.ts";
import { li } from "../lockstep/snippets.ts";

/** Registers by their names in the calling convention. */
export const X = {
  ...{ zero: 0, ra: 1, sp: 2, t0: 5, t1: 6, t2: 7, s0: 8, s1: 9, t3: 28, t4: 29, t5: 30, t6: 31 },
  ...{ a0: 10, a1: 11, a2: 12, a3: 13, a4: 14, a5: 15, a6: 16, a7: 17 },
  ...{ s2: 18, s3: 19, s4: 20, s5: 21, s6: 22, s7: 23, s8: 24, s9: 25, s10: 26, s11: 27 },
} as const;

export class Assembler {
  readonly #lines: { at: number; line: Line; label: string | null }[] = [];
  readonly #labels = new Map<string, number>();
  #at = 0;

  constructor(readonly base: number) {}

  /** Offset of what comes next. */
  get at(): number {
    return this.#at;
  }
  label(name: string): void {
    if (this.#labels.has(name)) throw new Error(`label ${name} twice`);
    this.#labels.set(name, this.#at);
  }
  put(name: string, values: Record<string, number> = {}): void {
    this.#push([name, values], null);
  }
  /** A branch or jump; `imm` comes from the label. */
  to(label: string, name: string, values: Record<string, number> = {}): void {
    this.#push([name, { ...values, imm: 0 }], label);
  }
  li(rd: number, v: bigint | number): void {
    for (const line of li(rd, BigInt(v))) this.#push(line, null);
  }
  /** Address of a label that is already there. */
  address(name: string): number {
    const at = this.#labels.get(name);
    if (at === undefined) throw new Error(`label ${name} is not there yet`);
    return this.base + at;
  }
  #push(line: Line, label: string | null): void {
    this.#lines.push({ at: this.#at, line, label });
    this.#at += word(line[0], line[1]).bytes;
  }

  write(image: DataView): void {
    for (const { at, line: [name, values], label } of this.#lines) {
      const imm = label === null ? undefined : this.address(label) - this.base - at;
      const { bits, bytes } = word(name, imm === undefined ? values : { ...values, imm });
      image.setUint16(at, bits & 0xffff, true);
      if (bytes === 4) image.setUint16(at + 2, bits >>> 16, true);
    }
  }
}
