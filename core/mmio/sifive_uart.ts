/**
 * SiFive UART. Source: SiFive FU540-C000 Manual v1p3, chapter "Universal Asynchronous
 * Receiver/Transmitter (UART)"; names in comments are its sections.
 *
 * Simplified: a byte leaves the moment it reaches an enabled transmitter, so that the transmit FIFO holds
 * bytes only while txen is 0; div and nstop are kept and have no effect.
 * Deviates: txen is 1 at reset (Transmit Control Register: 0), as firmware leaves it: Linux's early
 * console relies on that.
 * While rxen is 0 or the receive FIFO is full, characters wait outside; a wire would lose them.
 * QEMU differs from Interrupt Registers: it raises the interrupt for ie alone; here ip AND ie decides,
 * which Linux's driver, with txcnt 1, sees no difference in.
 * @module
 */
import { bytes, device, u32 } from "./device.ts";

const FIFO_BYTES = 8; // Overview.
const TLCLK_HZ = 500_000_000; // Half of the core clock, 1 GHz.
const RESET_BAUD = 115_200;

const TXEN = 1;
const RXEN = 1;
const NSTOP = 2;
const CNT_SHIFT = 16;
const CNT_MASK = 7;
const FULL = 0x8000_0000;
const EMPTY = 0x8000_0000;
const TXWM = 1;
const RXWM = 2;

export const sifiveUart = device("sifive_uart", {
  doc: "SiFive UART: every byte is a register access.",
  source: "SiFive FU540-C000 Manual v1p3, chapter UART",
  size: 0x1000,
  compatible: ["sifive,fu540-c000-uart", "sifive,uart0"],
  node: "serial",
  irqs: 1,
  state: {
    tx: bytes(FIFO_BYTES),
    rx: bytes(FIFO_BYTES),
    txctrl: u32(TXEN),
    rxctrl: u32(),
    ie: u32(),
    div: u32(Math.round(TLCLK_HZ / RESET_BAUD) - 1), // Baud Rate Divisor Register: div_init.
  },
  // Linux's driver asks for its clock.
  dt: (n) => ({ clocks: n.phandle }),
  rootNodes: (n) => ({
    [`${n.name}-clock`]: {
      compatible: "fixed-clock",
      "#clock-cells": 0,
      "clock-frequency": TLCLK_HZ,
      phandle: n.phandle,
    },
  }),
}, (s, port) => {
  const count = (ctrl: number) => ctrl >>> CNT_SHIFT & CNT_MASK;
  /** Interrupt Registers: txwm when strictly fewer entries than txcnt, rxwm when more than rxcnt. */
  const ip = () =>
    (s.tx.length < count(s.txctrl) ? TXWM : 0) | (s.rx.length > count(s.rxctrl) ? RXWM : 0);

  function transmit(byte: number): void {
    if (s.txctrl & TXEN) port.out(byte);
    else if (s.tx.length < FIFO_BYTES) s.tx.push(byte);
  }

  function setTxctrl(v: number): void {
    s.txctrl = v & (TXEN | NSTOP | CNT_MASK << CNT_SHIFT);
    if (s.txctrl & TXEN) { for (const byte of s.tx.splice(0)) transmit(byte); }
  }

  function setRxctrl(v: number): void {
    s.rxctrl = v & (RXEN | CNT_MASK << CNT_SHIFT);
    if (s.rxctrl & RXEN) port.inputSpace();
  }

  function takeRx(): void {
    if (s.rx.shift() === undefined) return;
    port.inputSpace();
  }

  return {
    regs: [
      {
        at: 0x00,
        name: "txdata",
        get: () => s.tx.length === FIFO_BYTES ? FULL : 0,
        set: (v) => transmit(v & 0xff),
        doc: "Transmit Data Register",
      },
      {
        at: 0x04,
        name: "rxdata",
        get: () => s.rx[0] ?? EMPTY,
        onRead: takeRx,
        doc: "Receive Data Register",
      },
      {
        at: 0x08,
        name: "txctrl",
        get: () => s.txctrl,
        set: setTxctrl,
        doc: "Transmit Control Register",
      },
      {
        at: 0x0c,
        name: "rxctrl",
        get: () => s.rxctrl,
        set: setRxctrl,
        doc: "Receive Control Register",
      },
      {
        at: 0x10,
        name: "ie",
        get: () => s.ie,
        set: (v) => s.ie = v & (TXWM | RXWM),
        doc: "Interrupt Enable Register",
      },
      { at: 0x14, name: "ip", get: ip, doc: "Interrupt Pending Register" },
      {
        at: 0x18,
        name: "div",
        get: () => s.div,
        set: (v) => s.div = v & 0xffff,
        doc: "Baud Rate Divisor Register",
      },
    ],
    input: {
      rx: (data) => {
        for (const byte of data) if (s.rx.length < FIFO_BYTES) s.rx.push(byte);
      },
    },
    canInput: { rx: () => s.rxctrl & RXEN ? FIFO_BYTES - s.rx.length : 0 },
    settle: () => void port.irq((ip() & s.ie) !== 0),
  };
});
