/**
 * The WebAssembly function of a region: (h, budget left, entry, pc) → budget left.
 *
 * Guest registers in use are loaded into locals on entry; where the region is left, those that may have
 * changed are stored. The budget is taken at the head of each block, all of it or nothing, so what
 * remains of a budget that is too small is the interpreter's. There are two ways out: `chain`, on to
 * another region if its entry can be found through the fetch TLB, and `leave`, to the interpreter.
 *
 * @module
 */
import { getSlot32, H, setSlot } from "../emit.ts";
import { JUMPED, regionType } from "../interpreter.ts";
import { ENTRY, PAGE, PSEUDO, TLB } from "../layout.ts";
import { tlbEntry } from "../memory_ops.ts";
import { FS_MASK } from "../mstatus.ts";
import { SLOT, STATUS_STOP } from "../state.ts";
import { type Code, f64, i32, i64, uleb } from "../wasm/code.ts";
import type { Callee, Func, Label, Local, Module } from "../wasm/module.ts";
import { type Block, type Edge, pageOf, type Region, successors } from "./discover.ts";
import type { Instructions, Registers } from "./instruction.ts";
import { Steady } from "./steady.ts";
import { type Item, type Loop, structure } from "./structure.ts";
import { type Meanings, paste, type Signature, SYMBOL } from "./template.ts";

type Scope =
  | { kind: "loop"; loop: Loop; label: Label }
  | {
    kind: "sequence";
    items: readonly Item[];
    itemOf: Map<number, number>;
    labels: Label[];
    now: number;
  };

const CHAIN = { h: 0, left: 1, entry: 2, pc: 3 } as const;

/** Locals of the function beside its parameters and the registers. */
interface Frame {
  /** Virtual address of the home page; data TLB bank. */
  base: Local;
  bank: Local;
  /** Offset of the instruction left to the interpreter, and the counts to give back from it on. */
  at: Local;
  rest: Local;
}

export class RegionEmitter {
  readonly #f: Func;
  readonly #frame: Frame;
  readonly #meanings: Meanings;
  /** Locals by symbol. */
  readonly #locals = new Map<number, Local>();
  readonly #used: Registers = { x: 0, f: 0 };
  readonly #written: Registers = { x: 0, f: 0 };
  /** Floating-point registers kept as bits; the others are doubles. */
  #narrow = 0;
  readonly #writes: Registers[] = [];
  /** Registers that may differ from memory where a block begins. */
  readonly #dirtyIn: Registers[] = [];
  readonly #numbers = new Map<number, number>();
  readonly #scopes: Scope[] = [];
  readonly #items: Item[];
  #leave!: Label;
  #chain!: Label;
  #block!: Block;
  /** Of the instruction being emitted. */
  #at = 0;
  #next = 0;
  #rest = 0;
  readonly #steady: Steady;

