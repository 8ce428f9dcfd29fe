/** Extension F for RV64: single precision. @module */
import type { Insn } from "../insn.ts";
import { instructionsOf, load, moves, S, store } from "./float.ts";

export const flw = load(S);
export const fsw = store(S);
export const RV64F: Insn[] = [flw, fsw, ...moves(S), ...instructionsOf(S)];
