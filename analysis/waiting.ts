/** Work that may take long says so on a terminal, with the seconds it has taken. @module */
import type { Output } from "./output.ts";

const EVERY_MS = 1000;

/** Shows "WHAT: 3 s" in the place of progress for as long as `work` goes on, from its first second. */
export async function whileWaiting<T>(output: Output, what: string, work: Promise<T>): Promise<T> {
  const start = performance.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    output.progress(`${what}: ${Math.floor((performance.now() - start) / 1000)} s`);
  }, EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (shown) output.progress(null);
  }
}
