/**
 * A guest's last words: how systems say on their console that they give up. The lines are what each
 * system prints (Linux kernel/panic.c; OpenSBI lib/sbi/sbi_trap.c; xv6-riscv and the BSDs, panic();
 * rCore-Tutorial, lang_items.rs; U-Boot lib/hang.c).
 * @module
 */

/** How one kind of system panics. */
interface PanicStyle {
  readonly begins: RegExp;
  /** The last line of what it prints then; null when there is no telling. */
  readonly ends: RegExp | null;
}

const STYLES: readonly PanicStyle[] = [
  {
    begins: /^(?:\[[ \d.]+\](?:\[[^\]]*\])? )?Kernel panic - not syncing/,
    ends: /---\[ end Kernel panic - not syncing/,
  },
  { begins: /^sbi_trap_error: hart\d+: /, ends: /^sbi_trap_error: hart\d+: t6=/ },
  { begins: /^panic: /, ends: null },
  { begins: /^\[kernel\] Panicked at /i, ends: null },
  { begins: /^### ERROR ### Please RESET the board ###/, ends: null },
];

/**
 * Instructions that a guest may go on for after its last word: time to reach the loop where it stays.
 * Not more, for harts that wait with an interrupt pending fill a trace with exits.
 */
const SETTLE = 200_000;
/** For what it prints and does when its last word is not known. */
const REPORT = 5_000_000;
/** For a last word that never comes: a kernel waits a second for each hart that does not answer. */
const PATIENCE = 2_000_000_000;

/** What of a line is looked at. */
const MAX_LINE = 512;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const ESCAPE = "\x1b";
// deno-lint-ignore no-control-regex
const COLOURS = /\x1b\[[\d;]*m/g;

/** `bytes` as text, byte by byte. They are handed over as they are: a spread would walk an iterator. */
const textOf = (bytes: Uint8Array): string =>
  String.fromCharCode.apply(null, bytes as unknown as number[]);

/** A line as far as it has been sent. */
interface Line {
  readonly bytes: Uint8Array;
  length: number;
}

/** Puts what devices send together into lines. A device may send byte by byte: a byte costs a store. */
export class ConsoleLines {
  readonly #take: (line: string, device: string) => void;
  readonly #lines = new Map<string, Line>();
  #device = "";
  #line: Line = { bytes: new Uint8Array(MAX_LINE), length: 0 };

  /** `take` gets each line that is complete, without its end and colours. */
  constructor(take: (line: string, device: string) => void) {
    this.#take = take;
  }

  feed(device: string, bytes: Uint8Array): void {
    if (device !== this.#device) this.#turnTo(device);
    const line = this.#line;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i];
      if (byte === NEWLINE) {
        const text = textOf(line.bytes.subarray(0, line.length));
        line.length = 0;
        this.#take(text.includes(ESCAPE) ? text.replace(COLOURS, "") : text, device);
      } else if (byte !== CARRIAGE_RETURN && line.length < MAX_LINE) {
        line.bytes[line.length++] = byte;
      }
    }
  }

  #turnTo(device: string): void {
    let line = this.#lines.get(device);
    if (line === undefined) {
      line = { bytes: new Uint8Array(MAX_LINE), length: 0 };
      this.#lines.set(device, line);
    }
    this.#device = device;
    this.#line = line;
  }
}

/** Where a run stands. */
export interface Moment {
  /** Instructions executed by all harts. */
  readonly executed: number;
  /** The hart whose turn it is. */
  readonly hart: number;
  /** seq of the next row. */
  readonly seq: number;
}

/** Waits for a panic on the console, and for its end. */
export class PanicWatch {
  /** The line it began with, when, and the device that sent it; null while there is none. */
  panic: Moment & { readonly line: string; readonly console: string } | null = null;
  /** Instructions executed by all harts at which the run is over. */
  stopAt = Infinity;
  readonly #styles: readonly PanicStyle[];
  readonly #now: () => Moment;
  readonly #lines = new ConsoleLines((line, device) => this.#look(line, device));
  #ends: RegExp | null = null;

  /** `own`: another system's line, in place of those known. */
  constructor(now: () => Moment, own?: RegExp) {
    this.#now = now;
    this.#styles = own === undefined ? STYLES : [{ begins: own, ends: null }];
  }

  /** Takes output of a device; true when `stopAt` has changed. */
  out(device: string, bytes: Uint8Array): boolean {
    const before = this.stopAt;
    this.#lines.feed(device, bytes);
    return this.stopAt !== before;
  }

  #look(line: string, console: string): void {
    if (this.panic === null) {
      const style = this.#styles.find((s) => s.begins.test(line));
      if (style === undefined) return;
      const now = this.#now();
      this.panic = { ...now, line, console };
      this.#ends = style.ends;
      this.stopAt = now.executed + (style.ends === null ? REPORT : PATIENCE);
    }
    if (!this.#ends?.test(line)) return;
    this.#ends = null;
    this.stopAt = this.#now().executed + SETTLE;
  }
}
