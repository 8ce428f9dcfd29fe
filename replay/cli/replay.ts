/** `replay`: a recording run again from its manifest and inputs. @module */
import { EXIT } from "./errors.ts";

export interface ReplayArguments {
  readonly trace: string;
  readonly verify: boolean;
}

/** Runs `replay` and returns its exit code: 1 when the second run differs from the recording. */
export async function runReplay(a: ReplayArguments): Promise<number> {
  const { replay } = await import("../replay.ts");
  const result = await replay(a.trace, { verify: a.verify });
  return result.ok ? EXIT.ok : EXIT.no;
}
