/**
 * Ends an exit that is an access and writes its record, with that access, in WebAssembly: most columns
 * are words of the hart, and a record is copied by a handful of 64-bit moves there. In JavaScript every
 * lane is checked for its place in its array, which makes as much code as the rest of an exit. The hart
 * goes on in the same call, since the call itself is what costs most.
 * @module
 */
import { type Code, i32, i64 } from "../cpu/wasm/code.ts";
import { type Func, Module } from "../cpu/wasm/module.ts";
import { ACCESS_BYTES, META_BOXED, META_SIGNED, META_STORE, MSTATUS_FS, SLOT } from "../cpu/mod.ts";
import { layoutOf } from "../trace/log.ts";

/** Columns of an exit that is an access, and of the access, that are the same for many of them. */
export type AccessConstants =
  & Record<"reason" | "handler" | "transitions" | "cpu_mode" | "size" | "write" | "device", number>
  & Record<"hw_reason" | "register", number | null>
  & Record<"cost_ns" | "space", number>
  & Record<"duration_ns", null>;

/** More of them, of accesses to one address by one vcpu. */
export type AccessPlace = Record<"gpa" | "offset" | "vcpu", number>;

const CONSTANTS: AccessConstants = {
  ...{ reason: 0, hw_reason: 0, handler: 0, transitions: 0, cpu_mode: 0, size: 0, write: 0 },
  ...{ device: 0, register: 0, cost_ns: 0, space: 0, duration_ns: null },
};
const PLACE: AccessPlace = { gpa: 0, offset: 0, vcpu: 0 };

/** Records whose template has a place or has none; most accesses come from a few places. */
const LAYOUTS = {
  placed: layoutOf("access_exit", { ...CONSTANTS, ...PLACE }),
  anywhere: layoutOf("access_exit", CONSTANTS),
};
export type AccessForm = keyof typeof LAYOUTS;
export const ACCESS_LANES: Readonly<Record<AccessForm, number>> = {
  placed: LAYOUTS.placed.lanes,
  anywhere: LAYOUTS.anywhere.lanes,
};

/**
 * Of a placed record `offset` is not used. `hart` and `at` are addresses in the hart's and the log's memory, `lo` and `hi` the value, `costNs` the
 * exit's price below 2^32; the other columns are taken from the hart. Then it has exited at its icount
 * for so long, and its load or store is complete, as by the Hart's own functions. All numbers fit the
 * machine's small integers while seq does: others would be handed over in memory of their own.
 */
export type EndAccess = (
  hart: number,
  at: number,
  kind: number,
  offset: number,
  lo: number,
  hi: number,
  costNs: number,
  seq: number,
) => void;

let compiled: WebAssembly.Module | null = null;

/** `memory` is where harts lie, `log` where records go. */
export function accessEnders(
  memory: WebAssembly.Memory,
  log: WebAssembly.Memory,
): Readonly<Record<AccessForm, EndAccess>> {
  compiled ??= new WebAssembly.Module(build());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory, log } });
  return exports as Record<AccessForm, EndAccess>;
}

function build(): Uint8Array<ArrayBuffer> {
  const m = new Module({ min: 1 }, { shared: "log" });
  for (const [form, { at }] of Object.entries(LAYOUTS)) end(m, form, at);
  return m.bytes();
}

/** Of records whose columns lie at these lanes. */
function end(m: Module, form: string, at: Partial<(typeof LAYOUTS)["anywhere"]["at"]>): void {
  const params = ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "f64"] as const;
  const f = m.export(m.func(form, params, []));
  const [hart, to, kind, offset, lo, hi, costNs, seq] = params.map((_, i) => f.get(i));
  /** What the template says is not stored. */
  const put32 = (lane: number | undefined, v: Code) => {
    if (lane !== undefined) f.emit(i32.storeTo(1, to, v, lane * 4));
  };
  const put64 = (lane: number | undefined, v: Code) => {
    if (lane !== undefined) f.emit(i64.storeTo(1, to, v, lane * 4));
  };
  const slot = (name: keyof typeof SLOT) => i64.load(hart, SLOT[name]);
  const setSlot = (name: keyof typeof SLOT, v: Code) => f.emit(i64.store(hart, v, SLOT[name]));
  const icount = f.bind("i64", slot("icount"));
  const pc = f.bind("i64", slot("pc"));
  put32(0, kind);
  put64(at.seq, i64.truncF64(seq));
  put64(at.time_ns, i64.add(slot("skewNs"), i64.mul(icount, slot("nsPerInsn"))));
  put64(at.icount, icount);
  put32(at.vcpu, i32.load(hart, SLOT.hartid));
  put64(at.pc, pc);
  put64(at.gpa, slot("accessGpa"));
  put64(at.insns, i64.sub(icount, slot("lastExit")));
  put32(at.offset, offset);
  put32(at.value, lo);
  put32(at.value! + 1, hi);

  const meta = f.bind("i32", i32.load(hart, SLOT.accessMeta));
  setSlot("lastExit", icount);
  setSlot("skewNs", i64.add(slot("skewNs"), i64.extendU(costNs)));
  setSlot("icount", i64.add(icount, i64.const(1)));
  setSlot("pc", i64.add(pc, i64.extendU(i32.shrU(meta, i32.const(8)))));
  f.if(i32.eqz(i32.and(meta, i32.const(META_STORE))), () => completeLoad(f, hart, meta, lo, hi));
}

/** As `Hart.completeLoad`: extends the value as the load asks and gives it to the register. */
function completeLoad(f: Func, hart: Code, meta: Code, lo: Code, hi: Code): void {
  const is = (bit: number) => i32.and(meta, i32.const(bit));
  const bits = i32.shl(is(ACCESS_BYTES), i32.const(3));
  const unused = f.bind("i64", i64.extendU(i32.sub(i32.const(64), bits)));
  const given = i64.or(i64.extendU(lo), i64.shl(i64.extendU(hi), i64.const(32)));
  const high = f.bind("i64", i64.shl(given, unused));
  const value = f.temp("i64");
  f.set(value, i64.shrU(high, unused));
  f.if(is(META_SIGNED), () => f.set(value, i64.shrS(high, unused)));
  f.if(is(META_BOXED), () => {
    // All ones above the value; none when it fills the register.
    const above = i64.shl(i64.shl(i64.const(-1), i64.sub(i64.const(63), unused)), i64.const(1));
    f.set(value, i64.or(f.get(value), above));
    f.emit(
      i64.store(hart, i64.or(i64.load(hart, SLOT.mstatus), i64.const(MSTATUS_FS)), SLOT.mstatus),
    );
  });
  f.emit(i64.store(i32.add(hart, i32.load(hart, SLOT.accessRd)), f.get(value), 0));
}
