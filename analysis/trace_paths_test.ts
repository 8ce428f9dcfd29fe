import { strict as assert } from "node:assert";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MANIFEST } from "../core/trace/manifest.ts";
import { tracePaths } from "./trace_paths.ts";

Deno.test("trace paths: patterns and folders stand for the traces in them, in order of number", () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    for (const name of ["a-10.trace", "a-2.trace", "b.trace", "sub/c.trace", ".h.trace"]) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, MANIFEST), "{}");
    }
    mkdirSync(join(folder, "a-empty"));
    const at = (...names: string[]) => names.map((name) => join(folder, name));
    assert.deepEqual(tracePaths([join(folder, "a-*")]), at("a-2.trace", "a-10.trace"));
    assert.deepEqual(tracePaths([join(folder, "?.trace")]), at("b.trace"));
    assert.deepEqual(tracePaths([join(folder, "*", "*.trace")]), at("sub/c.trace"));
    assert.deepEqual(tracePaths([join(folder, "sub")]), at("sub/c.trace"));
    const twice = at("b.trace", "b.trace", "none.trace");
    assert.deepEqual(tracePaths(twice), twice);
    assert.deepEqual(tracePaths([...at("b.trace"), join(folder, "?.trace")]), at("b.trace"));
    assert.deepEqual(tracePaths(at("a-empty")), at("a-empty"));
    assert.throws(() => tracePaths([join(folder, "z*")]), /No trace matches/);
    assert.throws(() => tracePaths([join(folder, "b.trace", "(*")]), /No trace matches/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
