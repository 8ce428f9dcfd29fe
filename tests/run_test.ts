import assert from "node:assert/strict";
import { needsThat, skippedName } from "./needs.ts";
import { Tally } from "./run.ts";

const tallyOf = (...lines: string[]) => {
  const tally = new Tally();
  lines.forEach((line) => tally.line(line));
  return tally;
};

Deno.test("test runner: the closing line has deno test's figures", () => {
  const tally = tallyOf(
    "a ... ok (3ms)",
    "\x1b[31mFAILED\x1b[0m | 812 passed (3 steps) | 2 failed | 3 ignored (12s)",
  );
  assert.equal(tally.report(), "812 passed, 2 failed, 3 skipped");
  assert.equal(tallyOf("ok | 7 passed | 0 failed (1s)").report(), "7 passed, 0 failed, 0 skipped");
});

Deno.test("test runner: skipped tests stand under the command that enables them", () => {
  const tally = tallyOf(
    `./tests/a_test.ts => ${skippedName("boots (QEMU)", { apt: "q" })} ... ignored (0ms)`,
    "\x1b[33mplain\x1b[0m ... \x1b[33mignored\x1b[0m (0ms)",
    `${skippedName("agrees", { apt: "q" })} ... ignored (0ms)`,
    `${skippedName("rebuilds", { nowhere: "gcc 13, not 12" })} ... ignored (0ms)`,
    "ok | 1 passed | 0 failed | 4 ignored (1s)",
  );
  assert.deepEqual(tally.report().split("\n"), [
    "Skipped; to run them: apt-get install q",
    "  boots (QEMU)",
    "  agrees",
    "Skipped:",
    "  plain",
    "Skipped here: gcc 13, not 12",
    "  rebuilds",
    "1 passed, 0 failed, 4 skipped",
  ]);
  assert.equal(tally.avoidable, 3);
});

Deno.test("test runner: a report cut short is not complete", () => {
  assert.equal(tallyOf("a ... ok (3ms)").complete, false);
});

needsThat("", true, { apt: "nothing" }).test("needs: a test whose need is met runs", () => {});
