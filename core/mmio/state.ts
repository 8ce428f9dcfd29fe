/**
 * A device's state, declared once: from the fields come the object that the device works on, reset,
 * save, load and the check that saved bytes belong to the same declaration.
 *
 * Scalars wrap on assignment as a register of their width does, so that what is in memory is always
 * what can be saved. Arrays are kept for life and changed in place (`s.rx.length = 0` empties one).
 * @module
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import { PlugError } from "./error.ts";

/** A field that is assigned: `s.ier = 3`. */
export interface ScalarField<T> {
  readonly kind: "scalar";
  /** Type and bounds; part of the layout that saved bytes are checked against. */
  readonly signature: string;
  readonly init: T;
  /** What is kept of a value assigned. */
  wrap(v: T): T;
  write(out: ByteWriter, v: T): void;
  read(from: ByteReader): T;
}

/** A field that is changed in place: `s.rx.push(byte)`. */
export interface BoxField<T> {
  readonly kind: "box";
  readonly signature: string;
  make(): T;
  clear(box: T): void;
  write(out: ByteWriter, box: T): void;
  fill(box: T, from: ByteReader): void;
  /** Entries held and allowed, for fields that can grow. */
  readonly max?: number;
}

export type Field = ScalarField<unknown> | BoxField<unknown>;
export type Fields = Readonly<Record<string, Field>>;

type ScalarKeys<F> = { [K in keyof F]: F[K] extends ScalarField<unknown> ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] } & unknown;

/** The object that a device works on: `StateOf<{ier: ScalarField<number>}>` is `{ier: number}`. */
export type StateOf<F extends Fields> = Flat<
  & { -readonly [K in ScalarKeys<F>]: F[K] extends ScalarField<infer T> ? T : never }
  & { readonly [K in Exclude<keyof F, ScalarKeys<F>>]: F[K] extends BoxField<infer T> ? T : never }
>;

function scalar<T>(
  type: string,
  init: T,
  wrap: (v: T) => T,
  write: (out: ByteWriter, v: T) => void,
  read: (from: ByteReader) => T,
): ScalarField<T> {
  if (wrap(init) !== init) throw new RangeError(`${type}(${init}): the reset value does not fit`);
  return {
    kind: "scalar",
    signature: type,
    init,
    wrap,
    write(out, v) {
      if (wrap(v) !== v) throw new RangeError(`a field of type ${type} holds ${v}`);
      write(out, v);
    },
    read,
  };
}

/** 8 bits. */
export function u8(init = 0): ScalarField<number> {
  return scalar("u8", init, (v) => v & 0xff, (o, v) => o.u8(v), (i) => i.u8());
}

/** 16 bits. */
export function u16(init = 0): ScalarField<number> {
  return scalar("u16", init, (v) => v & 0xffff, (o, v) => o.u16(v), (i) => i.u16());
}

/** 32 bits, 0 to 2^32 - 1. */
export function u32(init = 0): ScalarField<number> {
  return scalar("u32", init, (v) => v >>> 0, (o, v) => o.u32(v), (i) => i.u32());
}

/** 64 bits. */
export function u64(init = 0n): ScalarField<bigint> {
  const wrap = (v: bigint) => BigInt.asUintN(64, v);
  return scalar("u64", init, wrap, (o, v) => o.u64(v), (i) => i.u64());
}

/** True or false. */
export function flag(init = false): ScalarField<boolean> {
  return scalar("flag", init, (v) => !!v, (o, v) => o.u8(v ? 1 : 0), (i) => i.u8() !== 0);
}

/** An integer from -2^53 to 2^53, for times in ns and counts; another value throws. */
export function num(init = 0): ScalarField<number> {
  const whole = (v: number) => {
    if (!Number.isSafeInteger(v)) throw new RangeError(`a field of type num was set to ${v}`);
    return v + 0; // -0 becomes 0
  };
  return scalar("num", init, whole, (o, v) => o.f64(v), (i) => i.f64());
}

/** Text; characters beyond `max` UTF-16 units are dropped on assignment. */
export function text(max: number): ScalarField<string> {
  const wrap = (v: string) => v.slice(0, max).toWellFormed();
  const write = (o: ByteWriter, v: string) => o.bytes(new TextEncoder().encode(v));
  return scalar(`text(${max})`, "", wrap, write, (i) => new TextDecoder().decode(i.bytes()));
}

