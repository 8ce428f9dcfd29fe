/**
 * The machine's loop: harts take turns, exits are served, events happen at their moment of virtual time.
 *
 * Each hart has a clock of its own. The one furthest behind runs, for at most a quantum; whatever has a
 * moment (a device's event, a waiting hart's timer) happens when every hart that can run has reached
 * it. Where a call of `run` begins and ends changes nothing: the turn and its end are state.
 * @module
 */
import { type Hart, type RiscvCpu, Stop } from "../cpu/mod.ts";
import type { Meter } from "../cpu/meter.ts";
import { codeOf } from "../trace/schema.ts";
import type { Trace } from "../trace/trace.ts";
import type { EventQueue } from "./events.ts";
import type { ExitUnit } from "./exits.ts";
import type { InterruptKind, Profile } from "./profiles.ts";
import { HSM, sbiCall, sbiHandler, type SbiHost } from "./sbi.ts";

/** The most instructions one call into the CPU may execute. */
const MAX_COUNTS = 0x7fff_ffff;
const A7 = 17;
const SSIP = 1;
const MIE = 0x304;
const STIE = 1n << 5n;
/** Jumps of an idle machine after which `run` comes back, so that its caller can look around. */
const MAX_JUMPS = 10_000;
/** Typed bytes that wait for the guest to ask SBI for them. */
const MAX_TYPED = 4096;
/** With these, the CPU comes back behind an instruction; with the others, at one that it has begun. */
const RETIRED: ReadonlySet<Stop> = new Set([Stop.Budget, Stop.Wfi, Stop.Timer]);

/** Interrupt causes (Privileged ISA, table "mcause values after trap") and what carries them. */
const CAUSE_PATH: Readonly<Record<number, number>> = {
  1: codeOf("irq_path", "sbi"),
  3: codeOf("irq_path", "aclint"),
  5: codeOf("irq_path", "sstc"),
  7: codeOf("irq_path", "aclint"),
  9: codeOf("irq_path", "plic"),
  11: codeOf("irq_path", "plic"),
};
const CAUSE_KIND: Readonly<Record<number, InterruptKind>> = {
  1: "software",
  3: "software",
  7: "timer",
  9: "external",
  11: "external",
};
const INJECT = codeOf("irq_event", "inject");
/** Causes of interrupts that the CPU knows end below. */
const INTERRUPTS = 16;

/** How the guest ended the run. */
export interface GuestStop {
  readonly kind: "poweroff" | "reboot" | "fail";
  readonly code: number;
}

/** Why `run` came back. */
export type Stopped =
  /** So many instructions were executed. */
  | { readonly why: "executed" }
  /** Every hart waits; the next event is at `nextNs`, or never. */
  | { readonly why: "idle"; readonly nextNs: number }
  | { readonly why: "guest"; readonly stop: GuestStop }
  /** Somebody called `pause`, or the trace is as large as it may be. */
  | { readonly why: "paused" };

export interface RunLimit {
  /** Comes back once all harts together have executed so many instructions since reset. */
  readonly executed: number;
  /** When every hart waits: come back, or jump to the next event. */
  readonly idle: "return" | "jump";
}

type HartState = "running" | "waiting" | "stopped";

interface Turn {
  state: HartState;
  /** Where a hart that suspended non-retentively goes on. */
  resume: { pc: bigint; opaque: bigint } | null;
  suspended: boolean;
}

export interface MachineParts {
  readonly cpu: RiscvCpu;
  readonly harts: readonly Hart[];
  readonly exits: ExitUnit;
  readonly events: EventQueue;
  readonly trace: Trace;
  readonly profile: Profile;
  readonly quantumNs: number;
  readonly nsPerInsn: number;
  readonly ramBase: number;
  readonly meter: Meter | null;
  readonly fire: (device: string, name: string, arg: number) => void;
  readonly consoleOut: (bytes: Uint8Array) => void;
}

export class Machine {
  #p: MachineParts;
  #turns: Turn[];
  #current = 0;
  #quantumEndNs = 0;
  /** Moment of what happens now outside any hart, in virtual ns. */
  #nowNs = 0;
  #inHart = -1;
  #stop: GuestStop | null = null;
  #pause = false;
  /** True when the last thing that happened was an instruction: then its count names this place. */
  #counted = true;
  #typed: number[] = [];
  /** By cause: writes the row of an interrupt that is taken. */
  #injected: ((() => number) | null)[] = new Array(INTERRUPTS).fill(null);
  /** True once the guest has asked SBI for typed bytes: then they are wanted there. */
  sbiWantsInput = false;

