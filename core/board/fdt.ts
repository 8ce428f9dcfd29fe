/**
 * Flattened device trees, both ways. § = Devicetree Specification 0.4, chapter 5 (format version 17).
 * @module
 */
import type { DtNode, DtProps, DtValue } from "../mmio/dt.ts";

const MAGIC = 0xd00d_feed;
const VERSION = 17;
const LAST_COMPATIBLE = 16;
const HEADER_BYTES = 40; // § 5.2
const RESERVATION_BYTES = 16; // § 5.3: one terminating entry
/** § 5.4.1 */
const TOKEN = { beginNode: 1, endNode: 2, prop: 3, nop: 4, end: 9 } as const;

const utf8 = new TextEncoder();

/** Big-endian output; everything in a tree is. */
class Block {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }
  u32(v: number): void {
    this.#bytes.push(v >>> 24, v >>> 16 & 0xff, v >>> 8 & 0xff, v & 0xff);
  }
  bytes(v: Uint8Array): void {
    for (const byte of v) this.#bytes.push(byte);
  }
  text(v: string): void {
    this.bytes(utf8.encode(v));
    this.#bytes.push(0);
  }
  /** § 5.4.1: tokens are aligned to four bytes. */
  align(): void {
    while (this.#bytes.length % 4 !== 0) this.#bytes.push(0);
  }
  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** A property's value as the tree holds it (§ 2.2.4): u32 cells, or texts each ended by a zero byte. */
export function encodeValue(value: DtValue): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const out = new Block();
  if (value === true) return out.finish();
  const parts: readonly (string | number)[] = typeof value === "object" ? value : [value];
  for (const part of parts) {
    if (typeof part === "string") out.text(part);
    else if (Number.isInteger(part) && part >= 0 && part <= 0xffff_ffff) out.u32(part);
    else throw new RangeError(`device tree: ${part} is no u32 cell`);
  }
  return out.finish();
}

/** Bytes of the tree. The same tree gives the same bytes. */
export function encodeFdt(root: DtNode): Uint8Array {
  const struct = new Block();
  const strings = new Block();
  const offsets = new Map<string, number>();
  const nameOffset = (name: string) => {
    let at = offsets.get(name);
    if (at === undefined) {
      at = strings.length;
      offsets.set(name, at);
      strings.text(name);
    }
    return at;
  };
  function node(n: DtNode): void {
    struct.u32(TOKEN.beginNode);
    struct.text(n.name);
    struct.align();
    for (const [name, value] of Object.entries(n.props)) {
      const bytes = encodeValue(value);
      struct.u32(TOKEN.prop);
      struct.u32(bytes.length);
      struct.u32(nameOffset(name));
      struct.bytes(bytes);
      struct.align();
    }
    n.children.forEach(node);
    struct.u32(TOKEN.endNode);
  }
  node(root);
  struct.u32(TOKEN.end);

  const structAt = HEADER_BYTES + RESERVATION_BYTES;
  const stringsAt = structAt + struct.length;
  const out = new Block();
  const header = [
    MAGIC,
    stringsAt + strings.length,
    structAt,
    stringsAt,
    HEADER_BYTES,
    VERSION,
    LAST_COMPATIBLE,
    0, // boot_cpuid_phys
    strings.length,
    struct.length,
  ];
  header.forEach((v) => out.u32(v));
  out.bytes(new Uint8Array(RESERVATION_BYTES));
  out.bytes(struct.finish());
  out.bytes(strings.finish());
  return out.finish();
}

/** A decoded node: values are bytes, for the tree does not say what they mean. */
export interface RawNode extends DtNode {
  readonly props: Readonly<Record<string, Uint8Array>>;
  readonly children: readonly RawNode[];
}

