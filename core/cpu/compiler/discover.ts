/**
 * Finds what a region holds: the blocks reachable from a hot place through code that has been executed,
 * callees copied into their callers. It reads decoded pages and RAM, and changes nothing.
 *
 * Places are byte offsets from the region's home page, whose own are 0..4095; other pages of the region
 * lie around it as they do in virtual memory.
 *
 * @module
 */
import { PAGE } from "../layout.ts";
import type { Instruction, Instructions } from "./instruction.ts";

/** What discovery sees of the machine. */
export interface CodeView {
  /** Decoded page that is mapped `pages` pages from home, 0: none that is known. */
  page(pages: number): number;
  /** The instruction at an offset of a decoded page, 0: it was never decoded. */
  word(page: number, offset: number): number;
  /** Whether it leaves its page; then `word` gives its first half, and the other one is here. */
  straddles(page: number, offset: number): boolean;
  half(page: number, offset: number): number;
  /** Distances to where the indirect jump at an offset of a decoded page has been seen to lead. */
  targets(page: number, offset: number): number[];
  /** Whether a region is entered at an offset of the home page. */
  isEntry(offset: number): boolean;
}

export interface Inst {
  readonly at: number;
  readonly is: Instruction;
  /** It ends in the next page, and is a block of its own. */
  readonly straddles: boolean;
}

/** Where control goes: to a block of the region, or out of it (null). */
export interface Edge {
  readonly at: number;
  to: Block | null;
}

export type End =
  | { readonly kind: "branch"; readonly taken: Edge; readonly next: Edge }
  | { readonly kind: "jump"; readonly next: Edge }
  /** `known`: where it has been seen to lead, or a return leads unless the guest changed its address. */
  | { readonly kind: "indirect"; readonly known: readonly Edge[] }
  /** The next instruction is left to the interpreter. */
  | { readonly kind: "interpret"; readonly at: number };

export interface Block {
  /** Its place among the region's. */
  id: number;
  readonly at: number;
  readonly insts: Inst[];
  end: End;
  /** The interpreter and other regions may enter here. */
  entry: boolean;
}

export interface Region {
  /** In the order in which they were found; the first is where the search began. */
  readonly blocks: Block[];
  /** Decoded pages, by their distance from home. */
  readonly pages: Map<number, number>;
  readonly insns: number;
}

/** `small`: what is reached by an indirect call is copied up to this size. */
export const LIMITS = { insns: 500, blockInsns: 48, depth: 3, pages: 8, small: 32 } as const;

/** Where control may go inside the region, or out of it, but for places that are not known. */
export function successors(b: Block): Edge[] {
  switch (b.end.kind) {
    case "branch":
      return [b.end.taken, b.end.next];
    case "jump":
      return [b.end.next];
    case "indirect":
      return [...b.end.known];
    case "interpret":
      return [];
  }
}

/** A function body: the region's own, or a callee's copy for one place that calls it. */
interface Context {
  readonly depth: number;
  /** Where this copy returns to. */
  readonly back: Target | null;
  readonly insts: Map<number, Inst>;
  readonly leaders: Set<number>;
  readonly blocks: Map<number, Block>;
  readonly entries: Set<number>;
  /** Copies made for the calls of this body. */
  readonly callees: Map<number, Context>;
  /** Where indirect jumps of this body lead. */
  readonly known: Map<number, Target[]>;
}
interface Target {
  readonly context: Context;
  readonly at: number;
}

const context = (depth: number, back: Context["back"]): Context => ({
  ...{ depth, back, insts: new Map(), leaders: new Set(), blocks: new Map() },
  ...{ entries: new Set(), callees: new Map(), known: new Map() },
});

export const pageOf = (at: number): number => Math.floor(at / PAGE);

class Search {
  readonly pages = new Map<number, number>();
  readonly contexts: Context[] = [];
  readonly #todo: { context: Context; at: number }[] = [];
  insns = 0;

  constructor(
    private readonly view: CodeView,
    private readonly instructions: Instructions,
    private readonly limit: number,
  ) {}

  run(at: number): void {
    const root = context(0, null);
    this.contexts.push(root);
    root.entries.add(at);
    this.#lead(root, at);
    for (let i = 0; i < this.#todo.length; i++) {
      const { context, at } = this.#todo[i];
      this.#walk(context, at);
    }
  }

