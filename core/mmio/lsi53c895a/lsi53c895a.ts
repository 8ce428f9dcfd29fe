/**
 * LSI53C895A PCI to Ultra2 SCSI controller, with the disks of its bus. Source: LSI53C895A PCI to Ultra2
 * SCSI Controller Technical Manual (S14028); the SCSI side in ../scsi.
 *
 * The driver puts a program (SCRIPTS) and tables into memory and starts it; the chip's own processor
 * then selects targets, moves commands and data, and interrupts. One request costs the guest few
 * register accesses, and the chip tens of instructions: rows of `step`.
 *
 * Simplified: initiator role; an 8-bit asynchronous bus without parity errors; low-level mode (SOCL,
 * SODL and the lines by hand), loopback, the DMA FIFO and serial EEPROM hold bits and do nothing. Timers
 * count the clocks that SCNTL3 and STEST1 divide from a crystal of 40 MHz; the handshake timer never
 * expires, for every target answers.
 * @module
 */
import { device, type Port, prop, type PropsOf, type StateOf, u32s, u8s } from "../device.ts";
import { busFields, ParallelBus } from "../scsi/parallel_bus.ts";
import { placesOf } from "../scsi/places.ts";
import { MAX_DISKS, UNIT_PROPS } from "../scsi/props.ts";
import { targetFields, Targets } from "../scsi/target.ts";
import { type Effects, keep, RegisterBytes, registerFile } from "./file.ts";
import { interruptFields, Interrupts } from "./interrupts.ts";
import { ChipMemory, SCRIPT_RAM_BAR, SCRIPT_RAM_BYTES } from "./memory.ts";
import {
  CTEST2,
  DCNTL,
  DMODE,
  DSTAT,
  FILE_BYTES,
  ISTAT0,
  ISTAT1,
  LINES,
  registerFields,
  type RegisterName,
  REGISTERS,
  SCNTL1,
  SCNTL2,
  SCRATCH,
  SIST0,
  SIST1,
  SSTAT0,
  SSTAT2,
  STEST1,
  STEST4,
} from "./registers.ts";
import { Scripts, scriptsFields } from "./scripts.ts";

const CRYSTAL_HZ = 40_000_000;
/** Clocks of a timer's shortest period, behind the prescaler; each step doubles them. */
const TIMER_CLOCKS = 4340 / 3;
/** SCNTL3.CCF: what the SCSI core's clock is divided by. */
const PRESCALER = [3, 1, 1.5, 2, 3, 4, 6, 8] as const;
const QUADRUPLED = STEST1.QEN | STEST1.QSEL;

/** The chip's own id, where drivers leave it. */
const HOST_ID = 7;
const MEMORY_BAR = 1;

const STATE = {
  ...registerFields,
  ...scriptsFields,
  ...interruptFields,
  ...busFields,
  ...targetFields(MAX_DISKS),
  scratch: u32s(SCRATCH.count),
  ram: u8s(SCRIPT_RAM_BYTES),
};
type State = StateOf<typeof STATE>;

const PROPS = {
  insn_ns: prop.u32(
    200,
    "Virtual ns that a SCRIPTS instruction takes: about 7 clocks of the PCI bus.",
  ),
  ...UNIT_PROPS,
};

/** ns of a timer's setting `n`, Infinity for off. */
function timerNs(s: State, n: number): number {
  if (n === 0) return Infinity;
  const clock = (s.STEST1 & QUADRUPLED) === QUADRUPLED ? 4 * CRYSTAL_HZ : CRYSTAL_HZ;
  return Math.round(2 ** n * TIMER_CLOCKS * PRESCALER[s.SCNTL3 & 7] * 1e9 / clock);
}

