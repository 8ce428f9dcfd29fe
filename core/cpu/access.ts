/**
 * The interpreter's memory slow paths, in WebAssembly: TLB fills and flushes, misaligned and
 * device accesses, atomics, decoded pages and their coherence with stores.
 *
 * @module
 */
import {
  getSlot32,
  H,
  inRam,
  offsetInRam,
  rawLoad,
  rawStore,
  type RoutineSet,
  setSlot,
} from "./emit.ts";
import { allocCode, invalidate } from "./code_pages.ts";
import { dropCopies, META_STORE, tlbEntry } from "./memory_ops.ts";
import { BANK, HART, type Layout, PAGE, TLB } from "./layout.ts";
import { WALK, WALKS_PER_TOLD } from "./meter.ts";
import { CAUSE, MSTATUS } from "./mstatus.ts";
import { Access, SLOT, STATUS_STOP, STATUS_TRAP, Stop } from "./state.ts";
import type { Routine } from "./ops.ts";
import { TRANSLATE, TRANSLATE_REST } from "./translate.ts";
import { type Code, i32, i64, memoryFill } from "./wasm/code.ts";
import type { Func, Import, Module } from "./wasm/module.ts";

const pageOf = (va: Code): Code => i64.and(va, i64.const(-PAGE));
const BYTES = [1, 2, 4, 8] as const;
const TLB_BYTES = BANK.count * TLB.bankBytes;

/** Host functions that are told what becomes of compiled code, and of walks where that is measured. */
interface Notices {
  changed: Import;
  evicted: Import;
  walk: Import | null;
}

export class AccessPaths {
  readonly flushAll: Func;
  readonly flushPage: Func;
  readonly invalidate: Func;
  readonly mulhu: Func;
  readonly rebank: Func;
  readonly allocCode: Func;
  readonly fetchPage: Func;
  readonly fetchRest: Func;
  readonly loadSlow: Func;
  readonly storeSlow: Func;
  readonly amoAddr: Func;
  readonly reserveAddr: Func;
  readonly #noteSuperpage: Func;
  readonly #tellWalk: ((f: Func, walk: () => Code) => Code) | null;

