/**
 * How long a new process takes to its first guest instruction, and for all of a short run.
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

interface Figures {
  readonly ms: number;
  /** Of all threads: what the other work of a busy machine does not lengthen as much. */
  readonly cpuMs: number | null;
}

/** The real command line, from before its process exists to its first guest instruction. */
async function toFirstInstruction(folder: string, cache: string): Promise<Figures> {
  const figures = `${folder}/figures.json`;
  const args = ["run", "-A", "--no-check", "--preload", besideBench("./first_instruction.ts")];
  const record = ["record", "--kernel", "bundled:bench", "--until-icount", "1", "--force"];
  const env = {
    FIGURES_FILE: figures,
    EXITSCOPE_CACHE: cache,
    START_MS: String(performance.timeOrigin + performance.now()),
  };
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...args, besideBench("../../main.ts"), ...record, "-o", `${folder}/first.trace`],
    ...{ env, stdin: "null", stdout: "null", stderr: "null" },
  }).output();
  if (!success) throw new Error("record failed");
  return JSON.parse(Deno.readTextFileSync(figures));
}

async function firstInstruction(folder: string): Promise<string> {
  const [cold, warm]: Figures[][] = [[], []];
  for (let run = -1; run < RUNS; run++) {
    const cache = `${folder}/cache-${run}`;
    const [first, second] = [
      await toFirstInstruction(folder, cache),
      await toFirstInstruction(folder, cache),
    ];
    if (run < 0) continue;
    cold.push(first);
    warm.push(second);
  }
  const row = (name: string, figures: readonly Figures[]) => [
    name,
    show(spread(figures.map((f) => f.ms)), 0),
    figures.some((f) => f.cpuMs === null)
      ? "not known here"
      : show(spread(figures.map((f) => f.cpuMs!)), 0),
  ];
  return `Start-up: from the start of \`record\`'s process to the first guest instruction, median of ` +
    `${RUNS} (range)\n` +
    table(["interpreter", "ms", "ms of processor time"], [
      row("generated", cold),
      row("kept in the cache", warm),
    ]);
}

export async function start(folder: string): Promise<string> {
  return `${await firstInstruction(folder)}\n${await wholeProcess(folder)}`;
}

async function wholeProcess(folder: string): Promise<string> {
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
