/**
 * The symbol table that a Linux kernel carries in its read-only data, found in guest RAM and decoded.
 *
 * Source: Linux, scripts/kallsyms.c and kernel/kallsyms.c, for what lies where (6.1 and 6.4 to 6.15,
 * little-endian, 64 bits, addresses relative to a base). In memory, each part aligned to 8 bytes:
 *
 *   num_syms (u32) · names · markers · token_table · token_index · offsets · relative_base   (6.4 and on)
 *   offsets · relative_base · num_syms · names · markers · token_table · token_index        (6.1)
 *
 * A name is a length (ULEB128, one or two bytes) and so many codes; a code stands for a token, and the
 * first character of what comes out is the symbol's type, as `nm` prints it. `markers` has the place of
 * every 256th name, so the parts vouch for each other: what does not fit in every detail is no table.
 * Guests can put anything into their RAM: work is bounded, and names are printable or there are none.
 * @module
 */

/** A symbol table as it lies in RAM. */
export interface Kallsyms {
  /** In the order of addresses, which is the table's own. */
  readonly names: readonly string[];
  /** Type of each, as `nm` prints it: `T` and `t` are code, `W` and `w` weak. */
  readonly types: string;
  /** Distance of each from the base, in bytes. */
  readonly offsets: Uint32Array;
  /** Virtual address that offsets count from, as the running kernel has it. */
  readonly base: bigint;
}

const TOKENS = 256;
const NAMES_PER_MARKER = 256;
/** KSYM_NAME_LEN: a longer name is not Linux's. */
const MAX_NAME = 512;
/** Names take no more bytes than this on average; what claims to is no table. */
const MAX_CODES = 128;
const MAX_SYMBOLS = 1 << 22;
/** Places in RAM that look like a token table and are looked at. */
const MAX_CANDIDATES = 64;
const PART_ALIGN = 8;

/** Each digit occurs in names, so each is a token of its own, and they follow each other. */
const DIGITS = new TextEncoder().encode([..."0123456789"].map((d) => `${d}\0`).join(""));
const FIRST_DIGIT = "0".charCodeAt(0);
const LAST_DIGIT = "9".charCodeAt(0);
/** The digits take more than this, so a word at every such step sees two of them. */
const STEP_WORDS = 4;

const aligned = (at: number) => Math.ceil(at / PART_ALIGN) * PART_ALIGN;

/** The table of the kernel that lies in `bytes`, RAM (aligned to 8), or null when there is none that is sound. */
export function findKallsyms(bytes: Uint8Array): Kallsyms | null {
  let candidates = 0;
  for (const at of digitRuns(bytes)) {
    const found = new Candidate(bytes).read(at);
    if (found !== null) return found;
    if (++candidates === MAX_CANDIDATES) break;
  }
  return null;
}

