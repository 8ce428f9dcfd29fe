/**
 * Extensions by name: what these harts have, and what an ISA string asks for. Source: RISC-V
 * Unprivileged ISA, "ISA Extension Naming Conventions".
 *
 * @module
 */

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
