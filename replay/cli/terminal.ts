/**
 * The host's side of the guest's console. On a terminal, keys go to the guest one by one (Ctrl-C
 * too) and Ctrl-A begins a command; from a pipe or file, bytes pass unchanged.
 * @module
 */
import type { MachineInfo } from "../info.ts";
import type { RecordHost } from "../record.ts";
import { diskIsFull, EXIT, UserError } from "./errors.ts";
import { Keys, KEYS_HELP } from "./keys.ts";
import { answer, LineEditor } from "./monitor.ts";

/** What a console needs of its host; tests bring their own. */
export interface Streams {
  /** Resolves with the next typed bytes; null at the end. */
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): void;
  /** Whether keys are typed at a terminal. */
  interactive: boolean;
  setRaw(raw: boolean): void;
}

/** Output that the guest may produce while the monitor is open and that is shown afterwards. */
const HELD_BYTES = 1 << 20;
/** A pipe is read no further than this ahead of the guest. */
const READ_AHEAD_BYTES = 1 << 16;

const encoder = new TextEncoder();

const NEWLINE = 10;

/** The console of a recording. `open()` before it, `close()` after it, whatever happened. */
export class Terminal implements RecordHost {
  readonly interactive: boolean;
  /** Set when a signal asked for the end: what the command exits with. */
  signalled: number | null = null;
  #keys = new Keys();
  #typed: Uint8Array[] = [];
  #typedBytes = 0;
  #ended = false;
  #quit = false;
  #wake: (() => void) | null = null;
  #drained: (() => void) | null = null;
  #monitor: LineEditor | null = null;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #info: MachineInfo | null = null;
  #lastByte = NEWLINE;

  constructor(readonly streams: Streams) {
    this.interactive = streams.interactive;
  }

  open(): void {
    if (this.interactive) this.streams.setRaw(true);
    void this.#pump();
  }

  close(): void {
    this.#closeMonitor();
    if (this.interactive) this.streams.setRaw(false);
  }

  machine(m: { info: MachineInfo }): void {
    this.#info = m.info;
  }

  /** True when the guest's output stands in the middle of a line. */
  get midLine(): boolean {
    return this.#lastByte !== NEWLINE;
  }

  out(_device: string, bytes: Uint8Array): void {
    this.#lastByte = bytes.at(-1) ?? this.#lastByte;
    if (this.#monitor === null) return this.streams.write(bytes);
    this.#held.push(bytes.slice());
    this.#heldBytes += bytes.length;
    while (this.#heldBytes > HELD_BYTES) this.#heldBytes -= this.#held.shift()!.length;
  }

  pollInput(): Uint8Array | null {
    if (this.#typedBytes === 0) return null;
    const all = new Uint8Array(this.#typedBytes);
    let at = 0;
    for (const part of this.#typed.splice(0)) {
      all.set(part, at);
      at += part.length;
    }
    this.#typedBytes = 0;
    this.#drained?.();
    return all;
  }

  inputEnded(): boolean {
    return this.#ended && this.#typedBytes === 0;
  }

  quit(): boolean {
    return this.#quit;
  }

  /** Asks for the end of the recording; the second time, gives up waiting for it. */
  stop(exitCode: number): void {
    if (this.#quit) {
      this.close();
      Deno.exit(exitCode);
    }
    this.signalled = exitCode;
    this.#endHere();
  }

  waitInput(ms: number): Promise<void> {
    if (this.#typedBytes > 0 || this.#quit) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  async #pump(): Promise<void> {
    for (;;) {
      const bytes = await this.streams.read();
      if (bytes === null) break;
      if (this.interactive) this.#typedAtTerminal(bytes);
      else this.#toGuest(bytes);
      if (this.#typedBytes >= READ_AHEAD_BYTES) {
        await new Promise<void>((resolve) => this.#drained = resolve);
        this.#drained = null;
      }
    }
    this.#ended = true;
    this.#wake?.();
  }

  #toGuest(bytes: Uint8Array): void {
    this.#typed.push(bytes);
    this.#typedBytes += bytes.length;
    this.#wake?.();
  }

  #typedAtTerminal(bytes: Uint8Array): void {
    for (const typed of this.#keys.feed(bytes)) {
      if ("bytes" in typed) {
        if (this.#monitor === null) this.#toGuest(typed.bytes);
        else this.#toMonitor(this.#monitor, typed.bytes);
      } else if (typed.command === "quit") this.#endHere();
      else if (typed.command === "help") this.#print(`\n${KEYS_HELP}\n`);
      else if (this.#monitor === null) this.#openMonitor();
      else this.#closeMonitor();
    }
  }

  #openMonitor(): void {
    this.#monitor = new LineEditor();
    this.#print("\nExitscope monitor: help lists its commands, cont goes back.\n(exitscope) ");
  }

  #closeMonitor(): void {
    if (this.#monitor === null) return;
    this.#monitor = null;
    this.#print("\n");
    for (const bytes of this.#held.splice(0)) this.streams.write(bytes);
    this.#heldBytes = 0;
  }

  #toMonitor(editor: LineEditor, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const { echo, line } = editor.type(bytes[i]);
      this.#print(echo);
      if (line === null) continue;
      const { text, action } = answer(line, this.#info);
      if (text !== "") this.#print(`${text}\n`);
      if (action === "quit") return this.#endHere();
      if (action === "leave") {
        this.#closeMonitor();
        return this.#toGuest(bytes.subarray(i + 1));
      }
      this.#print("(exitscope) ");
    }
  }

  #endHere(): void {
    this.#quit = true;
    this.#wake?.();
  }

  #print(text: string): void {
    this.streams.write(encoder.encode(text));
  }
}

/** Writes to standard output, all of it. Throws UserError when that is a file on a full disk. */
export function writeOut(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
  } catch (error) {
    if (!diskIsFull(error)) throw error;
    throw new UserError(
      "Standard output: the disk is full",
      "Free some space, or send it elsewhere.",
    );
  }
}

/** Writes all of it. */
export function writeAll(to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += to.writeSync(bytes.subarray(at));
    } catch (error) {
      // A reader slower than the guest, on a pipe that somebody made non-blocking.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
  }
}

/** Standard input and output of this process. */
export function processStreams(): Streams {
  const buffer = new Uint8Array(4096);
  const interactive = Deno.stdin.isTerminal();
  return {
    interactive,
    async read() {
      const n = await Deno.stdin.read(buffer).catch(() => null);
      return n === null ? null : buffer.slice(0, n);
    },
    write: writeOut,
    setRaw: (raw) => Deno.stdin.setRaw(raw),
  };
}

const SIGNALS: [Deno.Signal, number][] = Deno.build.os === "windows"
  ? [["SIGINT", EXIT.interrupted], ["SIGBREAK", EXIT.terminated]]
  : [["SIGINT", EXIT.interrupted], ["SIGTERM", EXIT.terminated], ["SIGHUP", EXIT.terminated]];

/** Runs `work` with the console open; every way out, a signal too, leaves the terminal as it was. */
export async function withTerminal<T>(
  terminal: Terminal,
  work: (terminal: Terminal) => Promise<T>,
): Promise<T> {
  const restore = () => terminal.close();
  const handlers = SIGNALS.map(([signal, code]) => {
    const handler = () => terminal.stop(code);
    Deno.addSignalListener(signal, handler);
    return () => Deno.removeSignalListener(signal, handler);
  });
  globalThis.addEventListener("unload", restore);
  try {
    terminal.open();
    return await work(terminal);
  } finally {
    globalThis.removeEventListener("unload", restore);
    handlers.forEach((remove) => remove());
    restore();
  }
}
