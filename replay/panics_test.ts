import assert from "node:assert/strict";
import { PanicWatch } from "./panics.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A watch over a run whose place is set by hand. */
function watching(own?: RegExp) {
  const now = { executed: 0, hart: 0, seq: 0 };
  const watch = new PanicWatch(() => now, own);
  return { watch, now, say: (text: string, device = "uart0") => watch.out(device, bytes(text)) };
}

const PANICS: readonly [system: string, line: string][] = [
  ["Linux", "[    0.818475] Kernel panic - not syncing: VFS: Unable to mount root fs"],
  ["Linux with callers", "[    1.5][    T1] Kernel panic - not syncing: Attempted to kill init!"],
  ["Linux without times", "Kernel panic - not syncing: No working init found."],
  ["OpenSBI", "sbi_trap_error: hart0: trap handler failed (error -2)"],
  ["xv6", "panic: kerneltrap"],
  ["rCore, in colours", "\x1b[31m[kernel] Panicked at src/main.rs:57 no app\x1b[0m"],
  ["U-Boot", "### ERROR ### Please RESET the board ###"],
];

for (const [system, line] of PANICS) {
  Deno.test(`panics: ${system} is understood, in whatever pieces its line comes`, () => {
    for (const piece of [1, 7, 1000]) {
      const { watch, say } = watching();
      const text = `booting\r\n${line}\r\n`;
      for (let at = 0; at < text.length; at += piece) say(text.slice(at, at + piece));
      // deno-lint-ignore no-control-regex
      assert.equal(watch.panic?.line, line.replace(/\x1b\[\d+m/g, ""));
      assert.equal(watch.panic?.console, "uart0");
      assert.ok(watch.stopAt < Infinity);
    }
  });
}

Deno.test("panics: talk of panics is none, nor a line that is not complete, nor another device's half", () => {
  const { watch, say } = watching();
  say("# echo Kernel panic - not syncing: joke\nno panic: here\n[ OK ] panic: later\n");
  say("Kernel panic - not ", "uart0");
  say("syncing: half\n", "virtio-console0");
  assert.equal(watch.panic, null);
  assert.equal(watch.stopAt, Infinity);
});

Deno.test("panics: the report is waited for; its last line leaves a little time", () => {
  const { watch, now, say } = watching();
  now.executed = 1000;
  now.hart = 2;
  now.seq = 77;
  say("Kernel panic - not syncing: x\n");
  const patience = watch.stopAt;
  now.executed = 5000;
  assert.equal(say("Call Trace:\n"), false);
  assert.equal(say("---[ end Kernel panic - not syncing: x ]---\n"), true);
  assert.ok(watch.stopAt > 5000 && watch.stopAt < patience);
  assert.deepEqual([watch.panic?.hart, watch.panic?.seq, watch.panic?.executed], [2, 77, 1000]);
  const settled = watch.stopAt;
  now.executed = 6000;
  say("panic: another\n");
  assert.equal(watch.stopAt, settled);
});

Deno.test("panics: a line of one's own replaces those known", () => {
  const { watch, say } = watching(/^FATAL \d+/);
  say("panic: x\n");
  assert.equal(watch.panic, null);
  say("FATAL 12\n");
  assert.equal((watch as PanicWatch).panic?.line, "FATAL 12");
});
