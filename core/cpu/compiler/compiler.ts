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
import type { Decoder } from "../insn.ts";
import { CODE_PAGE, ENTRY, EXITS, type Layout, onlyHart, PAGE, PSEUDO, TLB } from "../layout.ts";
import type { Meter } from "../meter.ts";
import { SLOT } from "../state.ts";
import { targetsOf } from "../targets.ts";
import { type Callee, Module } from "../wasm/module.ts";
import { type Block, type CodeView, discover, pageOf, type Region } from "./discover.ts";
import { Instructions } from "./instruction.ts";
import { RegionEmitter } from "./region.ts";
import { routinesOf } from "./region_ops.ts";
import type { Signature } from "./template.ts";

/** Instructions of a slice; one activation stays so short that optimized code takes over soon. */
const LONGEST = 200_000;
/** Samples are few while regions execute this part. */
const MOSTLY = 15 / 16;
/** Code that regions hold is not reached through them while they execute less than this part. */
const HARDLY = 1 / 16;
/** Of fewer instructions that part says nothing: what is left of a slice may be shorter than a block. */
const TELLING = 256;
/** Table slots at first. */
const SLOTS = 1024;

export interface Policy {
  /** Samples near a place, and jumps to it from compiled code (a power of two), that make it hot. */
  samples: number;
  jumps: number;
  /** Interpreted jumps to a target of an indirect jump that make it worth code there. */
  often: number;
  /** Instructions from one sample to the next; more while samples show compiled code. */
  slice: number;
  /** So many hot places make a module; or what there is, after so many instructions. */
  batch: number;
  patience: number;
  /** Regions compiled, dropped ones included, at which all go and a new start is made. */
  most: number;
}
export const POLICY: Policy = {
  ...{ samples: 16, jumps: 4096, often: 64, slice: 10_000 },
  ...{ batch: 32, patience: 500_000, most: 16_384 },
};

export interface Statistics {
  regions: number;
  insns: number;
  modules: number;
  moduleBytes: number;
  /** Because code changed, a page gave way, or there were too many. */
  dropped: number;
  flushes: number;
  /** Instructions that compiled regions executed, and how often the interpreter went into one. */
  executed: number;
  entered: number;
}

/** A hot place that waits to be compiled. */
interface Place {
  /** Decoded page, its page of RAM, the offset in it. */
  readonly page: number;
  readonly ramPage: number;
  readonly at: number;
  /** Virtual address of the page, in halves, and the bank of the fetch TLB that knows it. */
  readonly lo: number;
  readonly hi: number;
  readonly bank: number;
  /** It is not enough that a region holds it: it must be an entry. */
  readonly entry: boolean;
  /** A region holds it, and yet it is interpreted: nothing leads there but from that region's own code. */
  readonly unreached: boolean;
}

interface Compiled {
  readonly slot: number;
  readonly pages: readonly number[];
  /** What it holds: page, first and last unit of two bytes. */
  readonly held: readonly (readonly [page: number, first: number, last: number])[];
  readonly entries: readonly number[];
}

