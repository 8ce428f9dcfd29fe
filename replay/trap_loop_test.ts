import assert from "node:assert/strict";
import { TrapLoopWatch } from "./trap_loop.ts";

const hart = () => ({ icount: 0, exceptions: 0 });

/** Runs harts to the next look; `retire` says how many instructions of each retire. */
function step(watch: TrapLoopWatch, harts: ReturnType<typeof hart>[], retire: number[]) {
  const before = harts.reduce((sum, h) => sum + h.icount, 0);
  const left = (watch.nextAt - before) / harts.length;
  harts.forEach((h, i) => {
    h.icount += left;
    h.exceptions += left - retire[i];
  });
  return watch.look(watch.nextAt);
}

Deno.test("trap loops: a hart alone that retires nothing is caught at the next look", () => {
  const harts = [hart()];
  const watch = new TrapLoopWatch(harts);
  assert.equal(step(watch, harts, [5]), null);
  assert.equal(step(watch, harts, [1]), null);
  assert.equal(step(watch, harts, [0]), 0);
});

Deno.test("trap loops: one of several harts that goes on may help the others", () => {
  const harts = [hart(), hart()];
  const watch = new TrapLoopWatch(harts);
  for (let i = 0; i < 50; i++) assert.equal(step(watch, harts, [0, 1]), null);
  const caught = Array.from({ length: 8 }, () => step(watch, harts, [0, 0]));
  assert.deepEqual(caught, [...new Array(7).fill(null), 0]);
});

Deno.test("trap loops: between looks nothing is looked at, and looks are at the same places always", () => {
  const harts = [hart()];
  const watch = new TrapLoopWatch(harts);
  const { nextAt } = watch;
  harts[0].icount = harts[0].exceptions = nextAt - 1;
  assert.equal(watch.look(nextAt - 1), null);
  assert.equal(watch.nextAt, nextAt);
  harts[0].icount = harts[0].exceptions = nextAt;
  assert.equal(watch.look(nextAt), 0);
  assert.equal(watch.nextAt, 2 * nextAt);
});
