/** Extensions Zfhmin (half precision in memory and registers) and Zfh (computing with it). @module */
import type { Insn } from "../insn.ts";
import { between, D, H, instructionsOf, load, moves, S, store } from "./float.ts";

export const ZFHMIN: Insn[] = [load(H), store(H), ...moves(H), ...between(H, S)];
/** Needs D as well. */
export const ZFHMIN_D: Insn[] = between(H, D);
/** Beside Zfhmin, which is part of it. */
export const ZFH: Insn[] = instructionsOf(H);
