/**
 * Which code is compiled, and what becomes of it. A place is hot when samples of the interpreter's pc keep
 * falling near it, or when compiled code often jumps there. Both go by instruction counts, and neither
 * can be seen by the guest.
 *
 * A region is entered through decoded entries whose operation is PSEUDO.compiled, so it lives only as
 * long as its decoded pages do. When a byte that it holds changes, or one of its pages gives way, its
 * entries are decoded again and nothing leads to it any more; a region that runs is told by the upper half
 * of slot status, and leaves. When there are too many, all go.
 *
 * @module
 */
import type { Routines } from "../emit.ts";
import type { Decoder } from "../insn.ts";
import { CODE_PAGE, ENTRY, EXITS, type Layout, PAGE, PSEUDO, TLB } from "../layout.ts";
import type { AccessFuncs } from "../memory_ops.ts";
import { SLOT } from "../state.ts";
import { type Callee, Module } from "../wasm/module.ts";
import type { ValueType } from "../wasm/code.ts";
import { type CodeView, discover, LIMITS, pageOf, type Region } from "./discover.ts";
import { RegionEmitter } from "./region.ts";

/** Compiled regions, and instructions in them, at which all go and a new start is made. */
const MOST = { regions: 16_384, insns: 2_000_000 } as const;
/** Table slots at first. */
const SLOTS = 1024;

export interface Policy {
  /** Samples near a place, and jumps to it from compiled code, that make it hot. */
  samples: number;
  jumps: number;
  /** Instructions from one sample to the next. */
  slice: number;
}
export const POLICY: Policy = { samples: 2, jumps: 64, slice: 10_000 };

export interface Statistics {
  regions: number;
  insns: number;
  modules: number;
  moduleBytes: number;
  dropped: number;
  flushes: number;
  /** Instructions that compiled regions executed, and how often the interpreter went into one. */
  executed: number;
  entered: number;
}

interface Compiled {
  readonly slot: number;
  readonly pages: readonly number[];
  /** What it holds: page, first and last unit of two bytes. */
  readonly held: readonly (readonly [page: number, first: number, last: number])[];
  readonly entries: readonly number[];
}

/** Imports the interpreter's functions as they are asked for. */
class Imports implements Routines {
  readonly helpers;
  readonly access: AccessFuncs;
  readonly #known = new Map<string, Callee>();

  constructor(readonly layout: Layout, private readonly module: Module) {
    const lazily = (name: string, params: ValueType[], results: ValueType[]): Callee => {
      const find = () => this.#import(name, params, results);
      return { get index() { return find().index; } };
    };
    this.helpers = {
      mulhu: lazily("mulhu", ["i64", "i64"], ["i64"]),
      flushAll: lazily("flushAll", ["i32"], []),
      flushPage: lazily("flushPage", ["i32", "i64"], []),
      invalidate: lazily("invalidate", ["i32", "i32", "i32"], []),
    };
    this.access = {
      loadSlow: lazily("loadSlow", ["i32", "i64", "i32"], ["i64"]),
      storeSlow: lazily("storeSlow", ["i32", "i64", "i64", "i32"], []),
      amoAddr: lazily("amoAddr", ["i32", "i64", "i32"], ["i32"]),
      reserveAddr: lazily("reserveAddr", ["i32", "i64", "i32"], ["i32"]),
    };
  }
  #import(name: string, params: ValueType[], results: ValueType[]): Callee {
    let callee = this.#known.get(name);
    if (!callee) this.#known.set(name, callee = this.module.import(name, params, results));
    return callee;
  }
  func(r: { name: string; params: number }): Callee {
    const params: ValueType[] = ["i32", ...Array.from({ length: r.params }, () => "i64" as const)];
    return this.#import(r.name, params, ["i64"]);
  }
}

