import assert from "node:assert/strict";
import { type Streams, Terminal, withTerminal } from "./terminal.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | null) =>
  bytes === null ? null : new TextDecoder().decode(bytes);

/** Streams in memory: `type` is what the user types, `shown` what the user sees. */
class FakeStreams implements Streams {
  shown = "";
  raw: boolean[] = [];
  #waiting: ((bytes: Uint8Array | null) => void)[] = [];
  #queue: (Uint8Array | null)[] = [];

  constructor(readonly interactive: boolean) {}

  /** What is typed arrives once the reader has run. */
  async type(text: string | null): Promise<void> {
    const bytes = text === null ? null : encode(text);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(bytes);
    else this.#queue.push(bytes);
    for (let turns = 0; turns < 8; turns++) await Promise.resolve();
  }

  read(): Promise<Uint8Array | null> {
    const queued = this.#queue.shift();
    if (queued !== undefined) return Promise.resolve(queued);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  write(bytes: Uint8Array): void {
    this.shown += decode(bytes);
  }

  setRaw(raw: boolean): void {
    this.raw.push(raw);
  }
}

function opened(interactive: boolean) {
  const streams = new FakeStreams(interactive);
  const terminal = new Terminal(streams);
  terminal.open();
  return { streams, terminal };
}

Deno.test("terminal: from a pipe every byte passes unchanged, Ctrl-A too, and the end is known", async () => {
  const { streams, terminal } = opened(false);
  await streams.type("a\x01x");
  assert.equal(terminal.quit(), false);
  assert.equal(terminal.inputEnded(), false);
  assert.equal(decode(terminal.pollInput()), "a\x01x");
  assert.equal(terminal.pollInput(), null);
  await streams.type(null);
  assert.equal(terminal.inputEnded(), true);
  assert.deepEqual(streams.raw, []);
});

Deno.test("terminal: the end of a pipe is told only after its last byte was taken", async () => {
  const { streams, terminal } = opened(false);
  await streams.type("last");
  await streams.type(null);
  assert.equal(terminal.inputEnded(), false);
  assert.equal(decode(terminal.pollInput()), "last");
  assert.equal(terminal.inputEnded(), true);
});

Deno.test("terminal: a pipe is not read far ahead of a guest that takes nothing", async () => {
  const { streams, terminal } = opened(false);
  const block = "x".repeat(1 << 15);
  for (let i = 0; i < 4; i++) await streams.type(block);
  assert.equal(terminal.pollInput()!.length, 2 << 15);
  await streams.type("");
  assert.equal(terminal.pollInput()!.length, 2 << 15);
});

Deno.test("terminal: Ctrl-A X asks for the end and wakes a waiting recording", async () => {
  const { streams, terminal } = opened(true);
  const waited = terminal.waitInput(60_000);
  await streams.type("\x01x");
  await waited;
  assert.equal(terminal.quit(), true);
  assert.equal(terminal.signalled, null);
});

Deno.test("terminal: waiting ends with the first typed byte, or after the time given", async () => {
  const { streams, terminal } = opened(true);
  const waited = terminal.waitInput(60_000);
  await streams.type("k");
  await waited;
  assert.equal(decode(terminal.pollInput()), "k");
  await terminal.waitInput(1);
  assert.equal(terminal.pollInput(), null);
});

Deno.test("terminal: the monitor takes the keys, holds the guest's output and gives it back", async () => {
  const { streams, terminal } = opened(true);
  terminal.out("uart0", encode("before "));
  await streams.type("\x01c");
  terminal.out("uart0", encode("HELD"));
  await streams.type("help\r");
  assert.equal(terminal.pollInput(), null);
  assert.match(streams.shown, /^before [\s\S]*monitor[\s\S]*help\n[\s\S]*info exits/);
  assert.ok(!streams.shown.includes("HELD"));
  await streams.type("cont\rls\r");
  assert.ok(streams.shown.endsWith("HELD"));
  assert.equal(decode(terminal.pollInput()), "ls\r");
});

Deno.test("terminal: quit in the monitor ends the recording", async () => {
  const { streams, terminal } = opened(true);
  await streams.type("\x01cquit\r");
  assert.equal(terminal.quit(), true);
});

Deno.test("terminal: raw mode is left on the way out, after a failure too", async () => {
  const streams = new FakeStreams(true);
  const work = withTerminal(new Terminal(streams), () => Promise.reject(new Error("boom")));
  await assert.rejects(work, /boom/);
  assert.deepEqual(streams.raw, [true, false]);
});
