/**
 * Tests that need a program which the machine may lack: skipped with the command that enables them in
 * their name; with EXITSCOPE_NO_SKIP=1 a skip is a failure.
 * @module
 */

export interface Need {
  /** For the test's name: empty when the program is there. */
  readonly suffix: string;
  readonly ignore: boolean;
  /** Fails the test when the program is missing and skipping is not allowed. */
  require(): void;
}

function isOnPath(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((dir) => {
    try {
      return Deno.statSync(`${dir}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** `enable` is the one command that brings the program. */
export function needsCommand(program: string, enable: string): Need {
  const present = isOnPath(program);
  const strict = Deno.env.get("EXITSCOPE_NO_SKIP") === "1";
  return {
    suffix: present ? "" : ` (skipped: ${enable})`,
    ignore: !present && !strict,
    require() {
      if (!present) throw new Error(`${program} is missing: ${enable}`);
    },
  };
}
