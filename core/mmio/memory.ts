/**
 * Guest RAM as devices see it. Registers are out of reach, so that no descriptor or DMA address that a
 * guest makes up can re-enter a device.
 * @module
 */

/** Callers check `ok` first: guest addresses are never trusted, and a range not in RAM throws. */
export interface GuestMemory {
  /** Is [gpa, gpa + sizeBytes) wholly in RAM? False for anything that is no address. */
  ok(gpa: number, sizeBytes: number): boolean;
  /** A copy. */
  read(gpa: number, sizeBytes: number): Uint8Array;
  write(gpa: number, bytes: Uint8Array): void;
  /** The bytes themselves, to be copied from where they lie; not to be kept, nor changed. */
  view(gpa: number, sizeBytes: number): Uint8Array;
  /** The bytes themselves, to be written where they lie, all of them, at once; not to be kept. */
  room(gpa: number, sizeBytes: number): Uint8Array;
  u8(gpa: number): number;
  u16(gpa: number): number;
  u32(gpa: number): number;
  u64(gpa: number): bigint;
  setU8(gpa: number, v: number): void;
  setU16(gpa: number, v: number): void;
  setU32(gpa: number, v: number): void;
  setU64(gpa: number, v: bigint): void;
}

/** So few are copied one by one sooner than by a call that copies any number. */
const FEW_BYTES = 32;

/** RAM held in `bytes`, its first byte at guest-physical `base`. */
export class RamMemory implements GuestMemory {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  readonly #onWrite: (offset: number, sizeBytes: number) => void;

  /** `onWrite` is told of every write, by offset from `base`: the CPU drops code decoded from there. */
  constructor(
    bytes: Uint8Array,
    base: number,
    onWrite: (offset: number, sizeBytes: number) => void = () => {},
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
    this.#onWrite = onWrite;
  }

  ok(gpa: number, sizeBytes: number): boolean {
    const at = gpa - this.#base;
    return Number.isSafeInteger(gpa) && Number.isSafeInteger(sizeBytes) && at >= 0 &&
      sizeBytes >= 0 && at + sizeBytes <= this.#bytes.length;
  }

  #at(gpa: number, sizeBytes: number): number {
    if (!this.ok(gpa, sizeBytes)) {
      throw new RangeError(
        `${sizeBytes} bytes at 0x${gpa.toString(16)} are not in RAM: check ok()`,
      );
    }
    return gpa - this.#base;
  }

  #written(gpa: number, sizeBytes: number): number {
    const at = this.#at(gpa, sizeBytes);
    this.#onWrite(at, sizeBytes);
    return at;
  }

  read(gpa: number, sizeBytes: number): Uint8Array {
    const at = this.#at(gpa, sizeBytes);
    if (sizeBytes > FEW_BYTES) return this.#bytes.slice(at, at + sizeBytes);
    const bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) bytes[i] = this.#bytes[at + i];
    return bytes;
  }
  write(gpa: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#written(gpa, bytes.length));
  }
  view(gpa: number, sizeBytes: number): Uint8Array {
    const at = this.#at(gpa, sizeBytes);
    return this.#bytes.subarray(at, at + sizeBytes);
  }
  room(gpa: number, sizeBytes: number): Uint8Array {
    const at = this.#written(gpa, sizeBytes);
    return this.#bytes.subarray(at, at + sizeBytes);
  }
  u8(gpa: number): number {
    return this.#view.getUint8(this.#at(gpa, 1));
  }
  u16(gpa: number): number {
    return this.#view.getUint16(this.#at(gpa, 2), true);
  }
  u32(gpa: number): number {
    return this.#view.getUint32(this.#at(gpa, 4), true);
  }
  u64(gpa: number): bigint {
    return this.#view.getBigUint64(this.#at(gpa, 8), true);
  }
  setU8(gpa: number, v: number): void {
    this.#view.setUint8(this.#written(gpa, 1), v);
  }
  setU16(gpa: number, v: number): void {
    this.#view.setUint16(this.#written(gpa, 2), v, true);
  }
  setU32(gpa: number, v: number): void {
    this.#view.setUint32(this.#written(gpa, 4), v, true);
  }
  setU64(gpa: number, v: bigint): void {
    this.#view.setBigUint64(this.#written(gpa, 8), v, true);
  }
}
