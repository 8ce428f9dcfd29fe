/**
 * Tests that need something the machine may lack. Without it they are skipped, under their own name
 * and with the one command that enables them; `EXITSCOPE_NO_SKIP=1` makes them fail instead.
 * @module
 */
import { delimiter, join } from "node:path";

/**
 * Where a missing thing comes from: a Debian package, or any other command. `nowhere` is for what no
 * command can bring to this machine, such as another version of its compiler: then a sentence says
 * why, and the test is skipped whatever `EXITSCOPE_NO_SKIP` says.
 */
export type Source = { readonly apt: string } | { readonly command: string } | {
  readonly nowhere: string;
};

export const NO_SKIP = "EXITSCOPE_NO_SKIP";

function enablingCommand(source: Source): string | null {
  if ("nowhere" in source) return null;
  return "apt" in source ? `apt-get install ${source.apt}` : source.command;
}

/** The name of a skipped test says what enables it; `tests/run.ts` reads it back. */
export function skippedName(name: string, source: Source): string {
  const command = enablingCommand(source);
  return command === null && "nowhere" in source
    ? `${name} (skipped here: ${source.nowhere})`
    : `${name} (skipped: ${command})`;
}

function onPath(tool: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(delimiter).some((folder) => {
    try {
      return Deno.statSync(join(folder, tool)).isFile;
    } catch {
      return false;
    }
  });
}

export interface Need {
  /** True when the machine has it. */
  readonly met: boolean;
  /** Registers a test that runs only when the machine has it. */
  test(name: string, body: (t: Deno.TestContext) => void | Promise<void>): void;
}

/** A need that is met when `met` says so. */
export function needsThat(what: string, met: boolean, source: Source): Need {
  const command = enablingCommand(source);
  return {
    met,
    test(name, body) {
      if (met) return Deno.test(name, body);
      if (Deno.env.get(NO_SKIP) === "1" && command !== null) {
        return Deno.test(name, () => {
          throw new Error(`${what} is missing and ${NO_SKIP}=1 is set; to enable: ${command}`);
        });
      }
      Deno.test({ name: skippedName(name, source), ignore: true, fn: body });
    },
  };
}

/** A need for programs on the PATH: `needs("dtc", { apt: "device-tree-compiler" }).test(…)`. */
export function needs(tools: string | readonly string[], source: Source): Need {
  const missing = [tools].flat().filter((tool) => !onPath(tool));
  return needsThat(missing.join(", "), missing.length === 0, source);
}

export const qemu = () => needs("qemu-system-riscv64", { apt: "qemu-system-misc" });
export const dtc = () => needs("dtc", { apt: "device-tree-compiler" });
