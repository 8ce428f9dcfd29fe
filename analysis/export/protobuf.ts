/**
 * Protocol Buffers' wire format (protobuf.dev, "Encoding"), written: fields one after the other, messages
 * in messages. Only what Perfetto's packets need.
 * @module
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

const encoder = new TextEncoder();

export class Message {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** Valid until the next field is added. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): this {
    this.#length = 0;
    return this;
  }

  uint(field: number, value: number | bigint): this {
    return this.#tag(field, VARINT).#varint(BigInt(value));
  }

  /** int64: negative numbers take ten bytes. */
  int(field: number, value: number | bigint): this {
    return this.#tag(field, VARINT).#varint(BigInt.asUintN(64, BigInt(value)));
  }

  fixed64(field: number, value: bigint): this {
    this.#tag(field, FIXED64);
    this.#room(8);
    new DataView(this.#bytes.buffer).setBigUint64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  text(field: number, value: string): this {
    return this.raw(field, encoder.encode(value));
  }

  message(field: number, inner: Message): this {
    return this.raw(field, inner.bytes);
  }

  raw(field: number, bytes: Uint8Array): this {
    this.#tag(field, BYTES).#varint(BigInt(bytes.length));
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  #tag(field: number, type: number): this {
    return this.#varint(BigInt(field << 3 | type));
  }

  #varint(value: bigint): this {
    this.#room(10);
    let rest = value;
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
    return this;
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.bytes);
    this.#bytes = grown;
  }
}
