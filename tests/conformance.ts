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
import { message } from "@optique/core/message";
import { run } from "@optique/run";
import { basename, join } from "node:path";
import { ISA } from "../core/cpu/mod.ts";
import { parseIsa } from "../core/cpu/extensions.ts";
import type { RunOptions } from "./conformance/execute.ts";
import { runAll } from "./conformance/pool.ts";
import { report } from "./conformance/report.ts";
import type { Answer } from "./conformance/worker.ts";

const parser = object({
  folder: argument(string({ metavar: "DIR" }), { description: message`Folder with ELF files.` }),
  signature: optional(option("--signature", string({ metavar: "DIR" }), {
    description: message`Write each program's signature region to DIR/NAME.signature.`,
  })),
  granularity: withDefault(
    option("--signature-granularity", choice(["4", "8"]), {
      description: message`Bytes of a signature's line.`,
    }),
    "4" as const,
  ),
  isa: withDefault(
    option("--isa", string({ metavar: "ISA" }), { description: message`The harts' ISA string.` }),
    ISA,
  ),
  harts: withDefault(option("--harts", integer({ min: 1, max: 8 })), 1),
  timeout: withDefault(
    option("--timeout", integer({ min: 1, metavar: "INSNS" }), {
      description: message`Instructions after which a program is given up.`,
    }),
    20_000_000,
  ),
  cpu: withDefault(
    option("--cpu", choice(["interpreter", "compiled", "lockstep"], { metavar: "HOW" }), {
      description: message`How the harts execute.`,
    }),
    "compiled" as const,
  ),
  jobs: withDefault(option("--jobs", integer({ min: 1 })), navigator.hardwareConcurrency),
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
  const callers = Deno.env.get("EXITSCOPE_CWD");
  if (callers) Deno.chdir(callers);
  const o = run(parser, { programName: "conformance", help: "option", showDefault: true });
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
