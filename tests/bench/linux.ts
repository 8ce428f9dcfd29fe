/**
 * The stock Linux guest from start to power-off, with its 4 MiB written and read back: what tracing
 * costs, and how long QEMU takes for the same kernel, initial RAM disk and command line.
 * @module
 */
import { existsSync } from "node:fs";
import { record } from "../../replay/record.ts";
import { linuxMachine } from "../linux/guest.ts";
import { QEMU_WAYS, timeQemu } from "../linux/qemu.ts";
import { ScriptedHost } from "../recorder.ts";
import { mainThreadMs, ratios, show, spread, table } from "./measure.ts";

const ROUNDS = 5;

class Silent extends ScriptedHost {
  override out(): void {}
}

export async function linux(folder: string): Promise<string> {
  const { spec, files } = await linuxMachine({ bios: "opensbi", harts: 1, serial: "16550" });
  const ours = async (directory: string | null) => {
    if (directory !== null && existsSync(directory)) {
      Deno.removeSync(directory, { recursive: true });
    }
    const [cpu, start] = [mainThreadMs() ?? NaN, performance.now()];
    const result = await record({ spec, files, directory, force: true }, new Silent());
    const ms = performance.now() - start;
    if (result.end.kind !== "poweroff") throw new Error(`the guest ended by ${result.end.kind}`);
    return { ms, threadMs: (mainThreadMs() ?? NaN) - cpu, result };
  };
  const off: { ms: number; threadMs: number }[] = [];
  const on: typeof off = [];
  const ways = Object.keys(QEMU_WAYS) as (keyof typeof QEMU_WAYS)[];
  const qemu = ways.map((): number[] => []);
  let said = "";
  for (let round = 0; round < ROUNDS; round++) {
    off.push(await ours(null));
    const { ms, threadMs, result } = await ours(`${folder}/linux.trace`);
    on.push({ ms, threadMs });
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
  const thread = ratios(on.map((r) => r.threadMs), off.map((r) => r.threadMs));
  return `Stock Linux, start to power-off: ${said}; median of ${ROUNDS} rounds (range)\n` +
    table(["", "s", "exitscope with all tables / it"], rows) +
    `\n  CPU time of the machine's own thread, traced / not: ${show(thread)}`;
}
