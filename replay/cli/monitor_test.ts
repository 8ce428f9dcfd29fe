import assert from "node:assert/strict";
import type { MachineInfo } from "../info.ts";
import { answer, LineEditor } from "./monitor.ts";

const MACHINE: MachineInfo = {
  exits: () => [{ reason: "wfi", count: 7 }, { reason: "mmio", count: 12345 }, {
    reason: "pio",
    count: 0,
  }],
  memoryMap: () => [{ addr: 0x8000_0000, size: 0x800_0000, name: "ram" }, {
    addr: 0x1000_0000,
    size: 0x100,
    name: "uart0",
  }],
  registers: (hart) => `hart ${hart}`,
  devices: () => [{ name: "uart0", type: "uart16550", addr: 0x1000_0000, irq: 10, regs: 12 }],
};

Deno.test("monitor: info exits counts them, most first", () => {
  assert.deepEqual(answer("info exits", MACHINE), {
    text: "mmio   12,345\nwfi         7\ntotal  12,352",
    action: "stay",
  });
});

Deno.test("monitor: info memory-map is in order of address", () => {
  assert.equal(
    answer("info memory-map", MACHINE).text,
    "0x10000000-0x100000ff  uart0\n0x80000000-0x87ffffff  ram",
  );
});

Deno.test("monitor: info registers takes a hart, info devices lists them", () => {
  assert.equal(answer("info registers 3", MACHINE).text, "hart 3");
  assert.equal(answer("info registers", MACHINE).text, "hart 0");
  assert.match(answer("info devices", MACHINE).text, /uart0 +uart16550 +0x10000000 +10 +12/);
});

Deno.test("monitor: unique abbreviations and QEMU's names work", () => {
  assert.equal(answer("i mem", MACHINE).text, answer("info memory-map", MACHINE).text);
  assert.equal(answer("info mtree", MACHINE).text, answer("info memory-map", MACHINE).text);
  assert.equal(answer("c", MACHINE).action, "leave");
  assert.equal(answer("q", MACHINE).action, "quit");
});

Deno.test("monitor: what it does not know, it says, with the nearest it knows", () => {
  assert.equal(answer("infp exits", MACHINE).text, 'no command "infp": did you mean info?');
  assert.match(answer("info exist", MACHINE).text, /did you mean exits/);
  assert.match(answer("info", MACHINE).text, /try exits, memory-map/);
  assert.equal(answer("  ", MACHINE).text, "");
  assert.match(answer("info exits", null).text, /not built yet/);
});

Deno.test("monitor: help names every command and topic", () => {
  const { text } = answer("help", MACHINE);
  for (const word of ["cont", "quit", "info exits", "info registers"]) {
    assert.ok(text.includes(word));
  }
});

function typed(keys: string): { echo: string; lines: string[] } {
  const editor = new LineEditor();
  const all = [...new TextEncoder().encode(keys)].map((b) => editor.type(b));
  return {
    echo: all.map((a) => a.echo).join(""),
    lines: all.flatMap((a) => a.line === null ? [] : [a.line]),
  };
}

Deno.test("monitor's line: Backspace, Ctrl-U and Ctrl-C edit, never past the start", () => {
  assert.deepEqual(typed("hx\x7felp\r").lines, ["help"]);
  assert.deepEqual(typed("\x7f\x7fok\n").lines, ["ok"]);
  assert.deepEqual(typed("junk\x15a\r").lines, ["a"]);
  assert.deepEqual(typed("junk\x03b\r").lines, ["b"]);
  assert.equal(typed("ab\x08").echo, "ab\b \b");
  assert.equal(typed("\x1b\x02a").echo, "a");
});
