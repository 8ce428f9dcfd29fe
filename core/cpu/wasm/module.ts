/**
 * A small WebAssembly assembler: modules of functions with structured control flow over one imported
 * memory. Source: WebAssembly Core Specification 2.0, §5.5 (modules), §5.4.1 (control), and the
 * branch hinting proposal (custom section `metadata.code.branch_hint`).
 *
 * @module
 */
import { type Code, i32, uleb, type ValueType } from "./code.ts";

const TYPE: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };
const VOID = 0x40;
/** Of a memory with 32-bit addresses. */
const MAX_PAGES = 65536;

/** Index of a local variable. */
export type Local = number;
/** A branch target: how many blocks enclose it. */
export type Label = { readonly depth: number };

/** Bytes in a row, growing. */
class Bytes {
  #bytes = new Uint8Array(256);
  length = 0;

  #room(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + bytes));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }
  push(code: Code): void {
    this.#room(code.length);
    const { length } = this;
    for (let i = 0; i < code.length; i++) this.#bytes[length + i] = code[i];
    this.length = length + code.length;
  }
  append(other: Bytes): void {
    this.#room(other.length);
    this.#bytes.set(other.#bytes.subarray(0, other.length), this.length);
    this.length += other.length;
  }
  /** Preceded by its size. */
  appendSized(other: Bytes): void {
    this.push(uleb(other.length));
    this.append(other);
  }
  whole(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length);
  }
}
const bytesOf = (...codes: Code[]): Bytes => {
  const b = new Bytes();
  for (const c of codes) b.push(c);
  return b;
};

/** What can be called: a function, or an import. */
export interface Callee {
  readonly index: number;
}

/** One function under construction; statements append to its body. */
export class Func {
  readonly body = new Bytes();
  readonly hints: { at: number; likely: boolean }[] = [];
  readonly #locals: ValueType[] = [];
  readonly #free: Record<ValueType, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  readonly #lent: { type: ValueType; local: Local }[] = [];
  #depth = 0;

  constructor(
    readonly name: string,
    /** Holds only where imports come before functions. */
    readonly index: number,
    readonly params: readonly ValueType[],
    readonly results: readonly ValueType[],
  ) {}

  local(type: ValueType): Local {
    this.#locals.push(type);
    return this.params.length + this.#locals.length - 1;
  }
  /** A local that `releaseTemps` gives back: handlers share theirs. */
  temp(type: ValueType): Local {
    const local = this.#free[type].pop() ?? this.local(type);
    this.#lent.push({ type, local });
    return local;
  }
  releaseTemps(): void {
    this.#release(0);
  }
  /** Temporaries that `body` takes are free again behind it. */
  scope(body: () => void): void {
    const lent = this.#lent.length;
    body();
    this.#release(lent);
  }
  #release(from: number): void {
    for (const { type, local } of this.#lent.splice(from)) this.#free[type].push(local);
  }

  emit(code: Code): void {
    this.body.push(code);
  }
  /** Bytes emitted. */
  get position(): number {
    return this.body.length;
  }
  /** Blocks that are open. */
  get depth(): number {
    return this.#depth;
  }
  /** Index of a local or of a function in an instruction. */
  protected indexCode(n: number): Code {
    return n < 0x80 ? [n] : uleb(n);
  }
  get(l: Local): Code {
    return [0x20, ...this.indexCode(l)];
  }
  set(l: Local, v: Code): void {
    this.emit([...v, 0x21, ...this.indexCode(l)]);
  }
  /** Evaluates once, into a temporary; the result may be repeated at no cost. */
  bind(type: ValueType, v: Code): Code {
    const l = this.temp(type);
    this.set(l, v);
    return this.get(l);
  }
  call(f: Callee, ...args: Code[]): Code {
    return [...args.flat(), 0x10, ...this.indexCode(f.index)];
  }
  /** Calls the function of type `type` that stands at `at` in the table. */
  callIndirect(type: number, at: Code, ...args: Code[]): Code {
    return [...args.flat(), ...at, 0x11, ...uleb(type), 0];
  }
  /** The same in place of this function's return (tail calls, §4.4.8). */
  returnCallIndirect(type: number, at: Code, ...args: Code[]): void {
    this.emit([...args.flat(), ...at, 0x13, ...uleb(type), 0]);
  }
  drop(v: Code): void {
    this.emit([...v, 0x1a]);
  }
  return(v: Code = []): void {
    this.emit([...v, 0x0f]);
  }

