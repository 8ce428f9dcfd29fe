/**
 * NS16550A UART. § = TI PC16550D data sheet (SNLS378), whose chapter 8 describes the
 * registers.
 *
 * Simplified: a byte leaves the moment it is written, so THR and its FIFO are always empty; parity,
 * framing and break never happen and break is not looped back; the modem is always ready (CTS, DSR, DCD).
 * Deviates: while the receiver has no room, or in loopback, characters wait outside; a wire would lose
 * them. Only loopback can overrun.
 * @module
 */
import { bytes, device, flag, prop, u8 } from "./device.ts";

const FIFO_BYTES = 16;

const IER = { rx: 1, thre: 2, line: 4, modem: 8 } as const;
/** § 8.6, table IV. */
const IIR = { modem: 0, none: 1, thre: 2, rx: 4, line: 6, timeout: 0xc, fifos: 0xc0 } as const;
const FCR = { enable: 1, clearRx: 2, kept: 0xc9 } as const;
const LCR = { bits: 3, stop: 4, parity: 8, dlab: 0x80 } as const;
const MCR = { loop: 0x10, all: 0x1f } as const;
const LSR = { dataReady: 1, overrun: 2, empty: 0x60 } as const;
/** Lines in the upper half of MSR, their changes in the lower (§ 8.9). */
const MSR = { ri: 0x40, ready: 0xb0 } as const;
/** § 8.5: receive trigger levels by FCR[7:6]. */
const TRIGGER = [1, 4, 8, 14];