/** Reads one block of a tree; a read outside it throws what was expected. */
class Cursor {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array, readonly what: string) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(sizeBytes: number): number {
    const at = this.#at;
    if (at + sizeBytes > this.bytes.length) {
      throw new Error(
        `device tree: ${this.what} ends at byte ${this.bytes.length}, expected ${sizeBytes} at ${at}`,
      );
    }
    this.#at += sizeBytes;
    return at;
  }
  u32(): number {
    return this.#view.getUint32(this.take(4));
  }
  slice(sizeBytes: number): Uint8Array {
    const at = this.take(sizeBytes);
    return this.bytes.slice(at, at + sizeBytes);
  }
  text(at = this.#at): string {
    const end = this.bytes.indexOf(0, at);
    if (end < 0 || at > this.bytes.length) {
      throw new Error(`device tree: ${this.what} holds no text at byte ${at}`);
    }
    if (at === this.#at) this.#at = end + 1;
    return new TextDecoder().decode(this.bytes.subarray(at, end));
  }
  align(): void {
    this.#at = Math.ceil(this.#at / 4) * 4;
  }
}

/** Nesting beyond this is refused: a tree is read by recursion. */
const MAX_DEPTH = 64;

/** Throws for bytes that are no tree: got against expected. */
export function decodeFdt(bytes: Uint8Array): RawNode {
  const header = new Cursor(bytes, "the header");
  const [magic, totalBytes, structAt, stringsAt, , , lastCompatible, , stringsBytes, structBytes] =
    Array.from({ length: 10 }, () => header.u32());
  if (magic !== MAGIC) {
    throw new Error(`device tree: magic is 0x${magic.toString(16)}, expected 0xd00dfeed`);
  }
  if (totalBytes > bytes.length) {
    throw new Error(`device tree: has ${bytes.length} bytes, its header says ${totalBytes}`);
  }
  if (lastCompatible > VERSION) {
    throw new Error(`device tree: needs format version ${lastCompatible}, expected ${VERSION}`);
  }
  const block = (at: number, sizeBytes: number, what: string) => {
    if (at + sizeBytes > totalBytes) throw new Error(`device tree: ${what} lies outside the tree`);
    return new Cursor(bytes.subarray(at, at + sizeBytes), what);
  };
  const struct = block(structAt, structBytes, "the structure block");
  const strings = block(stringsAt, stringsBytes, "the strings block");
  const first = nextToken(struct);
  if (first !== TOKEN.beginNode) throw new Error(`device tree: starts with token ${first}`);
  const root = decodeNode(struct, strings, 0);
  const last = nextToken(struct);
  if (last !== TOKEN.end) throw new Error(`device tree: ends with token ${last}, expected 9`);
  return root;
}

function nextToken(struct: Cursor): number {
  struct.align();
  let token: number;
  do token = struct.u32(); while (token === TOKEN.nop);
  return token;
}

function decodeNode(struct: Cursor, strings: Cursor, depth: number): RawNode {
  if (depth > MAX_DEPTH) throw new Error(`device tree: nested deeper than ${MAX_DEPTH} nodes`);
  const name = struct.text();
  const props: Record<string, Uint8Array> = {};
  const children: RawNode[] = [];
  while (true) {
    const token = nextToken(struct);
    switch (token) {
      case TOKEN.prop: {
        const sizeBytes = struct.u32();
        const nameAt = struct.u32();
        props[strings.text(nameAt)] = struct.slice(sizeBytes);
        break;
      }
      case TOKEN.beginNode:
        children.push(decodeNode(struct, strings, depth + 1));
        break;
      case TOKEN.endNode:
        return { name, props, children };
      default:
        throw new Error(`device tree: token ${token} in node "${name}"`);
    }
  }
}

/** u32 cells of a decoded value. */
export function cellsOf(value: Uint8Array): number[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Array.from({ length: value.length >> 2 }, (_, i) => view.getUint32(4 * i));
}

/** Texts of a decoded value. */
export function textsOf(value: Uint8Array): string[] {
  return new TextDecoder().decode(value).split("\0").slice(0, -1);
}

export type { DtNode, DtProps, DtValue };
