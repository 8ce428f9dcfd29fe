/**
 * Instructions per second of the guests that measure speed, beside QEMU's translator on the same ELF, and
 * the time of a Linux kernel to its panic where EXITSCOPE_KERNEL names one (an Image without a root file
 * system). A guest does a little work and then much; the difference leaves start-up and warming out.
 * RVVM, where it names a binary of that emulator, is one more peer; it starts OpenSBI's fw_jump, of Debian's
 * package opensbi or named by RVVM_FIRMWARE.
 * Where flags stay clear, QEMU computes in software; elsewhere the inexact flag sticks at once, and it uses
 * the host's arithmetic.
 * What compiling takes is measured apart, on much work in processes of their own.
 * @module
 */
import type { CpuMode } from "../../core/cpu/mod.ts";
import { readInput } from "../../replay/files.ts";
import type { RecordResult } from "../../replay/record.ts";
import type { Compiling } from "./compiling_child.ts";
import { besideBench } from "./paths.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { benchSpec, timed } from "./runs.ts";

const ROUNDS = 5;
const QEMU = "qemu-system-riscv64";

/** A bundled guest, its boot arguments, and two amounts of work. */
interface Program {
  readonly title: string;
  readonly guest: string;
  readonly job?: string;
  readonly little: number;
  readonly much: number;
}

const PROGRAMS: readonly Program[] = [
  { title: "integer loop", guest: "speed", job: "loop", little: 20, much: 1020 },
  { title: "loads and stores, Sv39", guest: "speed", job: "memory", little: 20, much: 620 },
  { title: "mixed C", guest: "bench", little: 4, much: 104 },
  { title: "matrix, f64", guest: "flops", little: 4, much: 84 },
  { title: "matrix, f32", guest: "speed", job: "matrix32", little: 20, much: 320 },
  { title: "matrix, f64, flags clear", guest: "speed", job: "exact64", little: 20, much: 170 },
  { title: "FFT, f64", guest: "speed", job: "fft64", little: 40, much: 540 },
  { title: "FFT, f32", guest: "speed", job: "fft32", little: 40, much: 540 },
  { title: "n-body, f64", guest: "speed", job: "nbody", little: 40, much: 540 },
];
const appendOf = (p: Program, work: number) => `${p.job ? `job=${p.job} ` : ""}work=${work}`;

interface Peer {
  readonly name: string;
  /** ms for so much work of a program. */
  run(p: Program, work: number): Promise<number>;
}

/** ms until the program ends; it must have printed `done`. */
async function msOf(program: string, args: readonly string[], done: string): Promise<number> {
  const start = performance.now();
  const { stdout } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stderr: "null",
  }).output();
  const ms = performance.now() - start;
  if (!new TextDecoder().decode(stdout).includes(done)) throw new Error(`${program} failed`);
  return ms;
}

function qemuMs(args: readonly string[], done: string): Promise<number> {
  const console = ["-display", "none", "-monitor", "none", "-serial", "stdio"];
  const machine = ["-machine", "virt", "-bios", "default", "-no-reboot"];
  return msOf(QEMU, [...machine, ...console, ...args], done);
}

const elfOf = (p: Program) => besideBench(`../../fixtures/guests/${p.guest}.elf`);

const qemu = (name: string, ...extra: string[]): Peer => ({
  name,
  run(p, work) {
    const append = appendOf(p, work);
    return qemuMs(["-m", "128M", "-kernel", elfOf(p), "-append", append, ...extra], "digest");
  },
});
const TCG = qemu("QEMU, TCG");
const ICOUNT = qemu("QEMU, icount", "-icount", "shift=0");

/** Built and named by whoever wants to compare. */
function rvvm(program: string): Peer {
  const firmware = Deno.env.get("RVVM_FIRMWARE") ??
    "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin";
  const machine = [firmware, "-m", "128M", "-nogui", "-nonet"];
  return {
    name: "RVVM",
    run: (p, work) =>
      msOf(program, [...machine, "-k", elfOf(p), "-cmdline", appendOf(p, work)], "digest"),
  };
}

/** Keeps the last result of each amount of work. */
class Exitscope implements Peer {
  readonly results = new Map<string, RecordResult>();
  constructor(readonly name: string, private readonly cpu: CpuMode) {}
  async run(p: Program, work: number): Promise<number> {
    const spec = benchSpec(p.guest, { append: appendOf(p, work) });
    const { ms, result } = await timed(spec, null, { cpu: this.cpu });
    this.results.set(appendOf(p, work), result);
    return ms;
  }
}

