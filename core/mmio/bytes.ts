/**
 * Little-endian byte encoding of saved state: the same values give the same bytes on any machine.
 * @module
 */

export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** May replace buffer and view: call it before either is read. */
  #reserve(sizeBytes: number): number {
    const at = this.#length;
    this.#length += sizeBytes;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(v: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, v);
  }
  u16(v: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, v, true);
  }
  u32(v: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, v, true);
  }
  u64(v: bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, v, true);
  }
  f64(v: number): void {
    const at = this.#reserve(8);
    this.#view.setFloat64(at, v, true);
  }
  /** Length (u32) and bytes. */
  bytes(v: Uint8Array): void {
    this.u32(v.length);
    const at = this.#reserve(v.length);
    this.#bytes.set(v, at);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Reading past the end throws a RangeError: the bytes are not what was saved. */
export class ByteReader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(sizeBytes: number): number {
    const at = this.#at;
    if (at + sizeBytes > this.#view.byteLength) {
      throw new RangeError(
        `saved state ends at byte ${this.#view.byteLength}, expected ${sizeBytes} more at ${at}`,
      );
    }
    this.#at += sizeBytes;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }
  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length).slice();
  }

  get rest(): number {
    return this.#view.byteLength - this.#at;
  }
}