/** A FIFO of at most `max` bytes, oldest first. */
export function bytes(max: number): BoxField<number[]> {
  return {
    kind: "box",
    signature: `bytes(${max})`,
    max,
    make: () => [],
    clear: (box) => void (box.length = 0),
    write(out, box) {
      const odd = box.find((v) => (v & 0xff) !== v);
      if (odd !== undefined) throw new RangeError(`a field of type bytes(${max}) holds ${odd}`);
      out.bytes(Uint8Array.from(box));
    },
    fill(box, from) {
      box.length = 0;
      for (const v of from.bytes()) box.push(v);
    },
  };
}

interface NumberArray {
  readonly length: number;
  [i: number]: number;
  fill(v: number): unknown;
}

function numbers<T extends NumberArray>(
  type: string,
  length: number,
  make: () => T,
  write: (out: ByteWriter, v: number) => void,
  read: (from: ByteReader) => number,
): BoxField<T> {
  return {
    kind: "box",
    signature: `${type}(${length})`,
    make,
    clear: (box) => void box.fill(0),
    write(out, box) {
      for (let i = 0; i < length; i++) write(out, box[i]);
    },
    fill(box, from) {
      for (let i = 0; i < length; i++) box[i] = read(from);
    },
  };
}

/** `length` values of 8 bits, reset to 0. */
export const u8s = (length: number): BoxField<Uint8Array<ArrayBuffer>> =>
  numbers("u8s", length, () => new Uint8Array(length), (o, v) => o.u8(v), (i) => i.u8());
/** `length` values of 16 bits, reset to 0. */
export const u16s = (length: number): BoxField<Uint16Array<ArrayBuffer>> =>
  numbers("u16s", length, () => new Uint16Array(length), (o, v) => o.u16(v), (i) => i.u16());
/** `length` values of 32 bits, reset to 0. */
export const u32s = (length: number): BoxField<Uint32Array<ArrayBuffer>> =>
  numbers("u32s", length, () => new Uint32Array(length), (o, v) => o.u32(v), (i) => i.u32());

/** A plain object with these fields, as an entry of a `list`. */
export type RecordOf<F extends Fields> = Flat<
  {
    -readonly [K in keyof F]: F[K] extends ScalarField<infer T> ? T
      : F[K] extends BoxField<infer T> ? T
      : never;
  }
>;

/** A list of at most `max` plain records, empty at reset. Their values are checked when saved. */
export function list<const F extends Fields>(fields: F, max: number): BoxField<RecordOf<F>[]> {
  const entries = Object.entries(fields);
  return {
    kind: "box",
    signature: `list(${layoutOf(fields)},${max})`,
    max,
    make: () => [],
    clear: (box) => void (box.length = 0),
    write(out, box) {
      out.u32(box.length);
      for (const record of box as Record<string, unknown>[]) {
        for (const [key, field] of entries) field.write(out, record[key]);
      }
    },
    fill(box, from) {
      box.length = 0;
      const length = from.u32();
      if (length > max) throw new RangeError(`saved list holds ${length}, allowed are ${max}`);
      for (let i = 0; i < length; i++) {
        const record: Record<string, unknown> = {};
        for (const [key, field] of entries) record[key] = readValue(field, from);
        box.push(record as RecordOf<F>);
      }
    },
  };
}

function readValue(field: Field, from: ByteReader): unknown {
  if (field.kind === "scalar") return field.read(from);
  const box = field.make();
  field.fill(box, from);
  return box;
}

/** A fixed array of `count` records, each a state of its own that is reset and wraps as ours does. */
export function records<const F extends Fields>(
  count: number,
  fields: F,
): BoxField<readonly StateOf<F>[]> {
  const stores = new WeakMap<readonly StateOf<F>[], StateStore<F>[]>();
  const of = (box: readonly StateOf<F>[]) => stores.get(box)!;
  return {
    kind: "box",
    signature: `records(${count},${layoutOf(fields)})`,
    make() {
      const made = Array.from({ length: count }, () => new StateStore(fields));
      const box = Object.freeze(made.map((m) => m.state));
      stores.set(box, made);
      return box;
    },
    clear: (box) => of(box).forEach((m) => m.reset()),
    write: (out, box) => of(box).forEach((m) => m.write(out)),
    fill: (box, from) => of(box).forEach((m) => m.fill(from)),
  };
}

