/**
 * `deno task bench [PART]…`: how fast the machine is and what tracing costs, each figure a ratio to a
 * peer or to itself in the same run. It judges nothing and exits 0. PARTS lists the parts.
 * @module
 */
import { multiple } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { cpus, totalmem } from "node:os";
import { say } from "../replay/cli/say.ts";
import { parseTask } from "../replay/cli/task.ts";
import { devices } from "./bench/devices.ts";
import { events } from "./bench/events.ts";
import { imports } from "./bench/import.ts";
import { large } from "./bench/large.ts";
import { linux } from "./bench/linux.ts";
import { boot, mips } from "./bench/mips.ts";
import { query } from "./bench/query.ts";
import { start } from "./bench/start.ts";
import { sizes, tracing } from "./bench/tracing.ts";

const PARTS: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  mips,
  boot,
  trace: tracing,
  events,
  devices,
  size: sizes,
  start,
  query,
  linux,
  import: imports,
  large,
};
/** Parts that run when they are named only: minutes, and gigabytes of disk. */
const ASKED_FOR = ["large"];

function machine(): string {
  const processors = cpus();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const model = processors[0]?.model.trim() || "unknown processor";
  return `${processors.length} × ${model}, ${gib} GiB, ${Deno.build.os}, Deno ${Deno.version.deno}, ` +
    `V8 ${Deno.version.v8}`;
}

const named = parseTask(
  "bench",
  say`Measure how fast the machine is and what tracing costs. Without a part, all of them but ${
    ASKED_FOR.join(", ")
  }, which takes minutes and gigabytes of disk.`,
  multiple(argument(choice(Object.keys(PARTS), { metavar: "PART" }))),
);
const parts = named.length > 0 ? named : Object.keys(PARTS).filter((p) => !ASKED_FOR.includes(p));
const folder = Deno.makeTempDirSync({ prefix: "exitscope-bench-" });
try {
  console.log(machine());
  for (const part of parts) {
    try {
      console.log(`\n${await PARTS[part](folder)}`);
    } catch (error) {
      console.log(`\n${part}: could not be measured: ${(error as Error).message}`);
    }
  }
} finally {
  Deno.removeSync(folder, { recursive: true });
}
