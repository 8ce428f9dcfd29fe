/**
 * The stock Linux guest from start to power-off, with its 4 MiB written and read back: what tracing
 * costs, and how long QEMU takes for the same kernel, initial RAM disk and command line.
 * @module
 */
import { linuxMachine } from "../linux/guest.ts";
import { QEMU_WAYS, timeQemu } from "../linux/qemu.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { type Timed, timed } from "./runs.ts";

const ROUNDS = 5;

export async function linux(folder: string): Promise<string> {
  const { spec, files } = await linuxMachine({ bios: "opensbi", harts: 1, serial: "16550" });
  const ours = (directory: string | null) => timed(spec, directory, { files });
  const off: Timed[] = [];
  const on: Timed[] = [];
  const ways = Object.keys(QEMU_WAYS) as (keyof typeof QEMU_WAYS)[];
  const qemu = ways.map((): number[] => []);
  let said = "";
  for (let round = 0; round < ROUNDS; round++) {
    off.push(await ours(null));
    const traced = await ours(`${folder}/linux.trace`);
    on.push(traced);
    const { result } = traced;
    said = `${(result.icount / 1e6).toFixed(0)} million instructions, ` +
      `${result.exits.toLocaleString("en")} exits, ${result.rows.toLocaleString("en")} rows, ` +
      `${(result.bytes / 1e6).toFixed(1)} MB`;
    for (const [i, way] of ways.entries()) qemu[i].push(await timeQemu(folder, spec, way));
  }
  const wall = on.map((r) => r.ms);
  const row = (name: string, ms: readonly number[]) => [
    name,
    show(spread(ms.map((v) => v / 1000))),
    show(ratios(wall, ms)),
  ];
  const rows = [
    row("exitscope, all tables", wall),
    row("exitscope, no trace", off.map((r) => r.ms)),
    ...ways.map((way, i) => row(`QEMU, ${way}`, qemu[i])),
  ];
  const threadMs = (runs: readonly Timed[]) => runs.map((r) => r.threadMs ?? NaN);
  const thread = ratios(threadMs(on), threadMs(off));
  return `Stock Linux, start to power-off: ${said}; median of ${ROUNDS} rounds (range)\n` +
    table(["", "s", "exitscope with all tables / it"], rows) +
    `\n  CPU time of the machine's own thread, traced / not: ${show(thread)}`;
}