/** The parts of a chip, wired. */
function assemble(s: State, port: Port, props: PropsOf<typeof PROPS>) {
  const memory = new ChipMemory(port, s.ram);
  const interrupts = new Interrupts(s, port, () => scripts.stop());
  const places = placesOf("lsi53c895a", props.units, MAX_DISKS, HOST_ID);
  // Drives are asked for when the machine is there.
  let targets: Targets | null = null;
  const bus: ParallelBus = new ParallelBus(
    s,
    () => targets ??= new Targets(s, places, (bay) => port.drive(bay), props),
    {
      now: () => port.now(),
      wake: (atNs) => port.timer("target", atNs),
      nextRequestId: () => port.trace.nextRequestId(),
      origin: () => ({ icount: port.trace.icount, kickExitSeq: s.kickExitSeq }),
      freed: () => scripts.freed(),
      requested: () => scripts.requested(),
      completed: (row) => interrupts.completed(row),
    },
  );
  const scripts: Scripts = new Scripts(s, {
    port,
    bus,
    memory,
    interrupts,
    file: () => file,
    insnNs: props.insn_ns,
    selectionNs: () => timerNs(s, s.STIME0 & 0xf),
  });
  const regs = registerFile(s, s.scratch, {
    ...busEffects(s, port, bus, interrupts),
    ...hostEffects(s, port, bus, interrupts, scripts),
  });
  const file = new RegisterBytes(regs);
  return { bus, interrupts, scripts, regs };
}

/** Registers that show the bus, or act on it. */
function busEffects(s: State, port: Port, bus: ParallelBus, interrupts: Interrupts): Effects {
  const lines = () =>
    (s.requesting ? LINES.REQ : 0) | (s.acknowledging ? LINES.ACK : 0) |
    (s.connected ? LINES.BSY : 0) | (s.attention ? LINES.ATN : 0) | s.phase;
  return {
    SCNTL1: {
      get: () => s.SCNTL1 | (s.connected ? SCNTL1.CON : 0),
      set(v) {
        const rises = (v & ~s.SCNTL1 & SCNTL1.RST) !== 0;
        keep(s, "SCNTL1", v);
        if (!rises) return;
        s.SCNTL2 &= ~SCNTL2.SDU; // A reset frees the bus: nothing unexpected.
        bus.reset();
        interrupts.scsi(SIST0.RST);
      },
    },
    // WSS and WSR are cleared by writing ones.
    SCNTL2: { set: (v) => keep(s, "SCNTL2", v & ~SCNTL2.WSS) },
    SBCL: { get: lines },
    SSTAT0: { get: () => s.SCNTL1 & SCNTL1.RST ? SSTAT0.RST : 0 },
    SSTAT1: { get: () => s.phase },
    SSTAT2: { get: () => s.connected ? 0 : SSTAT2.LDSC },
    SBDL: { get: () => s.SIDL },
    STIME1: {
      set(v) {
        keep(s, "STIME1", v);
        const inNs = timerNs(s, v & 0xf);
        port.timer("general", inNs === Infinity ? null : port.now() + inNs);
      },
    },
    STEST4: { get: () => STEST4.LVD | (s.STEST1 & STEST1.QEN ? STEST4.LOCK : 0) },
    SIST0: {
      onRead() {
        s.SIST0 = 0;
        interrupts.cleared();
      },
    },
    SIST1: {
      onRead() {
        s.SIST1 = 0;
        interrupts.cleared();
      },
    },
  };
}

