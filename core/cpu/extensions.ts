/**
 * Extensions by name: which exist here, what each needs, and how a hart is told what it has. Source:
 * RISC-V Unprivileged ISA, "ISA Extension Naming Conventions"; Linux
 * Documentation/devicetree/bindings/riscv/extensions.yaml for the names in device trees.
 *
 * @module
 */
import type { Ops } from "./ops.ts";
import { bitSet } from "./values.ts";

interface Extension {
  /** Cannot be switched off. */
  always?: true;
  needs?: readonly string[];
  /** Named by mmu-type and not in device trees' ISA strings. */
  mmu?: true;
}

/** In canonical order. */
const EXTENSIONS: Record<string, Extension> = {
  i: { always: true },
  m: {},
  a: {},
  f: {},
  d: { needs: ["f"] },
  c: { always: true },
  zicbom: {},
  zicboz: {},
  ziccid: { always: true },
  zicntr: { always: true },
  zicond: {},
  zicsr: { always: true },
  zifencei: { always: true },
  zihintpause: { always: true },
  zawrs: {},
  zfh: { needs: ["zfhmin"] },
  zfhmin: { needs: ["f"] },
  zba: {},
  zbb: {},
  zbc: {},
  zbs: {},
  sstc: {},
  sv39: { always: true, mmu: true },
  sv48: { mmu: true },
  sv57: { mmu: true, needs: ["sv48"] },
  svade: {},
  svadu: {},
  svinval: {},
  svnapot: {},
  svpbmt: {},
};
export type ExtensionSet = ReadonlySet<string>;

/** What g stands for. */
const GENERAL = ["i", "m", "a", "f", "d", "zicsr", "zifencei"];

/** "rv64gc_zba" → i, m, a, f, d, zicsr, zifencei, c, zba. Throws for what is no RV64 ISA string. */
export function parseIsa(isa: string): Set<string> {
  const m = /^rv64([a-z]*)((?:_[a-z]\w*)*)$/.exec(isa.toLowerCase());
  if (!m || !/^[ig]/.test(m[1])) {
    throw new RangeError(`ISA string "${isa}": expected one such as rv64imac_zicsr_zba`);
  }
  const letters = [...m[1]].flatMap((l) => l === "g" ? GENERAL : [l]);
  return new Set([...letters, ...m[2].split("_").filter(Boolean)]);
}

/** What a hart with this ISA string has. Throws for an extension that does not exist here. */
export function extensionsOf(isa: string): ExtensionSet {
  const asked = parseIsa(isa);
  const refuse = (why: string) => {
    throw new RangeError(`ISA string "${isa}": ${why}`);
  };
  for (const name of asked) {
    if (!Object.hasOwn(EXTENSIONS, name)) {
      refuse(`${name} is none of ${Object.keys(EXTENSIONS).join(" ")}`);
    }
    for (const n of EXTENSIONS[name].needs ?? []) {
      if (!asked.has(n)) refuse(`${name} needs ${n}`);
    }
  }
  for (const letter of ["i", "c"]) {
    if (!asked.has(letter)) refuse(`${letter} cannot be switched off`);
  }
  return new Set(Object.keys(EXTENSIONS).filter((n) => EXTENSIONS[n].always || asked.has(n)));
}

/** What a device tree says: names for riscv,isa-extensions, in order, and the page tables' depth. */
export function described(has: ExtensionSet): { names: string[]; isa: string; mmuType: string } {
  const names = Object.keys(EXTENSIONS).filter((n) => has.has(n) && !EXTENSIONS[n].mmu);
  const letters = names.filter((n) => n.length === 1).join("");
  const isa = [`rv64${letters}`, ...names.filter((n) => n.length > 1)].join("_");
  const mmuType = `riscv,${["sv57", "sv48", "sv39"].find((n) => has.has(n))}`;
  return { names, isa, mmuType };
}

/** Extensions that the definitions ask about while they run, by bit of the slot `features`. */
const FEATURES = [
  ...[
    "f",
    "sstc",
    "sv48",
    "sv57",
    "svade",
    "svadu",
    "svnapot",
    "svpbmt",
    "zicbom",
    "zicboz",
  ] as const,
] as const;
export type Feature = typeof FEATURES[number];

export const feature = <V, C>(o: Ops<V, C>, name: Feature): C =>
  bitSet(o, o.get("features"), FEATURES.indexOf(name));
export const featureBits = (has: ExtensionSet): bigint =>
  FEATURES.reduce((bits, name, i) => has.has(name) ? bits | 1n << BigInt(i) : bits, 0n);

/** misa of RV64 with S and U (Privileged ISA §3.1.1). */
export function misa(has: ExtensionSet): bigint {
  const letters = [...has].filter((n) => n.length === 1);
  const bit = (letter: string) => 1n << BigInt(letter.charCodeAt(0) - 97);
  return [...letters, "s", "u"].reduce((bits, l) => bits | bit(l), 2n << 62n);
}
