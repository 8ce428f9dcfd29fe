/**
 * Encodings read from the manual's own instruction listings: "imm[11:0] rs1 010 rd 0000011".
 *
 * A token is either bits, or an operand with the operand's bits that it holds, most significant
 * first. `rd'` is a three-bit register field (x8..x15); `≠0` and `≠{0,2}` exclude values and a name
 * that starts with `nz` excludes zero. Operands named `imm` or `nzimm` are signed.
 * Source: RISC-V Unprivileged ISA, "RV32/64G Instruction Set Listings" and "RVC Instruction Set
 * Listings".
 *
 * @module
 */

interface Part {
  /** Lowest bit in the word, in the value, and how many. */
  word: number;
  value: number;
  width: number;
}

/** One operand of a row. Its value is a register number or a signed 32-bit integer. */
export interface Operand {
  name: string;
  parts: Part[];
  signed: boolean;
  /** Bits of the value, the implied low zeros included. */
  bits: number;
  /** Added to a three-bit register field. */
  base: number;
  excluded: number[];
}

export interface Row {
  /** Bytes of the encoding: 2 or 4. */
  length: 2 | 4;
  mask: number;
  match: number;
  operands: Map<string, Operand>;
  /** Those that exclude values. */
  restricted: readonly Operand[];
}

const WIDTHS: Record<string, number> = {
  rd: 5,
  rs1: 5,
  rs2: 5,
  rs3: 5,
  rm: 3,
  "rd'": 3,
  "rs1'": 3,
  "rs2'": 3,
  csr: 12,
  aq: 1,
  rl: 1,
  fm: 4,
  pred: 4,
  succ: 4,
};

/** [value bit, width] of each run, most significant first. */
function ranges(spec: string): [number, number][] {
  return spec.split("|").map((r) => {
    const [hi, lo = hi] = r.split(":").map(Number);
    return [lo, hi - lo + 1];
  });
}

/** One of a row's parts: bits, or bits of an operand. */
interface Token {
  width: number;
  /** Of bits: their value; null for an operand. */
  bits: number | null;
  operand: string;
  /** [value bit, width], most significant first. */
  runs: [number, number][];
  excluded: string[];
}

const tokens = new Map<string, Token>();

/** Rows share most of their tokens. */
function token(text: string, name: string): Token {
  let t = tokens.get(text);
  if (t === undefined) tokens.set(text, t = parseToken(text, name));
  return t;
}

function parseToken(text: string, name: string): Token {
  if (/^[01]+$/.test(text)) {
    return { width: text.length, bits: parseInt(text, 2), operand: "", runs: [], excluded: [] };
  }
  const m = /^([a-z0-9]+'?)(?:\[([0-9:|]+)\])?(?:≠(?:(\d+)|\{([\d,]+)\}))?$/.exec(text);
  if (!m) throw new Error(`${name}: row has a malformed token "${text}"`);
  const width = WIDTHS[m[1]];
  if (!m[2] && width === undefined) {
    throw new Error(`${name}: row token "${text}" needs its bits, as in ${m[1]}[11:0]`);
  }
  const runs = m[2] ? ranges(m[2]) : [[0, width] as [number, number]];
  const excluded = (m[3] ?? m[4] ?? "").split(",").filter(Boolean);
  const bits = runs.reduce((n, [, w]) => n + w, 0);
  return { width: bits, bits: null, operand: m[1], runs, excluded };
}

function addPart(row: Row, operand: string, part: Part, excluded: string[]): void {
  let o = row.operands.get(operand);
  if (!o) {
    const nonzero = operand.startsWith("nz") ? [0] : [];
    o = {
      name: operand,
      parts: [],
      signed: /^(nz)?imm$/.test(operand),
      bits: 0,
      base: operand.endsWith("'") ? 8 : 0,
      excluded: nonzero,
    };
    row.operands.set(operand, o);
  }
  o.parts.push(part);
  o.bits = Math.max(o.bits, part.value + part.width);
  o.excluded.push(...excluded.map(Number));
}

/** Throws when the bits do not add up to 16 or 32. */
export function parseRow(text: string, name: string): Row {
  const parts = text.trim().split(/\s+/).map((t) => token(t, name));
  const total = parts.reduce((n, { width }) => n + width, 0);
  const length = /[01]*11$/.test(text) ? 4 : 2;
  if (total !== length * 8) {
    throw new Error(`${name}: row "${text}" covers ${total} bits, expected ${length * 8}`);
  }
  const row: Row = { length, mask: 0, match: 0, operands: new Map(), restricted: [] };
  let at = total;
  for (const { width, bits, operand, runs, excluded } of parts) {
    if (bits !== null) {
      at -= width;
      row.mask |= (2 ** width - 1) << at;
      row.match |= bits << at;
      continue;
    }
    for (const [value, width] of runs) {
      at -= width;
      addPart(row, operand, { word: at, value, width }, excluded);
    }
  }
  row.restricted = [...row.operands.values()].filter((o) => o.excluded.length > 0);
  return row;
}

export function extract(o: Operand, word: number): number {
  const { parts } = o;
  let v = 0;
  for (let i = 0; i < parts.length; i++) {
    const p = parts[i];
    v |= ((word >>> p.word) & ((1 << p.width) - 1)) << p.value;
  }
  if (o.signed) v = v << (32 - o.bits) >> (32 - o.bits);
  return v + o.base;
}

export const rowMatches = (row: Row, word: number): boolean => {
  if ((word & row.mask) !== row.match) return false;
  for (const o of row.restricted) if (o.excluded.includes(extract(o, word))) return false;
  return true;
};

/** The word with these operand values; operands not given are zero. Throws when one does not fit. */
export function encodeRow(row: Row, name: string, values: Record<string, number>): number {
  for (const v of Object.keys(values)) {
    if (!row.operands.has(v)) throw new RangeError(`${name}: has no operand ${v}`);
  }
  let word = row.match;
  for (const o of row.operands.values()) {
    const v = values[o.name] ?? o.base;
    for (const p of o.parts) word |= (((v - o.base) >> p.value) & (2 ** p.width - 1)) << p.word;
    if (extract(o, word) !== v || o.excluded.includes(v)) {
      throw new RangeError(`${name}: operand ${o.name} cannot be ${v}`);
    }
  }
  return row.length === 2 ? word & 0xffff : word >>> 0;
}