  constructor(m: Module, private readonly routines: RoutineSet, host: Notices) {
    this.#tellWalk = host.walk && walkTeller(m, this.#layout, host.walk);
    this.mulhu = mulhu(m);
    this.flushAll = flushAll(m, this.#layout);
    this.flushPage = flushPage(m, this.#layout, this.flushAll);
    this.invalidate = invalidate(m, this.#layout, host.changed);
    routines.helpers = this;
    this.rebank = rebank(m, this.#layout);
    this.allocCode = allocCode(m, this.#layout, host.evicted);
    this.#noteSuperpage = noteSuperpage(m);
    this.fetchPage = this.#fetchPage(m, "fetchPage", TRANSLATE[Access.Fetch]);
    this.fetchRest = this.#fetchPage(m, "fetchRest", TRANSLATE_REST);
    this.loadSlow = this.#loadSlow(m);
    this.storeSlow = this.#storeSlow(m);
    this.amoAddr = this.#atomicAddr(m, "amoAddr", Access.Store);
    this.reserveAddr = this.#atomicAddr(m, "reserveAddr", Access.Load);
  }

  get #layout(): Layout {
    return this.routines.layout;
  }
  /** Physical address of `va`, of which `bytes` (i32) are used, or leaves with `bail`. */
  #translate(
    f: Func,
    to: Access | Routine,
    va: Code,
    bytes: Code,
    bail: () => void,
  ): Code {
    const routine = this.routines.func(typeof to === "number" ? TRANSLATE[to] : to);
    const walk = () => f.bind("i64", f.call(routine, H, va, i64.extendU(bytes)));
    const pa = this.#tellWalk?.(f, walk) ?? walk();
    f.if(getSlot32("status"), bail);
    return pa;
  }
  #host(pa: Code): Code {
    return i32.add(i32.wrap(offsetInRam(this.#layout, pa)), i32.const(this.#layout.ram));
  }
  /** Caches the translation just made, unless the page is not all alike. */
  #fill(f: Func, bank: Code, array: number, va: Code, payload: Code, flags = 0): void {
    f.if(i32.eqz(getSlot32("piecemeal")), () => {
      const entry = f.bind("i32", tlbEntry(bank, va));
      f.emit(i64.store(entry, i64.or(pageOf(va), i64.const(flags)), array));
      f.emit(i32.store(entry, payload, array + TLB.payload));
      f.emit(f.call(this.#noteSuperpage, H, va));
      if (array !== TLB.fetch) dropCopies(f, this.#layout);
    });
  }

  /** (h, va) → decoded page that holds `va`, of which two bytes are fetched; 0 when status is set. */
  #fetchPage(m: Module, name: string, routine: Routine): Func {
    const f = m.func(name, ["i32", "i64"], ["i32"]);
    const va = f.get(1);
    const bank = getSlot32("fetchBank");
    const entry = f.bind("i32", tlbEntry(bank, va));
    f.if(
      i64.eq(i64.load(entry, TLB.fetch), pageOf(va)),
      () => f.return(i32.load(entry, TLB.fetch + TLB.payload)),
    );
    const bail = () => f.return(i32.const(0));
    const pa = this.#translate(f, routine, va, i32.const(2), bail);
    f.if(i32.eqz(inRam(this.#layout, pa)), () => {
      raise(f, CAUSE.FetchAccess, va);
      f.return(i32.const(0));
    });
    const page = f.bind("i32", i32.shrU(i32.wrap(offsetInRam(this.#layout, pa)), i32.const(12)));
    const code = f.local("i32");
    f.set(code, i32.load(i32.shl(page, i32.const(2)), this.#layout.codeMap));
    f.if(i32.eqz(f.get(code)), () => f.set(code, f.call(this.allocCode, H, page)));
    this.#fill(f, bank, TLB.fetch, va, f.get(code));
    f.emit(f.get(code));
    return f;
  }

  /** (h, va, meta) → value, zero-extended. */
  #loadSlow(m: Module): Func {
    const f = m.export(m.func("loadSlow", ["i32", "i64", "i32"], ["i64"]));
    const [va, meta] = [f.get(1), f.get(2)];
    const bytes = f.bind("i32", i32.and(meta, i32.const(15)));
    const bail = () => f.return(i64.const(0));
    const split = f.bind("i32", firstPart(va, bytes));
    f.if(split, () => {
      const rest = i32.sub(bytes, split);
      const first = this.#translate(f, Access.Load, va, split, bail);
      const next = i64.add(va, i64.extendU(split));
      const second = this.#translate(f, Access.Load, next, rest, bail);
      this.#requireRam(f, first, second, CAUSE.LoadMisaligned, bail);
      const value = f.local("i64");
      this.#eachByte(f, first, second, split, bytes, (at, i) => {
        const shifted = i64.shl(i64.load8u(at), i64.extendU(i32.shl(i, i32.const(3))));
        f.set(value, i64.or(f.get(value), shifted));
      });
      f.return(f.get(value));
    });
    const host = f.local("i32");
    const entry = f.bind("i32", tlbEntry(getSlot32("dataBank"), va));
    const known = i64.eq(i64.load(entry, TLB.load), pageOf(va)); // A misaligned access.
    f.if(known, () => {
      f.set(host, i32.add(i32.wrap(va), i32.load(entry, TLB.load + TLB.payload)));
    }, () => {
      const pa = this.#translate(f, Access.Load, va, bytes, bail);
      f.if(i32.eqz(inRam(this.#layout, pa)), () => {
        this.#leaveRam(f, pa, bytes, meta, CAUSE.LoadMisaligned, Stop.Load);
        bail();
      });
      f.set(host, this.#host(pa));
      const payload = i32.sub(f.get(host), i32.wrap(va));
      this.#fill(f, getSlot32("dataBank"), TLB.load, va, payload);
    });
    for (const n of BYTES) {
      f.if(i32.eq(bytes, i32.const(n)), () => f.return(rawLoad(n, "unsigned", f.get(host))));
    }
    f.unreachable();
    return f;
  }

  /** (h, va, value, meta). */
  #storeSlow(m: Module): Func {
    const f = m.export(m.func("storeSlow", ["i32", "i64", "i64", "i32"], []));
    const [va, value, meta] = [f.get(1), f.get(2), f.get(3)];
    const bytes = f.bind("i32", i32.and(meta, i32.const(15)));
    const bail = () => f.return();
    const split = f.bind("i32", firstPart(va, bytes));
    f.if(split, () => {
      const rest = i32.sub(bytes, split);
      const first = this.#translate(f, Access.Store, va, split, bail);
      const next = i64.add(va, i64.extendU(split));
      const second = this.#translate(f, Access.Store, next, rest, bail);
      this.#requireRam(f, first, second, CAUSE.StoreMisaligned, bail);
      this.#eachByte(f, first, second, split, bytes, (at, i) => {
        f.emit(i64.store8(at, i64.shrU(value, i64.extendU(i32.shl(i, i32.const(3))))));
        this.#coherent(f, at, i32.const(1));
      });
      f.return();
    });
    const host = f.local("i32");
    const entry = f.bind("i32", tlbEntry(getSlot32("dataBank"), va));
    const tag = i64.and(i64.load(entry, TLB.store), i64.const(~TLB.holdsCode));
    f.if(i64.eq(tag, pageOf(va)), () => {
      f.set(host, i32.add(i32.wrap(va), i32.load(entry, TLB.store + TLB.payload)));
    }, () => {
      const pa = this.#translate(f, Access.Store, va, bytes, bail);
      f.if(i32.eqz(inRam(this.#layout, pa)), () => {
        const unused = i64.sub(i64.const(64), i64.extendU(i32.shl(bytes, i32.const(3))));
        const used = i64.shrU(i64.const(-1), unused);
        f.emit(setSlot("accessValue", i64.and(value, used)));
        this.#leaveRam(f, pa, bytes, meta, CAUSE.StoreMisaligned, Stop.Store);
        bail();
      });
      f.set(host, this.#host(pa));
      this.#fillStore(f, va, f.get(host));
    });
    for (const n of BYTES) {
      f.if(i32.eq(bytes, i32.const(n)), () => f.emit(rawStore(n, f.get(host), value)));
    }
    this.#coherent(f, f.get(host), bytes);
    return f;
  }
  #fillStore(f: Func, va: Code, host: Code): void {
    const bank = getSlot32("dataBank");
    const payload = i32.sub(host, i32.wrap(va));
    const page = i32.shrU(i32.sub(host, i32.const(this.#layout.ram)), i32.const(12));
    const code = i32.load(i32.shl(page, i32.const(2)), this.#layout.codeMap);
    f.if(
      code,
      () => this.#fill(f, bank, TLB.store, va, payload, TLB.holdsCode),
      () => this.#fill(f, bank, TLB.store, va, payload),
    );
  }
  #coherent(f: Func, host: Code, bytes: Code): void {
    const offset = i32.sub(host, i32.const(this.#layout.ram));
    f.emit(f.call(this.invalidate, H, offset, bytes));
  }

  /** A misaligned access that touches a device is an address-misaligned exception. */
  #requireRam(f: Func, first: Code, second: Code, cause: number, bail: () => void): void {
    const both = i32.and(inRam(this.#layout, first), inRam(this.#layout, second));
    f.if(i32.eqz(both), () => {
      raise(f, cause, f.get(1));
      bail();
    });
  }
  /** Calls `act(address, index)` for each byte of an access whose first `split` bytes are at `first`. */
  #eachByte(
    f: Func,
    first: Code,
    second: Code,
    split: Code,
    bytes: Code,
    act: (at: Code, index: Code) => void,
  ): void {
    const [i, at] = [f.local("i32"), f.local("i32")];
    f.set(i, i32.const(0));
    f.loop((again) => {
      f.set(at, i32.add(this.#host(first), f.get(i)));
      f.if(i32.geU(f.get(i), split), () => {
        f.set(at, i32.add(this.#host(second), i32.sub(f.get(i), split)));
      });
      act(f.get(at), f.get(i));
      f.set(i, i32.add(f.get(i), i32.const(1)));
      f.brIf(again, i32.ltU(f.get(i), bytes));
    });
  }
  #leaveRam(f: Func, pa: Code, bytes: Code, meta: Code, cause: number, stop: Stop): void {
    const va = f.get(1);
    f.if(i32.and(i32.wrap(va), i32.sub(bytes, i32.const(1))), () => {
      raise(f, cause, va);
      f.return(stop === Stop.Load ? i64.const(0) : []);
    });
    f.emit(setSlot("accessGpa", pa));
    f.emit(setSlot("accessVa", va));
    const store = i32.const(stop === Stop.Store ? META_STORE : 0);
    f.emit(setSlot("accessMeta", i64.extendU(i32.or(meta, store))));
    f.emit(setSlot("status", i64.const(STATUS_STOP + stop)));
  }

  /** (h, va, bytes) → linear-memory address; 0 when status is set. */
  #atomicAddr(m: Module, name: string, kind: Access.Load | Access.Store): Func {
    const f = m.export(m.func(name, ["i32", "i64", "i32"], ["i32"]));
    const [va, bytes] = [f.get(1), f.get(2)];
    const bail = () => f.return(i32.const(0));
    const store = kind === Access.Store;
    f.if(i32.and(i32.wrap(va), i32.sub(bytes, i32.const(1))), () => {
      raise(f, store ? CAUSE.StoreMisaligned : CAUSE.LoadMisaligned, va);
      bail();
    });
    const entry = f.bind("i32", tlbEntry(getSlot32("dataBank"), va));
    const array = store ? TLB.store : TLB.load;
    f.if(
      i64.eq(i64.load(entry, array), pageOf(va)),
      () => f.return(i32.add(i32.wrap(va), i32.load(entry, array + TLB.payload))),
    );
    const pa = this.#translate(f, kind, va, bytes, bail);
    f.if(i32.eqz(inRam(this.#layout, pa)), () => {
      raise(f, store ? CAUSE.StoreAccess : CAUSE.LoadAccess, va);
      bail();
    });
    const host = f.bind("i32", this.#host(pa));
    if (store) {
      this.#fillStore(f, va, host);
      this.#coherent(f, host, bytes);
    } else {
      this.#fill(f, getSlot32("dataBank"), array, va, i32.sub(host, i32.wrap(va)));
    }
    f.emit(host);
    return f;
  }
}

/** How many bytes of an access lie before a page boundary that it crosses; 0: it crosses none. */
function firstPart(va: Code, bytes: Code): Code {
  const room = i32.sub(i32.const(PAGE), i32.and(i32.wrap(va), i32.const(PAGE - 1)));
  return i32.mul(room, i32.ltU(room, bytes));
}

function raise(f: Func, cause: number, tval: Code): void {
  f.emit(setSlot("excCause", i64.const(cause)));
  f.emit(setSlot("excTval", tval));
  f.emit(setSlot("status", i64.const(STATUS_TRAP)));
}

/** Around a walk: counts it, and tells of one in WALKS_PER_TOLD. */
function walkTeller(m: Module, l: Layout, tell: Import): (f: Func, walk: () => Code) => Code {
  const count = m.func("countWalk", [], ["i32"]);
  const walks = count.bind("i64", i64.load(i32.const(0), l.walks));
  count.emit(i64.store(i32.const(0), i64.add(walks, i64.const(1)), l.walks));
  const rest = i64.and(walks, i64.const(WALKS_PER_TOLD - 1));
  const told = count.bind("i32", i64.eqz(rest));
  count.if(told, () => count.emit(count.call(tell, i32.const(WALK.begins))));
  count.emit(told);
  return (f, walk) => {
    const told = f.bind("i32", f.call(count));
    const pa = walk();
    f.if(told, () => {
      f.emit(f.call(tell, i32.const(WALK.ended)));
      f.emit(f.call(tell, i32.const(WALK.told)));
    });
    return pa;
  };
}

function mulhu(m: Module): Func {
  const f = m.func("mulhu", ["i64", "i64"], ["i64"]);
  f.emit(highProduct(f, f.get(0), f.get(1)));
  return f;
}

/** High half of the unsigned product of two locals, from four products of halves. */
export function highProduct(f: Func, a: Code, b: Code): Code {
  const low = (v: Code) => i64.and(v, i64.const(0xffffffffn));
  const high = (v: Code) => i64.shrU(v, i64.const(32));
  const mid = f.bind("i64", i64.add(i64.mul(high(a), low(b)), high(i64.mul(low(a), low(b)))));
  const mid2 = f.bind("i64", i64.add(i64.mul(low(a), high(b)), low(mid)));
  return i64.add(i64.add(i64.mul(high(a), high(b)), high(mid)), high(mid2));
}

function flushAll(m: Module, l: Layout): Func {
  const f = m.export(m.func("flushAll", ["i32"], []));
  f.emit(memoryFill(i32.add(H, i32.const(HART.tlb)), i32.const(0xff), i32.const(TLB_BYTES)));
  dropCopies(f, l);
  f.emit(setSlot("superMask", i64.const(0)));
  f.emit(setSlot("superAddr", i64.const(NO_SUPERPAGE)));
  return f;
}

/** Value of superAddr that no masked address equals. */
const NO_SUPERPAGE = 1;

/** A larger page is cached as 4 KiB pieces, so an address inside one forgets everything. */
function flushPage(m: Module, l: Layout, all: Func): Func {
  const f = m.func("flushPage", ["i32", "i64"], []);
  const va = f.get(1);
  const mask = i64.load(H, SLOT.superMask);
  const inSuper = i64.eq(i64.and(va, mask), i64.load(H, SLOT.superAddr));
  f.if(inSuper, () => {
    f.emit(f.call(all, H));
    f.return();
  });
  for (let bank = 0; bank < BANK.count; bank++) {
    const entry = f.bind(
      "i32",
      tlbEntry(i32.add(H, i32.const(HART.tlb + bank * TLB.bankBytes)), va),
    );
    for (const array of [TLB.load, TLB.store, TLB.fetch]) {
      f.emit(i64.store(entry, i64.const(-1), array));
    }
  }
  dropCopies(f, l);
  return f;
}

/** Widens the region that holds every superpage cached, as far as the new one needs. */
function noteSuperpage(m: Module): Func {
  const f = m.func("noteSuperpage", ["i32", "i64"], []);
  f.if(i32.eq(getSlot32("pageShift"), i32.const(12)), () => f.return());
  const [mask, addr] = [f.local("i64"), f.local("i64")];
  f.set(mask, i64.shl(i64.const(-1), i64.load(H, SLOT.pageShift)));
  f.set(addr, i64.load(H, SLOT.superAddr));
  f.if(i64.eq(f.get(addr), i64.const(NO_SUPERPAGE)), () => f.set(addr, f.get(1)), () => {
    f.set(mask, i64.and(f.get(mask), i64.load(H, SLOT.superMask)));
    f.block((done) =>
      f.loop((again) => {
        const differ = i64.and(i64.xor(f.get(addr), f.get(1)), f.get(mask));
        f.brIf(done, i64.eqz(differ));
        f.set(mask, i64.shl(f.get(mask), i64.const(1)));
        f.br(again);
      })
    );
  });
  f.emit(setSlot("superMask", f.get(mask)));
  f.emit(setSlot("superAddr", i64.and(f.get(addr), f.get(mask))));
  return f;
}

/** Chooses the TLB banks from privilege, satp, MPRV and SUM. */
function rebank(m: Module, l: Layout): Func {
  const f = m.export(m.func("rebank", ["i32"], []));
  const mstatus = f.bind("i32", getSlot32("mstatus"));
  const flag = (n: number) => i32.and(i32.shrU(mstatus, i32.const(n)), i32.const(1));
  const paged = f.bind(
    "i32",
    i64.ne(i64.shrU(i64.load(H, SLOT.satp), i64.const(60)), i64.const(0)),
  );
  const address = (bank: Code) =>
    i64.extendU(i32.add(i32.add(H, i32.const(HART.tlb)), i32.mul(bank, i32.const(TLB.bankBytes))));
  const [priv, bank] = [f.local("i32"), f.local("i32")];
  const choose = (slot: "fetchBank" | "dataBank", supervisor: Code) => {
    f.set(bank, i32.const(BANK.machine));
    f.if(i32.ne(f.get(priv), i32.const(3)), () => {
      f.set(bank, i32.const(BANK.bare));
      f.if(paged, () => {
        f.if(f.get(priv), () => f.set(bank, supervisor), () => f.set(bank, i32.const(BANK.user)));
      });
    });
    f.emit(setSlot(slot, address(f.get(bank))));
  };
  f.set(priv, getSlot32("priv"));
  choose("fetchBank", i32.const(BANK.supervisor));
  f.if(flag(MSTATUS.MPRV), () => {
    f.set(priv, i32.and(i32.shrU(mstatus, i32.const(MSTATUS.MPP)), i32.const(3)));
  });
  const before = f.bind("i32", getSlot32("dataBank"));
  choose("dataBank", i32.add(i32.const(BANK.supervisor), flag(MSTATUS.SUM)));
  f.if(i32.ne(getSlot32("dataBank"), before), () => dropCopies(f, l));
  return f;
}