export const uart16550 = device("uart16550", {
  doc: "NS16550A UART: every byte is a register access; FIFOs of 16 bytes.",
  source: "TI PC16550D data sheet, SNLS378",
  size: 0x100,
  compatible: ["ns16550a"],
  node: "serial",
  irqs: 1,
  props: { clock_hz: prop.u32(3_686_400, "Input clock; baud = clock / 16 / divisor.") },
  state: {
    ier: u8(),
    fcr: u8(),
    lcr: u8(),
    mcr: u8(),
    scr: u8(),
    dll: u8(12),
    dlm: u8(),
    rx: bytes(FIFO_BYTES),
    /** Latched until LSR is read. */
    overrun: flag(),
    /** THR became empty and IIR has not told of it yet. */
    thrEmptied: flag(),
    /** No character came or went for four character times while some wait in the FIFO. */
    timedOut: flag(),
    /** Changes of modem lines since MSR was read. */
    modemDelta: u8(),
  },
  dt: (_, props) => ({ "clock-frequency": props.clock_hz }),
}, (s, port, props) => {
  const dlab = () => (s.lcr & LCR.dlab) !== 0;
  const data = () => !dlab();
  const fifos = () => (s.fcr & FCR.enable) !== 0;
  const looped = () => (s.mcr & MCR.loop) !== 0;
  const rxBytes = () => fifos() ? FIFO_BYTES : 1;
  const trigger = () => fifos() ? TRIGGER[s.fcr >> 6] : 1;

  /** § 8.6: the highest-priority enabled cause. */
  function cause(): number {
    if (s.ier & IER.line && s.overrun) return IIR.line;
    if (s.ier & IER.rx && s.rx.length >= trigger()) return IIR.rx;
    if (s.ier & IER.rx && s.timedOut) return IIR.timeout;
    if (s.ier & IER.thre && s.thrEmptied) return IIR.thre;
    if (s.ier & IER.modem && s.modemDelta !== 0) return IIR.modem;
    return IIR.none;
  }

  /** § 8.8: in loopback DTR, RTS, OUT1 and OUT2 appear as DSR, CTS, RI and DCD. */
  function modemLines(): number {
    if (!looped()) return MSR.ready;
    const m = s.mcr;
    return (m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4;
  }

  function setMcr(v: number): void {
    const before = modemLines();
    const wasLooped = looped();
    s.mcr = v & MCR.all;
    const changed = before ^ modemLines();
    // RI counts at its trailing edge only (TERI).
    const told = changed & MSR.ri && !(before & MSR.ri) ? changed & ~MSR.ri : changed;
    s.modemDelta |= told >> 4;
    if (wasLooped && !looped()) port.inputSpace();
  }

  /** Four characters of start, data, parity and stop bits. */
  function timeoutNs(): number {
    const bits = 1 + 5 + (s.lcr & LCR.bits) + (s.lcr & LCR.parity ? 1 : 0) +
      (s.lcr & LCR.stop ? 2 : 1);
    const divisor = Math.max(1, s.dlm << 8 | s.dll);
    return Math.ceil(4 * bits * 16 * divisor * 1e9 / Math.max(1, props.clock_hz));
  }

  function rxMoved(): void {
    s.timedOut = false;
    const waits = fifos() && s.rx.length > 0;
    port.timer("timeout", waits ? port.now() + timeoutNs() : null);
  }

  function receive(byte: number): void {
    if (s.rx.length < rxBytes()) s.rx.push(byte);
    else {
      s.overrun = true;
      // § 8.4: without FIFOs the newer character replaces the older one.
      if (!fifos()) s.rx[0] = byte;
    }
    rxMoved();
  }

  function transmit(byte: number): void {
    if (looped()) receive(byte);
    else {
      port.out(byte);
      port.trace.served("console_write", 1);
    }
    s.thrEmptied = true;
  }

  function takeRx(): void {
    if (s.rx.shift() === undefined) return;
    if (!looped()) {
      port.trace.served("console_read", 1);
      port.inputSpace();
    }
    rxMoved();
  }

  function setIer(v: number): void {
    if (v & ~s.ier & IER.thre) s.thrEmptied = true; // THR is empty as it is enabled.
    s.ier = v & 0xf;
  }

  function setFcr(v: number): void {
    const fcr = v & FCR.enable ? v & FCR.kept : 0; // § 8.5: bit 0 must be 1 for the others.
    const toggled = (fcr ^ s.fcr) & FCR.enable;
    s.fcr = fcr;
    if (toggled || v & FCR.enable && v & FCR.clearRx) {
      s.rx.length = 0;
      rxMoved();
      port.inputSpace();
    }
  }

  const one = { size: 1 } as const;
  return {
    regs: [
      { ...one, at: 0, name: "RBR", when: data, get: () => s.rx[0] ?? 0, onRead: takeRx },
      { ...one, at: 0, name: "THR", when: data, set: transmit },
      { ...one, at: 0, name: "DLL", when: dlab, get: () => s.dll, set: (v) => s.dll = v },
      { ...one, at: 1, name: "IER", when: data, get: () => s.ier, set: setIer },
      { ...one, at: 1, name: "DLM", when: dlab, get: () => s.dlm, set: (v) => s.dlm = v },
      {
        ...one,
        at: 2,
        name: "IIR",
        get: () => cause() | (fifos() ? IIR.fifos : 0),
        onRead: () => {
          if (cause() === IIR.thre) s.thrEmptied = false;
        },
      },
      { ...one, at: 2, name: "FCR", set: setFcr },
      { ...one, at: 3, name: "LCR", get: () => s.lcr, set: (v) => s.lcr = v },
      { ...one, at: 4, name: "MCR", get: () => s.mcr, set: setMcr },
      {
        ...one,
        at: 5,
        name: "LSR",
        get: () =>
          LSR.empty | (s.rx.length > 0 ? LSR.dataReady : 0) | (s.overrun ? LSR.overrun : 0),
        onRead: () => s.overrun = false,
      },
      {
        ...one,
        at: 6,
        name: "MSR",
        get: () => modemLines() | s.modemDelta,
        onRead: () => s.modemDelta = 0,
      },
      { ...one, at: 7, name: "SCR", get: () => s.scr, set: (v) => s.scr = v },
    ],
    input: {
      rx: (bytes) => {
        for (const byte of bytes) receive(byte);
      },
    },
    canInput: { rx: () => looped() ? 0 : Math.max(0, rxBytes() - s.rx.length) },
    events: { timeout: () => s.timedOut = s.rx.length > 0 },
    settle: () => void port.irq(cause() !== IIR.none),
  };
});
