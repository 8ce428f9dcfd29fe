/**
 * External tools that tests compare with. A test whose tool is missing is ignored under a name that
 * says which package enables it; EXITSCOPE_NO_SKIP=1 makes it fail.
 *
 * @module
 */

function works(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}

/** Registers `test`, which needs `tool` from the Debian package `debian`. */
export function testWithTool(
  name: string,
  tool: string,
  debian: string,
  test: () => void | Promise<void>,
): void {
  if (works(tool)) return Deno.test(name, test);
  const missing = `${name} (skipped: apt-get install ${debian})`;
  if (Deno.env.get("EXITSCOPE_NO_SKIP") === "1") {
    Deno.test(name, () => {
      throw new Error(`${tool} is missing: apt-get install ${debian}`);
    });
  } else Deno.test.ignore(missing, test);
}
