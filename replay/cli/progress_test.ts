import assert from "node:assert/strict";
import { PlainProgress } from "./progress.ts";

const at = (outBytes: number) => ({ icount: 2_500_000, timeNs: 0, exits: 1234, outBytes });

Deno.test("progress: off a terminal, a line at each tenth and one at the end", () => {
  const lines: string[] = [];
  const view = new PlainProgress("uart  ", 1000, (line) => lines.push(line));
  for (const bytes of [0, 50, 99, 100, 150, 190, 555, 600, 1000, 2000]) view.update(at(bytes));
  view.done(at(1100));
  assert.deepEqual(lines, [
    "uart: 10 %, 1,234 exits, 2.5 M instructions",
    "uart: 50 %, 1,234 exits, 2.5 M instructions",
    "uart: 60 %, 1,234 exits, 2.5 M instructions",
    "uart: done, 1,234 exits, 2.5 M instructions",
  ]);
});
