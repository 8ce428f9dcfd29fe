/**
 * How long a new process takes to its first guest instruction.
 * @module
 */
import { besideBench } from "./paths.ts";
import { show, spread, table } from "./measure.ts";

const RUNS = 7;

async function processMs(args: readonly string[]): Promise<number> {
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...args],
    stdout: "null",
  }).output();
  if (!success) throw new Error(`${args.join(" ")} failed`);
  return performance.now() - start;
}

export async function start(folder: string): Promise<string> {
  const child = besideBench("./start_child.ts");
  const variants: [string, string[]][] = [
    ["an empty program", [besideBench("./empty_child.ts")]],
    ["one guest instruction, not recorded", [child]],
    ["one guest instruction, recorded", [child, `${folder}/start.trace`]],
  ];
  const times = variants.map((): number[] => []);
  for (let run = -1; run < RUNS; run++) {
    for (const [i, [, args]] of variants.entries()) {
      const ms = await processMs(args);
      if (run >= 0) times[i].push(ms);
    }
  }
  const rows = variants.map(([name], i) => [name, show(spread(times[i]), 0)]);
  return `Start-up: a whole process, median of ${RUNS} (range)\n` + table(["", "ms"], rows);
}
