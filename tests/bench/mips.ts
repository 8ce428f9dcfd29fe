/**
 * Instructions per second on the bundled integer program and floating-point operations per second on
 * the bundled matrix product, beside QEMU's translator on the same ELF. The guest does a little work and
 * then much; the difference leaves start-up and warming out.
 * @module
 */
import { besideBench } from "./paths.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { benchSpec, timed } from "./runs.ts";

const ROUNDS = 5;
const QEMU = "qemu-system-riscv64";
/** Multiplications and additions of a unit of flops.elf's work, as it prints them. */
const OPERATIONS = 1_048_576;

/** A bundled guest, two amounts of work, and what is counted of the difference. */
interface Program {
  readonly guest: string;
  readonly title: string;
  readonly unit: string;
  readonly little: number;
  readonly much: number;
  /** Of the work between the two amounts; `insns` is what it executed here. */
  amount(insns: number, work: number): number;
}

const INTEGER: Program = {
  guest: "bench",
  title: "Speed of the CPU, integers",
  unit: "MIPS",
  little: 2,
  much: 62,
  amount: (insns) => insns,
};

const DOUBLES: Program = {
  guest: "flops",
  title: "Speed of the CPU, product of matrices of doubles",
  unit: "MFLOPS",
  little: 2,
  much: 62,
  amount: (_insns, work) => work * OPERATIONS,
};

interface Peer {
  readonly name: string;
  /** ms for so much work. */
  run(work: number): Promise<number>;
}

const qemu = (name: string, guest: string, ...extra: string[]): Peer => ({
  name,
  async run(work) {
    const elf = besideBench(`../../fixtures/guests/${guest}.elf`);
    const console = ["-display", "none", "-monitor", "none", "-serial", "stdio"];
    const machine = ["-machine", "virt", "-m", "128M", "-bios", "default", "-no-reboot"];
    const kernel = ["-kernel", elf, "-append", `work=${work}`];
    const start = performance.now();
    const { stdout } = await new Deno.Command(QEMU, {
      args: [...machine, ...console, ...kernel, ...extra],
      stdin: "null",
      stderr: "null",
    }).output();
    const ms = performance.now() - start;
    if (!new TextDecoder().decode(stdout).includes("digest")) throw new Error(`${name} failed`);
    return ms;
  },
});

async function installed(): Promise<boolean> {
  try {
    return (await new Deno.Command(QEMU, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

export async function mips(): Promise<string> {
  return `${await speed(INTEGER)}\n\n${await speed(DOUBLES)}`;
}

async function speed({ guest, title, unit, little, much, amount }: Program): Promise<string> {
  const insns = new Map<number, number>();
  const us: Peer = {
    name: "exitscope, interpreter",
    async run(work) {
      const { ms, result } = await timed(benchSpec(guest, { append: `work=${work}` }), null);
      insns.set(work, result.icount);
      return ms;
    },
  };
  const peers = [us];
  const hasQemu = await installed();
  if (hasQemu) {
    peers.push(qemu("QEMU, plain TCG", guest));
    peers.push(qemu("QEMU, -icount shift=0", guest, "-icount", "shift=0"));
  }
  await us.run(little);
  const times = peers.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, peer] of peers.entries()) {
      const start = await peer.run(little);
      times[i].push(await peer.run(much) - start);
    }
  }
  const counted = amount(insns.get(much)! - insns.get(little)!, much - little);
  const rows = peers.map(({ name }, i) => [
    name,
    show(spread(times[i].map((ms) => counted / ms / 1000)), 0),
    i === 0 ? "" : show(ratios(times[i], times[0])),
  ]);
  const missing = hasQemu ? "" : `\n  (${QEMU} is not installed: apt-get install qemu-system-misc)`;
  return `${title}: bundled:${guest}, ${(counted / 1e6).toFixed(0)} million counted\n` +
    table(["", unit, "exitscope's speed / its speed"], rows) + missing;
}
