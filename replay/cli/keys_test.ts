import assert from "node:assert/strict";
import { Keys, type Typed } from "./keys.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const shown = (typed: Typed[]) =>
  typed.map((t) => "command" in t ? `<${t.command}>` : new TextDecoder().decode(t.bytes)).join("");

Deno.test("keys: what is no command reaches the guest, Ctrl-C too", () => {
  assert.equal(shown(new Keys().feed(bytes("ls\r\x03\x1a"))), "ls\r\x03\x1a");
});

Deno.test("keys: Ctrl-A X, C and H are commands, in either case and in order", () => {
  assert.equal(shown(new Keys().feed(bytes("a\x01xb\x01C\x01hc"))), "a<quit>b<monitor><help>c");
});

Deno.test("keys: Ctrl-A Ctrl-A sends one Ctrl-A; an unknown command is dropped", () => {
  assert.equal(shown(new Keys().feed(bytes("\x01\x01z\x01qz"))), "\x01zz");
});

Deno.test("keys: a command cut anywhere between two reads is the same command", () => {
  const text = "ab\x01c\x01\x01d\x01x";
  for (let cut = 0; cut <= text.length; cut++) {
    const keys = new Keys();
    const typed = [...keys.feed(bytes(text.slice(0, cut))), ...keys.feed(bytes(text.slice(cut)))];
    assert.equal(shown(typed), "ab<monitor>\x01d<quit>");
  }
});
