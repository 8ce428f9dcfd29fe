/**
 * The instruction set: every row that exists, in the order of the interpreter's handlers.
 *
 * @module
 */
import { Decoder, type Insn } from "../insn.ts";
import { RV64D, RV64DC } from "./d.ts";
import { RV64F } from "./f.ts";
import { RV64C } from "./rv64c.ts";
import { RV64I } from "./rv64i.ts";
import { RV64A, RV64M } from "./rv64ma.ts";
import { SYSTEM } from "./system.ts";
import { ZFH, ZFHMIN, ZFHMIN_D } from "./zfh.ts";

export const INSNS: readonly Insn[] = [
  [...RV64I, ...RV64M, ...RV64A, ...SYSTEM, ...RV64C],
  [...RV64F, ...RV64D, ...RV64DC, ...ZFHMIN, ...ZFHMIN_D, ...ZFH],
].flat();
export const DECODER = new Decoder(INSNS);
