import assert from "node:assert/strict";
import { commandsOf, examplesOf, firstMissing, shownAgain } from "./blocks.ts";

const printed = "one\ntwo\nthree\nfour (0.2 s)\nfive\n";

Deno.test("readme blocks: words are a shell's, over lines and quotes", () => {
  assert.deepEqual(commandsOf(`a "b c" --d='e f'\ng "h\n  i" > j\n`), [
    { words: ["a", "b c", "--d=e f"], into: null },
    { words: ["g", "h\n  i"], into: "j" },
  ]);
});

Deno.test("readme blocks: only a text block that follows at once is output", () => {
  const markdown = ["```sh", "a", "```", "", "```text", "out", "```", "```sh", "b", "```", "so:"]
    .concat("```text", "other", "```").join("\n");
  assert.deepEqual(examplesOf(markdown).map((e) => e.shown?.text), ["out", undefined]);
});

Deno.test("readme blocks: what is shown must be printed, in order and whole but for its gaps", () => {
  const good = ["one\ntwo\nthree\nfour (9.9 s)\nfive", "one\n…\nfour (1 s)\n…", "…\nfive", "…"];
  for (const shown of good) assert.equal(firstMissing(shown, printed), null, shown);
  const bad = ["two\nthree", "one\ntwo", "one\nthree\n…", "…\nfive\n…\none", "…\nfour (1 s)", ""];
  for (const shown of bad) assert.notEqual(firstMissing(shown, printed), null, shown);
});

Deno.test("readme blocks: what is shown anew keeps its gaps and lengths", () => {
  const shown = "…\ntwo\nold\n…\nfive";
  assert.equal(shownAgain(shown, printed), "…\ntwo\nthree\n…\nfive");
  assert.equal(shownAgain("old", printed), printed.trimEnd());
});
