/**
 * Where the members of the kernel's structures lie, from the types that it carries with it (BTF).
 *
 * Source: Linux, Documentation/bpf/btf.rst. Only what is asked for is read: byte offsets of members of
 * named structures. Types that come from guest memory may be anything: what does not fit is no types.
 * @module
 */

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
const STRUCT = 4;
const FLAGGED_OFFSET = 0xff_ffff;

/** Bytes behind a type of each kind: a fixed number, and so many for each of its elements. */
const KINDS: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  1: [4, 0], // INT
  2: [0, 0], // PTR
  3: [12, 0], // ARRAY
  4: [0, MEMBER_BYTES], // STRUCT
  5: [0, MEMBER_BYTES], // UNION
  6: [0, 8], // ENUM
  7: [0, 0], // FWD
  8: [0, 0], // TYPEDEF
  9: [0, 0], // VOLATILE
  10: [0, 0], // CONST
  11: [0, 0], // RESTRICT
  12: [0, 0], // FUNC
  13: [0, 8], // FUNC_PROTO
  14: [4, 0], // VAR
  15: [0, 12], // DATASEC
  16: [0, 0], // FLOAT
  17: [4, 0], // DECL_TAG
  18: [0, 0], // TYPE_TAG
  19: [0, 12], // ENUM64
};

/** Byte offsets of members, by structure and member. */
export type Layouts = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The layouts of the structures named, as far as `btf` has them; null when it is no BTF. */
export function readLayouts(btf: Uint8Array, names: readonly string[]): Layouts | null {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.length);
  if (btf.length < HEADER_BYTES || view.getUint16(0, true) !== MAGIC) return null;
  const header = view.getUint32(4, true);
  const [typeAt, typeBytes, textAt, textBytes] = [8, 12, 16, 20].map((at) =>
    view.getUint32(at, true)
  );
  const types = header + typeAt;
  const end = types + typeBytes;
  const texts = header + textAt;
  if (end > btf.length || texts + textBytes > btf.length) return null;
  const wanted = new Set(names);
  const text = (offset: number) => textOf(btf, texts + offset, texts + textBytes);
  const found = new Map<string, Map<string, number>>();
  for (let at = types; at + TYPE_BYTES <= end;) {
    const info = view.getUint32(at + 4, true);
    const kind = info >>> 24 & 0x1f;
    const count = info & 0xffff;
    const extra = KINDS[kind];
    if (extra === undefined) return null;
    const next = at + TYPE_BYTES + extra[0] + extra[1] * count;
    if (next > end) return null;
    const name = kind === STRUCT ? text(view.getUint32(at, true)) : "";
    if (wanted.has(name) && !found.has(name)) {
      found.set(name, members(view, at + TYPE_BYTES, count, info >>> 31 === 1, text));
    }
    at = next;
  }
  return found;
}

function members(
  view: DataView,
  at: number,
  count: number,
  flagged: boolean,
  text: (offset: number) => string,
): Map<string, number> {
  const offsets = new Map<string, number>();
  for (let i = 0; i < count; i++, at += MEMBER_BYTES) {
    const bits = view.getUint32(at + 8, true);
    offsets.set(text(view.getUint32(at, true)), (flagged ? bits & FLAGGED_OFFSET : bits) >>> 3);
  }
  return offsets;
}

const MAX_NAME = 128;

function textOf(bytes: Uint8Array, start: number, end: number): string {
  const part = bytes.subarray(start, Math.min(end, start + MAX_NAME));
  const stop = part.indexOf(0);
  return stop < 0 ? "" : String.fromCharCode(...part.subarray(0, stop));
}
