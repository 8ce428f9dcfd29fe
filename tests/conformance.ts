/**
 * `deno task conformance DIR`: runs every ELF of a folder that speaks `tohost`, such as the public
 * riscv-tests or the architecture tests, on bare harts, and sums up. Exit code 1 when any fails.
 *
 * @module
 */
import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import { argument, option } from "@optique/core/primitives";
import { choice, integer, string } from "@optique/core/valueparser";
import { basename, join } from "node:path";
import { ISA } from "../core/cpu/mod.ts";
import { parseIsa } from "../core/cpu/extensions.ts";
import { say } from "../replay/cli/say.ts";
import { parseTask } from "../replay/cli/task.ts";
import type { RunOptions } from "./conformance/execute.ts";
import { runAll } from "./conformance/pool.ts";
import { report } from "./conformance/report.ts";
import type { Answer } from "./conformance/worker.ts";

const parser = object({
  folder: argument(string({ metavar: "DIR" }), { description: say`Folder with ELF files.` }),
  signature: optional(option("--signature", string({ metavar: "DIR" }), {
    description: say`Write each program's signature region to DIR/NAME.signature.`,
  })),
  granularity: withDefault(
    option("--signature-granularity", choice(["4", "8"]), {
      description: say`Bytes of a signature's line.`,
    }),
    "4" as const,
  ),
  isa: withDefault(
    option("--isa", string({ metavar: "ISA" }), { description: say`The harts' ISA string.` }),
    ISA,
  ),
  harts: withDefault(
    option("--harts", integer({ min: 1, max: 8 }), {
      description: say`Harts that run each program.`,
    }),
    1,
  ),
  timeout: withDefault(
    option("--timeout", integer({ min: 1, metavar: "INSNS" }), {
      description: say`Instructions after which a program is given up.`,
    }),
    20_000_000,
  ),
  cpu: withDefault(
    option("--cpu", choice(["interpreter", "compiled", "lockstep"], { metavar: "HOW" }), {
      description: say`How the harts execute.`,
    }),
    "compiled" as const,
  ),
  jobs: withDefault(
    option("--jobs", integer({ min: 1 }), { description: say`Programs at the same time.` }),
    navigator.hardwareConcurrency,
  ),
});

function elfs(folder: string): string[] {
  return [...Deno.readDirSync(folder)].filter((e) => e.isFile).map((e) => join(folder, e.name))
    .sort();
}

function writeSignatures(folder: string, answers: readonly Answer[]): void {
  Deno.mkdirSync(folder, { recursive: true });
  for (const a of answers) {
    if (!("outcome" in a) || a.outcome.signature === null) continue;
    Deno.writeTextFileSync(join(folder, `${basename(a.path)}.signature`), a.outcome.signature);
  }
}

async function main(): Promise<number> {
  const brief = say`Run every ELF of a folder that speaks tohost on bare harts, and sum up.`;
  const o = parseTask("conformance", brief, parser);
  const claimed = parseIsa(o.isa);
  const options: RunOptions = {
    harts: o.harts,
    isa: o.isa,
    timeoutInsns: o.timeout,
    cpu: o.cpu,
    granularity: o.signature === undefined ? null : Number(o.granularity) as 4 | 8,
  };
  const paths = elfs(o.folder);
  const answers = await runAll(paths, options, o.jobs);
  if (o.signature !== undefined) writeSignatures(o.signature, answers);
  const { text, failed } = report(answers, claimed);
  console.log(text);
  const ran = answers.filter((a) => !("skip" in a)).length;
  if (ran === 0) console.log(`No ELF file with a symbol tohost in ${o.folder}.`);
  return failed > 0 || ran === 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
