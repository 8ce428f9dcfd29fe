/**
 * A stream on the interpreter and on QEMU, an instruction at a time: general and floating-point
 * registers, the CSRs that both have, and at the end all of RAM. The oracle runs along; it says
 * which instruction comes and what it wrote.
 * @module
 */
import { RiscvCpu } from "../../core/cpu/mod.ts";
import { disassemble } from "../../core/cpu/disassemble.ts";
import { extract } from "../../core/cpu/row.ts";
import { DECODER } from "../../core/cpu/isa/mod.ts";
import { type ArchSlot, Stop } from "../../core/cpu/state.ts";
import type { Insn } from "../../core/cpu/insn.ts";
import { hex } from "./pair.ts";
import { type Peer, PEER_SLOTS, peerable } from "./peer.ts";
import {
  causeOf,
  KEPT_FROM_PEER,
  type Quirk,
  QUIRKS,
  SPECULATIVE,
  type Step,
  tvalOf,
} from "./quirks.ts";
import {
  type Act,
  type HartStart,
  patched,
  RAM_BASE,
  RAM_BYTES,
  startOf,
  type Stream,
} from "./stream.ts";
import { TracingOracle, Watch } from "./tracing_oracle.ts";

const PAGE = 4096;
const MSTATUS_CSR = 0x300;
/** Above it, a board has neither devices nor memory. */
const DEVICES_END = 1n << 40n;

export interface PeerResult {
  steps: number;
  /** How often each quirk was met. */
  quirks: Map<string, number>;
  /** null: no difference. */
  failure: string | null;
}

interface Ours {
  cpu: RiscvCpu;
  oracle: TracingOracle;
  watch: Watch;
}

/** Everything that a peer tells, as software reads it. */
function seen(cpu: RiscvCpu): HartStart {
  const { x, slots } = startOf(cpu.stateBytes(), 0);
  return { x, slots: { ...slots, mstatus: cpu.hart(0).csr(MSTATUS_CSR) } };
}

/** Names and values that differ. */
function differences(a: HartStart, b: HartStart): Map<string, string> {
  const found = new Map<string, string>();
  const note = (name: string, ours: bigint, theirs: bigint) => {
    if (ours !== theirs) found.set(name, `${name}: ours ${hex(ours)}, QEMU ${hex(theirs)}`);
  };
  a.x.forEach((v, i) => note(`x${i}`, v, b.x[i]));
  for (const s of Object.keys(b.slots) as ArchSlot[]) note(s, a.slots[s]!, b.slots[s]!);
  return found;
}

export class PeerLockstep {
  readonly #o: Ours;
  readonly #result: PeerResult = { steps: 0, quirks: new Map(), failure: null };

  constructor(
    private readonly peer: Peer,
    private readonly stream: Stream,
    private readonly quirks: readonly Quirk[] = QUIRKS,
  ) {
    const cpu = new RiscvCpu({
      ...{ harts: 1, ramBase: RAM_BASE, ramBytes: RAM_BYTES, sbi: false },
      ...{ nsPerInsn: 100, timebaseHz: 10_000_000 },
    });
    cpu.stage2.fill(1);
    cpu.ram.set(stream.ram);
    const watch = new Watch();
    const stage2 = new Uint8Array(RAM_BYTES / PAGE).fill(1);
    const oracle = new TracingOracle(stream.ram.slice(), stage2, BigInt(RAM_BASE), watch);
    oracle.configureAs({ hartid: 0, sbi: false, nsPerInsn: 100, timebaseHz: 10_000_000 });
    this.#o = { cpu, oracle, watch };
  }

