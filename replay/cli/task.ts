/**
 * The command line of a developer's task: `--help`, and one line with exit code 2 for words that it does
 * not know. The product's own commands stand in `command_line.ts`.
 * @module
 */
import type { Parser } from "@optique/core/parser";
import { run } from "@optique/run";
import { enterCallersFolder } from "../paths.ts";
import { EXIT } from "./errors.ts";
import { mistake, say } from "./say.ts";

/**
 * What `parser` makes of the task's words, in the caller's folder. Prints help or a mistake, and ends the
 * process, where it comes to that.
 */
export function parseTask<T>(
  name: string,
  brief: ReturnType<typeof say>,
  parser: Parser<"sync", T, unknown>,
): T {
  enterCallersFolder();
  return run(parser, {
    programName: `deno task ${name}`,
    help: "option",
    brief,
    showDefault: true,
    showChoices: { maxItems: Infinity },
    aboveError: "none",
    errorExitCode: EXIT.usage,
    stderr: (shown) => {
      const line = mistake(shown);
      if (line !== null) console.error(`${name}: ${line} (see deno task ${name} --help)`);
    },
  });
}
