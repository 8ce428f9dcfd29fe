/**
 * What tracing costs: whole runs with every table on disk against the same runs with no sink, and what a
 * row takes on disk. `wall` ends when the last byte has been handed to the system; `thread` is the CPU
 * time of the machine's own thread, which other programs disturb less.
 * @module
 */
import type { MachineSpec } from "../../core/board/spec.ts";
import { TraceReader } from "../../core/trace/reader.ts";
import { TABLE_NAMES } from "../../core/trace/schema.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { besideBench } from "./paths.ts";
import { benchSpec, timed } from "./runs.ts";

const PAIRS = 7;

interface Job {
  readonly name: string;
  readonly spec: MachineSpec;
}

const serial = (name: string, side: MachineSpec["serial"], append: string): Job => ({
  name,
  spec: benchSpec("serial", { serial: side, append }),
});

/**
 * Each writes so little that the disk is not measured: at most half a gigabyte. The first is the worst:
 * an exit every 33 instructions, 2 rows each.
 */
export const JOBS: readonly Job[] = [
  serial("serial, sifive", "sifive", "bytes=1250000 chunk=16,4096"),
  serial("serial, virtio", "virtio", "bytes=4000000 chunk=16,4096"),
  { name: "bench io=64", spec: benchSpec("bench", { append: "work=200 io=64" }) },
];

interface Figures {
  readonly ms: number;
  readonly threadMs: number | null;
  readonly exits: number;
  readonly rows: number;
  readonly icount: number;
}

/** In a process of its own, as a recording is: what an earlier run left in this one is not measured. */
async function alone(spec: MachineSpec, directory: string | null): Promise<Figures> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", besideBench("./run_child.ts"), JSON.stringify(spec)],
      ...directory === null ? [] : [directory],
    ],
    ...{ stdin: "null", stderr: "inherit" },
  }).output();
  if (!success) throw new Error("a run failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measure({ spec }: Job, directory: string): Promise<[Figures[], Figures[]]> {
  const runs: [Figures[], Figures[]] = [[], []];
  for (let pair = -1; pair < PAIRS; pair++) {
    const [off, on] = [await alone(spec, null), await alone(spec, directory)];
    if (pair < 0) continue;
    runs[0].push(off);
    runs[1].push(on);
  }
  return runs;
}

function overheadRow(name: string, off: readonly Figures[], on: readonly Figures[]): string[] {
  const wall = (runs: readonly Figures[]) => runs.map((r) => r.ms);
  const { exits, rows, icount } = on[0];
  const perExit = (runs: readonly Figures[]) =>
    (spread(wall(runs)).median * 1e6 / exits).toFixed(0);
  const thread = (runs: readonly Figures[]) => runs.map((r) => r.threadMs ?? NaN);
  const hasThread = on[0].threadMs !== null;
  return [
    name,
    show(ratios(wall(on), wall(off))),
    hasThread ? show(ratios(thread(on), thread(off))) : "unknown",
    spread(wall(off)).median.toFixed(0),
    perExit(off),
    perExit(on),
    (icount / exits).toFixed(0),
    (rows / 1e6).toFixed(2),
    (rows / spread(wall(on)).median / 1000).toFixed(1),
  ];
}

export async function tracing(folder: string): Promise<string> {
  const rows: string[][] = [];
  for (const [i, job] of JOBS.entries()) {
    const [off, on] = await measure(job, `${folder}/${i}.trace`);
    rows.push(overheadRow(job.name, off, on));
  }
  const head = [
    "",
    "on / off, wall",
    "on / off, thread",
    "off ms",
    "ns/exit off",
    "ns/exit on",
    "insns/exit",
    "M rows",
    "M rows/s",
  ];
  return `Cost of tracing: all tables on disk against none, median of ${PAIRS} pairs (range)\n` +
    table(head, rows);
}

/** Bytes per row of the first job's trace. */
export async function sizes(folder: string): Promise<string> {
  const path = `${folder}/sizes.trace`;
  const { result } = await timed(JOBS[0].spec, path);
  const { manifest } = TraceReader.open(path);
  const tables = TABLE_NAMES.map((t) => ({ name: t, ...manifest.tables[t]! }));
  const rows = tables.filter((t) => t.rows > 1000).map((t) => [
    t.name,
    t.rows.toLocaleString("en"),
    (t.bytes / t.rows).toFixed(1),
  ]);
  rows.push(["all", result.rows.toLocaleString("en"), (result.bytes / result.rows).toFixed(1)]);
  rows.push(["per exit", result.exits.toLocaleString("en"), perExit(result)]);
  return `Size of a trace: ${JOBS[0].name}\n` + table(["table", "rows", "bytes/row"], rows);
}

const perExit = (r: { bytes: number; exits: number }) => (r.bytes / r.exits).toFixed(1);