export class Compiler {
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: SLOTS });
  readonly #counts = {
    ...{ regions: 0, insns: 0, modules: 0, moduleBytes: 0, dropped: 0, flushes: 0 },
  };
  readonly #view: DataView;
  readonly #byPage = new Map<number, Set<Compiled>>();
  readonly #samples = new Map<number, number>();
  #exports: Record<string, unknown> = {};
  #slots = 0;
  #insns = 0;

  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly layout: Layout,
    private readonly decoder: Decoder,
    private readonly policy: Policy = POLICY,
  ) {
    this.#view = new DataView(memory.buffer);
    this.#view.setInt32(layout.exitsWanted, policy.jumps, true);
  }
  get statistics(): Statistics {
    const at = (place: number) => Number(this.#view.getBigUint64(place, true));
    const { compiledInsns, entered } = this.layout;
    return { ...this.#counts, executed: at(compiledInsns), entered: at(entered) };
  }
  /** The interpreter's functions, once there are any. */
  link(exports: Record<string, unknown>): void {
    this.#exports = exports;
  }

  /** The budget of a stretch of interpretation was used up with the hart at its pc. */
  sample(hart: number): void {
    const page = this.#pageAt(hart, 0);
    if (page === 0) return;
    const at = this.#view.getUint32(hart + SLOT.pc, true) % PAGE;
    if (this.#holds(page, at)) return;
    const place = page + (at >> 7);
    const n = (this.#samples.get(place) ?? 0) + 1;
    this.#samples.set(place, n);
    if (n < this.policy.samples) return;
    this.#samples.delete(place);
    this.compile(hart);
  }

  /** Compiles the region around the hart's pc. */
  compile(hart: number): void {
    const home = this.#pageAt(hart, 0);
    if (home === 0) return;
    const at = this.#view.getUint32(hart + SLOT.pc, true) % PAGE;
    if (this.#op(home, at) === PSEUDO.compiled) return;
    const view: CodeView = {
      page: (pages) => this.#pageAt(hart, pages),
      word: (page, offset) => this.#word(page, offset),
    };
    const region = discover(view, this.decoder, at, LIMITS.insns);
    if (region === null) return;
    if (this.#slots >= MOST.regions || this.#insns > MOST.insns) this.flush();
    this.#build(region, home);
  }

  #build(region: Region, home: number): void {
    const slot = this.#slots++;
    if (slot >= this.table.length) this.table.grow(this.table.length);
    const m = new Module(this.layout.wasmPages, { table: true, lateImports: true });
    const imports = new Imports(this.layout, m);
    const emitter = new RegionEmitter(m, imports, imports.access, region, "region");
    emitter.emit();
    m.fillTable(slot);
    const bytes = m.bytes();
    const env = { ...this.#exports, memory: this.memory, table: this.table };
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
    const entries: number[] = [];
    for (const b of region.blocks) {
      const ep = home + b.at * 8;
      if (!b.entry || this.#view.getUint16(ep + ENTRY.op, true) === PSEUDO.compiled) continue;
      entries.push(ep);
      this.#view.setUint16(ep + ENTRY.op, PSEUDO.compiled, true);
      this.#view.setInt32(ep + ENTRY.imm, slot, true);
      this.#view.setInt32(ep + ENTRY.imm + 4, emitter.numberOf(b), true);
    }
    const held = region.blocks.map((b) => {
      const last = b.insts[b.insts.length - 1];
      const number = pageOf(b.at);
      const first = b.at - number * PAGE;
      const end = last.at + last.length - number * PAGE;
      return [region.pages.get(number)!, first >> 1, (end - 1) >> 1] as const;
    });
    const compiled = { slot, pages: [...new Set(held.map(([p]) => p))], held, entries };
    for (const page of compiled.pages) this.#hold(page, compiled);
    this.#insns += region.insns;
    const s = this.#counts;
    s.regions++;
    s.insns += region.insns;
    s.modules++;
    s.moduleBytes += bytes.length;
  }

  #hold(page: number, c: Compiled): void {
    let all = this.#byPage.get(page);
    if (!all) this.#byPage.set(page, all = new Set());
    all.add(c);
    this.#mark(page, c);
    this.#view.setInt32(page + CODE_PAGE.regions, all.size, true);
  }
  #mark(page: number, c: Compiled): void {
    for (const [p, first, last] of c.held) {
      if (p !== page) continue;
      for (let u = first; u <= last; u++) {
        const at = page + CODE_PAGE.compiled + (u >> 3);
        this.#view.setUint8(at, this.#view.getUint8(at) | 1 << (u & 7));
      }
    }
  }
  #holds(page: number, at: number): boolean {
    return (this.#view.getUint8(page + CODE_PAGE.compiled + (at >> 4)) >> (at >> 1 & 7) & 1) !== 0;
  }

  /** Bytes of a decoded page have changed. */
  changed = (page: number, at: number, bytes: number): void => {
    const [first, last] = [at >> 1, (at + bytes - 1) >> 1];
    for (const c of [...this.#byPage.get(page) ?? []]) {
      if (c.held.some(([p, a, z]) => p === page && a <= last && z >= first)) this.#drop(c);
    }
  };
  /** A decoded page is about to be emptied. */
  evicted = (page: number): void => {
    for (const c of [...this.#byPage.get(page) ?? []]) this.#drop(c);
  };

  #drop(c: Compiled): void {
    const v = this.#view;
    for (const ep of c.entries) {
      const ours = v.getUint16(ep + ENTRY.op, true) === PSEUDO.compiled &&
        v.getInt32(ep + ENTRY.imm, true) === c.slot;
      if (ours) v.setUint16(ep + ENTRY.op, PSEUDO.decode, true);
    }
    for (const page of c.pages) {
      const left = this.#byPage.get(page)!;
      left.delete(c);
      v.setInt32(page + CODE_PAGE.regions, left.size, true);
      new Uint8Array(this.memory.buffer, page + CODE_PAGE.compiled, PAGE / 16).fill(0);
      for (const other of left) this.#mark(page, other);
      if (left.size === 0) this.#byPage.delete(page);
    }
    this.table.set(c.slot, null);
    this.#counts.dropped++;
    const { hartsAt, hartBytes, harts } = this.layout;
    for (let i = 0; i < harts; i++) v.setInt32(hartsAt + i * hartBytes + SLOT.status + 4, 1, true);
  }

  /** All compiled code goes. */
  flush(): void {
    for (const all of [...this.#byPage.values()]) { for (const c of [...all]) this.#drop(c); }
    this.#slots = this.#insns = 0;
    this.#counts.flushes++;
    this.#samples.clear();
    new Uint8Array(this.memory.buffer, this.layout.exits, EXITS.bytes).fill(0);
  }

  #op(page: number, at: number): number {
    return this.#view.getUint16(page + at * 8 + ENTRY.op, true);
  }
  #word(page: number, offset: number): number {
    const op = this.#op(page, offset);
    if (op === PSEUDO.decode || op === PSEUDO.straddle || op === PSEUDO.illegal) return 0;
    const at = this.#view.getUint32(page + CODE_PAGE.host, true) + offset;
    const low = this.#view.getUint16(at, true);
    if ((low & 3) !== 3) return low;
    return (low | this.#view.getUint16(at + 2, true) << 16) >>> 0;
  }
  /** Decoded page that the fetch TLB has `pages` pages from the hart's pc, 0: none. */
  #pageAt(hart: number, pages: number): number {
    const v = this.#view;
    const from = v.getUint32(hart + SLOT.pc, true) - v.getUint32(hart + SLOT.pc, true) % PAGE;
    const sum = from + pages * PAGE;
    const lo = sum >>> 0;
    const hi = (v.getUint32(hart + SLOT.pc + 4, true) + Math.floor(sum / 2 ** 32)) >>> 0;
    const entry = v.getUint32(hart + SLOT.fetchBank, true) + ((lo >>> 8) & (TLB.entries - 1) * 16);
    const known = v.getUint32(entry + TLB.fetch, true) === lo &&
      v.getUint32(entry + TLB.fetch + 4, true) === hi;
    return known ? v.getUint32(entry + TLB.fetch + TLB.payload, true) : 0;
  }
}
