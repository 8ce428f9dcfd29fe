/**
 * The instruction set: every row that exists, in the order of the interpreter's handlers, and which
 * extension each belongs to.
 *
 * @module
 */
import type { ExtensionSet } from "../extensions.ts";
import { Decoder, type Insn } from "../insn.ts";
import { RV64D, RV64DC } from "./d.ts";
import { RV64F } from "./f.ts";
import { RV64C } from "./rv64c.ts";
import { RV64I } from "./rv64i.ts";
import { RV64A, RV64M } from "./rv64ma.ts";
import { SVINVAL, SYSTEM } from "./system.ts";
import { ZBA, ZBB, ZBC, ZBS, ZICOND } from "./zb.ts";
import { ZFH, ZFHMIN, ZFHMIN_D } from "./zfh.ts";
import { ZAWRS, ZICBOM, ZICBOZ } from "./zicbo.ts";

/** Rows by the extensions that they need, all of them. */
const GROUPS: readonly [string[], readonly Insn[]][] = [
  [["i"], RV64I],
  [["m"], RV64M],
  [["a"], RV64A],
  [["zicsr"], SYSTEM],
  [["svinval"], SVINVAL],
  [["zba"], ZBA],
  [["zbb"], ZBB],
  [["zbc"], ZBC],
  [["zbs"], ZBS],
  [["zicond"], ZICOND],
  [["zicbom"], ZICBOM],
  [["zicboz"], ZICBOZ],
  [["zawrs"], ZAWRS],
  [["c"], RV64C],
  [["f"], RV64F],
  [["d"], RV64D],
  [["d"], RV64DC],
  [["zfhmin"], ZFHMIN],
  [["zfhmin", "d"], ZFHMIN_D],
  [["zfh"], ZFH],
];

export const INSNS: readonly Insn[] = GROUPS.flatMap(([, insns]) => insns);
/** Decodes everything. */
export const DECODER = new Decoder(INSNS);

export const decoderFor = (has: ExtensionSet): Decoder =>
  new Decoder(GROUPS.flatMap(([needs, insns]) => needs.every((n) => has.has(n)) ? insns : []));
