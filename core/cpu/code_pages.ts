/**
 * Decoded pages and their coherence with stores, in WebAssembly; what holds for compiled regions in them
 * is told to the host.
 *
 * @module
 */
import { getSlot32 } from "./emit.ts";
import {
  BANK,
  CODE_PAGE,
  ENTRY,
  ENTRY_BYTES,
  HART,
  type Layout,
  PAGE,
  PSEUDO,
  TLB,
} from "./layout.ts";
import { dropCopies } from "./memory_ops.ts";
import { type Code, i32, i64, memoryFill } from "./wasm/code.ts";
import type { Func, Import, Module } from "./wasm/module.ts";

const TLB_BYTES = BANK.count * TLB.bankBytes;

/** (h, RAM offset, bytes), within one page: decoded entries that overlap are decoded again. */
export function invalidate(m: Module, l: Layout, changed: Import): Func {
  const f = m.export(m.func("invalidate", ["i32", "i32", "i32"], []));
  const [offset, bytes] = [f.get(1), f.get(2)];
  const map = i32.shl(i32.shrU(offset, i32.const(12)), i32.const(2));
  const code = f.bind("i32", i32.load(map, l.codeMap));
  f.if(i32.eqz(code), () => f.return());
  const at = f.bind("i32", i32.and(offset, i32.const(PAGE - 1)));
  const last = i32.shrU(i32.sub(i32.add(at, bytes), i32.const(1)), i32.const(1));
  const end = f.bind("i32", i32.add(code, i32.mul(last, i32.const(ENTRY_BYTES))));
  const entry = f.local("i32");
  // An instruction of four bytes may begin two bytes earlier.
  f.set(entry, i32.add(code, i32.mul(i32.shrU(at, i32.const(1)), i32.const(ENTRY_BYTES))));
  f.if(
    i32.geU(at, i32.const(2)),
    () => f.set(entry, i32.sub(f.get(entry), i32.const(ENTRY_BYTES))),
  );
  f.loop((again) => {
    f.emit(i32.store16(f.get(entry), i32.const(PSEUDO.decode), ENTRY.op));
    f.set(entry, i32.add(f.get(entry), i32.const(ENTRY_BYTES)));
    f.brIf(again, i32.leU(f.get(entry), end));
  });
  f.if(
    i32.load(code, CODE_PAGE.regions),
    () => {
      const tell = () => f.emit(f.call(changed, code, at, bytes));
      f.if(i32.gtU(bytes, i32.const(64)), tell, () => f.if(compiledBytes(code, at, bytes), tell));
    },
    undefined,
    false,
  );
  return f;
}

/** Whether compiled regions hold any of these bytes, of which there are at most 64. */
function compiledBytes(code: Code, at: Code, bytes: Code): Code {
  const first = i32.shrU(at, i32.const(1));
  const last = i32.shrU(i32.sub(i32.add(at, bytes), i32.const(1)), i32.const(1));
  const units = i64.extendU(i32.add(i32.sub(last, first), i32.const(1)));
  const held = i64.load(i32.add(code, i32.shrU(first, i32.const(3))), CODE_PAGE.compiled);
  const shifted = i64.shrU(held, i64.extendU(i32.and(first, i32.const(7))));
  const mask = i64.sub(i64.shl(i64.const(1), units), i64.const(1));
  return i64.ne(i64.and(shifted, mask), i64.const(0));
}

/** Calls `act` with the address of every TLB entry of every hart. */
function eachTlbEntry(f: Func, l: Layout, act: (entry: Code) => void): void {
  const [hart, entry, end] = [f.local("i32"), f.local("i32"), f.local("i32")];
  f.set(hart, i32.const(l.hartsAt));
  f.loop((nextHart) => {
    f.set(entry, i32.add(f.get(hart), i32.const(HART.tlb)));
    f.set(end, i32.add(f.get(entry), i32.const(TLB_BYTES)));
    f.loop((again) => {
      act(f.get(entry));
      f.set(entry, i32.add(f.get(entry), i32.const(TLB.entryBytes)));
      f.brIf(again, i32.ltU(f.get(entry), f.get(end)));
    });
    f.set(hart, i32.add(f.get(hart), i32.const(HART.bytes)));
    f.brIf(nextHart, i32.ltU(f.get(hart), i32.const(l.hartsAt + l.harts * HART.bytes)));
  });
}

/**
 * (h, RAM page) → an empty decoded page for it. The oldest page gives way, but never the one that
 * runs. A payload is unique to its kind: fetch payloads lie in the pool, and a store payload plus its
 * tag gives the RAM page, so one pass over the TLBs serves both.
 */
export function allocCode(m: Module, l: Layout, evicted: Import): Func {
  const f = m.func("allocCode", ["i32", "i32"], ["i32"]);
  const page = f.get(1);
  const [code, next] = [f.local("i32"), f.local("i32")];
  const slots = i32.const(CODE_PAGE.bytes);
  const take = () => {
    f.set(next, i32.load(i32.const(l.nextCodePage)));
    f.set(code, i32.add(i32.const(l.codePool), i32.mul(f.get(next), slots)));
    f.set(next, i32.add(f.get(next), i32.const(1)));
    f.if(i32.eq(f.get(next), i32.const(l.codePages)), () => f.set(next, i32.const(0)));
    f.emit(i32.store(i32.const(l.nextCodePage), f.get(next)));
  };
  take();
  f.if(i32.eq(f.get(code), getSlot32("codePage")), take);
  const host = f.bind("i32", i32.add(i32.const(l.ram), i32.shl(page, i32.const(12))));
  f.if(i32.load(f.get(code), CODE_PAGE.host), () => {
    const old = i32.load(f.get(code), CODE_PAGE.ramPage);
    f.emit(i32.store(i32.shl(old, i32.const(2)), i32.const(0), l.codeMap));
    f.if(i32.load(f.get(code), CODE_PAGE.regions), () => f.emit(f.call(evicted, f.get(code))));
  });
  eachTlbEntry(f, l, (entry) => {
    const payload = i32.load(entry, TLB.payload);
    const tag = i64.load(entry);
    f.if(i64.ne(tag, i64.const(-1)), () => {
      f.if(i32.eq(payload, f.get(code)), () => f.emit(i64.store(entry, i64.const(-1))));
      // Load and store entries alike: a load entry is refilled at its next use.
      const target = i32.and(i32.add(i32.wrap(tag), payload), i32.const(-PAGE));
      f.if(i32.eq(target, host), () => f.emit(i64.store(entry, i64.const(-1))));
    });
  });
  dropCopies(f, l);
  f.emit(memoryFill(f.get(code), i32.const(0), slots));
  for (const end of [CODE_PAGE.end, CODE_PAGE.loneEnd2, CODE_PAGE.loneEnd4]) {
    f.emit(i32.store16(f.get(code), i32.const(PSEUDO.cross), end));
  }
  f.emit(i32.store16(f.get(code), i32.const(PSEUDO.illegal), CODE_PAGE.lone)); // Of word 0.
  f.emit(i32.store(f.get(code), host, CODE_PAGE.host));
  f.emit(i32.store(f.get(code), page, CODE_PAGE.ramPage));
  f.emit(i32.store(i32.shl(page, i32.const(2)), f.get(code), l.codeMap));
  f.emit(f.get(code));
  return f;
}
