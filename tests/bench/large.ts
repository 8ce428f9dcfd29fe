/**
 * Two hundred million events asked: recorded to disk by the machine, loaded as `query` does it, by native
 * DuckDB, every view of the library asked. It takes 13 GB of disk and some minutes, and so runs when it is
 * named only.
 * @module
 */
import { views } from "../../analysis/library.ts";
import { openTraces } from "../../analysis/open.ts";
import { standardOutput } from "../../analysis/output.ts";
import { TraceReader } from "../../core/trace/reader.ts";
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { table } from "./measure.ts";
import { benchSpec, timed } from "./runs.ts";

/** 6.6 rows per byte of payload on one device, 1.6 on the other: 140 and 60 million. */
const RECORDINGS = [
  { name: "sifive", spec: benchSpec("serial", { serial: "sifive", append: work(21_400_000) }) },
  { name: "virtio", spec: benchSpec("serial", { serial: "virtio", append: work(36_800_000) }) },
];

function work(bytes: number): string {
  return `bytes=${bytes} chunk=16,4096`;
}

/** What DuckDB may take while it answers: less than these views need, so that they go to the disk. */
const LIMIT_GIB = 4;

/** The most memory that this process has had, in MiB; null where the system does not tell. */
function peakMib(): number | null {
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)![1]) / 1024);
  } catch {
    return null;
  }
}

const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(1);
const rowsOf = (path: string): number => {
  const reader = TraceReader.open(path);
  return EVENT_TABLES.reduce((sum, name) => sum + reader.rowCount(name), 0);
};

/** Every view over the traces, after loading them as `query --engine native` does. */
export async function askAll(paths: readonly string[]): Promise<string> {
  const rows = paths.reduce((sum, path) => sum + rowsOf(path), 0);
  const lines: string[][] = [];
  const peak = () => peakMib()?.toLocaleString("en") ?? "—";
  const from = performance.now();
  const output = { ...standardOutput(), progress: () => {} };
  const session = await openTraces(paths, output, { choice: "native" });
  const note = (line: string[]) => {
    lines.push(line);
    console.error(line.join("  "));
  };
  try {
    await session.engine.query(`SET memory_limit = '${LIMIT_GIB}GiB'`);
    note(["load", seconds(from), peak(), rows.toLocaleString("en")]);
    for (const { name } of views()) {
      const start = performance.now();
      await session.engine.query(`CREATE OR REPLACE TEMP TABLE answer AS FROM ${name}`);
      const took = seconds(start);
      const count = await session.engine.query("SELECT count(*) FROM answer");
      note([name, took, peak(), Number(count.rows[0]![0]).toLocaleString("en")]);
    }
  } finally {
    session.close();
  }
  const [load, ...asked] = lines;
  asked.sort((a, b) => Number(b[1]) - Number(a[1]));
  return `Every view over ${
    (rows / 1e6).toFixed(0)
  } million events, native DuckDB in ${LIMIT_GIB} GiB\n` +
    table(["", "s", "peak MiB so far", "rows"], [load!, ...asked]);
}

export async function large(folder: string): Promise<string> {
  const paths: string[] = [];
  for (const { name, spec } of RECORDINGS) {
    paths.push(`${folder}/${name}.trace`);
    await timed(spec, paths.at(-1)!);
  }
  return await askAll(paths);
}
