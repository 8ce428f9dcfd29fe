/** Extension Zfh, of which Zfhmin is a part: half precision. @module */
import type { Insn } from "../insn.ts";
import { between, D, H, instructionsOf, load, S, store } from "./float.ts";

export const ZFH: Insn[] = [load(H), store(H), ...instructionsOf(H), ...between(H, S, D)];