  constructor(
    private readonly module: Module,
    private readonly instructions: Instructions,
    callee: (s: Signature) => Callee,
    private readonly region: Region,
  ) {
    const f = module.func("region", ["i32", "i32", "i32", "i64"], ["i32"]);
    this.#f = f;
    const { blocks } = region;
    this.#scan();
    const entries = blocks.filter((b) => b.entry).map((b) => b.id);
    for (const id of entries) this.#numbers.set(id, this.#numbers.size);
    const edges = blocks.map((b) => successors(b).flatMap(({ to }) => to ? [to.id] : []));
    const lengths = loopLengths(blocks);
    this.#items = structure(
      blocks.map((b) => b.id),
      (n) => edges[n],
      new Set(entries),
      (n) => lengths[n],
    );
    this.#number(this.#items);
    this.#steady = new Steady(region, this.#items);
    const [base, bank] = [f.local("i64"), f.local("i32")];
    this.#frame = { base, bank, at: f.local("i32"), rest: f.local("i32") };
    this.#locals.set(SYMBOL.bank, bank);
    for (let r = 0; r < 32; r++) {
      if (this.#used.x & 1 << r) this.#locals.set(SYMBOL.x + r, f.local("i64"));
      if (this.#used.f & 1 << r) {
        this.#locals.set(SYMBOL.fp + r, f.local(this.#narrow & 1 << r ? "i64" : "f64"));
      }
    }
    // deno-lint-ignore no-this-alias
    const self = this;
    this.#meanings = {
      callee,
      base,
      local: (symbol) => this.#local(symbol),
      leave: (depth, done) => this.#leaveCode(depth, done),
      getFp: (
        r,
      ) => [0x20, ...uleb(this.#local(SYMBOL.fp + r)), ...(this.#narrow & 1 << r ? [] : [0xbd])],
      setFp: (
        r,
      ) => [...(this.#narrow & 1 << r ? [] : [0xbf]), 0x21, ...uleb(this.#local(SYMBOL.fp + r))],
      get rest() {
        return self.#rest;
      },
    };
  }
  /** Temporaries are made when they are first met. */
  #local(symbol: number): Local {
    let local = this.#locals.get(symbol);
    if (local === undefined) {
      const type = (["i32", "i64", "f32", "f64"] as const).findLast((t) => symbol >= SYMBOL[t])!;
      this.#locals.set(symbol, local = this.#f.local(type));
    }
    return local;
  }
  #leaveCode(depth: number, done: boolean): Code {
    const { at, rest } = this.#frame;
    const set = (local: Local, v: number) => [...i32.const(v), 0x21, ...uleb(local)];
    const out = this.#f.depth + depth - this.#leave.depth;
    const [offset, counts] = done ? [this.#next, this.#rest - 1] : [this.#at, this.#rest];
    return [...set(at, offset), ...set(rest, counts), 0x0c, ...uleb(out)];
  }

  /** Number of an entry block, as the function expects it. */
  numberOf(block: Block): number {
    return this.#numbers.get(block.id)!;
  }

  /** Blocks that are reached by number, beside the region's entries. */
  #number(items: readonly Item[]): void {
    for (const item of items) {
      if (item.kind === "block") continue;
      for (const n of item.heads.size > 1 ? item.heads : []) {
        if (!this.#numbers.has(n)) this.#numbers.set(n, this.#numbers.size);
      }
      this.#number(item.body);
    }
  }

  /** Uses and changes of registers, and how changes spread. */
  #scan(): void {
    const { blocks } = this.region;
    for (const b of blocks) {
      const writes = { x: 0, f: 0 };
      for (const { is: { used, written, isNarrow } } of b.insts) {
        if (isNarrow) this.#narrow |= used.f;
        writes.x |= written.x;
        writes.f |= written.f;
        this.#used.x |= used.x;
        this.#used.f |= used.f;
      }
      this.#written.x |= writes.x;
      this.#written.f |= writes.f;
      this.#writes.push(writes);
      this.#dirtyIn.push({ x: 0, f: 0 });
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const b of blocks) {
        const out = this.#dirtyOut(b);
        for (const { to } of successors(b)) {
          if (to === null) continue;
          const into = this.#dirtyIn[to.id];
          const [x, f] = [into.x | out.x, into.f | out.f];
          if (x === into.x && f === into.f) continue;
          Object.assign(into, { x, f });
          changed = true;
        }
      }
    }
  }
  #dirtyOut(b: Block): Registers {
    const [into, writes] = [this.#dirtyIn[b.id], this.#writes[b.id]];
    return { x: into.x | writes.x, f: into.f | writes.f };
  }

