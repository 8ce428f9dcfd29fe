import assert from "node:assert/strict";
import { describe, diskIsFull, EXIT, UserError } from "./errors.ts";

Deno.test("errors: one line, what is wrong and then what to do, no stack", () => {
  assert.deepEqual(describe(new UserError("no such\n  file: a", "check the path"), false), {
    text: "exitscope: no such file: a. Check the path.",
    exitCode: EXIT.usage,
  });
});

Deno.test("errors: an error of another module brings its own fix and exit code", () => {
  const error = Object.assign(new Error("a.trace is newer."), { fix: "Update.", exitCode: 1 });
  assert.deepEqual(describe(error, false), {
    text: "exitscope: a.trace is newer. Update.",
    exitCode: 1,
  });
});

Deno.test("errors: the lines that point into SQL stay lines", () => {
  const error = Object.assign(new Error("Parser Error: x\n\nLINE 1: SELEC 1\n        ^"), {
    fix: "Correct it.",
  });
  assert.match(describe(error, false).text, /LINE 1: SELEC 1\n {8}\^\nCorrect it\.$/);
});

Deno.test("errors: one that nobody foresaw says how to see more; then it shows the stack", () => {
  assert.match(
    describe(new TypeError("x is undefined"), false).text,
    /^[^\n]*EXITSCOPE_DEBUG=1[^\n]*$/,
  );
  assert.match(describe(new TypeError("x is undefined"), true).text, /\n\s+at /);
});

Deno.test("errors: a full disk is recognized however it is told", () => {
  assert.ok(diskIsFull(Object.assign(new Error("write"), { code: "ENOSPC" })));
  assert.ok(diskIsFull(new Error("No space left on device (os error 28)")));
  assert.ok(diskIsFull(new Error("a.trace: the disk is full")));
  assert.ok(!diskIsFull(new Error("No such file or directory (os error 2)")));
});

Deno.test("errors: a full disk is told in the same words, whoever found it full", () => {
  for (
    const [message, told] of [
      ["No space left on device (os error 28)", "the disk is full"],
      ["No space left on device (os error 28): writefile 'a'", "the disk is full: writefile 'a'"],
      ["Disk quota exceeded (os error 122)", "the disk is full"],
    ]
  ) {
    assert.equal(
      describe(new Error(message), false).text,
      `exitscope: ${told}. Free some space, or write elsewhere with -o.`,
    );
  }
});
