/**
 * Writes the record of an exit that is an access, with that access, in WebAssembly: most of its columns
 * are words of the hart, and a record is copied by a handful of 64-bit moves there. In JavaScript every
 * lane is checked for its place in its array, which makes as much code as the rest of an exit.
 * @module
 */
import { type Code, i32, i64 } from "../cpu/wasm/code.ts";
import { Module } from "../cpu/wasm/module.ts";
import { SLOT } from "../cpu/mod.ts";
import { layoutOf } from "../trace/log.ts";

/** Columns of an exit that is an access, and of the access, that are the same for many of them. */
export type AccessConstants =
  & Record<"reason" | "handler" | "transitions" | "cpu_mode" | "size" | "write" | "device", number>
  & Record<"hw_reason" | "register", number | null>
  & Record<"cost_ns" | "space", number>
  & Record<"duration_ns", null>;

const ACCESS_EXIT = layoutOf(
  "access_exit",
  {
    ...{ reason: 0, hw_reason: 0, handler: 0, transitions: 0, cpu_mode: 0, size: 0, write: 0 },
    ...{ device: 0, register: 0, cost_ns: 0, space: 0, duration_ns: null },
  } satisfies AccessConstants,
);
export const ACCESS_LANES = ACCESS_EXIT.lanes;

/**
 * `hart` and `at` are addresses in the hart's and the log's memory, `lo` and `hi` the value; the other
 * columns are taken from the hart. All fit the machine's small integers while seq does: other numbers
 * would be handed over in memory of their own.
 */
export type WriteAccess = (
  hart: number,
  at: number,
  kind: number,
  vcpu: number,
  offset: number,
  lo: number,
  hi: number,
  seq: number,
) => void;

let compiled: WebAssembly.Module | null = null;

/** `memory` is where harts lie, `log` where records go. */
export function accessWriter(memory: WebAssembly.Memory, log: WebAssembly.Memory): WriteAccess {
  compiled ??= new WebAssembly.Module(build());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory, log } });
  return exports.write as WriteAccess;
}

function build(): Uint8Array<ArrayBuffer> {
  const m = new Module({ min: 1 }, { shared: "log" });
  const params = ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "f64"] as const;
  const f = m.export(m.func("write", params, []));
  const [hart, to, kind, vcpu, offset, lo, hi, seq] = params.map((_, i) => f.get(i));
  const { at } = ACCESS_EXIT;
  const put32 = (lane: number, v: Code) => f.emit(i32.storeTo(1, to, v, lane * 4));
  const put64 = (lane: number, v: Code) => f.emit(i64.storeTo(1, to, v, lane * 4));
  const slot = (name: keyof typeof SLOT) => i64.load(hart, SLOT[name]);
  put32(0, kind);
  put64(at.seq, i64.truncF64(seq));
  put64(at.time_ns, i64.add(slot("skewNs"), i64.mul(slot("icount"), slot("nsPerInsn"))));
  put64(at.icount, slot("icount"));
  put32(at.vcpu, vcpu);
  put64(at.pc, slot("pc"));
  put64(at.gpa, slot("accessGpa"));
  put64(at.insns, i64.sub(slot("icount"), slot("lastExit")));
  put32(at.offset, offset);
  put32(at.value, lo);
  put32(at.value + 1, hi);
  return m.bytes();
}