  constructor(parts: MachineParts) {
    this.#p = parts;
    this.#turns = parts.harts.map(() => ({
      state: "stopped",
      resume: null,
      suspended: false,
    }));
  }

  get cpu(): RiscvCpu {
    return this.#p.cpu;
  }

  get harts(): readonly Hart[] {
    return this.#p.harts;
  }

  /** Instructions executed by all harts together. */
  get executed(): number {
    const { harts } = this.#p;
    let sum = 0;
    for (let i = 0; i < harts.length; i++) sum += harts[i].icount;
    return sum;
  }

  /** Virtual ns: the clock of the hart being served, else of the last event, else of the turn. */
  get nowNs(): number {
    if (this.#inHart >= 0) return this.#p.harts[this.#inHart].clockNs;
    const turn = this.#turns[this.#current];
    const clock = this.#p.harts[this.#current].clockNs;
    return turn.state === "running" ? clock : Math.max(this.#nowNs, clock);
  }

  /** The hart whose turn it is. */
  get turn(): number {
    return this.#current;
  }

  /** icount of the hart being served, else of the one whose turn it is. */
  get servedIcount(): number {
    return this.#p.harts[this.#inHart >= 0 ? this.#inHart : this.#current].icount;
  }

  get idle(): boolean {
    return this.#turns.every((t) => t.state !== "running");
  }

  /** Lets a hart run from reset. */
  start(hart: number, o: { pc: bigint; a0: bigint; a1: bigint; priv: 1 | 3 }): void {
    this.#p.harts[hart].start(o);
    this.#turns[hart].state = "running";
  }

  /** Runs until the limit, until every hart waits (when asked), or until the guest stops. */
  run(limit: RunLimit): Stopped {
    for (let jumps = 0;;) {
      if (this.#p.trace.full) this.#p.trace.flush();
      if (this.#stop !== null) return { why: "guest", stop: this.#stop };
      const pausing = this.#pause || this.#p.trace.limitReached;
      if (pausing && (this.#counted || this.idle)) {
        this.#pause = false;
        return { why: "paused" };
      }
      const left = pausing ? 1 : limit.executed - this.executed;
      if (left <= 0) return { why: "executed" };
      const nextNs = this.#nextNs();
      const hart = this.#choose(nextNs);
      if (hart < 0) {
        const back = limit.idle === "return" || nextNs === Infinity || jumps++ === MAX_JUMPS;
        if (back) return { why: "idle", nextNs };
        this.#happen(nextNs);
      } else if (this.#p.harts[hart].clockNs >= nextNs) {
        this.#happen(nextNs);
      } else {
        this.#runHart(hart, left, nextNs);
      }
    }
  }

  /**
   * Brings an idle machine to a moment: every event up to it happens, in order, until a hart wakes.
   * A machine that can run stays where it is.
   */
  idleUntil(timeNs: number): void {
    while (this.idle && this.#stop === null) {
      const nextNs = this.#nextNs();
      if (nextNs > timeNs) {
        this.#nowNs = Math.max(this.#nowNs, timeNs);
        return;
      }
      this.#happen(nextNs);
    }
  }

  /** Runs `act` as something that comes from outside, at this moment. */
  outside(act: () => void): void {
    this.#clock();
    act();
    this.#wake();
  }

  /** Bytes that the SBI console can take now. */
  get canType(): number {
    return MAX_TYPED - this.#typed.length;
  }

  /** Typed bytes for the SBI console. */
  type(bytes: Uint8Array): void {
    this.#typed.push(...bytes);
  }

  /**
   * Makes `run` come back at the next place that a replay can find: behind an instruction, before
   * anything else happens at that count, or where every hart waits, for there the moment names it.
   */
  pause(): void {
    this.#pause = true;
  }

  /** A device or the guest's firmware asked to stop. */
  stop(kind: GuestStop["kind"], code: number): void {
    this.#stop ??= { kind, code };
  }

  /** A wire into a hart: cause `bit` goes to `level`. */
  hartIrq(hart: number, bit: number, level: boolean): void {
    // A controller tells its level after every access: only a rise is an interrupt that arrives.
    const rose = this.#p.harts[hart].setIrq(bit as 1 | 3 | 7 | 9 | 11, level);
    if (!rose) return;
    const turn = this.#turns[hart];
    if (turn.state === "waiting") this.#wakeIfPending(hart);
    else if (turn.state === "running" && hart !== this.#inHart) {
      this.#p.exits.interrupted(hart, CAUSE_KIND[bit]);
    }
  }

  #clock(): void {
    const hart = this.#current;
    const h = this.#p.harts[hart];
    this.#p.exits.setClock(Math.max(h.clockNs, this.nowNs), h.icount, hart);
  }

  /** The next moment at which something happens by itself. */
  #nextNs(): number {
    let next = this.#p.events.nextNs;
    for (let i = 0; i < this.#turns.length; i++) {
      if (this.#turns[i].state !== "waiting") continue;
      const deadline = this.#p.harts[i].timerDeadlineNs();
      if (deadline < next && this.#timerWakes(i)) next = deadline;
    }
    return next;
  }

  /** § 3.3.3: WFI ends for an interrupt that is enabled in mie, whatever mstatus says. */
  #timerWakes(hart: number): boolean {
    return (this.#p.harts[hart].csr(MIE) & STIE) !== 0n;
  }

  /** The hart whose turn it is, -1 when every hart waits. */
  #choose(nextNs: number): number {
    const { harts } = this.#p;
    const now = harts[this.#current].clockNs;
    if (
      this.#turns[this.#current].state === "running" &&
      (harts.length === 1 || (now < this.#quantumEndNs && now < nextNs))
    ) return this.#current;
    let best = -1;
    for (let i = 0; i < harts.length; i++) {
      if (this.#turns[i].state !== "running") continue;
      if (best < 0 || harts[i].clockNs < harts[best].clockNs) best = i;
    }
    if (best < 0) return -1;
    if (best !== this.#current) {
      this.#p.cpu.clearReservation(this.#current);
      this.#p.cpu.clearReservation(best);
      this.#current = best;
    }
    this.#quantumEndNs = harts[best].clockNs + this.#p.quantumNs;
    return best;
  }

  /** No other hart can run, and none will before the CPU comes back. */
  #isAlone(hart: number): boolean {
    for (let i = 0; i < this.#turns.length; i++) {
      if (i !== hart && this.#turns[i].state === "running") return false;
    }
    return true;
  }
  /**
   * A hart that is alone is not stopped where its quantum ends, but its quanta follow each other as if it were.
   * One that ends now is over once the next instruction has begun.
   */
  #passQuanta(nowNs: number, stop: Stop): void {
    const { quantumNs } = this.#p;
    const beyond = nowNs - this.#quantumEndNs + (RETIRED.has(stop) ? 0 : 1);
    if (beyond > 0) this.#quantumEndNs += Math.ceil(beyond / quantumNs) * quantumNs;
  }

  #runHart(hart: number, left: number, nextNs: number): void {
    const { harts, cpu, nsPerInsn, meter } = this.#p;
    const h = harts[hart];
    const clock = h.clockNs;
    const timer = h.timerDeadlineNs();
    let untilNs = nextNs;
    const alone = harts.length > 1 && this.#isAlone(hart);
    if (harts.length > 1 && !alone && this.#quantumEndNs < untilNs) untilNs = this.#quantumEndNs;
    if (timer < untilNs) untilNs = timer;
    let counts = left < MAX_COUNTS ? left : MAX_COUNTS;
    const room = Math.ceil((untilNs - clock) / nsPerInsn);
    if (room < counts) counts = room > 0 ? room : 1;
    meter?.enter("run");
    const stop = cpu.run(hart, counts);
    meter?.leave();
    if (alone) this.#passQuanta(h.clockNs, stop);
    meter?.enter("devices");
    this.#serve(hart, h, stop);
    meter?.leave();
    const expired = h.clockNs >= timer && this.#turns[hart].state === "running";
    if (expired && this.#p.profile.timerExits) this.#p.exits.interrupted(hart, "timer");
  }

  #serve(hart: number, h: Hart, stop: Stop): void {
    const { exits } = this.#p;
    this.#inHart = hart;
    this.#counted = stop !== Stop.Stage2 && stop !== Stop.Interrupt;
    switch (stop) {
      case Stop.Budget:
      case Stop.Timer:
        break;
      case Stop.Load:
        exits.access(hart, false);
        break;
      case Stop.Store:
        exits.access(hart, true);
        break;
      case Stop.Stage2:
        exits.stage2(hart);
        break;
      case Stop.Ecall:
        this.#ecall(hart, h);
        break;
      case Stop.Wfi:
        exits.wfi(hart);
        this.#wait(hart);
        break;
      case Stop.Interrupt:
        exits.setClock(h.clockNs, h.icount, hart);
        this.#inject(h.cause);
        break;
      default:
        throw new Error(`the CPU stopped for a reason unknown here: ${stop satisfies never}`);
    }
    this.#inHart = -1;
  }

  #inject(cause: number): void {
    const { trace } = this.#p;
    this.#injected[cause] ??= trace.alike(
      "irq",
      { event: INJECT, line: cause, path: CAUSE_PATH[cause] },
      [],
    );
    this.#injected[cause]!();
  }

  #ecall(hart: number, h: Hart): void {
    const extension = h.xLo(A7);
    this.#p.exits.hypercall(hart, extension, sbiHandler(extension), () => {
      sbiCall(this.#sbi, hart);
      h.retire();
    });
    const turn = this.#turns[hart];
    if (turn.suspended) this.#wait(hart);
  }

  #wait(hart: number): void {
    this.#turns[hart].state = "waiting";
    this.#wakeIfPending(hart);
  }

  #wake(): void {
    for (let i = 0; i < this.#turns.length; i++) {
      if (this.#turns[i].state === "waiting") this.#wakeIfPending(i);
    }
  }

  #wakeIfPending(hart: number): void {
    const h = this.#p.harts[hart];
    const turn = this.#turns[hart];
    const now = this.nowNs;
    if (now > h.clockNs) {
      // A sleeping hart's clock stands still; what it is asked about is the present.
      if (!this.#pendingAt(h, now)) return;
      h.addNs(now - h.clockNs);
    } else if (!h.interruptPending()) return;
    turn.state = "running";
    turn.suspended = false;
    if (turn.resume !== null) {
      const { pc, opaque } = turn.resume;
      turn.resume = null;
      h.start({ pc, a0: BigInt(hart), a1: opaque, priv: 1 });
    }
  }

  #pendingAt(h: Hart, nowNs: number): boolean {
    if (h.interruptPending()) return true;
    const hart = this.#p.harts.indexOf(h);
    return h.timerDeadlineNs() <= nowNs && this.#timerWakes(hart);
  }

  /** What is due at `nextNs` happens. */
  #happen(nextNs: number): void {
    this.#nowNs = Math.max(this.#nowNs, nextNs);
    this.#counted = false;
    const { events } = this.#p;
    this.#clock();
    if (events.nextNs <= nextNs) {
      const e = events.take();
      this.#p.meter?.enter("devices");
      this.#p.fire(e.device, e.name, e.arg);
      this.#p.meter?.leave();
    }
    this.#wake();
  }

  readonly #sbi: SbiHost = this.#makeSbi();

  #makeSbi(): SbiHost {
    // deno-lint-ignore no-this-alias
    const machine = this;
    return {
      get harts() {
        return machine.#p.harts;
      },
      get ram() {
        return { base: machine.#p.ramBase, bytes: machine.#p.cpu.ram };
      },
      hsmState: (hart) => {
        const turn = machine.#turns[hart];
        if (turn.state === "stopped") return HSM.STOPPED;
        return turn.suspended ? HSM.SUSPENDED : HSM.STARTED;
      },
      startHart: (hart, pc, opaque) => {
        const h = machine.#p.harts[hart];
        const now = machine.nowNs;
        if (now > h.clockNs) h.addNs(now - h.clockNs);
        machine.start(hart, { pc, a0: BigInt(hart), a1: opaque, priv: 1 });
      },
      stopHart: (hart) => {
        machine.#turns[hart].state = "stopped";
      },
      suspendHart: (hart, resume) => {
        machine.#turns[hart].suspended = true;
        machine.#turns[hart].resume = resume;
      },
      sendIpi: (_from, to) => {
        if (machine.#turns[to].state !== "stopped") machine.hartIrq(to, SSIP, true);
      },
      flushTlb: (hart) => machine.#p.cpu.flushTlb(hart),
      consoleOut: (bytes) => machine.#p.consoleOut(bytes),
      consoleIn: (max) => {
        machine.sbiWantsInput = true;
        return Uint8Array.from(machine.#typed.splice(0, max));
      },
      wroteRam: (offset, bytes) => machine.#p.cpu.wroteRam(offset, bytes),
      stop: (kind, code) => machine.stop(kind, code),
    };
  }
}