/** The declaration as text: two states with the same layout save to the same bytes. */
export function layoutOf(fields: Fields): string {
  const parts = Object.entries(fields).map(([name, f]) => `${name}:${f.signature}`);
  return `{${parts.join(",")}}`;
}

/** FNV-1a over the layout's text. */
function layoutHash(layout: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < layout.length; i++) h = Math.imul(h ^ layout.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

const classes = new WeakMap<Fields, new () => object>();

/**
 * A class with a private slot and an accessor per scalar. It is generated, once per declaration, so that
 * all devices of a type share one hidden class and the engine inlines every `s.field`.
 */
function stateClass(fields: Fields): new () => object {
  let made = classes.get(fields);
  if (made === undefined) {
    const scalars = Object.entries(fields).filter(([, f]) => f.kind === "scalar");
    const body = scalars.map(([name], i) => {
      const key = `[${JSON.stringify(name)}]`;
      return `#f${i} = init[${i}];
        get ${key}() { return this.#f${i}; }
        set ${key}(v) { this.#f${i} = wrap${i}(v); }`;
    });
    const wraps = scalars.map((_, i) => `wrap${i}`);
    const source = `return class State { ${body.join("\n")} };`;
    const each = scalars.map(([, f]) => f as ScalarField<unknown>);
    made = new Function("init", ...wraps, source)(
      each.map((f) => f.init),
      ...each.map((f) => f.wrap),
    ) as new () => object;
    classes.set(fields, made);
  }
  return made;
}

/** The state of one device and what is derived from its declaration. */
export class StateStore<F extends Fields> {
  readonly state: StateOf<F>;
  readonly #fields: [string, Field][];
  readonly #growing: { name: string; max: number; box: readonly unknown[] }[] = [];
  readonly #layoutHash: number;

  constructor(fields: F) {
    this.#fields = Object.entries(fields);
    this.#layoutHash = layoutHash(layoutOf(fields));
    const state = new (stateClass(fields))();
    for (const [name, field] of this.#fields) {
      if (field.kind === "scalar") continue;
      const value = field.make();
      Object.defineProperty(state, name, { value, enumerable: true });
      if (field.max !== undefined) {
        this.#growing.push({ name, max: field.max, box: value as readonly unknown[] });
      }
    }
    this.state = Object.preventExtensions(state) as StateOf<F>;
  }

  #values(): Record<string, unknown> {
    return this.state as Record<string, unknown>;
  }

  reset(): void {
    const values = this.#values();
    for (const [name, field] of this.#fields) {
      if (field.kind === "scalar") values[name] = field.init;
      else field.clear(values[name]);
    }
  }

  write(out: ByteWriter): void {
    const values = this.#values();
    for (const [name, field] of this.#fields) field.write(out, values[name]);
  }

  fill(from: ByteReader): void {
    const values = this.#values();
    for (const [name, field] of this.#fields) {
      if (field.kind === "scalar") values[name] = field.read(from);
      else field.fill(values[name], from);
    }
  }

  save(): Uint8Array {
    const out = new ByteWriter();
    out.u32(this.#layoutHash);
    this.write(out);
    return out.finish();
  }

  /** Throws when the bytes were saved from another declaration. */
  load(saved: Uint8Array): void {
    const from = new ByteReader(saved);
    const hash = from.u32();
    if (hash !== this.#layoutHash) {
      const hex = (v: number) => v.toString(16).padStart(8, "0");
      throw new RangeError(
        `saved by another version: layout ${hex(hash)}, expected ${hex(this.#layoutHash)}; ` +
          "record the run again with this version",
      );
    }
    this.fill(from);
    if (from.rest !== 0) throw new RangeError(`saved state has ${from.rest} bytes too many`);
  }

  /** A field that outgrew its declaration is a bug of `device`, whatever the guest did. */
  check(device: string): void {
    for (const { name, max, box } of this.#growing) {
      if (box.length > max) {
        throw new PlugError(
          `${device}: state field ${name} holds ${box.length} entries, declared are ${max}`,
          "check before `push`, or declare more",
        );
      }
    }
  }
}
