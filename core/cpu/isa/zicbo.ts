/**
 * Cache-block management (Zicbom), zeroing (Zicboz), and waiting on a reservation (Zawrs). Each `row`
 * is the line of the Unprivileged ISA manual's chapters "CMO" and "Zawrs".
 * Simplifications: there are no caches, so management only checks that it is allowed; a wait is over at
 * once, which the manual leaves to the implementation. PMP is asked about the byte addressed, not
 * about its whole block.
 *
 * @module
 */
import { type Insn, insn, type Sem } from "../insn.ts";
import { MENVCFG } from "../mstatus.ts";
import type { Ops } from "../ops.ts";
import { TRANSLATE_BLOCK } from "../translate.ts";

/** Bytes of a cache block. */
export const BLOCK_BYTES = 64;

/** Illegal below M-mode unless menvcfg, and in U-mode senvcfg too, have one of these bits. */
function enabled<V, C>(o: Ops<V, C>, bits: number): void {
  const [priv, mask] = [o.get("priv"), o.konst(bits)];
  const closed = (slot: "menvcfg" | "senvcfg") => o.eq(o.and(o.get(slot), mask), o.konst(0));
  const underM = o.both(o.ltU(priv, o.konst(3)), closed("menvcfg"));
  const underS = o.both(o.eq(priv, o.konst(0)), closed("senvcfg"));
  o.when(o.either(underM, underS), () => o.illegal());
}

const block = (name: string, number: string, sem: Sem) =>
  insn({ row: `${number} rs1 010 00000 0001111`, asm: `${name} (rs1)`, sem });
const manage = (bits: number): Sem => (o, { rs1 }) => {
  enabled(o, bits);
  o.call(TRANSLATE_BLOCK, o.x(rs1), o.konst(1));
};
const CLEAN = 1 << MENVCFG.CBCFE;

export const ZICBOM: Insn[] = [
  block("cbo.inval", "000000000000", manage(3 << MENVCFG.CBIE)),
  block("cbo.clean", "000000000001", manage(CLEAN)),
  block("cbo.flush", "000000000010", manage(CLEAN)),
];
export const ZICBOZ: Insn[] = [
  block("cbo.zero", "000000000100", (o, { rs1 }) => {
    enabled(o, 1 << MENVCFG.CBZE);
    o.zeroBlock(o.x(rs1));
  }),
];

const wait = (name: string, number: string) =>
  insn({ row: `${number} 00000 000 00000 1110011`, asm: name, sem: () => {} });
export const ZAWRS: Insn[] = [wait("wrs.nto", "000000001101"), wait("wrs.sto", "000000011101")];
