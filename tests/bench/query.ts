/**
 * For orientation: what it takes to ask the trace of the main job's SiFive side.
 * @module
 */
import { openEngine } from "../../analysis/engine.ts";
import { openTraces } from "../../analysis/open.ts";
import { standardOutput } from "../../analysis/output.ts";
import { table } from "./measure.ts";
import { timed } from "./runs.ts";
import { JOBS } from "./tracing.ts";

export async function query(folder: string): Promise<string> {
  const path = `${folder}/query.trace`;
  const { result } = await timed(JOBS[0].spec, path);
  const rows: string[][] = [];
  const step = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const value = await act();
    rows.push([name, (performance.now() - start).toFixed(0)]);
    return value;
  };
  const engine = await step("start DuckDB", openEngine);
  const output = { ...standardOutput(), progress: () => {} };
  const session = await step(
    "load the trace",
    () => openTraces([path], output, { engine: Promise.resolve(engine) }),
  );
  for (const view of ["exits_by_register", "interrupts"]) {
    await step(`SELECT * FROM ${view}`, () => engine.query(`SELECT * FROM ${view}`));
  }
  session.close();
  engine.close();
  const millions = (result.rows / 1e6).toFixed(1);
  const megabytes = (result.bytes / 1e6).toFixed(0);
  return `Asking a trace of ${millions} million rows, ${megabytes} MB\n` +
    table(["", "ms"], rows);
}
