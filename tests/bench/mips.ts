/**
 * Instructions per second on the bundled integer program, beside QEMU's translator on the same ELF. The
 * guest does a little work and then much; the difference leaves start-up and warming out.
 * @module
 */
import { besideBench } from "./paths.ts";
import { ratios, show, spread, table } from "./measure.ts";
import { benchSpec, timed } from "./runs.ts";

const ROUNDS = 5;
const LITTLE = 2;
const MUCH = 62;
const QEMU = "qemu-system-riscv64";
const ELF = besideBench("../../fixtures/guests/bench.elf");

interface Peer {
  readonly name: string;
  /** ms for so much work. */
  run(work: number): Promise<number>;
}

const qemu = (name: string, ...extra: string[]): Peer => ({
  name,
  async run(work) {
    const console = ["-display", "none", "-monitor", "none", "-serial", "stdio"];
    const machine = ["-machine", "virt", "-m", "128M", "-bios", "default", "-no-reboot"];
    const kernel = ["-kernel", ELF, "-append", `work=${work}`];
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
  const insns = new Map<number, number>();
  const us: Peer = {
    name: "exitscope, interpreter",
    async run(work) {
      const { ms, result } = await timed(benchSpec("bench", { append: `work=${work}` }), null);
      insns.set(work, result.icount);
      return ms;
    },
  };
  const peers = [us];
  const hasQemu = await installed();
  if (hasQemu) {
    peers.push(qemu("QEMU, plain TCG"), qemu("QEMU, -icount shift=0", "-icount", "shift=0"));
  }
  await us.run(LITTLE);
  const times = peers.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, peer] of peers.entries()) {
      const little = await peer.run(LITTLE);
      times[i].push(await peer.run(MUCH) - little);
    }
  }
  const work = insns.get(MUCH)! - insns.get(LITTLE)!;
  const rows = peers.map(({ name }, i) => [
    name,
    show(spread(times[i].map((ms) => work / ms / 1000)), 0),
    i === 0 ? "" : show(ratios(times[i], times[0])),
  ]);
  const missing = hasQemu ? "" : `\n  (${QEMU} is not installed: apt-get install qemu-system-misc)`;
  const millions = (work / 1e6).toFixed(0);
  return `Speed of the CPU: bundled:bench, ${millions} million instructions\n` +
    table(["", "MIPS", "exitscope's speed / its speed"], rows) + missing;
}