  #structured(opcode: number, head: Code, body: (label: Label) => void): void {
    this.emit([...head, opcode, VOID]);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.emit([0x0b]);
  }
  /** A branch to its label leaves it. */
  block(body: (label: Label) => void): void {
    this.#structured(0x02, [], body);
  }
  /** A branch to its label repeats it; falling off its end leaves it. */
  loop(body: (label: Label) => void): void {
    this.#structured(0x03, [], body);
  }
  if(cond: Code, then: () => void, otherwise?: () => void, likely?: boolean): void {
    this.emit(cond);
    if (likely !== undefined) this.hints.push({ at: this.position, likely });
    this.#structured(0x04, [], () => {
      then();
      if (otherwise) {
        this.emit([0x05]);
        otherwise();
      }
    });
  }
  br(label: Label): void {
    this.emit([0x0c, ...uleb(this.#depth - label.depth)]);
  }
  brIf(label: Label, cond: Code): void {
    this.emit([...cond, 0x0d, ...uleb(this.#depth - label.depth)]);
  }
  /** The last label is the default. */
  brTable(labels: readonly Label[], index: Code): void {
    const depths = labels.map((l) => uleb(this.#depth - l.depth));
    this.emit([...index, 0x0e, ...uleb(labels.length - 1)]);
    for (const d of depths) this.emit(d);
  }
  /** `switch (index)`: case i falls out of the switch after `cases[i]`; others do nothing. */
  switch(index: Code, cases: readonly (() => void)[]): void {
    this.block((out) => {
      const nest = (i: number, labels: Label[]): void => {
        this.block((label) => {
          if (i === 0) this.brTable([label, ...labels, out], index);
          else nest(i - 1, [label, ...labels]);
        });
        cases[i]();
        if (i < cases.length - 1) this.br(out);
      };
      if (cases.length > 0) nest(cases.length - 1, []);
    });
  }
  unreachable(): void {
    this.emit([0x00]);
  }

  /** Declarations of locals, as they precede the body. */
  prologue(): number[] {
    return [...uleb(this.#locals.length), ...this.#locals.flatMap((t) => [1, TYPE[t]])];
  }
}

/** Function to be supplied by the host. */
export interface Import {
  readonly index: number;
}

interface ModuleOptions {
  /** Import a table, as `env.table`. */
  table?: boolean;
  /** Functions of the module do not call each other, so imports may come after them. */
  lateImports?: boolean;
  /** Import a second memory, which threads share, as `env.NAME`. */
  shared?: string;
  /** The value of the first parameter of every function whose first is an i32. */
  first?: number | null;
}

/** A module; imports must be declared before functions, for they take the first indices. */
export class Module {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #imports: { name: string; type: number }[] = [];
  readonly #funcs: Func[] = [];
  readonly #exports: Func[] = [];
  readonly #customs: { name: string; contents: string }[] = [];
  #tableStart = -1;

  /**
   * `memory` is imported as `env.memory`, of so many pages or at least so many; functions as `env.NAME`.
   */
  constructor(
    readonly memoryPages: number | { readonly min: number },
    private readonly options: ModuleOptions = {},
  ) {}

  type(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${params}>${results}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const list = (ts: readonly ValueType[]) => [...uleb(ts.length), ...ts.map((t) => TYPE[t])];
    this.#typeBytes.push([0x60, ...list(params), ...list(results)]);
    return this.#types.push(key) - 1;
  }
  import(name: string, params: ValueType[], results: ValueType[]): Import {
    if (this.#funcs.length > 0 && !this.options.lateImports) {
      throw new Error(`import ${name}: declared after a function`);
    }
    return { index: this.#imports.push({ name, type: this.type(params, results) }) - 1 };
  }
  func(name: string, params: readonly ValueType[], results: readonly ValueType[]): Func {
    this.type(params, results);
    const f = new Func(name, this.#imports.length + this.#funcs.length, params, results);
    this.#funcs.push(f);
    const { first } = this.options;
    if (typeof first === "number" && params[0] === "i32") f.set(0, i32.const(first));
    return f;
  }
  export(f: Func): Func {
    this.#exports.push(f);
    return f;
  }
  /** Adds a section that the engine ignores. */
  custom(name: string, contents: string): void {
    this.#customs.push({ name, contents });
  }
  /** Puts every function into the table, the first one at `at`. */
  fillTable(at: number): void {
    this.#tableStart = at;
  }
  #indexOf(f: Func): number {
    return this.#imports.length + this.#funcs.indexOf(f);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const out = bytesOf([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, body: Bytes) => {
      out.push([id]);
      out.appendSized(body);
    };
    section(1, vector(this.#typeBytes));
    section(2, vector(this.#importBytes()));
    section(3, vector(this.#funcs.map((f) => uleb(this.type(f.params, f.results)))));
    section(7, vector(this.#exports.map((f) => [...text(f.name), 0, ...uleb(this.#indexOf(f))])));
    if (this.#tableStart >= 0) section(9, this.#segment());
    section(0, this.#hints());
    section(10, this.#codeBytes());
    for (const { name, contents } of this.#customs) {
      section(0, bytesOf(text(name), [...encoder.encode(contents)]));
    }
    return out.whole();
  }
  #importBytes(): Code[] {
    const env = text("env");
    const table = this.options.table ? [[...env, ...text("table"), 1, 0x70, 0, 0]] : [];
    const shared = this.options.shared === undefined
      ? []
      : [[...env, ...text(this.options.shared), 2, 3, ...uleb(1), ...uleb(MAX_PAGES)]];
    return [
      [...env, ...text("memory"), 2, ...this.#memoryLimits()],
      ...shared,
      ...table,
      ...this.#imports.map((i) => [...env, ...text(i.name), 0, ...uleb(i.type)]),
    ];
  }
  #codeBytes(): Bytes {
    const all = bytesOf(uleb(this.#funcs.length));
    for (const f of this.#funcs) {
      const body = bytesOf(f.prologue());
      body.append(f.body);
      body.push([0x0b]);
      all.appendSized(body);
    }
    return all;
  }
  #segment(): Bytes {
    const first = this.#imports.length;
    const head = bytesOf([1, 0], i32.const(this.#tableStart), [0x0b]);
    head.append(vector(this.#funcs.map((_, i) => uleb(first + i))));
    return head;
  }
  #memoryLimits(): number[] {
    const pages = this.memoryPages;
    return typeof pages === "number"
      ? [1, ...uleb(pages), ...uleb(pages)]
      : [0, ...uleb(pages.min)];
  }
  #hints(): Bytes {
    const hinted = this.#funcs.filter((f) => f.hints.length > 0);
    const all = bytesOf(text("metadata.code.branch_hint"), uleb(hinted.length));
    for (const f of hinted) {
      const base = f.prologue().length;
      all.push(uleb(this.#indexOf(f)));
      all.push(uleb(f.hints.length));
      for (const h of f.hints) all.push([...uleb(base + h.at), 1, h.likely ? 1 : 0]);
    }
    return all;
  }
}

const encoder = new TextEncoder();
const text = (s: string): number[] => {
  const b = [...encoder.encode(s)];
  return [...uleb(b.length), ...b];
};
const vector = (items: readonly Code[]): Bytes => bytesOf(uleb(items.length), ...items);
