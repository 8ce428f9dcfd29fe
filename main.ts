/**
 * Exitscope's command line: argument parsing and nothing else. What a command does lives in
 * `replay/cli/` and `analysis/`, loaded when it is asked for; so are help and complaints, so that a
 * guest starts at once.
 * @module
 */
import "./replay/cli/segmenter.ts";
import { parseSync } from "@optique/core/parser";
import { describe, EXIT, readerIsGone } from "./replay/cli/errors.ts";
import { COMMANDS, type Parsed } from "./replay/cli/options.ts";
import { enterCallersFolder } from "./replay/paths.ts";

const commandLine = () => import("./replay/cli/command_line.ts");

/** A command's own options tell what is well formed; the whole command line sees to all else. */
async function parse(args: readonly string[]): Promise<Parsed> {
  const [name, ...words] = args;
  const options = COMMANDS.get(name);
  const parsed = options && parseSync(options(), words);
  if (parsed?.success) return parsed.value;
  return (await commandLine()).parse(args);
}

async function execute(parsed: Parsed): Promise<number> {
  switch (parsed.command) {
    case "record":
      return await (await import("./replay/cli/record.ts")).runRecord(parsed);
    case "replay":
      return await (await import("./replay/cli/replay.ts")).runReplay(parsed);
    case "report": {
      const { parseRecord } = await commandLine();
      return await (await import("./replay/cli/report.ts")).runReport(parsed, parseRecord);
    }
    default:
      return await (await import("./replay/cli/analyse.ts")).runAnalysis(parsed);
  }
}

const asksForSweep = (args: readonly string[]): boolean =>
  args[0] === "record" && args.some((arg) => /^--sweep(=|$)/.test(arg)) &&
  !args.some((arg) => arg === "--help" || arg === "-h");

async function main(): Promise<number> {
  try {
    enterCallersFolder();
    if (asksForSweep(Deno.args)) {
      const { parseRecord } = await commandLine();
      const { runSweep } = await import("./replay/cli/sweep.ts");
      return await runSweep(Deno.args, (args) => parseRecord(args.slice(1)));
    }
    return await execute(await parse(Deno.args));
  } catch (error) {
    if (readerIsGone(error)) return EXIT.ok;
    const { text, exitCode } = describe(error, Deno.env.get("EXITSCOPE_DEBUG") === "1");
    console.error(text);
    return exitCode;
  }
}

if (import.meta.main) Deno.exit(await main());
