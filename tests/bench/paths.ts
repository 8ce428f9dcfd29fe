/** Files beside the benchmarks. @module */
import { fileURLToPath } from "node:url";

/** Path of a file given relative to this folder. */
export const besideBench = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