/** Where `DIGITS` stands. A search byte by byte would take seconds in a large RAM. */
function* digitRuns(bytes: Uint8Array): Generator<number> {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  let behind = 0;
  for (let i = 0; i < words.length; i += STEP_WORDS) {
    const word = words[i];
    if (word === 0) continue;
    const odd = (word & 0x00ff_00ff) === 0;
    if (!odd && (word & 0xff00_ff00) !== 0) continue;
    const pair = odd ? word >>> 8 : word;
    const digit = pair & 0xff;
    if (pair >>> 16 !== digit + 1 || digit < FIRST_DIGIT || digit >= LAST_DIGIT) continue;
    const at = i * 4 + (odd ? 1 : 0) - (digit - FIRST_DIGIT) * 2;
    if (at < behind || DIGITS.some((digit, i) => bytes[at + i] !== digit)) continue;
    behind = at + DIGITS.length;
    yield at;
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Tokens extends Span {
  readonly text: readonly string[];
  /** Where token_index ends. */
  readonly indexEnd: number;
}

/** Reads a table around one place that looks like its tokens. Every method gives null for "it is none". */
class Candidate {
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  read(digits: number): Kallsyms | null {
    const tokens = this.#tokens(digits);
    if (tokens === null) return null;
    const markers = this.#markers(tokens.start);
    if (markers === null) return null;
    for (const { start, count } of this.#names(markers)) {
      const names = this.#decode(start, count, markers, tokens.text);
      const offsets = names && this.#offsets(start, count, tokens.indexEnd);
      if (names && offsets) return { ...names, ...offsets };
    }
    return null;
  }

  #u32(at: number): number {
    return at >= 0 && at + 4 <= this.bytes.length ? this.#view.getUint32(at, true) : 0;
  }

  /** The place behind `count` strings that begin at `at`, or -1. */
  #behind(at: number, count: number, into?: string[]): number {
    for (; count > 0; count--) {
      const end = this.bytes.indexOf(0, at);
      if (end < 0 || end - at > MAX_NAME) return -1;
      into?.push(String.fromCharCode(...this.bytes.subarray(at, end)));
      at = end + 1;
    }
    return at;
  }

  /** The index stands behind the tokens and says where each begins: one look settles it. */
  #tokens(digits: number): Tokens | null {
    const end = this.#behind(digits, TOKENS - FIRST_DIGIT);
    if (end < 0) return null;
    const index = aligned(end);
    const indexEnd = index + TOKENS * 2;
    if (indexEnd > this.bytes.length) return null;
    const start = digits - this.#view.getUint16(index + FIRST_DIGIT * 2, true);
    const text: string[] = [];
    if (start < 0 || start % PART_ALIGN !== 0 || this.#behind(start, TOKENS, text) !== end) {
      return null;
    }
    let at = 0;
    for (let i = 0; i < TOKENS; i++) {
      if (this.#view.getUint16(index + i * 2, true) !== at) return null;
      at += text[i].length + 1;
    }
    return { start, end, text, indexEnd };
  }

  /** Going back from the tokens, markers fall until the first, which is 0. */
  #markers(tokens: number): Span | null {
    let end = tokens;
    if (this.#u32(end - 4) === 0) end -= 4; // Aligned to 8.
    let start = end - 4;
    while (start > 0 && this.#u32(start) !== 0) {
      if (this.#u32(start - 4) >= this.#u32(start)) return null;
      start -= 4;
    }
    const count = (end - start) / 4;
    return start > 0 && count > 1 && count * NAMES_PER_MARKER <= MAX_SYMBOLS
      ? { start, end }
      : null;
  }

  /** Where names may begin: their number stands before them and agrees with the number of markers. */
  *#names(markers: Span): Generator<{ start: number; count: number }> {
    const blocks = (markers.end - markers.start) / 4;
    const last = this.#u32(markers.end - 4);
    const most = markers.start - last;
    const least = Math.max(0, most - NAMES_PER_MARKER * MAX_CODES);
    for (let start = most - most % PART_ALIGN; start > least; start -= PART_ALIGN) {
      const count = this.#u32(start - PART_ALIGN);
      if (count > (blocks - 1) * NAMES_PER_MARKER && count <= blocks * NAMES_PER_MARKER) {
        yield { start, count };
      }
    }
  }

  #decode(
    start: number,
    count: number,
    markers: Span,
    tokens: readonly string[],
  ): { names: string[]; types: string } | null {
    const { bytes } = this;
    const names: string[] = [];
    let types = "";
    let at = start;
    for (let i = 0; i < count; i++) {
      const marker = markers.start + Math.floor(i / NAMES_PER_MARKER) * 4;
      if (i % NAMES_PER_MARKER === 0 && this.#u32(marker) !== at - start) return null;
      let length = bytes[at++];
      if (length & 0x80) length = length & 0x7f | bytes[at++] << 7;
      if (length === 0 || at + length > markers.start) return null;
      let name = "";
      for (const end = at + length; at < end; at++) name += tokens[bytes[at]];
      if (!/^[A-Za-z?][!-~]{1,511}$/.test(name)) return null;
      types += name[0];
      names.push(name.slice(1));
    }
    return aligned(at) === markers.start ? { names, types } : null;
  }

  /** Behind the tokens' index, or before the number of names: whichever rises, with an address behind. */
  #offsets(names: number, count: number, indexEnd: number) {
    const bytes = count * 4;
    const before = names - 2 * PART_ALIGN - aligned(bytes);
    for (const at of [aligned(indexEnd), before]) {
      const base = aligned(at + bytes);
      if (at < 0 || base + 8 > this.bytes.length) continue;
      const offsets = Uint32Array.from({ length: count }, (_, i) => this.#u32(at + i * 4));
      const rises = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]);
      if (!rises || offsets[count - 1] === 0) continue;
      return { offsets, base: this.#view.getBigUint64(base, true) };
    }
    return null;
  }
}
