/**
 * Lines of `perf script`, `trace-cmd report` and ftrace's `trace` file: who, on which CPU, when, which
 * tracepoint, and its arguments.
 *
 * ```text
 * CPU 0/KVM 12345 [003]  1234.567890: kvm:kvm_exit: vcpu 0 reason …      perf script
 * CPU 0/KVM-12345 [003]  1234.567890: kvm_exit:             vcpu 0 …     trace-cmd report
 * CPU 0/KVM-12345 ( 12300) [003] d..1  1234.567890: kvm_exit: vcpu 0 …   trace, with thread group
 * ```
 *
 * The line is read from its timestamp on, back to the thread and forth to the event, because names of
 * threads may hold anything.
 * @module
 */
import { ascii, Cursor, isDigit, Names } from "./cursor.ts";
import type { HostTrace } from "./host_trace.ts";
import { KVM_EVENTS, type KvmEvent } from "./kvm_events.ts";
import { type Tally, textOf } from "./tally.ts";

const SPACE = 0x20;
const DOT = 0x2e;
const COLON = 0x3a;
const HASH = 0x23;
const MOST_EVENTS = 1024;
const [CPUS, VERSION, LOST] = ["cpus=", "version = ", "CPU"].map(ascii);
const NS_DIGITS = 9;
const POWERS = Array.from({ length: NS_DIGITS + 1 }, (_, i) => 10 ** (NS_DIGITS - i));

export class KvmText {
  readonly #c = new Cursor();
  readonly #names = new Names(MOST_EVENTS);
  /** By the code of the event's name. */
  readonly #events: (KvmEvent | null)[] = [];
  /** Of the head of the line: thread, time, and where the event begins. */
  #tid = 0;
  #seconds = 0;
  #ns = 0;

  constructor(readonly host: HostTrace, readonly tally: Tally) {}

  /** One line; what becomes of it is counted. */
  line(bytes: Uint8Array, from: number, to: number): void {
    const { tally } = this;
    tally.line++;
    tally.lines++;
    if (!this.#head(bytes, from, to)) return this.#noEvent(bytes, from, to);
    const c = this.#c;
    const code = this.#event();
    const event = code < 0 ? null : this.#events[code] ??= this.#lookUp(code);
    const sample = () => textOf(bytes, from, to);
    if (event === null) {
      const name = code < 0 ? "an event" : this.#names.texts[code];
      return tally.refuse(`event ${name}, which is not of KVM or not known`, sample);
    }
    const name = () => this.#names.texts[code];
    const { host } = this;
    const thread = host.thread(this.#tid);
    const timeNs = host.time(this.#seconds, this.#ns);
    if (!host.at(thread, timeNs)) return tally.refuse(`${name()} at a time that goes back`, sample);
    if (!event.read(c, host, thread, timeNs)) {
      return tally.refuse(`${name()} in a form that is not known`, sample);
    }
    tally.understood++;
    if (event.leaveOut) tally.leaveOut(`${name()} becomes no row`, sample);
  }

  #lookUp(code: number): KvmEvent | null {
    const name = this.#names.texts[code];
    return Object.hasOwn(KVM_EVENTS, name) ? KVM_EVENTS[name] : null;
  }

  /** Comments, blank lines and what trace-cmd says of buffers. */
  #noEvent(bytes: Uint8Array, from: number, to: number): void {
    const c = this.#c;
    c.set(bytes, from, to);
    c.spaces();
    const { tally } = this;
    if (c.rest === 0 || bytes[c.at] === HASH || c.word(CPUS) || c.word(VERSION)) {
      tally.understood++;
      return;
    }
    const sample = () => textOf(bytes, from, to);
    if (c.word(LOST) && /LOST|DROPPED|is empty/i.test(sample())) {
      tally.understood++;
      tally.leaveOut("events that the tracer lost", sample);
      return;
    }
    tally.refuse("no line of an event", sample);
  }

  /** Finds the timestamp, and the thread before it. Leaves the cursor behind its colon. */
  #head(bytes: Uint8Array, from: number, to: number): boolean {
    for (let colon = from; colon < to; colon++) {
      if (bytes[colon] !== COLON || colon === from || !isDigit(bytes[colon - 1])) continue;
      let at = colon - 1;
      while (at > from && isDigit(bytes[at - 1])) at--;
      if (at - 1 <= from || bytes[at - 1] !== DOT) continue;
      const fraction = at;
      at--;
      while (at > from && isDigit(bytes[at - 1])) at--;
      if (at === fraction - 1 || at === from || bytes[at - 1] !== SPACE) continue;
      if (!this.#stamp(bytes, at, fraction, colon) || !this.#thread(bytes, from, at)) continue;
      this.#c.set(bytes, colon + 1, to);
      return true;
    }
    return false;
  }

  #stamp(bytes: Uint8Array, at: number, fraction: number, end: number): boolean {
    const digits = end - fraction;
    if (digits > NS_DIGITS || fraction - at > 16) return false;
    let seconds = 0;
    for (let i = at; i < fraction - 1; i++) seconds = seconds * 10 + bytes[i] - 0x30;
    let ns = 0;
    for (let i = fraction; i < end; i++) ns = ns * 10 + bytes[i] - 0x30;
    this.#seconds = seconds;
    this.#ns = ns * POWERS[digits];
    return true;
  }

  /** Reads backwards: perhaps flags, perhaps `[cpu]`, perhaps `(tgid)`, then the thread's number. */
  #thread(bytes: Uint8Array, from: number, before: number): boolean {
    let at = skipSpaces(bytes, from, before);
    if (bytes[at - 1] !== 0x5d) {
      // Flags such as d..1 stand behind `]`; without CPU the thread comes right here.
      let word = at;
      while (word > from && bytes[word - 1] !== SPACE) word--;
      const cpu = skipSpaces(bytes, from, word);
      if (bytes[cpu - 1] === 0x5d && cpu > from) at = cpu;
    }
    if (at > from && bytes[at - 1] === 0x5d) {
      at = skipSpaces(bytes, from, skipBack(bytes, from, at, 0x5b));
      if (bytes[at - 1] === 0x29) at = skipSpaces(bytes, from, skipBack(bytes, from, at, 0x28));
    }
    const end = at;
    while (at > from && isDigit(bytes[at - 1])) at--;
    if (at === end || end - at > 10) return false;
    let tid = 0;
    for (let i = at; i < end; i++) tid = tid * 10 + bytes[i] - 0x30;
    this.#tid = tid;
    return true;
  }

  /** Code of the event's name, without perf's `kvm:` before it; -1 when there is none. */
  #event(): number {
    const c = this.#c;
    c.spaces();
    if (!c.token(COLON)) return -1;
    let { from, at } = c;
    c.at++;
    if (c.rest > 0 && c.bytes[c.at] !== SPACE && c.token(COLON)) {
      from = c.from;
      at = c.at;
      c.at++;
    }
    c.spaces();
    return this.#names.code(c.bytes, from, at);
  }
}

function skipSpaces(bytes: Uint8Array, from: number, end: number): number {
  let at = end;
  while (at > from && bytes[at - 1] === SPACE) at--;
  return at;
}

/** Where the byte `open` stands before `end`. */
function skipBack(bytes: Uint8Array, from: number, end: number, open: number): number {
  let at = end - 1;
  while (at > from && bytes[at] !== open) at--;
  return at;
}
