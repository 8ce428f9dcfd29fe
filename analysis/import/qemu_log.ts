/**
 * Lines of QEMU's log backend, of all three generations:
 *
 * ```text
 * 719585@1608130130.441188:memory_region_ops_read cpu 0 mr 0x… addr 0x3cc value 0x67 size 1
 * 719585@1608130130.441188:memory_region_ops_read cpu 0 mr 0x… addr 0x3cc value 0x67 size 1 name 'vga'
 * memory_region_ops_read cpu 0 mr 0x… addr 0x3cc value 0x67 size 1 name 'vga'
 * ```
 *
 * The last tells no time: all its rows have time_ns 0, and only counts mean something.
 * @module
 */
import { ascii, Cursor, Names } from "./cursor.ts";
import type { HostTrace } from "./host_trace.ts";
import { type Arguments, BACK, QEMU_EVENTS, type QemuEvent, QemuMachine } from "./qemu_events.ts";
import { type Tally, textOf } from "./tally.ts";

const SPACE = 0x20;
const QUOTE = 0x27;
const COMMA = 0x2c;
const DOT = 0x2e;
const COLON = 0x3a;
const AT = 0x40;
const MINUS = 0x2d;
const NIL = ascii("(nil)");
const MOST_EVENTS = 4096;
const MICROSECOND_DIGITS = 6;

/** How an event's line goes on: labels as bytes. */
interface Form {
  readonly event: QemuEvent;
  readonly labels: readonly Uint8Array[];
  /** What is said of events that become no row, by the reason: made once, told often. */
  readonly leftOut: Map<string, string>;
}

export class QemuLog {
  readonly #c = new Cursor();
  readonly #names = new Names(MOST_EVENTS);
  readonly #forms: (Form | null)[] = [];
  /** What is said of events that are not known, by code. */
  readonly #strangers: string[] = [];
  readonly #machine: QemuMachine;
  readonly #arguments = {
    tid: 0,
    timeNs: 0,
    lo: [] as number[],
    hi: [] as number[],
    texts: [] as (string | null)[],
  } satisfies Arguments;
  /** Lines without a time, which make the trace one without. */
  timeless = 0;

  constructor(readonly host: HostTrace, readonly tally: Tally) {
    this.#machine = new QemuMachine(host, tally);
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    const { tally } = this;
    const c = this.#c;
    tally.line++;
    tally.lines++;
    c.set(bytes, from, to);
    c.spaces();
    if (c.rest === 0) {
      tally.understood++;
      return;
    }
    const sample = () => textOf(bytes, from, to);
    if (!this.#prefix(c)) return tally.refuse("no line of an event", sample);
    if (!c.token(SPACE)) return tally.refuse("no line of an event", sample);
    const code = this.#names.code(bytes, c.from, c.at);
    const form = code < 0 ? null : this.#forms[code] ??= this.#lookUp(code);
    const name = () => code < 0 ? "an event" : this.#names.texts[code];
    if (form === null) return tally.refuse(this.#unknown(code), sample);
    if (!this.#read(form)) return tally.refuse(`${name()} in a form that is not known`, sample);
    const remark = form.event.apply(this.#machine, this.#arguments);
    if (remark === BACK) return tally.refuse(`${name()} ${BACK}`, sample);
    tally.understood++;
    if (remark === null) return;
    let what = form.leftOut.get(remark);
    if (what === undefined) form.leftOut.set(remark, what = `${name()}: ${remark}`);
    tally.leaveOut(what, sample);
  }

  #unknown(code: number): string {
    if (code < 0) return "an event, one of too many names";
    return this.#strangers[code] ??= `${this.#names.texts[code]}, an event that is not known`;
  }

  #lookUp(code: number): Form | null {
    const name = this.#names.texts[code];
    if (!Object.hasOwn(QEMU_EVENTS, name)) return null;
    const event = QEMU_EVENTS[name];
    const labels = event.fields.map((field) => ascii(field.name));
    return { event, labels, leftOut: new Map() };
  }

  /** `tid@seconds.microseconds:`, or nothing. False when it begins like that and is not. */
  #prefix(c: Cursor): boolean {
    const start = c.at;
    const tid = c.decimal();
    const into = this.#arguments;
    into.tid = 0;
    into.timeNs = 0;
    if (tid < 0 || !c.byte(AT)) {
      c.at = start;
      this.timeless++;
      return true;
    }
    const seconds = c.decimal();
    if (seconds < 0 || !c.byte(DOT)) return false;
    const before = c.at;
    const micros = c.decimal();
    if (micros < 0 || c.at - before !== MICROSECOND_DIGITS || !c.byte(COLON)) return false;
    into.tid = tid;
    into.timeNs = this.host.time(seconds, micros * 1000);
    return true;
  }

  #read({ event, labels }: Form): boolean {
    const c = this.#c;
    const { fields } = event;
    for (let i = 0; i < fields.length; i++) {
      const { kind, optional } = fields[i];
      c.spaces();
      if (c.rest === 0 && optional) {
        this.#arguments.texts[i] = null;
        continue;
      }
      if (!c.word(labels[i]) || !c.byte(SPACE)) return false;
      if (kind === "number" ? !this.#number(i) : !this.#text(i)) return false;
      c.byte(COMMA);
    }
    return true;
  }

  #number(i: number): boolean {
    const c = this.#c;
    const negative = c.byte(MINUS);
    if (c.word(NIL)) c.lo = c.hi = 0;
    else if (!c.number()) return false;
    const { lo, hi } = this.#arguments;
    lo[i] = negative ? -c.lo : c.lo;
    hi[i] = c.hi;
    return true;
  }

  /** `'…'` up to the line's end: names may hold anything. */
  #text(i: number): boolean {
    const c = this.#c;
    const { bytes, end } = c;
    if (c.rest < 2 || bytes[c.at] !== QUOTE || bytes[end - 1] !== QUOTE) return false;
    const code = this.#texts.code(bytes, c.at + 1, end - 1);
    if (code < 0) return false;
    this.#arguments.texts[i] = this.#texts.texts[code];
    c.at = end;
    return true;
  }

  readonly #texts = new Names(MOST_EVENTS);
}
