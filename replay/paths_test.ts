import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { absolute, baseName, folderOf } from "./paths.ts";

const NAMES = [
  "/",
  "/a",
  "/a/",
  "//a",
  "a",
  "a/",
  "a/b",
  "./a",
  "../a",
  "/a/b.trace/",
  "a/b c/d.e",
];

Deno.test("paths: names and folders are node:path's", () => {
  for (const path of NAMES) {
    assert.equal(baseName(path), basename(path), path);
    if (path !== "//a") assert.equal(folderOf(path), dirname(path), path);
  }
});

Deno.test("paths: of an absolute path, folders end at the root", () => {
  assert.equal(absolute("/x/y"), "/x/y");
  assert.equal(absolute("y"), `${Deno.cwd()}/y`);
  assert.equal(folderOf(folderOf("/x")), "/");
});
