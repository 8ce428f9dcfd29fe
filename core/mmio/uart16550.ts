/**
 * NS16550A UART. Source: TI PC16550D data sheet (SNLS378), chapter "Registers"; names in comments are
 * its sections.
 *
 * Simplified: a byte leaves the moment it is written, so THR and its FIFO are always empty; parity,
 * framing and break never happen and break is not looped back; the modem is always ready (CTS, DSR, DCD).
 * Deviates: while the receiver has no room, or in loopback, characters wait outside; a wire would lose
 * them. Only loopback can overrun.
 * @module
 */
import { bytes, device, flag, type Port, prop, type Reg, type StateOf, u8 } from "./device.ts";

const FIFO_BYTES = 16;

const IER = { rx: 1, thre: 2, line: 4, modem: 8 } as const;
/** Interrupt Identification Register. */
const IIR = { modem: 0, none: 1, thre: 2, rx: 4, line: 6, timeout: 0xc, fifos: 0xc0 } as const;
const FCR = { enable: 1, clearRx: 2, clearTx: 4, kept: 0xc9 } as const;
const LCR = { bits: 3, stop: 4, parity: 8, dlab: 0x80 } as const;
const MCR = { loop: 0x10, all: 0x1f } as const;
const LSR = { dataReady: 1, overrun: 2, empty: 0x60 } as const;
/** Lines in the upper half of MSR, their changes in the lower (Modem Status Register). */
const MSR = { ri: 0x40, ready: 0xb0 } as const;
/** FIFO Control Register: receive trigger levels by FCR[7:6]. */
const TRIGGER = [1, 4, 8, 14];

const STATE = {
  ier: u8(),
  fcr: u8(),
  lcr: u8(),
  mcr: u8(),
  scr: u8(),
  dll: u8(12),
  dlm: u8(),
  rx: bytes(FIFO_BYTES),
  /** Without FIFOs the last character stays readable. */
  rbr: u8(),
  /** Latched until LSR is read. */
  overrun: flag(),
  /** THR became empty and IIR has not told of it yet. */
  thrEmptied: flag(),
  /** No character came or went for four character times while some wait in the FIFO. */
  timedOut: flag(),
  /** Changes of modem lines since MSR was read. */
  modemDelta: u8(),
};
type State = StateOf<typeof STATE>;

const isBanked = (s: State) => (s.lcr & LCR.dlab) !== 0;
const hasFifos = (s: State) => (s.fcr & FCR.enable) !== 0;
const isLooped = (s: State) => (s.mcr & MCR.loop) !== 0;
const rxRoom = (s: State) => Math.max(0, (hasFifos(s) ? FIFO_BYTES : 1) - s.rx.length);

/** Interrupt Identification Register: the highest-priority enabled cause. */
function cause(s: State): number {
  const trigger = hasFifos(s) ? TRIGGER[s.fcr >> 6] : 1;
  if (s.ier & IER.line && s.overrun) return IIR.line;
  if (s.ier & IER.rx && s.rx.length >= trigger) return IIR.rx;
  if (s.ier & IER.rx && s.timedOut) return IIR.timeout;
  if (s.ier & IER.thre && s.thrEmptied) return IIR.thre;
  if (s.ier & IER.modem && s.modemDelta !== 0) return IIR.modem;
  return IIR.none;
}

/** Modem Control Register: in loopback DTR, RTS, OUT1 and OUT2 appear as DSR, CTS, RI and DCD. */
function modemLines(s: State): number {
  if (!isLooped(s)) return MSR.ready;
  return (s.mcr & 2) << 3 | (s.mcr & 1) << 5 | (s.mcr & 4) << 4 | (s.mcr & 8) << 4;
}

function setMcr(s: State, v: number): void {
  const before = modemLines(s);
  s.mcr = v & MCR.all;
  const changed = before ^ modemLines(s);
  // RI counts at its trailing edge only (TERI).
  const told = before & MSR.ri ? changed : changed & ~MSR.ri;
  s.modemDelta |= told >> 4;
}

/** FIFO Interrupt Mode Operation: four characters of start, data, parity and stop bits. */
function timeoutNs(s: State, clockHz: number): number {
  const stopBits = s.lcr & LCR.stop ? 2 : 1;
  const bits = 1 + 5 + (s.lcr & LCR.bits) + (s.lcr & LCR.parity ? 1 : 0) + stopBits;
  const divisor = Math.max(1, s.dlm << 8 | s.dll);
  return Math.ceil(4 * bits * 16 * divisor * 1e9 / Math.max(1, clockHz));
}

