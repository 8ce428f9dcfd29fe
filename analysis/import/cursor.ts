/**
 * A place in a line of text, read byte by byte: no strings are made of what is only compared or counted.
 * What does not match leaves the cursor where it was.
 * @module
 */

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;

/** The bytes of an ASCII text, for {@link Cursor.word}. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Value of each hexadecimal digit by its byte; 255 for what is none. */
const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 10; i++) HEX[ZERO + i] = i;
for (let i = 0; i < 6; i++) HEX[0x41 + i] = HEX[0x61 + i] = 10 + i;

const X = 0x78;

export class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  end = 0;
  /** The number that `hex` or `number` read: its lower 32 bits. */
  lo = 0;
  hi = 0;
  /** Of the word that `token` read. */
  from = 0;

  set(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  spaces(): void {
    const { bytes, end } = this;
    let { at } = this;
    while (at < end && bytes[at] === SPACE) at++;
    this.at = at;
  }

  /** True when the line goes on with `word`, which is passed. */
  word(word: Uint8Array): boolean {
    const { bytes, at } = this;
    const { length } = word;
    if (at + length > this.end) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== word[i]) return false;
    this.at = at + length;
    return true;
  }

  /** True when `byte` comes next, which is passed. */
  byte(byte: number): boolean {
    if (this.at >= this.end || this.bytes[this.at] !== byte) return false;
    this.at++;
    return true;
  }

  /** A decimal number below 2^53, or -1. */
  decimal(): number {
    const { bytes, end, at: start } = this;
    let at = start;
    let value = 0;
    for (; at < end; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === start || value > Number.MAX_SAFE_INTEGER) return -1;
    this.at = at;
    return value;
  }

  /** A decimal number with or without a minus; null where there is none. */
  signed(): number | null {
    const start = this.at;
    const negative = this.byte(0x2d);
    const value = this.decimal();
    if (value >= 0) return negative ? -value : value;
    this.at = start;
    return null;
  }

  /** Hexadecimal digits, up to 64 bits, with or without 0x, into `lo` and `hi`. */
  hex(): boolean {
    const { bytes, end } = this;
    let { at } = this;
    if (at + 2 < end && bytes[at] === ZERO && bytes[at + 1] === X) at += 2;
    const start = at;
    let lo = 0;
    let hi = 0;
    for (; at < end; at++) {
      const digit = HEX[bytes[at]];
      if (digit === 255) break;
      hi = (hi << 4) | (lo >>> 28);
      lo = (lo << 4) | digit;
    }
    const first = start;
    let zeros = start;
    while (zeros < at && bytes[zeros] === ZERO) zeros++;
    if (at === first || at - zeros > 16) return false;
    this.at = at;
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
    return true;
  }

  /** A number in C's notation: decimal below 2^53, or hexadecimal behind 0x. */
  number(): boolean {
    const { bytes, at } = this;
    if (at + 1 < this.end && bytes[at] === ZERO && bytes[at + 1] === X) return this.hex();
    const value = this.decimal();
    if (value < 0) return false;
    this.lo = value >>> 0;
    this.hi = Math.floor(value / 2 ** 32);
    return true;
  }

  /** The number read last, as far as it is below 2^53; else -1. */
  get small(): number {
    return this.hi < 2 ** 21 ? this.hi * 2 ** 32 + this.lo : -1;
  }

  /** Passes what comes before the next `byte` or the line's end; true unless it is nothing. */
  token(byte: number): boolean {
    const { bytes, end, at: start } = this;
    let at = start;
    while (at < end && bytes[at] !== byte) at++;
    this.from = start;
    this.at = at;
    return at > start;
  }

  get rest(): number {
    return this.end - this.at;
  }
}

/** True for a decimal digit. */
export const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;

/** Texts that come again and again, as numbers: each is decoded once. */
export class Names {
  readonly texts: string[] = [];
  readonly #found = new Map<number, { bytes: Uint8Array; code: number }[]>();

  constructor(readonly limit: number) {}

  /** The number of the text in [from, to); -1 when there are too many. */
  code(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to);
    const bucket = this.#found.get(hash);
    if (bucket !== undefined) {
      for (const known of bucket) if (same(known.bytes, bytes, from, to)) return known.code;
    }
    if (this.texts.length >= this.limit) return -1;
    const own = bytes.slice(from, to);
    const code = this.texts.push(new TextDecoder().decode(own)) - 1;
    this.#found.set(hash, [...bucket ?? [], { bytes: own, code }]);
    return code;
  }
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash;
}

function same(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}
