/**
 * `deno task ok`: the gate that a change passes before it is committed. Each step that refuses says
 * how to mend it; the first refusal ends the run.
 * @module
 */
import { runTests } from "./run.ts";

interface Step {
  readonly name: string;
  readonly args: readonly string[];
  readonly fix: string;
}

const STEPS: readonly Step[] = [
  { name: "format", args: ["fmt", "--check", "--quiet"], fix: "run: deno fmt" },
  { name: "lint", args: ["lint", "--quiet"], fix: "run: deno lint --fix, then mend what is left" },
  { name: "types", args: ["check", "--quiet", "."], fix: "mend the types named above" },
  {
    name: "tidy",
    args: ["test", "--allow-all", "--no-check", "--quiet", "tests/tidy_test.ts"],
    fix: "each refusal above says how to mend it; the rules stand in tests/tidy_test.ts",
  },
];

async function passes(step: Step): Promise<boolean> {
  const started = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...step.args],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(success ? `${step.name}: ok (${seconds} s)` : `${step.name}: refused; ${step.fix}`);
  return success;
}

async function main(): Promise<number> {
  for (const step of STEPS) if (!await passes(step)) return 1;
  const code = await runTests(["--no-check", ...Deno.args]);
  if (code !== 0) console.log("tests: refused; mend what failed above, then: deno task ok");
  return code;
}

if (import.meta.main) Deno.exit(await main());