async function installed(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

async function compilingOf(p: Program, cpu: CpuMode): Promise<Compiling> {
  const child = besideBench("./compiling_child.ts");
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", child, p.guest, appendOf(p, p.much), cpu],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${p.title}: the run that is to be weighed failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** What compiling a program takes: time, modules, memory. */
async function compilingRow(p: Program): Promise<string[]> {
  const [ours, without] = [await compilingOf(p, "compiled"), await compilingOf(p, "interpreter")];
  const { regions, insns, modules, moduleBytes } = ours.compilation!;
  return [
    p.title,
    (ours.ms - ours.hostMs).toFixed(1),
    ours.hostMs.toFixed(1),
    String(regions),
    String(insns),
    String(modules),
    (moduleBytes / 1024).toFixed(0),
    ((ours.rssBytes - without.rssBytes) / 2 ** 20).toFixed(1),
  ];
}

const COMPILING_HEAD = [
  ...["", "ms finding and emitting", "ms in WebAssembly", "regions", "guest instructions"],
  ...["modules", "KiB of modules", "MiB of memory"],
];

/** Median MIPS of each peer with its range, and ours as ratios to theirs. */
async function row(p: Program, peers: readonly Peer[], us: Exitscope): Promise<string[]> {
  const times = peers.map((): number[] => []);
  await us.run(p, p.little);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, peer] of peers.entries()) {
      const start = await peer.run(p, p.little);
      times[i].push(await peer.run(p, p.much) - start);
    }
  }
  const [little, much] = [p.little, p.much].map((work) => us.results.get(appendOf(p, work))!);
  const counted = much.icount - little.icount;
  const speeds = times.map((ms) => show(spread(ms.map((t) => counted / t / 1000)), 0));
  const beside = times.slice(2).map((ms) => show(ratios(ms, times[0])));
  return [p.title, ...speeds, ...beside];
}

export async function mips(): Promise<string> {
  const us = new Exitscope("compiled", "compiled");
  const hasQemu = await installed();
  const other = Deno.env.get("RVVM");
  const peers = [
    us,
    new Exitscope("interpreter", "interpreter"),
    ...(hasQemu ? [TCG, ICOUNT] : []),
    ...(other ? [rvvm(other)] : []),
  ];
  const rows: string[][] = [];
  const compiling: string[][] = [];
  for (const p of PROGRAMS) {
    rows.push(await row(p, peers, us));
    compiling.push(await compilingRow(p));
  }
  const beside = peers.slice(2).map(({ name }) => `compiled / ${name}`);
  const head = ["", ...peers.map(({ name }) => name), ...beside];
  const missing = hasQemu ? "" : `\n  (${QEMU} is not installed: apt-get install qemu-system-misc)`;
  return `Speed of the CPU: MIPS, median of ${ROUNDS} (range)\n${table(head, rows)}${missing}\n` +
    "What compiling took, once; memory: of the process, more than with the interpreter\n" +
    table(COMPILING_HEAD, compiling);
}

/** A kernel without a root file system: ms from the start of the machine until it says so. */
export async function boot(): Promise<string> {
  const kernel = Deno.env.get("EXITSCOPE_KERNEL");
  if (kernel === undefined) return "Linux to its panic: name an Image in EXITSCOPE_KERNEL";
  const hasQemu = await installed();
  const append = "console=ttyS0 earlycon panic=-1";
  const spec = {
    ...benchSpec("bench", { append, memoryBytes: 512 * 2 ** 20 }),
    kernel: readInput(kernel, "EXITSCOPE_KERNEL").ref,
  };
  const ours = (cpu: CpuMode) => async () =>
    (await timed(spec, null, { cpu, end: "reboot", panic: null })).ms;
  const theirs = (...extra: string[]) => () =>
    qemuMs(["-m", "512M", "-kernel", kernel, "-append", append, ...extra], "Kernel panic");
  const peers: [string, () => Promise<number>][] = [
    ["compiled", ours("compiled")],
    ["interpreter", ours("interpreter")],
    ...(hasQemu
      ? [[TCG.name, theirs()], [ICOUNT.name, theirs("-icount", "shift=0")]] as typeof peers
      : []),
  ];
  const times = peers.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [, run]] of peers.entries()) times[i].push(await run());
  }
  const rows = peers.map(([name], i) => [
    name,
    show(spread(times[i]), 0),
    i === 0 ? "" : show(ratios(times[0], times[i])),
  ]);
  return `Linux to its panic\n${table(["", "ms", "compiled's time / its time"], rows)}`;
}