/** The receive FIFO and its timeout. */
function receiver(s: State, port: Port, clockHz: number) {
  function moved(): void {
    s.timedOut = false;
    const waits = hasFifos(s) && s.rx.length > 0;
    port.timer("timeout", waits ? port.now() + timeoutNs(s, clockHz) : null);
  }
  return {
    put(byte: number): void {
      if (!hasFifos(s)) s.rbr = byte;
      if (rxRoom(s) > 0) s.rx.push(byte);
      else {
        s.overrun = true;
        // Line Status Register: without FIFOs the newer character replaces the older one.
        if (!hasFifos(s)) s.rx[0] = byte;
      }
      moved();
    },
    take(): void {
      if (s.rx.shift() === undefined) return;
      if (!isLooped(s)) port.inputSpace();
      moved();
    },
    clear(): void {
      s.rx.length = 0;
      moved();
      port.inputSpace();
    },
  };
}

/** The registers that DLAB does not bank and that hold no data. */
function controlRegs(s: State, port: Port, rx: ReturnType<typeof receiver>): Reg[] {
  function setFcr(v: number): void {
    const fcr = v & FCR.enable ? v & FCR.kept : 0; // FIFO Control Register: bit 0 must be 1 for the others.
    const toggled = (fcr ^ s.fcr) & FCR.enable;
    s.fcr = fcr;
    if (toggled || fcr && v & FCR.clearRx) rx.clear();
    // FIFO Interrupt Mode Operation: the first transmitter interrupt after changing FCR0 is immediate, if
    // enabled.
    if (toggled || fcr && v & FCR.clearTx) s.thrEmptied = true;
  }
  function tellIir(): void {
    if (cause(s) === IIR.thre) s.thrEmptied = false;
  }
  function lsr(): number {
    return LSR.empty | (s.rx.length > 0 ? LSR.dataReady : 0) | (s.overrun ? LSR.overrun : 0);
  }
  const size = 1;
  return [
    {
      at: 2,
      name: "IIR",
      size,
      get: () => cause(s) | (hasFifos(s) ? IIR.fifos : 0),
      onRead: tellIir,
    },
    { at: 2, name: "FCR", size, set: setFcr },
    { at: 3, name: "LCR", size, get: () => s.lcr, set: (v) => s.lcr = v },
    {
      at: 4,
      name: "MCR",
      size,
      get: () => s.mcr,
      set: (v) => {
        const wasLooped = isLooped(s);
        setMcr(s, v);
        if (wasLooped && !isLooped(s)) port.inputSpace();
      },
    },
    { at: 5, name: "LSR", size, get: lsr, onRead: () => s.overrun = false },
    {
      at: 6,
      name: "MSR",
      size,
      get: () => modemLines(s) | s.modemDelta,
      onRead: () => s.modemDelta = 0,
    },
    { at: 7, name: "SCR", size, get: () => s.scr, set: (v) => s.scr = v },
  ];
}

export const uart16550 = device("uart16550", {
  doc: "NS16550A UART: every byte is a register access; FIFOs of 16 bytes.",
  source: "TI PC16550D data sheet, SNLS378",
  size: 0x100,
  compatible: ["ns16550a"],
  node: "serial",
  irqs: 1,
  props: { clock_hz: prop.u32(3_686_400, "Input clock; baud = clock / 16 / divisor.") },
  state: STATE,
  dt: (_, props) => ({ "clock-frequency": props.clock_hz }),
}, (s, port, props) => {
  const rx = receiver(s, port, props.clock_hz);

  function transmit(byte: number): void {
    if (isLooped(s)) rx.put(byte);
    else port.out(byte);
    s.thrEmptied = true;
  }
  const rbr = () => hasFifos(s) ? s.rx[0] ?? 0 : s.rbr;
  function setIer(v: number): void {
    if (v & ~s.ier & IER.thre) s.thrEmptied = true; // THR is empty as it is enabled.
    s.ier = v & 0xf;
  }

  const size = 1;
  const dlab = () => isBanked(s);
  const when = () => !isBanked(s);
  return {
    regs: [
      { at: 0, name: "RBR", size, when, get: rbr, onRead: rx.take },
      { at: 0, name: "THR", size, when, set: transmit },
      { at: 0, name: "DLL", size, when: dlab, get: () => s.dll, set: (v) => s.dll = v },
      { at: 1, name: "IER", size, when, get: () => s.ier, set: setIer },
      { at: 1, name: "DLM", size, when: dlab, get: () => s.dlm, set: (v) => s.dlm = v },
      ...controlRegs(s, port, rx),
    ],
    input: { rx: (data) => data.forEach(rx.put) },
    canInput: { rx: () => isLooped(s) ? 0 : rxRoom(s) },
    events: { timeout: () => s.timedOut = s.rx.length > 0 },
    settle: () => void port.irq(cause(s) !== IIR.none),
  };
});
