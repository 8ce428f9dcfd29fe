/**
 * A test program: an ELF that speaks HTIF. Sources: riscv-isa-sim's HTIF convention (a word named
 * `tohost`, and `fromhost` for answers), RISC-V ELF psABI (section .riscv.attributes), riscof's
 * plugin guide (`begin_signature`, `end_signature`).
 * Simplifications: symbols are taken for physical addresses, as programs that start bare link them.
 *
 * @module
 */
import { type Image, parseImage } from "../../core/board/loader.ts";
import { parseIsa } from "../../core/cpu/extensions.ts";

export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES = 64 << 20;

export interface Program {
  name: string;
  image: Image;
  tohost: number;
  fromhost: number | null;
  signature: { start: number; end: number } | null;
  /** Extensions without which it may fail. */
  needs: readonly string[];
}

const SHT_RISCV_ATTRIBUTES = 0x7000_0003;
const latin1 = new TextDecoder("latin1");

/** Tag_RISCV_arch, the ISA string that the program was built for; null where there is none. */
export function builtFor(file: Uint8Array): string | null {
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const table = Number(v.getBigUint64(40, true));
  for (let i = 0; i < v.getUint16(60, true); i++) {
    const at = table + i * 64;
    if (v.getUint32(at + 4, true) !== SHT_RISCV_ATTRIBUTES) continue;
    const start = Number(v.getBigUint64(at + 24, true));
    const text = latin1.decode(file.subarray(start, start + Number(v.getBigUint64(at + 32, true))));
    return /rv\d+\w*/.exec(text)?.[0] ?? null;
  }
  return null;
}

/** riscv-tests name their suites by what they test: rv64uzba-p-sh1add, rv64si-p-csr. */
export function needsOf(name: string, file: Uint8Array): string[] {
  const suite = /^rv64[usm]([a-z]\w*)-[a-z]+-/.exec(name) ?? /^rv64(ss\w+)-[a-z]+-/.exec(name);
  if (suite) return SUITE_NEEDS[suite[1]] ?? [suite[1]];
  const isa = builtFor(file);
  return isa === null ? [] : [...parseIsa(isa.replace(/\d+p\d+/g, ""))];
}
/** Where the suite's name is not the extension's. */
const SUITE_NEEDS: Record<string, string[]> = {
  svnapot: ["svnapot"],
  zicbo: ["zicboz"],
  ziccid: ["f", "ziccid"],
};

/** "rv64ui-p" of rv64ui-p-add. */
export function suiteOf(name: string): string {
  return /^(\w+-[a-z]+)-/.exec(name)?.[1] ?? "programs";
}

/** null: not an ELF file, or one without `tohost`. Throws LoadError for a damaged one. */
export function readProgram(name: string, file: Uint8Array): Program | null {
  if (latin1.decode(file.subarray(0, 4)) !== "\x7fELF") return null;
  const at = { name, ramBase: RAM_BASE, ramBytes: RAM_BYTES, flatAddr: null };
  const image = parseImage(file, at);
  const find = (symbol: string) => image.symbols.find((s) => s.name === symbol);
  const address = (symbol: string) => {
    const s = find(symbol);
    return s === undefined ? null : Number(s.addr);
  };
  const tohost = address("tohost");
  if (tohost === null) return null;
  const [start, end] = [address("begin_signature"), address("end_signature")];
  return {
    name,
    image,
    tohost,
    fromhost: address("fromhost"),
    signature: start !== null && end !== null ? { start, end } : null,
    needs: needsOf(name, file),
  };
}
