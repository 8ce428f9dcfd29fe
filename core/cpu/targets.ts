/**
 * Where indirect jumps lead. The interpreter notes the targets of each place; the compiler puts what is there
 * behind a comparison of the target, so a note that is wrong, old or missing costs time and nothing else.
 *
 * @module
 */
import { type Layout, TARGETS } from "./layout.ts";
import { i32, memoryFill } from "./wasm/code.ts";
import type { Callee, Module } from "./wasm/module.ts";

const { ways, places } = TARGETS;
const ROW_BYTES = TARGETS.bytes / places;
const WAY_BYTES = ROW_BYTES / (ways + 1);

/** (h, ep, distance): the jump at the decoded entry `ep` leads so many bytes on. */
export function noteTarget(m: Module, l: Layout): Callee {
  const f = m.func("noteTarget", ["i32", "i32", "i32"], []);
  const [ep, distance] = [f.get(1), f.get(2)];
  const hash = i32.xor(i32.shrU(ep, i32.const(4)), i32.shrU(ep, i32.const(14)));
  const row = f.bind("i32", i32.mul(i32.and(hash, i32.const(places - 1)), i32.const(ROW_BYTES)));
  f.if(i32.ne(i32.load(row, l.targets), ep), () => {
    const start = i32.add(row, i32.const(l.targets));
    f.emit(memoryFill(start, i32.const(0), i32.const(ROW_BYTES)));
    f.emit(i32.store(row, ep, l.targets));
  });
  for (let way = 1; way <= ways; way++) {
    const at = l.targets + way * WAY_BYTES;
    const known = f.bind("i32", i32.load(row, at));
    f.if(i32.eqz(known), () => f.emit(i32.store(row, distance, at)));
    f.if(i32.or(i32.eqz(known), i32.eq(known, distance)), () => {
      f.emit(i32.store(row, i32.add(i32.load(row, at + 4), i32.const(1)), at + 4));
      f.return();
    });
  }
  return f;
}

/** Distances to where the jump at the entry `ep` has led so often, the first ones first. */
export function targetsOf(view: DataView, l: Layout, ep: number, often: number): number[] {
  const row = l.targets + ((ep >>> 4 ^ ep >>> 14) & (places - 1)) * ROW_BYTES;
  if (view.getUint32(row, true) !== ep) return [];
  const all = Array.from({ length: ways }, (_, i) => row + (i + 1) * WAY_BYTES);
  const known = all.filter((at) => view.getUint32(at + 4, true) >= often);
  return known.map((at) => view.getInt32(at, true));
}
