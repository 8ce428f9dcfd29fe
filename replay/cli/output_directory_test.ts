import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./errors.ts";
import { freeNames, OutputDirectory, writeNew } from "./output_directory.ts";

function inTemporaryFolder(name: string, test: (folder: string) => void): void {
  Deno.test(name, () => {
    const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
    try {
      test(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

function makeTrace(path: string, content = "{}"): void {
  Deno.mkdirSync(path, { recursive: true });
  Deno.writeTextFileSync(join(path, "manifest.json"), content);
}

inTemporaryFolder(
  "default names: a pair takes the same number, the first that is free",
  (folder) => {
    const names = () => freeNames(folder, ["a", "b"]).map((n) => n.slice(folder.length + 1));
    assert.deepEqual(names(), ["a.trace", "b.trace"]);
    Deno.mkdirSync(join(folder, "b.trace"));
    assert.deepEqual(names(), ["a-2.trace", "b-2.trace"]);
    Deno.mkdirSync(join(folder, "a-2.trace"));
    assert.deepEqual(names(), ["a-3.trace", "b-3.trace"]);
    assert.equal(freeNames(folder, ["a"], true)[0], join(folder, "a.trace"));
  },
);

inTemporaryFolder("output: what exists is not touched without force", (folder) => {
  const path = join(folder, "old.trace");
  makeTrace(path, "old");
  assert.throws(() => new OutputDirectory(path, false), (e: UserError) => /--force/.test(e.fix));
  assert.equal(Deno.readTextFileSync(join(path, "manifest.json")), "old");
});

inTemporaryFolder("output: force replaces traces and nothing else", (folder) => {
  const path = join(folder, "home");
  Deno.mkdirSync(path);
  Deno.writeTextFileSync(join(path, "thesis.tex"), "…");
  assert.throws(() => new OutputDirectory(path, true), UserError);
  assert.ok(existsSync(join(path, "thesis.tex")));
});

inTemporaryFolder(
  "output: a recording that fails puts back what force was to replace",
  (folder) => {
    const path = join(folder, "old.trace");
    makeTrace(path, "old");
    const output = new OutputDirectory(path, true);
    makeTrace(path, "new");
    output.rollBack();
    assert.equal(Deno.readTextFileSync(join(path, "manifest.json")), "old");
    assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name), ["old.trace"]);
  },
);

inTemporaryFolder("output: a recording that succeeds leaves only the new trace", (folder) => {
  const path = join(folder, "old.trace");
  makeTrace(path, "old");
  const output = new OutputDirectory(path, true);
  makeTrace(path, "new");
  output.keep();
  assert.equal(Deno.readTextFileSync(join(path, "manifest.json")), "new");
  assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name), ["old.trace"]);
});

inTemporaryFolder(
  "output: folders made for a recording that fails go again, others stay",
  (folder) => {
    Deno.mkdirSync(join(folder, "mine"));
    const output = new OutputDirectory(join(folder, "mine", "a", "b", "new.trace"), false);
    makeTrace(output.path);
    output.rollBack();
    assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name), ["mine"]);
    assert.deepEqual([...Deno.readDirSync(join(folder, "mine"))], []);
  },
);

inTemporaryFolder("output: a folder that cannot be made is an error that names a fix", (folder) => {
  Deno.writeTextFileSync(join(folder, "file"), "");
  assert.throws(() => new OutputDirectory(join(folder, "file", "x.trace"), false), UserError);
});

inTemporaryFolder("output: a file is written once, unless forced", (folder) => {
  const path = join(folder, "virt.dtb");
  writeNew(path, Uint8Array.of(1), false);
  assert.throws(() => writeNew(path, Uint8Array.of(2), false), UserError);
  assert.deepEqual(Deno.readFileSync(path), Uint8Array.of(1));
  writeNew(path, Uint8Array.of(3), true);
  assert.deepEqual(Deno.readFileSync(path), Uint8Array.of(3));
});