export class Compiler {
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: SLOTS });
  readonly #counts = {
    ...{ regions: 0, insns: 0, modules: 0, moduleBytes: 0, dropped: 0, flushes: 0 },
  };
  readonly #instructions: Instructions;
  readonly #view: DataView;
  readonly #byPage = new Map<number, Set<Compiled>>();
  readonly #samples = new Map<number, number>();
  #exports: Record<string, unknown> = {};
  readonly #waiting = new Map<number, Place>();
  /** Where nothing can be compiled. */
  readonly #hopeless = new Set<number>();
  #waited = 0;
  #slice: number;
  #untilSample: number;
  #slots = 0;
  /** At the sample before: instructions executed by regions; and how many have been executed since. */
  #compiledBefore = 0;
  #sinceSample = 0;

  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly layout: Layout,
    decoder: Decoder,
    private readonly policy: Policy = POLICY,
    private readonly meter: Meter | null = null,
  ) {
    this.#slice = this.#untilSample = policy.slice;
    this.#instructions = new Instructions(decoder, routinesOf(layout));
    this.#view = new DataView(memory.buffer);
    this.#view.setInt32(layout.exitsMask, policy.jumps - 1, true);
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

  /** Instructions until the next sample. */
  get untilSample(): number {
    return this.#untilSample;
  }
  /** So many instructions have been executed; the hart is at its pc, to which compiled code often jumped. */
  ran(hart: number, executed: number, jumped: boolean): void {
    this.#untilSample -= executed;
    this.#sinceSample += executed;
    if (this.#untilSample > 0 && !jumped) return;
    if (this.#waiting.size > 0) {
      this.#waited += executed;
      if (this.#waited >= this.policy.patience) this.#build();
    }
    if (jumped) this.#want(this.#place(hart, true));
    if (this.#untilSample > 0) return;
    const telling = this.#sinceSample >= TELLING;
    const share = this.#compiledShare();
    this.#sample(this.#place(hart, false), share, telling && share <= HARDLY);
    this.#untilSample = this.#waiting.size > 0 ? this.policy.slice : this.#slice;
  }
  /** Of what has been executed since the sample before, the part that regions executed. */
  #compiledShare(): number {
    const compiled = Number(this.#view.getBigUint64(this.layout.compiledInsns, true));
    const share = (compiled - this.#compiledBefore) / this.#sinceSample;
    this.#compiledBefore = compiled;
    this.#sinceSample = 0;
    return share;
  }
  /** `unreached`: regions are there, perhaps, but hardly anything goes through them. */
  #sample(place: Place | null, compiledShare: number, unreached: boolean): void {
    if (place === null) return;
    this.#slice = compiledShare < MOSTLY
      ? this.policy.slice
      : Math.min(this.#slice * 2, Math.max(LONGEST, this.policy.slice));
    const held = this.#holds(place.page, place.at);
    if (held && !unreached) return;
    const near = place.page + (place.at >> 7);
    const n = (this.#samples.get(near) ?? 0) + 1;
    this.#samples.set(near, n);
    if (n < this.policy.samples) return;
    this.#samples.delete(near);
    this.#want({ ...place, unreached: held });
  }
  /** Hot places wait for others, but not for long. */
  #want(place: Place | null): void {
    if (place === null || this.#hopeless.has(place.page + place.at)) return;
    this.#waiting.set(place.page + place.at, place);
    if (this.#waiting.size >= this.policy.batch) this.#build();
  }

  #build(): void {
    this.meter?.enter("compile");
    this.#buildModule();
    this.meter?.leave();
  }
  /** One module for all that waits. */
  #buildModule(): void {
    const places = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#waited = 0;
    if (this.#slots + places.length > this.policy.most) this.flush();
    const first = onlyHart(this.layout);
    const m = new Module(this.layout.wasmPages, { table: true, lateImports: true, first });
    const callee = importsOf(m);
    const before = this.#slots;
    for (const place of places) {
      const region = this.#discover(place);
      if (region === null) {
        const op = this.#op(place.page, place.at);
        const tried = op !== PSEUDO.decode && op !== PSEUDO.compiled && place.entry;
        if (tried) this.#hopeless.add(place.page + place.at);
        continue;
      }
      const slot = this.#slots++;
      const emitter = new RegionEmitter(m, this.#instructions, callee, region);
      emitter.emit();
      this.#enter(place.page, region, slot, (b) => emitter.numberOf(b));
    }
    if (this.#slots === before) return;
    if (this.#slots > this.table.length) this.table.grow(this.table.length);
    m.fillTable(before);
    const bytes = m.bytes();
    const env = { ...this.#exports, memory: this.memory, table: this.table };
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
    this.#counts.modules++;
    this.#counts.moduleBytes += bytes.length;
  }
  #discover(place: Place): Region | null {
    const { page, at, lo, hi, bank } = place;
    const same = this.#view.getUint32(page + CODE_PAGE.host, true) !== 0 &&
      this.#view.getUint32(page + CODE_PAGE.ramPage, true) === place.ramPage;
    const done = place.entry ? this.#op(page, at) === PSEUDO.compiled : this.#holds(page, at);
    if (!same || (done && !place.unreached)) return null;
    const view: CodeView = {
      page: (pages) => pages === 0 ? page : this.#pageAt(bank, lo, hi, pages),
      word: (page, offset) => this.#word(page, offset),
      straddles: (page, offset) => offset === PAGE - 2 && (this.#half(page, offset) & 3) === 3,
      half: (page, offset) => this.#half(page, offset),
      targets: (page, offset) =>
        targetsOf(this.#view, this.layout, page + offset * 8, this.policy.often),
      isEntry: (offset) => this.#op(page, offset) === PSEUDO.compiled,
    };
    return discover(view, this.#instructions, at, place.entry);
  }

  /** Makes the region's entries lead to it. */
  #enter(home: number, region: Region, slot: number, numberOf: (b: Block) => number): void {
    const entries: number[] = [];
    for (const b of region.blocks) {
      const ep = home + b.at * 8;
      if (!b.entry || this.#view.getUint16(ep + ENTRY.op, true) === PSEUDO.compiled) continue;
      entries.push(ep);
      this.#view.setUint16(ep + ENTRY.op, PSEUDO.compiled, true);
      this.#view.setInt32(ep + ENTRY.imm, slot, true);
      this.#view.setInt32(ep + ENTRY.imm + 4, numberOf(b), true);
    }
    const held = region.blocks.flatMap((b) => heldBy(b, region.pages));
    const compiled = { slot, pages: [...new Set(held.map(([p]) => p))], held, entries };
    for (const page of compiled.pages) this.#hold(page, compiled);
    this.#counts.regions++;
    this.#counts.insns += region.insns;
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
    this.#hopeless.clear();
    const [first, last] = [at >> 1, (at + bytes - 1) >> 1];
    for (const c of [...this.#byPage.get(page) ?? []]) {
      if (c.held.some(([p, a, z]) => p === page && a <= last && z >= first)) this.#drop(c);
    }
  };
  /** A decoded page is about to be emptied. */
  evicted = (page: number): void => {
    this.#hopeless.clear();
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
    for (const all of [...this.#byPage.values()]) for (const c of [...all]) this.#drop(c);
    this.#slots = 0;
    this.#waiting.clear();
    this.#counts.flushes++;
    this.#samples.clear();
    this.#hopeless.clear();
    new Uint8Array(this.memory.buffer, this.layout.exits, EXITS.bytes).fill(0);
  }

  #op(page: number, at: number): number {
    return this.#view.getUint16(page + at * 8 + ENTRY.op, true);
  }
  #word(page: number, offset: number): number {
    const op = this.#op(page, offset);
    if (op === PSEUDO.decode || op === PSEUDO.illegal) return 0;
    const low = this.#half(page, offset);
    if ((low & 3) !== 3 || offset === PAGE - 2) return low;
    return (low | this.#half(page, offset + 2) << 16) >>> 0;
  }
  #half(page: number, offset: number): number {
    return this.#view.getUint16(this.#view.getUint32(page + CODE_PAGE.host, true) + offset, true);
  }
  /** Where the hart is; null where that is not known. */
  #place(hart: number, entry: boolean): Place | null {
    const v = this.#view;
    const lo = v.getUint32(hart + SLOT.pc, true);
    const hi = v.getUint32(hart + SLOT.pc + 4, true);
    const bank = v.getUint32(hart + SLOT.fetchBank, true);
    const at = lo % PAGE;
    const page = this.#pageAt(bank, lo - at, hi, 0);
    if (page === 0) return null;
    const ramPage = v.getUint32(page + CODE_PAGE.ramPage, true);
    return { page, ramPage, at, lo: lo - at, hi, bank, entry, unreached: false };
  }
  /** Decoded page that the fetch TLB has `pages` pages from an address, 0: none. */
  #pageAt(bank: number, lo: number, hi: number, pages: number): number {
    const v = this.#view;
    const sum = lo + pages * PAGE;
    const [low, high] = [sum >>> 0, (hi + Math.floor(sum / 2 ** 32)) >>> 0];
    const entry = bank + ((low >>> 8) & (TLB.entries - 1) * 16);
    const known = v.getUint32(entry + TLB.fetch, true) === low &&
      v.getUint32(entry + TLB.fetch + 4, true) === high;
    return known ? v.getUint32(entry + TLB.fetch + TLB.payload, true) : 0;
  }
}

/** Imports the interpreter's functions as they are asked for. */
function importsOf(m: Module): (s: Signature) => Callee {
  const known = new Map<Signature, Callee>();
  return (s) => {
    let callee = known.get(s);
    if (!callee) known.set(s, callee = m.import(s.name, [...s.params], [...s.results]));
    return callee;
  };
}

/** A block lies in one page, unless it is an instruction that straddles two. */
function heldBy(b: Block, pages: ReadonlyMap<number, number>): Compiled["held"][number][] {
  const last = b.insts[b.insts.length - 1];
  const number = pageOf(b.at);
  const first = (b.at - number * PAGE) >> 1;
  const end = (last.at + last.is.length - 1 - number * PAGE) >> 1;
  const units = PAGE / 2;
  if (end < units) return [[pages.get(number)!, first, end]];
  return [[pages.get(number)!, first, units - 1], [pages.get(number + 1)!, 0, end - units]];
}
