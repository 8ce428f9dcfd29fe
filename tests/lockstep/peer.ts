/**
 * QEMU as the peer of a lockstep: started halted, reached over its GDB port, one hart without
 * firmware in the same RAM.
 * @module
 */
import { join } from "node:path";
import {
  ARCH_SLOTS,
  type ArchSlot,
  FLOAT_REGISTERS,
  PMP_ADDRESSES,
  PMP_CONFIGS,
  TRIGGER_CONTROLS,
} from "../../core/cpu/state.ts";
import { Gdb } from "./gdb.ts";
import { type HartStart, RAM_BASE, RAM_BYTES, type Slots } from "./stream.ts";

/** A busy machine takes its time to start QEMU. */
const START_MS = 300_000;
const CPU = "rv64,h=off,Zfh=on,svinval=on,svnapot=on,svpbmt=on";
/** Slots that a debugger sees under the name of their CSR. */
const CSR_SLOTS: readonly ArchSlot[] = [
  ...["medeleg", "mtvec", "mscratch", "mepc", "mcause", "mtval"] as const,
  ...["stvec", "sscratch", "sepc", "scause", "stval", "satp"] as const,
  "scounteren",
];
/** Written after the others: writes of floating point's registers act on mstatus.FS. */
const LAST: readonly ArchSlot[] = ["mstatus", "priv"];
const FLOAT_NAMES = [
  ...Array.from({ length: 8 }, (_, i) => `ft${i}`),
  ...["fs0", "fs1"],
  ...Array.from({ length: 8 }, (_, i) => `fa${i}`),
  ...Array.from({ length: 10 }, (_, i) => `fs${i + 2}`),
  ...Array.from({ length: 4 }, (_, i) => `ft${i + 8}`),
];
/** Numbers 1 and 2. */
const FLOAT_CSRS = ["fflags", "frm"] as const;
const NAME_OF = new Map<ArchSlot, string>([
  ...CSR_SLOTS.map((s): [ArchSlot, string] => [s, s]),
  ...LAST.map((s): [ArchSlot, string] => [s, s]),
  ...FLOAT_REGISTERS.map((s, i): [ArchSlot, string] => [s, FLOAT_NAMES[i]]),
  ...FLOAT_CSRS.map((s): [ArchSlot, string] => [s, s]),
]);

/** What a peer tells of its state: x, pc, and these slots. */
export const PEER_SLOTS: readonly ArchSlot[] = ARCH_SLOTS.filter((s) => NAME_OF.has(s));

/** Entries of PMP that QEMU has. */
const PMP_ENTRIES = 16;
/** What a peer is told and not asked: only CSR instructions change it, and those are kept from it. */
const TOLD: readonly ArchSlot[] = [
  "menvcfg",
  ...PMP_ADDRESSES.slice(0, PMP_ENTRIES),
  ...PMP_CONFIGS.slice(0, PMP_ENTRIES / 8),
];

const ADUE = 1n << 61n;
const UNLOCKED = 0x7f7f_7f7f_7f7f_7f7fn;
/** W of each entry; without R it is reserved. */
const PMP_W = 0x0202_0202_0202_0202n;
const DISABLED_TRIGGER = 15n << 60n;

/**
 * A state that a peer can be put into: no interrupts, no triggers, A and D set by hardware, and PMP
 * entries that exist there, legal, and without locks, which only a reset opens.
 */
export function peerable(h: HartStart): HartStart {
  const slots: Slots = { ...h.slots, mie: 0n };
  if (slots.menvcfg !== undefined) slots.menvcfg |= ADUE;
  for (const s of TRIGGER_CONTROLS) slots[s] = DISABLED_TRIGGER;
  PMP_CONFIGS.forEach((s, i) => {
    const v = slots[s];
    if (v !== undefined) slots[s] = i * 8 < PMP_ENTRIES ? v & UNLOCKED & ~(~v << 1n & PMP_W) : 0n;
  });
  return { x: h.x, slots };
}

export class Peer {
  readonly #gdb: Gdb;
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;

  private constructor(gdb: Gdb, process: Deno.ChildProcess, folder: string) {
    this.#gdb = gdb;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(): Promise<Peer> {
    const folder = await Deno.makeTempDir();
    const path = join(folder, "gdb");
    const process = new Deno.Command("qemu-system-riscv64", {
      args: [
        ...["-M", "virt", "-m", `${RAM_BYTES / 1024}K`, "-cpu", CPU, "-bios", "none"],
        ...["-display", "none", "-monitor", "none", "-serial", "none", "-S"],
        ...["-gdb", `unix:${path},server=on,wait=off`],
      ],
      ...{ stdin: "null", stdout: "null", stderr: "inherit" },
    }).spawn();
    const gdb = await Gdb.connect(await connect(path));
    await gdb.physicalMemory();
    FLOAT_CSRS.forEach((name, i) => gdb.nameCsr(name, 1 + i));
    return new Peer(gdb, process, folder);
  }
  async stop(): Promise<void> {
    this.#gdb.close();
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }

  async writeRam(at: number, bytes: Uint8Array): Promise<void> {
    await this.#gdb.writeMemory(RAM_BASE + at, bytes);
  }
  /** Eight bytes. */
  async readWord(at: number): Promise<bigint> {
    const bytes = await this.#gdb.readMemory(RAM_BASE + at, 8);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }
  async readRam(): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#gdb.readMemory(RAM_BASE, RAM_BYTES);
  }
  /** Drops translations: another satp, and the right one again. mstatus.TVM forbids that in S-mode. */
  async flush(satp: bigint, priv: bigint): Promise<void> {
    await this.#gdb.write("priv", 3n);
    await this.#gdb.write("satp", satp === 0n ? 8n << 60n : 0n);
    await this.#gdb.write("satp", satp);
    await this.#gdb.write("priv", priv);
  }
  async step(): Promise<void> {
    await this.#gdb.step();
  }

  async set(h: HartStart): Promise<void> {
    const slots = PEER_SLOTS.filter((s) => !LAST.includes(s));
    await this.#gdb.write("priv", 3n);
    await this.#gdb.write("mie", 0n);
    for (const s of TOLD) await this.#gdb.write(s, h.slots[s] ?? 0n);
    for (const s of [...slots, ...LAST]) await this.#gdb.write(NAME_OF.get(s)!, h.slots[s] ?? 0n);
    await this.#gdb.writeGeneral([...h.x, h.slots.pc ?? 0n]);
  }
  async get(slots: readonly ArchSlot[] = PEER_SLOTS): Promise<HartStart> {
    const general = await this.#gdb.readGeneral();
    const h: HartStart = { x: general.slice(0, 32), slots: { pc: general[32] } };
    for (const s of slots) {
      const v = await this.#gdb.read(NAME_OF.get(s)!);
      if (v !== undefined) h.slots[s] = v;
    }
    return h;
  }
}

async function connect(path: string): Promise<Deno.Conn> {
  const end = performance.now() + START_MS;
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (e) {
      if (performance.now() > end) throw e;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
