/**
 * Typing by script: once the console shows this, type that. The place is exact, the byte that completes
 * the pattern, so that two recordings with the same answers are the same.
 * @module
 */

/** What to type, once. */
export interface Answer {
  /** Tried on the current line, after each byte of it. */
  readonly after: RegExp;
  readonly type: string;
}

const NEWLINE = 10;
const encoder = new TextEncoder();

/** Answers in their order; each is looked for in what was printed since the one before. */
export class Answers {
  #left: Answer[];
  #line = "";

  constructor(answers: readonly Answer[]) {
    this.#left = [...answers];
  }

  /** Takes a byte of the console's output; returns what is typed at it. */
  see(byte: number): Uint8Array | null {
    if (this.#left.length === 0) return null;
    this.#line = byte === NEWLINE ? "" : this.#line + String.fromCharCode(byte);
    if (!this.#left[0].after.test(this.#line)) return null;
    this.#line = "";
    return encoder.encode(this.#left.shift()!.type);
  }

  /** Patterns that have not appeared. */
  get left(): readonly Answer[] {
    return this.#left;
  }
}