  async run(): Promise<PeerResult> {
    await this.peer.writeRam(0, this.stream.ram);
    this.#start(this.stream.harts[0]);
    await this.#resync();
    for (const turn of this.stream.turns) {
      if (this.#result.failure !== null) break;
      for (const act of turn.acts) await this.#act(act);
      for (let i = 0; i < turn.counts && this.#result.failure === null; i++) {
        await this.#step();
        this.#result.steps++;
      }
    }
    if (this.#result.failure === null) this.#compareRam(await this.peer.readRam());
    return this.#result;
  }

  /** Wires and deadlines are not for a peer whose interrupts stay off. */
  async #act(act: Act): Promise<void> {
    const { cpu, oracle, watch } = this.#o;
    const { x, slots } = startOf(cpu.stateBytes(), 0);
    if (act.kind === "state") this.#start(act.start);
    else if (act.kind === "pc") this.#start({ x, slots: { ...slots, pc: act.value } });
    else if (act.kind === "x") this.#start({ x: x.with(act.index, act.value), slots });
    else if (act.kind === "dma") {
      for (const ram of [cpu.ram, oracle.ram]) ram.set(act.bytes, act.at);
      cpu.wroteRam(act.at, act.bytes.length);
      for (const at of [act.at, act.at + act.bytes.length - 1]) watch.written.add(at >> 12);
    } else return;
    await this.#resync(watch.written);
  }
  #start(start: HartStart): void {
    const { cpu, oracle } = this.#o;
    const state = patched(cpu.stateBytes(), 0, peerable(start));
    cpu.loadState(state);
    oracle.loadState(state);
  }
  /** Gives the peer our registers, and the pages that were written since last time. */
  async #resync(pages: Set<number> = new Set()): Promise<void> {
    const { cpu, oracle } = this.#o;
    for (const page of pages) {
      await this.peer.writeRam(page * PAGE, cpu.ram.subarray(page * PAGE, (page + 1) * PAGE));
    }
    pages.clear();
    const state = startOf(cpu.stateBytes(), 0);
    await this.peer.set(state);
    await this.peer.flush(oracle.get("satp"), oracle.get("priv"));
  }

  async #step(): Promise<void> {
    const { cpu, oracle, watch } = this.#o;
    const pc = oracle.get("pc");
    const [exceptions, mstatus] = [oracle.get("exceptions"), oracle.get("mstatus")];
    oracle.fetchedAt = oracle.walkedAt = -1n;
    watch.stores.clear();
    watch.edited = [];
    const stop = oracle.step();
    const got = cpu.run(0, 1);
    if (got !== stop) return this.#fail(pc, 0, [`stopped: ${Stop[got]}, oracle ${Stop[stop]}`]);
    const isDevice = this.#serve(stop);
    const at = Number(oracle.fetchedAt) - RAM_BASE;
    const word = at >= 0 && at <= RAM_BYTES - 4 ? cpu.ramView.getUint32(at, true) : 0;
    const insn = DECODER.find((word & 3) === 3 ? word >>> 0 : word & 0xffff);
    // QEMU's devices are not ours, and its WFI waits.
    const ours = seen(cpu);
    const trapped = oracle.get("exceptions") !== exceptions;
    const cause = trapped ? causeOf(ours) : -1;
    const operand = insn?.row.operands.get("csr");
    const csr = operand ? extract(operand, word) : -1;
    const isOurs = isDevice || stop === Stop.Wfi || stop === Stop.Interrupt;
    const [leaf, ahead] = [this.#walked(), tvalOf(ours) - pc];
    const kept = { insn, cause, csr, mstatus, leaf, ahead };
    if (isOurs || KEPT_FROM_PEER.some((q) => q.applies(kept))) {
      this.#start(startOf(cpu.stateBytes(), 0));
      return await this.#resync(watch.written);
    }
    await this.peer.step();
    const theirs = await this.peer.get(this.#interesting(insn, trapped));
    const differ = differences(ours, theirs);
    const stores = await this.#stores();
    if (differ.size === 0 && stores.length === 0) {
      if (watch.edited.length > 0) await this.peer.flush(oracle.get("satp"), oracle.get("priv"));
      return;
    }
    const step: Step = { insn, word, cause, csr, differ: new Set(differ.keys()), ours, theirs };
    const quirk = this.quirks.find((q) => q.applies(step));
    if (!quirk) {
      const all = differences(ours, await this.peer.get());
      return this.#fail(pc, word, [...all.values(), ...stores]);
    }
    this.#result.quirks.set(quirk.what, (this.#result.quirks.get(quirk.what) ?? 0) + 1);
    // The peer's SC may have stored where ours did not.
    if (insn?.name.startsWith("sc.")) {
      for (let p = 0; p < RAM_BYTES / PAGE; p++) watch.written.add(p);
    }
    await this.#resync(watch.written);
  }
  /** What the peer has where our side stored. */
  async #stores(): Promise<string[]> {
    const { cpu, watch } = this.#o;
    const found: string[] = [];
    for (const pa of watch.stores) {
      const at = Math.min(Number(pa) - RAM_BASE, RAM_BYTES - 8);
      const theirs = await this.peer.readWord(at);
      const ours = cpu.ramView.getBigUint64(at, true);
      if (ours !== theirs) {
        found.push(`memory at ${hex(RAM_BASE + at)}: ours ${hex(ours)}, QEMU ${hex(theirs)}`);
      }
    }
    return found;
  }
  /** The page-table entry that was read last, or zero. */
  #walked(): bigint {
    const at = Number(this.#o.oracle.walkedAt) - RAM_BASE;
    return at < 0 ? 0n : this.#o.cpu.ramView.getBigUint64(at, true);
  }
  /** Most instructions change no CSR: those are looked at now and then. */
  #interesting(insn: Insn | undefined, trapped: boolean): readonly ArchSlot[] {
    const changes = !insn || insn.floats.size > 0 || /^(csr|[ms]ret)/.test(insn.name);
    return trapped || changes || this.#result.steps % 64 === 0 ? PEER_SLOTS : [];
  }
  /** True where a device of the board is at stake: the access is refused on our side. */
  #serve(stop: Stop): boolean {
    const { cpu, oracle } = this.#o;
    if (stop !== Stop.Load && stop !== Stop.Store) return false;
    cpu.hart(0).faultAccess();
    oracle.refuse(stop === Stop.Store);
    return oracle.access.gpa < DEVICES_END;
  }

  #fail(pc: bigint, word: number, what: string[]): void {
    const where = `step ${this.#result.steps}, pc ${hex(pc)}: ${hex(word)} ${
      disassemble(word, pc)
    }`;
    const { oracle } = this.#o;
    const context = ["priv", "mstatus", "satp", "mcause", "mtval", "scause", "stval"] as const;
    const slots = context.map((s) => `${s}=${hex(oracle.get(s))}`).join(" ");
    const x = oracle.regs.flatMap((v, i) => v === 0n ? [] : [`x${i}=${hex(v)}`]).join(" ");
    this.#result.failure = `${where}\n  ${what.join("\n  ")}\n  after it: ${slots}\n    ${x}`;
  }
  #compareRam(theirs: Uint8Array): void {
    const { ram } = this.#o.cpu;
    const isEntry = (at: number) => this.#o.watch.entries.has(BigInt(RAM_BASE + at));
    const at = ram.findIndex((v, i) =>
      v !== theirs[i] && !((v ^ theirs[i]) === SPECULATIVE && isEntry(i))
    );
    if (at < 0) return;
    const [a, b] = [this.#o.cpu.ram[at], theirs[at]];
    this.#result.failure = `memory at ${hex(RAM_BASE + at)}: ours ${hex(a)}, QEMU ${hex(b)}`;
  }
}
