/**
 * A folder for a test's traces. When the test is over, every trace in it that can be opened is held to
 * the laws of analysis/laws: no test's recording escapes them.
 * @module
 */
import assert from "node:assert/strict";
import { openEngine } from "../analysis/engine.ts";
import { checkTraces } from "../analysis/laws.ts";
import { EVENT_TABLES } from "../core/trace/schema.ts";
import { TraceReader } from "../core/trace/reader.ts";

/** One engine for a file of tests, started before the first of them; whoever takes it empties it. */
export const engine = openEngine();
globalThis.addEventListener("unload", () => void engine.then((e) => e.close()));
await engine;

function traces(folder: string): string[] {
  const paths = [...Deno.readDirSync(folder)].map((e) => `${folder}/${e.name}`);
  return paths.filter((path) => path.endsWith(".trace") && readable(path)).sort();
}

function readable(path: string): boolean {
  try {
    TraceReader.open(path);
    return true;
  } catch {
    return false; // Killed before its first commit.
  }
}

const tablesOf = (path: string): string =>
  (TraceReader.open(path).manifest.event_tables ?? EVENT_TABLES).join();

/** Runs `test` with a folder, checks the laws on what it left there, and removes it. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    await test(folder);
    // A law that reads a table holds for the traces that have it: like goes with like.
    for (const paths of Map.groupBy(traces(folder), tablesOf).values()) {
      assert.deepEqual(await checkTraces(paths, { engine }), [], folder);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