  #lead(c: Context, at: number): void {
    if (c.leaders.has(at)) return;
    c.leaders.add(at);
    this.#todo.push({ context: c, at });
  }
  /** Only the region's own body in its home page can be entered. */
  #enter(c: Context, at: number): void {
    if (c.depth === 0 && pageOf(at) === 0) c.entries.add(at);
  }

  #page(number: number): number {
    const known = this.pages.get(number);
    if (known !== undefined) return known;
    const page = this.pages.size < LIMITS.pages ? this.view.page(number) : 0;
    if (page !== 0) this.pages.set(number, page);
    return page;
  }
  inst(at: number): Inst | null {
    const number = pageOf(at);
    const page = this.#page(number);
    if (page === 0) return null;
    let word = this.view.word(page, at - number * PAGE);
    const straddles = word !== 0 && this.view.straddles(page, at - number * PAGE);
    if (straddles) {
      const rest = this.#page(number + 1);
      if (rest === 0) return null;
      word = (word | this.view.half(rest, 0) << 16) >>> 0;
    }
    const is = word === 0 ? null : this.instructions.get(word);
    return is && { at, is, straddles };
  }

  /** Straight on from a leader until control may go elsewhere. */
  #walk(c: Context, leader: number): void {
    for (let at = leader;;) {
      if (c.insts.has(at)) {
        if (at !== leader) this.#lead(c, at);
        return;
      }
      if (this.insns >= this.limit) return;
      const inst = this.inst(at);
      if (inst === null) return;
      const next = at + inst.is.length;
      const { kind } = inst.is;
      if (kind === "interpret") {
        return this.#resume(c, next);
      }
      if (inst.straddles && at !== leader) return this.#lead(c, at);
      c.insts.set(at, inst);
      this.insns++;
      if (kind === "serialize") this.#enter(c, next);
      else if (kind !== "plain") return this.#follow(c, inst);
      if (kind === "serialize" || pageOf(next) !== pageOf(at)) return this.#lead(c, next);
      at = next;
    }
  }

  #follow(c: Context, inst: Inst): void {
    const { kind, isCall, isReturn, length, decoded } = inst.is;
    const next = inst.at + length;
    const target = inst.at + decoded.imm;
    if (kind === "branch") {
      this.#lead(c, next);
      this.#target(c, inst.at, target);
    } else if (kind === "jump") {
      if (isCall) this.#call(c, inst.at, next, target);
      else this.#target(c, inst.at, target);
    } else if (isReturn && c.back) {
      c.known.set(inst.at, [c.back]);
      this.#lead(c.back.context, c.back.at);
    } else if (kind === "indirect" && !isReturn) {
      this.#indirect(c, inst, isCall ? next : null);
    }
  }
  /** `back`: where a call returns to; null: it is none. */
  #indirect(c: Context, { at }: Inst, back: number | null): void {
    const number = pageOf(at);
    const known: Target[] = [];
    for (const distance of this.view.targets(this.#page(number), at - number * PAGE)) {
      const target = at + distance;
      if (this.inst(target) === null) continue;
      const context = back === null ? c : this.#isSmall(target) ? this.#callee(c, back) : null;
      if (context !== null) known.push({ context, at: target });
    }
    c.known.set(at, known);
    if (back !== null) this.#resume(c, back);
    for (const t of known) this.#lead(t.context, t.at);
  }
  /** Behind what the region leaves: it goes on there if it can be entered there. */
  #resume(c: Context, at: number): void {
    this.#enter(c, at);
    if (c.entries.has(at)) this.#lead(c, at);
  }
  /** Whether what begins there is hardly more than a call and a return through the fetch TLB. */
  #isSmall(at: number): boolean {
    const trial = new Search(
      { ...this.view, targets: () => [] },
      this.instructions,
      LIMITS.small + 1,
    );
    trial.run(at);
    return trial.insns <= LIMITS.small;
  }
  /** A copy of a callee, while there is room for one. */
  #callee(c: Context, back: number): Context | null {
    if (c.depth === LIMITS.depth || this.insns >= this.limit / 2) return null;
    const callee = context(c.depth + 1, { context: c, at: back });
    this.contexts.push(callee);
    return callee;
  }
  #target(c: Context, from: number, target: number): void {
    if (target <= from) this.#enter(c, target);
    this.#lead(c, target);
  }
  #call(c: Context, from: number, next: number, target: number): void {
    const callee = this.inst(target) === null ? null : this.#callee(c, next);
    if (callee) {
      c.callees.set(from, callee);
      this.#lead(callee, target);
    } else {
      this.#resume(c, next);
    }
  }
}

