/**
 * What devices cost the host: an access to a register and back, over the same loop on RAM; and bytes
 * through virtio-blk in requests of 64 KiB on a disk in memory, beside QEMU on the same guest. Each guest
 * does a little work and then much; the difference leaves start-up and warming out.
 * @module
 */
import type { MachineSpec } from "../../core/board/spec.ts";
import { DEFAULT_SPEC } from "../../core/board/spec.ts";
import { drivesOf } from "../../replay/cli/drive.ts";
import { parseDevice, parseDrive } from "../../replay/cli/values.ts";
import { readInput } from "../../replay/files.ts";
import { accesses, type Bar, DISK_BYTES, REQUEST_BYTES, requests } from "./device_guests.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { timed } from "./runs.ts";

const ROUNDS = 5;
const QEMU = "qemu-system-riscv64";
const GIB = 2 ** 30;
const [FEW_ACCESSES, MANY_ACCESSES] = [200_000, 2_200_000];
const [FEW_REQUESTS, MANY_REQUESTS] = [2048, 18_432];
const RAM_WORD = 0x8040_0000;
const EDU: Bar = { config: 0x3000_8000, bar: 0x4000_0000 };

function spec(image: string, change: Partial<MachineSpec> = {}): MachineSpec {
  return { ...DEFAULT_SPEC, kernel: readInput(image, "kernel").ref, ...change };
}

interface Ms {
  readonly wall: number;
  /** Of CPU time of the machine's own thread, which other programs disturb less. */
  readonly thread: number;
}
type Run = (much: boolean) => Promise<Ms>;

/** What much work takes more than little, in turns. */
async function difference(runs: readonly Run[]): Promise<Record<keyof Ms, number[]>[]> {
  const times = runs.map(() => ({ wall: [] as number[], thread: [] as number[] }));
  for (const run of runs) await run(false);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, run] of runs.entries()) {
      const [little, much] = [await run(false), await run(true)];
      times[i].wall.push(much.wall - little.wall);
      times[i].thread.push(much.thread - little.thread);
    }
  }
  return times;
}

async function ours(spec: MachineSpec, trace: string | null): Promise<Ms> {
  const { ms, threadMs } = await timed(spec, trace);
  return { wall: ms, thread: threadMs ?? NaN };
}

/** Writes both images of a guest; says which file is which. */
function images(
  folder: string,
  name: string,
  make: (much: boolean) => Uint8Array,
): (much: boolean) => string {
  const path = (much: boolean) => `${folder}/${name}-${much ? "much" : "little"}.bin`;
  for (const much of [false, true]) Deno.writeFileSync(path(much), make(much));
  return path;
}

interface Register {
  readonly name: string;
  readonly addr: number;
  readonly write: boolean;
  readonly bar?: Bar;
}

const REGISTERS: readonly Register[] = [
  { name: "virtio-mmio MagicValue, read", addr: 0x1000_8000, write: false },
  { name: "edu liveness_check (PCI), read", addr: 0x4000_0004, write: false, bar: EDU },
  { name: "edu liveness_check (PCI), write", addr: 0x4000_0004, write: true, bar: EDU },
];

async function accessRow(folder: string, r: Register): Promise<string[]> {
  const many = (much: boolean) => much ? MANY_ACCESSES : FEW_ACCESSES;
  const name = r.name.replace(/\W+/g, "-");
  const device = images(folder, name, (much) => accesses(r.addr, many(much), r.write, r.bar));
  const ram = images(folder, `${name}-ram`, (m) => accesses(RAM_WORD, many(m), r.write, r.bar));
  const devices = [{ ...parseDevice("edu,slot=1")!, file: null }];
  const run = (path: (much: boolean) => string, trace: string | null): Run => (much) =>
    ours(spec(path(much), { devices }), trace);
  const [own, off, on] = await difference([
    run(ram, null),
    run(device, null),
    run(device, `${folder}/access.trace`),
  ]);
  const each = 1e6 / (MANY_ACCESSES - FEW_ACCESSES);
  const ns = (of: typeof off, key: keyof Ms) =>
    show(spread(of[key].map((t, i) => (t - own[key][i]) * each)), 0);
  return [r.name, ns(off, "wall"), ns(on, "wall"), ns(off, "thread"), ns(on, "thread")];
}

async function installed(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

async function qemuMs(image: string, drive: string): Promise<Ms> {
  const start = performance.now();
  const { code, success } = await new Deno.Command(QEMU, {
    args: [
      ..."-machine virt -m 128M -bios default -display none -monitor none -serial null".split(" "),
      ...["-global", "virtio-mmio.force-legacy=false", "-kernel", image],
      ...["-drive", `if=none,id=d,${drive}`, "-device", "virtio-blk-device,drive=d"],
    ],
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).output();
  if (!success) throw new Error(`${QEMU} ended with ${code}`);
  return { wall: performance.now() - start, thread: NaN };
}

/** A file in memory where the system has such. */
function ramFile(folder: string): string {
  try {
    return Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "exitscope-bench-" });
  } catch {
    return folder;
  }
}

async function throughputRows(folder: string, write: boolean): Promise<string[][]> {
  const many = (much: boolean) => much ? MANY_REQUESTS : FEW_REQUESTS;
  const kind = write ? "write" : "read";
  const image = images(folder, kind, (much) => requests(many(much), write));
  const drives = drivesOf([parseDrive(`size=${DISK_BYTES},latency=0ns`)!]);
  const us = (trace: string | null): Run => (much) => ours(spec(image(much), { drives }), trace);
  const peers: [string, Run][] = [
    [`${kind}, not traced`, us(null)],
    [`${kind}, traced`, us(`${folder}/blk.trace`)],
  ];
  const shm = ramFile(folder);
  if (await installed()) {
    const file = `${shm}/disk.img`;
    Deno.writeFileSync(file, new Uint8Array(DISK_BYTES).fill(1));
    const empty = `driver=null-co,read-zeroes=on,size=${DISK_BYTES}`;
    peers.push([`${kind}, QEMU, null-co`, (much) => qemuMs(image(much), empty)]);
    peers.push([
      `${kind}, QEMU, file in memory`,
      (much) => qemuMs(image(much), `format=raw,file=${file}`),
    ]);
  }
  try {
    const times = await difference(peers.map(([, run]) => run));
    const bytes = (MANY_REQUESTS - FEW_REQUESTS) * REQUEST_BYTES;
    return peers.map(([name], i) => [
      name,
      show(spread(times[i].wall.map((ms) => bytes / GIB / ms * 1000))),
      i === 0 ? "" : show(ratios(times[i].wall, times[0].wall)),
      i > 1 ? "" : show(spread(times[i].thread.map((ms) => bytes / GIB / ms * 1000))),
    ]);
  } finally {
    if (shm !== folder) Deno.removeSync(shm, { recursive: true });
  }
}

export async function devices(folder: string): Promise<string> {
  const rows: string[][] = [];
  for (const r of REGISTERS) rows.push(await accessRow(folder, r));
  const moved = [...await throughputRows(folder, false), ...await throughputRows(folder, true)];
  return `An access to a register and back, over the same loop on RAM, median of ${ROUNDS} (range)\n` +
    table(
      ["", "ns, not traced", "ns, traced", "its thread, not traced", "its thread, traced"],
      rows,
    ) +
    `\n\nvirtio-blk, requests of 64 KiB one at a time, a disk in memory\n` +
    table(["", "GiB/s", "exitscope's speed / its speed", "GiB/s of its thread"], moved);
}