  emit(): void {
    const f = this.#f;
    const { base, bank, at, rest } = this.#frame;
    f.set(base, i64.and(f.get(CHAIN.pc), i64.const(-PAGE)));
    f.set(bank, getSlot32("dataBank"));
    this.#eachRegister(
      this.#used,
      (local, offset, wide) => f.set(local, (wide ? f64.load : i64.load)(H, offset)),
    );
    f.block((leave) => {
      this.#leave = leave;
      f.block((chain) => {
        this.#chain = chain;
        this.#sequence(
          this.#items,
          new Set(this.region.blocks.filter((b) => b.entry).map((b) => b.id)),
        );
        f.unreachable();
      });
      this.#emitChain();
    });
    this.#store(this.#written);
    // Stops remain: nothing but what asked for them could answer. Traps are taken by the interpreter.
    const stopped = i32.geU(getSlot32("status"), i32.const(STATUS_STOP));
    f.if(i32.eqz(stopped), () => f.emit(setSlot("status", i64.const(0))));
    f.emit(setSlot("pc", i64.add(f.get(base), i64.extendS(f.get(at)))));
    f.emit(i32.add(f.get(CHAIN.left), f.get(rest)));
  }
  #eachRegister(
    set: Registers,
    act: (local: Local, offset: number, wide: boolean) => void,
  ): void {
    for (let r = 0; r < 32; r++) {
      if (set.x & 1 << r) act(this.#local(SYMBOL.x + r), r * 8, false);
      const wide = !(this.#narrow & 1 << r);
      if (set.f & 1 << r) act(this.#local(SYMBOL.fp + r), SLOT.f0 + r * 8, wide);
    }
  }
  #store(set: Registers): void {
    this.#eachRegister(
      set,
      (local, at, wide) => this.#f.emit((wide ? f64.store : i64.store)(H, this.#f.get(local), at)),
    );
  }

  /** On to the region that has an entry at `pc`, or back. */
  #emitChain(): void {
    const f = this.#f;
    const pc = f.get(CHAIN.pc);
    const [entry, ep] = [f.local("i32"), f.local("i32")];
    f.set(entry, tlbEntry(getSlot32("fetchBank"), pc));
    f.if(i64.eq(i64.load(f.get(entry), TLB.fetch), i64.and(pc, i64.const(-PAGE))), () => {
      const slot = i32.shl(i32.and(i32.wrap(pc), i32.const(PAGE - 1)), i32.const(3));
      f.set(ep, i32.add(i32.load(f.get(entry), TLB.fetch + TLB.payload), slot));
      const op = i32.load16u(f.get(ep), ENTRY.op);
      f.if(i32.eq(op, i32.const(PSEUDO.compiled)), () => {
        const [to, number] = [ENTRY.imm, ENTRY.imm + 4].map((at) => i32.load(f.get(ep), at));
        f.returnCallIndirect(regionType(this.module), to, H, f.get(CHAIN.left), number, pc);
      });
    });
    f.emit(setSlot("pc", pc));
    f.return(i32.or(f.get(CHAIN.left), i32.const(JUMPED)));
  }

  /** `entered`: blocks at which the sequence may begin. */
  #sequence(items: readonly Item[], entered: ReadonlySet<number>): void {
    const f = this.#f;
    const itemOf = new Map<number, number>();
    items.forEach((item, i) => {
      for (const n of item.kind === "block" ? [item.node] : item.nodes) itemOf.set(n, i);
    });
    const scope = { kind: "sequence" as const, items, itemOf, labels: [] as Label[], now: 0 };
    this.#scopes.push(scope);
    const first = [...entered].every((n) => itemOf.get(n) === 0);
    const open = (i: number): void => {
      if (i < 0) {
        if (!first) this.#dispatch(scope, entered);
        return;
      }
      f.block((label) => {
        scope.labels[i] = label;
        open(i - 1);
      });
      scope.now = i;
      this.#item(items[i]);
    };
    open(items.length - 1);
    this.#scopes.pop();
  }
  #dispatch(scope: Scope & { kind: "sequence" }, entered: ReadonlySet<number>): void {
    const [any] = entered;
    const other = scope.labels[scope.itemOf.get(any)!];
    const table: Label[] = Array.from({ length: this.#numbers.size }, () => other);
    for (const n of entered) table[this.#numbers.get(n)!] = scope.labels[scope.itemOf.get(n)!];
    this.#f.brTable([...table, other], this.#f.get(CHAIN.entry));
  }
  #item(item: Item): void {
    if (item.kind === "block") return this.#emitBlock(this.region.blocks[item.node]);
    this.#f.loop((label) => {
      this.#scopes.push({ kind: "loop", loop: item, label });
      this.#sequence(item.body, item.heads);
      this.#scopes.pop();
    });
  }

  #emitBlock(b: Block): void {
    const f = this.#f;
    const n = b.insts.length;
    const left = f.get(CHAIN.left);
    f.if(i32.ltU(left, i32.const(n)), () => this.#interpret(b.at), undefined, false);
    if (b.insts[0].straddles) {
      const elsewhere = i32.eqz(this.#mapped(pageOf(b.at) + 1));
      f.if(elsewhere, () => this.#interpret(b.at), undefined, false);
    }
    if (b.insts.some(({ is }) => is.isFloat)) this.#guardFloats(b);
    f.set(CHAIN.left, i32.sub(left, i32.const(n)));
    this.#block = b;
    for (let i = 0; i < n; i++) this.#emitInst(b, i);
    const { kind } = b.insts[n - 1].is;
    if (kind === "plain" || kind === "serialize") {
      if (b.end.kind === "interpret") this.#interpret(b.end.at);
      else this.#goto((b.end as { next: Edge }).next);
    }
  }
  #emitInst(b: Block, i: number): void {
    const { at, is } = b.insts[i];
    this.#at = at;
    this.#next = at + is.length;
    this.#rest = b.insts.length - i;
    const plain = this.instructions.template(is);
    const steady = plain.isAccess && this.#steady.has(b, is.decoded.rs1);
    const t = steady ? this.instructions.steadyTemplate(is) : plain;
    paste(this.#f, t, this.#meanings, at, at + is.length);
    const { onward } = t;
    if (onward.kind === "branch") this.#branch();
    else if (onward.kind === "jump") this.#goto((b.end as { next: Edge }).next);
    else if (onward.kind === "indirect") this.#indirect(this.#f.get(this.#local(onward.target)));
  }
  /** What the code of floating-point instructions takes for granted (region_ops.ts). */
  #guardFloats(b: Block): void {
    const status = Number(FS_MASK);
    const notDirty = i32.xor(i32.and(getSlot32("mstatus"), i32.const(status)), i32.const(status));
    const other = i32.or(notDirty, getSlot32("frm"));
    this.#f.if(other, () => this.#interpret(b.at), undefined, false);
  }
  #interpret(at: number): void {
    this.#f.set(this.#frame.at, i32.const(at));
    this.#f.set(this.#frame.rest, i32.const(0));
    this.#f.br(this.#leave);
  }

  /** The condition is on the stack. */
  #branch(): void {
    const end = this.#block.end as { taken: Edge; next: Edge };
    const plain = this.#plain(end.taken);
    if (plain) this.#f.brIf(plain, []);
    else this.#f.if([], () => this.#goto(end.taken));
    this.#goto(end.next);
  }
  #indirect(target: Code): void {
    const { known } = this.#block.end as { known: readonly Edge[] };
    const inside = known.filter(({ to }) => to !== null);
    if (inside.length > 0) {
      const at = this.#f.bind("i64", i64.sub(target, this.#f.get(this.#frame.base)));
      for (const edge of inside) {
        const likely = inside.length === 1 ? true : undefined;
        this.#f.if(i64.eq(at, i64.const(edge.at)), () => this.#goto(edge), undefined, likely);
      }
    }
    this.#store(this.#dirtyOut(this.#block));
    this.#f.set(CHAIN.pc, target);
    this.#f.br(this.#chain);
  }
  /** The label to branch to, where nothing else is to be done. */
  #plain(e: Edge): Label | null {
    if (e.to === null || this.#crosses(e)) return null;
    const { label, numbered } = this.#find(e.to.id);
    return numbered ? null : label;
  }
  #crosses(e: Edge): boolean {
    const { insts } = this.#block;
    return pageOf(insts[insts.length - 1].at) !== pageOf(e.at);
  }
  #goto(e: Edge): void {
    if (e.to === null) return this.#exit(e.at);
    if (this.#crosses(e)) this.#f.if(i32.eqz(this.#mapped(pageOf(e.at))), () => this.#exit(e.at));
    const { label, numbered } = this.#find(e.to.id);
    if (numbered) this.#f.set(CHAIN.entry, i32.const(this.#numbers.get(e.to.id)!));
    this.#f.br(label);
  }
  #exit(at: number): void {
    this.#store(this.#dirtyOut(this.#block));
    this.#f.set(CHAIN.pc, i64.add(this.#f.get(this.#frame.base), i64.const(at)));
    this.#f.br(this.#chain);
  }
  /** Whether the fetch TLB still has page `n` of the region where it was. */
  #mapped(n: number): Code {
    const f = this.#f;
    const va = f.bind("i64", i64.add(f.get(this.#frame.base), i64.const(n * PAGE)));
    const entry = f.bind("i32", tlbEntry(getSlot32("fetchBank"), va));
    const page = i32.load(entry, TLB.fetch + TLB.payload);
    const known = i64.eq(i64.load(entry, TLB.fetch), va);
    return i32.and(known, i32.eq(page, i32.const(this.region.pages.get(n)!)));
  }
  #find(node: number): { label: Label; numbered: boolean } {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const s = this.#scopes[i];
      if (s.kind === "loop") {
        if (s.loop.head === node) return { label: s.label, numbered: s.loop.heads.size > 1 };
        continue;
      }
      const at = s.itemOf.get(node);
      if (at === undefined || at <= s.now) continue;
      const item = s.items[at];
      return { label: s.labels[at], numbered: item.kind === "loop" && item.heads.size > 1 };
    }
    throw new Error(`no way to block ${node}`);
  }
}

/** By block, the bytes from it to the furthest branch back to it. */
function loopLengths(blocks: readonly Block[]): number[] {
  const lengths = blocks.map(() => 0);
  for (const b of blocks) {
    const { at, is } = b.insts[b.insts.length - 1];
    if (is.isCall || is.kind === "indirect") continue;
    for (const { to } of successors(b)) {
      if (to && to.at <= at) lengths[to.id] = Math.max(lengths[to.id], at - to.at + is.length);
    }
  }
  return lengths;
}
