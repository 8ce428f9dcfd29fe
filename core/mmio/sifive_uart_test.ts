import assert from "node:assert/strict";
import { sifiveUart } from "./sifive_uart.ts";
import { TestMachine } from "./test_machine.ts";

const TXDATA = 0x00, RXDATA = 0x04, TXCTRL = 0x08, RXCTRL = 0x0c, IE = 0x10, IP = 0x14, DIV = 0x18;
const TXWM = 1, RXWM = 2;

function enabled(txcnt = 1, rxcnt = 0): TestMachine {
  const m = new TestMachine(sifiveUart);
  m.write(TXCTRL, 1 | txcnt << 16);
  m.write(RXCTRL, 1 | rxcnt << 16);
  return m;
}

Deno.test("sifive_uart: a byte leaves as it is written and the FIFO is never full", () => {
  const m = enabled();
  for (const c of "hello") {
    assert.equal(m.read(TXDATA), 0);
    m.write(TXDATA, c.charCodeAt(0));
  }
  assert.equal(m.outText, "hello");
});

Deno.test("sifive_uart: without txen eight bytes wait, the ninth is lost, full says so", () => {
  const m = new TestMachine(sifiveUart);
  m.write(TXCTRL, 0);
  for (let i = 0; i < 9; i++) {
    assert.equal(m.read(TXDATA), i < 8 ? 0 : 0x8000_0000);
    m.write(TXDATA, 0x30 + i);
  }
  assert.equal(m.outText, "");
  m.write(TXCTRL, 1);
  assert.equal(m.outText, "01234567");
  assert.equal(m.read(TXDATA), 0);
});

Deno.test("sifive_uart: an early console that enables nothing is heard", () => {
  const m = new TestMachine(sifiveUart);
  for (let i = 0; i < 20; i++) {
    assert.equal(m.read(TXDATA), 0);
    m.write(TXDATA, 0x41);
  }
  assert.equal(m.outText, "A".repeat(20));
});

Deno.test("sifive_uart: bytes received come out in order, then rxdata says empty", () => {
  const m = enabled();
  m.dev.input("rx", new TextEncoder().encode("ab"));
  assert.equal(m.read(RXDATA), 0x61);
  assert.equal(m.read(RXDATA), 0x62);
  assert.equal(m.read(RXDATA), 0x8000_0000);
});

Deno.test("sifive_uart: input waits outside until the receiver is enabled and has room", () => {
  const m = new TestMachine(sifiveUart);
  assert.equal(m.dev.canInput("rx"), 0);
  m.write(RXCTRL, 1);
  assert.ok(m.log.includes("inputSpace"));
  assert.equal(m.dev.canInput("rx"), 8);
  m.dev.input("rx", new Uint8Array(10).fill(0x41));
  assert.equal(m.dev.canInput("rx"), 0);
  m.read(RXDATA);
  assert.equal(m.dev.canInput("rx"), 1);
});

Deno.test("sifive_uart: peeking at rxdata takes nothing", () => {
  const m = enabled();
  m.dev.input("rx", Uint8Array.of(0x61));
  assert.equal(m.dev.peek(RXDATA, 4), 0x61n);
  assert.equal(m.dev.peek(RXDATA, 4), 0x61n);
  assert.equal(m.read(RXDATA), 0x61);
});

Deno.test("sifive_uart: the line is up exactly while an enabled condition is pending", () => {
  const m = enabled(0, 1);
  const [wire] = m.wires;
  m.write(IE, TXWM | RXWM);
  assert.equal(m.read(IP), 0, "txcnt 0: fewer than 0 entries is never true");
  assert.equal(wire.level, false);
  m.write(TXCTRL, 1 | 1 << 16);
  assert.equal(m.read(IP), TXWM);
  assert.equal(wire.level, true);
  m.write(IE, RXWM);
  assert.equal(wire.level, false);
  m.dev.input("rx", Uint8Array.of(1));
  assert.equal(wire.level, false, "one entry is not strictly more than rxcnt 1");
  m.dev.input("rx", Uint8Array.of(2));
  assert.equal(wire.level, true);
  m.read(RXDATA);
  assert.equal(wire.level, false);
});

Deno.test("sifive_uart: reserved bits read as zero and ip cannot be written", () => {
  const m = new TestMachine(sifiveUart);
  for (const at of [TXCTRL, RXCTRL, IE, IP, DIV]) m.write(at, 0xffff_ffff);
  assert.equal(m.read(TXCTRL), 0x70003);
  assert.equal(m.read(RXCTRL), 0x70001);
  assert.equal(m.read(IE), 3);
  assert.equal(m.read(IP), TXWM);
  assert.equal(m.read(DIV), 0xffff);
});
