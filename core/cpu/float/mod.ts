/**
 * The interpreter's floating point: a routine for each operation and format, taking the rounding mode
 * and the operands. The oracle has exact.ts in its place.
 *
 * @module
 */
import type { Routine } from "../ops.ts";
import { softClass, softCompare, softExtremum } from "./compare.ts";
import { softConvert, softFromInteger, softToInteger } from "./convert.ts";
import { arithmetic } from "./fast.ts";
import { D, type FloatOp, type Format, H, type Integer, INTEGERS, S } from "./format.ts";

function routines(f: Format): Map<FloatOp, Routine> {
  const all = new Map<FloatOp, Routine>(Object.entries(arithmetic(f)) as [FloatOp, Routine][]);
  for (const op of ["min", "max"] as const) all.set(op, softExtremum(f, op));
  for (const op of ["eq", "lt", "le"] as const) all.set(op, softCompare(f, op));
  all.set("class", softClass(f));
  for (const kind of INTEGERS as readonly Integer[]) {
    all.set(`to${kind}`, softToInteger(f, kind));
    all.set(`from${kind}`, softFromInteger(f, kind));
  }
  for (const [op, from] of [["fromS", S], ["fromD", D], ["fromH", H]] as const) {
    if (from !== f) all.set(op, softConvert(f, from));
  }
  return all;
}

const ROUTINES = new Map([S, D, H].map((f) => [f, routines(f)]));

export function floatRoutine(op: FloatOp, f: Format): Routine {
  const routine = ROUTINES.get(f)?.get(op);
  if (!routine) throw new Error(`${op}.${f.letter}: no such operation`);
  return routine;
}
