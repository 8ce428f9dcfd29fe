/**
 * What became of each line or record of an imported file: understood, or not, and then what it looked
 * like. The two counts add up to the lines read.
 * @module
 */

/** Lines of one kind that were not understood, or understood and left out. */
export interface Remark {
  readonly what: string;
  count: number;
  readonly file: string;
  /** Line, or record of a binary file, counted from 1. */
  readonly first: number;
  readonly sample: string;
}

/** Kinds told apart; what comes after them is counted as one. */
const KINDS = 40;
const SAMPLE_CHARS = 120;

export class Tally {
  file = "";
  /** Lines or records seen; of the file being read. */
  line = 0;
  lines = 0;
  understood = 0;
  readonly notUnderstood = new Map<string, Remark>();
  /** Understood, but without a row in the trace. */
  readonly leftOut = new Map<string, Remark>();

  get refused(): number {
    return [...this.notUnderstood.values()].reduce((sum, remark) => sum + remark.count, 0);
  }

  refuse(what: string, sample: () => string): void {
    this.#remark(this.notUnderstood, what, sample);
  }

  leaveOut(what: string, sample: () => string): void {
    this.#remark(this.leftOut, what, sample);
  }

  #remark(remarks: Map<string, Remark>, what: string, sample: () => string): void {
    const known = remarks.get(what) ?? (remarks.size >= KINDS ? remarks.get(OTHERS) : undefined);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const kind = remarks.size >= KINDS ? OTHERS : what;
    remarks.set(kind, {
      what: kind,
      count: 1,
      file: this.file,
      first: this.line,
      sample: printable(sample()),
    });
  }
}

const OTHERS = "other kinds";

function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  const clean = text.trim().replace(/[\x00-\x1f\x7f-\x9f]/g, "·");
  return clean.length > SAMPLE_CHARS ? `${clean.slice(0, SAMPLE_CHARS - 1)}…` : clean;
}

/** The text of a line, for a sample. */
export const textOf = (bytes: Uint8Array, from: number, to: number): string =>
  new TextDecoder().decode(bytes.subarray(from, Math.min(to, from + 4 * SAMPLE_CHARS)));
