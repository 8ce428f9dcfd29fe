/**
 * Lines for the prompt: from a terminal with editing, completion and a history kept between sessions, or
 * from whatever standard input is.
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { completer, INTERRUPT, type Lines } from "./prompt.ts";

const HISTORY_LINES = 500;

/** Where the history is kept: the state folder of the XDG base directories; null without a home. */
export function historyFile(env: (name: string) => string | undefined): string | null {
  const state = env("XDG_STATE_HOME");
  const home = env("HOME");
  if (state?.startsWith("/")) return join(state, "exitscope", "query_history");
  return home ? join(home, ".local", "state", "exitscope", "query_history") : null;
}

/** The newest first, as readline wants it. */
export function readHistory(file: string | null): string[] {
  if (file === null) return [];
  try {
    return readFileSync(file, "utf8").split("\n").filter((line) => line !== "").reverse();
  } catch {
    return [];
  }
}

/** A history that cannot be kept is no reason to fail. */
export function keepHistory(file: string | null, newestFirst: readonly string[]): void {
  if (file === null) return;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const lines = newestFirst.slice(0, HISTORY_LINES).reverse();
    writeFileSync(file, lines.map((line) => `${line}\n`).join(""), { mode: 0o600 });
  } catch {
    return;
  }
}

/** Lines of standard input. */
export function standardLines(): Lines {
  return Deno.stdin.isTerminal() && Deno.stdout.isTerminal()
    ? new TerminalLines()
    : new PipeLines();
}

type Typed = string | null | typeof INTERRUPT;

class TerminalLines implements Lines {
  readonly #file = historyFile((name) => Deno.env.get(name));
  readonly #reader: Interface;
  /** What the statement holds in the lines before. */
  #before = "";
  #history: string[];
  #waiting: ((line: Typed) => void) | null = null;
  /** Lines that came while nobody waited: several are pasted at once. */
  #ahead: Typed[] = [];

  constructor() {
    this.#history = readHistory(this.#file);
    this.#reader = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      historySize: HISTORY_LINES,
      history: [...this.#history],
      removeHistoryDuplicates: true,
      completer: (line: string) => completer(line, this.#before),
    });
    this.#reader.on("line", (line) => this.#settle(line));
    this.#reader.on("close", () => this.#settle(null));
    this.#reader.on("SIGINT", () => {
      // The terminal shows what was typed so far; it is dropped.
      this.#reader.write(null, { ctrl: true, name: "u" });
      process.stdout.write("^C\n");
      this.#settle(INTERRUPT);
    });
  }

  next(prompt: string): Promise<Typed> {
    if (!prompt.trimStart().startsWith("...")) this.#before = "";
    const ahead = this.#ahead.shift();
    if (ahead !== undefined) return Promise.resolve(this.#taken(ahead));
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#reader.setPrompt(prompt);
      this.#reader.prompt();
    });
  }

  #settle(line: Typed): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#ahead.push(line);
    else waiting(this.#taken(line));
  }

  #taken(line: Typed): Typed {
    if (typeof line === "string") {
      this.#before += `${line} `;
      if (line.trim() !== "") this.#history = [line, ...this.#history.filter((l) => l !== line)];
    }
    return line;
  }

  close(): void {
    keepHistory(this.#file, this.#history);
    this.#reader.close();
  }
}

class PipeLines implements Lines {
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#lines = textLines(Deno.stdin.readable);
  }

  async next(): Promise<string | null> {
    const { done, value } = await this.#lines.next();
    return done ? null : value;
  }

  close(): void {}
}

async function* textLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
