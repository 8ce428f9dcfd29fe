/**
 * Writes FlatBuffers (FlatBuffers "Internals": tables, vtables, vectors, strings, structs), as far as
 * Arrow's messages need them, in place of a library: the writer of a trace is alive sooner without one.
 *
 * A buffer is written from its end to its beginning, so that what is referred to stands before what
 * refers to it; a place is therefore told as its distance from the end. Equal vtables are shared. In a
 * table the fields lie in the order in which they are given, and one that equals its default is left out.
 * @module
 */

/** Distance in bytes from the end of the buffer. */
export type Place = number;

/** A field of a table: its number in the schema, and its value, a whole number up to 2^53. */
export type Field = readonly [slot: number, type: "u8" | "i16" | "i32" | "i64" | "ref", v: number];

const BYTES = { u8: 1, i16: 2, i32: 4, i64: 8, ref: 4 } as const;
const UTF8 = new TextEncoder();

export class FlatBuffer {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  /** Bytes written. */
  #length = 0;
  /** The largest alignment that anything asked for. */
  #alignment = 1;
  #vtables: { readonly key: string; readonly at: Place }[] = [];

  /** Begins an empty buffer in the same memory. */
  clear(): void {
    this.#length = 0;
    this.#alignment = 1;
    this.#vtables = [];
  }

  /** Pads so that a value of `size` bytes is aligned once `following` bytes are written after it. */
  #align(size: number, following = 0): void {
    if (size > this.#alignment) this.#alignment = size;
    const padding = -(this.#length + following) & (size - 1);
    this.#room(padding + following + size);
    const end = this.#bytes.length - this.#length;
    this.#bytes.fill(0, end - padding, end);
    this.#length += padding;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    larger.set(this.#written(), larger.length - this.#length);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  #written(): Uint8Array {
    return this.#bytes.subarray(this.#bytes.length - this.#length);
  }

  #put(type: Field[1], value: number): void {
    this.#length += BYTES[type];
    const at = this.#bytes.length - this.#length;
    if (type === "u8") this.#view.setUint8(at, value);
    else if (type === "i16") this.#view.setInt16(at, value, true);
    else if (type === "i64") {
      this.#view.setUint32(at, value, true);
      this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    } else this.#view.setInt32(at, type === "ref" ? this.#length - value : value, true);
  }

  #add(type: Field[1], value: number): Place {
    this.#align(BYTES[type]);
    this.#put(type, value);
    return this.#length;
  }

  /** Fields that are 0 are left out: all defaults here are. */
  table(fields: readonly Field[]): Place {
    const start = this.#length;
    const slots: Place[] = [];
    for (const [slot, type, value] of fields) if (value !== 0) slots[slot] = this.#add(type, value);
    const table = this.#add("i32", 0);
    const offsets = Array.from(slots, (at) => at === undefined ? 0 : table - at);
    const vtable = [2 * (offsets.length + 2), table - start, ...offsets];
    const key = vtable.join();
    let known = this.#vtables.find((v) => v.key === key);
    if (known === undefined) {
      for (const lane of vtable.reverse()) this.#add("i16", lane);
      this.#vtables.push(known = { key, at: this.#length });
    }
    this.#view.setInt32(this.#bytes.length - table, known.at - table, true);
    return table;
  }

  /** A vector of references. */
  refs(places: readonly Place[]): Place {
    this.#align(4, places.length * 4);
    for (const place of places.toReversed()) this.#put("ref", place);
    return this.#add("i32", places.length);
  }

  /** A vector of structs that are two 64-bit numbers each. */
  pairs(pairs: readonly (readonly [number, number])[]): Place {
    this.#align(4, pairs.length * 16);
    this.#align(8, pairs.length * 16);
    for (const [first, second] of pairs.toReversed()) {
      this.#put("i64", second);
      this.#put("i64", first);
    }
    return this.#add("i32", pairs.length);
  }

  text(text: string): Place {
    const bytes = UTF8.encode(text);
    this.#add("u8", 0);
    this.#align(4, bytes.length);
    this.#length += bytes.length;
    this.#bytes.set(bytes, this.#bytes.length - this.#length);
    return this.#add("i32", bytes.length);
  }

  /** The whole buffer, valid until `clear`. */
  finish(root: Place): Uint8Array {
    this.#align(this.#alignment, 4);
    this.#add("ref", root);
    return this.#written();
  }
}
