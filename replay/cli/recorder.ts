/** The recorder, loaded when a command needs it. @module */
import type { Recorder } from "./contract.ts";

export async function recorder(): Promise<Recorder> {
  const where = new URL("../record.ts", import.meta.url).href;
  return (await import(where)).record;
}