/** Cuts what was found into blocks, and ties them together. */
class Cutter {
  readonly blocks: Block[] = [];

  constructor(private readonly search: Search) {}

  run(): void {
    for (const c of this.search.contexts) {
      for (const at of c.leaders) this.#cut(c, at);
    }
    for (const c of this.search.contexts) {
      for (const b of c.blocks.values()) this.#tie(c, b);
    }
    this.#keepReachable();
  }
  /** What is left out where there was no more room may have led to others. */
  #keepReachable(): void {
    const reached = new Set(this.blocks.filter((b) => b.entry));
    for (const b of reached) for (const { to } of successors(b)) if (to) reached.add(to); // Grows.
    const kept = this.blocks.filter((b) => reached.has(b));
    this.blocks.splice(0, this.blocks.length, ...kept);
    kept.forEach((b, i) => b.id = i);
  }
  #cut(c: Context, leader: number): void {
    const insts: Inst[] = [];
    for (let at = leader;;) {
      const inst = c.insts.get(at);
      if (!inst || (at !== leader && c.leaders.has(at))) break;
      if (insts.length === LIMITS.blockInsns) {
        c.leaders.add(at); // Sets grow while they are walked.
        break;
      }
      insts.push(inst);
      if (inst.is.kind !== "plain") break;
      at += inst.is.length;
    }
    if (insts.length === 0) return;
    const end: End = { kind: "interpret", at: leader };
    const block = { id: this.blocks.length, at: leader, insts, end, entry: c.entries.has(leader) };
    this.blocks.push(block);
    c.blocks.set(leader, block);
  }
  #tie(c: Context, b: Block): void {
    const edge = (at: number, to = c): Edge => ({ at, to: to.blocks.get(at) ?? null });
    const last = b.insts[b.insts.length - 1];
    const next = last.at + last.is.length;
    const target = last.at + last.is.decoded.imm;
    switch (last.is.kind) {
      case "branch":
        b.end = { kind: "branch", taken: edge(target), next: edge(next) };
        break;
      case "jump":
        b.end = { kind: "jump", next: edge(target, c.callees.get(last.at) ?? c) };
        break;
      case "indirect": {
        const known = c.known.get(last.at) ?? [];
        b.end = { kind: "indirect", known: known.map((t) => edge(t.at, t.context)) };
        break;
      }
      default:
        b.end = this.#straight(c, b, next, edge);
    }
  }
  #straight(c: Context, b: Block, next: number, edge: (at: number) => Edge): End {
    const onward = c.blocks.has(next) ? null : this.search.inst(next);
    const interpreted = onward !== null && onward.is.kind === "interpret";
    // Jumping to what is left to the interpreter would only find that out.
    return interpreted && b.insts.length > 0
      ? { kind: "interpret", at: next }
      : { kind: "jump", next: edge(next) };
  }
}

/**
 * The head of the innermost loop around `at`, if it is on the home page. A sample falls anywhere: a region
 * that began there would have two ways into its loop, and a block cut in two.
 */
function loopHead(search: Search, at: number): number {
  const { insts } = search.contexts[0];
  let head = -1;
  for (const { at: from, is } of insts.values()) {
    if (is.kind !== "branch" && (is.kind !== "jump" || is.isCall)) continue;
    const to = from + is.decoded.imm;
    if (to <= at && at <= from && to > head && pageOf(to) === 0 && insts.has(to)) head = to;
  }
  return head < 0 ? at : head;
}

/**
 * The region around offset `at` of the home page; null where nothing can be compiled. `exact`: it begins
 * there, and not at the head of the loop that it belongs to.
 */
export function discover(
  view: CodeView,
  instructions: Instructions,
  at: number,
  exact = true,
  limit: number = LIMITS.insns,
): Region | null {
  let search = new Search(view, instructions, limit);
  search.run(at);
  const head = exact ? at : loopHead(search, at);
  if (head !== at && !view.isEntry(head)) {
    const around = new Search(view, instructions, limit);
    around.run(head);
    if (around.contexts[0].insts.has(at)) [search, at] = [around, head];
  }
  const cutter = new Cutter(search);
  cutter.run();
  if (cutter.blocks.length === 0 || cutter.blocks[0].at !== at) return null;
  const insns = cutter.blocks.reduce((n, b) => n + b.insts.length, 0);
  return { blocks: cutter.blocks, pages: search.pages, insns };
}
