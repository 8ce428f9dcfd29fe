/**
 * The register file: what the table of registers and the effects that a few of them have make together,
 * for the CPU (words and bytes, by the framework's dispatch) and for SCRIPTS (bytes).
 * @module
 */
import type { Reg } from "../registers.ts";
import { type Declared, FILE_BYTES, type RegisterName, REGISTERS, SCRATCH } from "./registers.ts";

/** What a register does beyond keeping its bits. */
export interface Effect {
  readonly get?: () => number;
  readonly onRead?: () => void;
  /** `v` has all bits of the register as written; `end` is the byte behind the last one. */
  readonly set?: (v: number, end: number) => void;
}
export type Effects = Partial<Record<RegisterName, Effect>>;

/** Keeps the bits of a register that a write may change. */
export function keep(s: Record<RegisterName, number>, name: RegisterName, v: number): void {
  const { writable = 0xffff_ffff }: Declared = REGISTERS[name];
  s[name] = (s[name] & ~writable | v & writable) >>> 0;
}

function reg(s: Record<RegisterName, number>, name: RegisterName, effect: Effect): Reg {
  const { at, size }: Declared = REGISTERS[name];
  const sizes = ([1, 2, 4] as const).filter((n) => n <= size);
  return {
    at,
    name,
    size,
    sizes,
    get: effect.get ?? (() => s[name]),
    ...(effect.onRead ? { onRead: effect.onRead } : {}),
    set: (v, _i, end) => effect.set ? effect.set(v, end) : keep(s, name, v),
  };
}

/** All registers; SCRATCHC to SCRATCHR live in `scratch`. */
export function registerFile(
  s: Record<RegisterName, number>,
  scratch: Uint32Array,
  effects: Effects,
): Reg[] {
  const names = Object.keys(REGISTERS) as RegisterName[];
  const banks = Array.from({ length: SCRATCH.count }, (_, i): Reg => ({
    at: SCRATCH.at + 4 * i,
    name: `SCRATCH${String.fromCharCode(SCRATCH.first.charCodeAt(0) + i)}`,
    sizes: [1, 2, 4],
    get: () => scratch[i],
    set: (v) => scratch[i] = v,
  }));
  return [...names.map((name) => reg(s, name, effects[name] ?? {})), ...banks];
}

/** The same registers as SCRIPTS reach them, byte by byte. */
export class RegisterBytes {
  readonly #at: (Reg | undefined)[] = new Array(FILE_BYTES);

  constructor(regs: readonly Reg[]) {
    for (const r of regs) {
      for (let i = 0; i < (r.size ?? 4); i++) this.#at[r.at + i] = r;
    }
  }

  read(at: number): number {
    const r = this.#at[at];
    if (r === undefined) return 0;
    const value = Number(r.get!(0)) >>> 8 * (at - r.at) & 0xff;
    r.onRead?.(0);
    return value;
  }

  write(at: number, v: number): void {
    const r = this.#at[at];
    if (r === undefined || r.size === 8) return;
    const shift = 8 * (at - r.at);
    const merged = (r.get!(0) & ~(0xff << shift) | (v & 0xff) << shift) >>> 0;
    r.set!(merged, 0, at - r.at + 1);
  }
}