/** Registers through which the CPU runs the chip. */
function hostEffects(
  s: State,
  port: Port,
  bus: ParallelBus,
  interrupts: Interrupts,
  scripts: Scripts,
): Effects {
  const istat = () =>
    s.ISTAT0 & ~(ISTAT0.CON | ISTAT0.SIP | ISTAT0.DIP) | (s.connected ? ISTAT0.CON : 0) |
    (s.SIST0 | s.SIST1 ? ISTAT0.SIP : 0) | (s.DSTAT ? ISTAT0.DIP : 0);
  const signal = () => s.ISTAT0 & ISTAT0.SIGP ? CTEST2.SIGP : 0;
  const barOr = (own: "SCRATCHA" | "SCRATCHB", bar: number) => () =>
    s.CTEST2 & CTEST2.PCICIE ? port.bar(bar) ?? 0 : s[own];
  function reset(): void {
    scripts.stop();
    scripts.forgetSelection();
    port.timer("general", null);
    s.SCNTL2 = 0;
    for (const name of Object.keys(REGISTERS) as RegisterName[]) {
      const declared: { reset?: number } = REGISTERS[name];
      s[name] = declared.reset ?? 0;
    }
    s.stacked0 = s.stacked1 = 0;
    s.carry = false;
    bus.abandon();
  }
  return {
    DSTAT: { get: () => s.DSTAT | DSTAT.DFE, onRead: () => s.DSTAT = 0 },
    ISTAT0: {
      get: istat,
      set(v) {
        if (v & ISTAT0.SRST) reset();
        keep(s, "ISTAT0", v);
        if (v & ISTAT0.INTF) s.ISTAT0 &= ~ISTAT0.INTF;
        if (v & ISTAT0.ABRT) interrupts.dma(DSTAT.ABRT);
        if (v & ISTAT0.SIGP) scripts.signalled();
      },
    },
    ISTAT1: { get: () => s.ISTAT1 | (s.running ? ISTAT1.SRUN : 0) },
    CTEST2: {
      get: () => s.CTEST2 | CTEST2.CM | CTEST2.CIO | signal(),
      onRead: () => s.ISTAT0 &= ~ISTAT0.SIGP,
    },
    SCRATCHA: { get: barOr("SCRATCHA", MEMORY_BAR) },
    SCRATCHB: { get: barOr("SCRATCHB", SCRIPT_RAM_BAR) },
    DSP: {
      set(v, end) {
        s.DSP = v;
        if (end === 4 && (s.DMODE & DMODE.MAN) === 0) scripts.start();
      },
    },
    DCNTL: {
      set(v) {
        keep(s, "DCNTL", v);
        if (v & DCNTL.STD) scripts.start();
      },
    },
  };
}

/** Script RAM, as the CPU sees it. */
const scriptRam = (ram: Uint8Array) => ({
  read(at: number, size: number): number {
    let v = 0;
    for (let i = size - 1; i >= 0; i--) v = v << 8 | (ram[at + i] ?? 0);
    return v >>> 0;
  },
  write(at: number, size: number, v: number): void {
    for (let i = 0; i < size; i++) ram[at + i] = v >>> 8 * i;
  },
  names: [{ at: 0, size: SCRIPT_RAM_BYTES, name: "SCRIPT_RAM" }],
});

export const lsi53c895a = device("lsi53c895a", {
  doc: "LSI 53C895A SCSI controller: a processor of its own runs the driver's SCRIPTS.",
  source: "LSI53C895A Technical Manual",
  irqs: 1,
  drives: MAX_DISKS,
  pci: {
    vendor: 0x1000,
    device: 0x0012,
    class: 0x01_0000,
    subsystem: [0x1000, 0x1000],
    bars: [
      { bar: 0, kind: "io", size: FILE_BYTES },
      { bar: MEMORY_BAR, kind: "mem32", size: 1024, repeat: FILE_BYTES },
      { bar: SCRIPT_RAM_BAR, kind: "mem32", size: SCRIPT_RAM_BYTES, space: "script_ram" },
    ],
    header: { LATENCY_TIMER: 0xff },
  },
  props: PROPS,
  state: STATE,
}, (s, port, props) => {
  const { bus, interrupts, scripts, regs } = assemble(s, port, props);
  return {
    regs,
    lanes: true,
    spaces: { script_ram: { raw: scriptRam(s.ram) } },
    events: {
      step: () => scripts.step(),
      target: () => bus.elapsed(),
      selection: () => scripts.selectionTimedOut(SIST1.STO),
      general: () => interrupts.scsi(0, SIST1.GEN),
    },
    settle() {
      scripts.offerReselection();
      port.irq(interrupts.level);
    },
  };
});
