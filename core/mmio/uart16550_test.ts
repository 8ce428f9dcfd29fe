import assert from "node:assert/strict";
import { TestMachine } from "./test_machine.ts";
import { uart16550 } from "./uart16550.ts";

const RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5;
const MSR = 6, SCR = 7;

class Uart extends TestMachine {
  constructor() {
    super(uart16550);
  }
  r(at: number): number {
    return this.read(at, 1);
  }
  w(at: number, v: number): void {
    this.write(at, v, 1);
  }
  type(text: string): void {
    this.dev.input("rx", new TextEncoder().encode(text));
  }
  get up(): boolean {
    return this.wires[0].level;
  }
}

Deno.test("uart16550: a byte leaves as it is written; the transmitter is always empty", () => {
  const u = new Uart();
  for (const c of "ok") u.w(THR, c.charCodeAt(0));
  assert.equal(u.outText, "ok");
  assert.equal(u.r(LSR), 0x60);
});

Deno.test("uart16550: DLAB banks offsets 0 and 1", () => {
  const u = new Uart();
  u.w(LCR, 0x83);
  u.w(DLL, 0x12);
  u.w(DLM, 0x34);
  assert.deepEqual([u.r(DLL), u.r(DLM)], [0x12, 0x34]);
  u.w(LCR, 0x03);
  u.w(IER, 0xff);
  assert.equal(u.r(IER), 0x0f);
  assert.equal(u.outText, "", "the divisor is no data");
});

Deno.test("uart16550: THRE interrupts when enabled and after each write, until IIR tells of it", () => {
  const u = new Uart();
  u.w(THR, 0x41);
  assert.equal(u.up, false);
  u.w(IER, 2);
  assert.equal(u.up, true);
  assert.equal(u.r(IIR), 2);
  assert.equal(u.up, false);
  assert.equal(u.r(IIR), 1);
  u.w(THR, 0x42);
  assert.equal(u.up, true);
  u.w(IER, 0);
  assert.equal(u.up, false);
  u.w(IER, 2);
  assert.equal(u.r(IIR), 2, "Linux probes for exactly this");
});

Deno.test("uart16550: without FIFOs one byte is held, and read by RBR", () => {
  const u = new Uart();
  u.w(IER, 1);
  assert.equal(u.dev.canInput("rx"), 1);
  u.type("a");
  assert.equal(u.dev.canInput("rx"), 0);
  assert.equal(u.r(IIR), 4);
  assert.equal(u.r(LSR) & 1, 1);
  assert.equal(u.r(RBR), 0x61);
  assert.equal(u.r(LSR) & 1, 0);
  assert.equal(u.up, false);
});

Deno.test("uart16550: the receive interrupt waits for the trigger level", () => {
  for (const [bits, level] of [[0, 1], [1, 4], [2, 8], [3, 14]]) {
    const u = new Uart();
    u.w(FCR, 1 | bits << 6);
    u.w(IER, 1);
    for (let n = 1; n <= 14; n++) {
      u.type("x");
      assert.equal(u.up, n >= level, `level ${level} with ${n} bytes`);
    }
    assert.equal(u.r(IIR), 0xc4);
    while (u.r(LSR) & 1) u.r(RBR);
    assert.equal(u.up, false);
  }
});

Deno.test("uart16550: bytes below the trigger level interrupt after four idle character times", () => {
  const u = new Uart();
  u.w(LCR, 0x83);
  u.w(DLL, 2); // 115200 baud
  u.w(LCR, 0x03); // 8N1: ten bits a character
  u.w(FCR, 0x41);
  u.w(IER, 1);
  u.type("a");
  const timeoutNs = Math.ceil(4 * 10 * 1e9 / 115200);
  u.advance(timeoutNs - 1);
  assert.equal(u.up, false);
  u.type("b");
  u.advance(timeoutNs - 1);
  assert.equal(u.up, false, "a character begins the wait again");
  u.advance(1);
  assert.equal(u.up, true);
  assert.equal(u.r(IIR), 0xcc);
  assert.equal(u.r(RBR), 0x61);
  assert.equal(u.up, false);
  u.advance(timeoutNs);
  assert.equal(u.r(IIR), 0xcc);
  u.r(RBR);
  u.advance(10 * timeoutNs);
  assert.equal(u.r(IIR), 0xc1);
});

Deno.test("uart16550: FIFO control clears, and its other bits need bit 0", () => {
  const u = new Uart();
  u.w(FCR, 0xc0);
  assert.equal(u.r(IIR), 1, "FIFOs are off");
  u.w(FCR, 1);
  assert.equal(u.r(IIR), 0xc1);
  u.type("abc");
  u.w(FCR, 3);
  assert.equal(u.r(LSR) & 1, 0);
  u.type("d");
  u.w(FCR, 0);
  assert.equal(u.r(LSR) & 1, 0, "switching FIFOs off empties them");
});

Deno.test("uart16550: loopback brings bytes and modem lines back, and nothing leaves", () => {
  const u = new Uart();
  assert.equal(u.r(MSR), 0xb0);
  u.w(MCR, 0x1a); // loop, OUT2, RTS
  assert.equal(u.r(MSR) & 0xf0, 0x90, "Linux recognizes a UART by this");
  u.w(THR, 0x5a);
  assert.equal(u.r(RBR), 0x5a);
  assert.equal(u.outText, "");
  assert.equal(u.dev.canInput("rx"), 0);
  u.w(MCR, 0);
  assert.equal(u.dev.canInput("rx"), 1);
});

Deno.test("uart16550: changes of modem lines are told once, RI at its trailing edge", () => {
  const u = new Uart();
  u.w(MCR, 0x10); // all lines fall
  assert.equal(u.r(MSR), 0x0b);
  assert.equal(u.r(MSR), 0x00);
  u.w(IER, 8);
  u.w(MCR, 0x14); // RI rises
  assert.equal(u.r(MSR), 0x40);
  u.w(MCR, 0x10); // RI falls
  assert.equal(u.up, true);
  assert.equal(u.r(IIR), 0);
  assert.equal(u.r(MSR), 0x04);
  assert.equal(u.up, false);
});

Deno.test("uart16550: an overrun is latched until LSR is read, with the highest priority", () => {
  const u = new Uart();
  u.w(IER, 0xf);
  u.w(MCR, 0x10);
  u.w(THR, 1);
  u.w(THR, 2);
  assert.equal(u.r(IIR), 6);
  assert.equal(u.r(LSR) & 3, 3);
  assert.equal(u.r(LSR) & 3, 1);
  assert.equal(u.r(RBR), 2, "without FIFOs the newer byte replaces the older");
  u.w(FCR, 1);
  for (let i = 0; i < 17; i++) u.w(THR, i);
  assert.equal(u.r(LSR) & 2, 2);
  assert.equal(u.r(RBR), 0, "with FIFOs what is held stays");
});

Deno.test("uart16550: the scratch register holds a byte", () => {
  const u = new Uart();
  u.w(SCR, 0x1a5);
  assert.equal(u.r(SCR), 0xa5);
});
