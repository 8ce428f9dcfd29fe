import assert from "node:assert/strict";
import { RiscvCpu } from "../core/cpu/mod.ts";
import { moduleBytes, moduleFor, type ModuleStore } from "../core/cpu/generated.ts";
import { layout } from "../core/cpu/layout.ts";
import { openModuleCache } from "./module_cache.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    await test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

let nextBytes = 2 ** 20;
/** A layout that no test has had: within a process each is generated once. */
function freshLayout() {
  nextBytes += 2 ** 20;
  return layout({ harts: 1, ramBase: 0x8000_0000, ramBytes: nextBytes });
}

/** Counts what a store is asked for and given. */
function counting(store: ModuleStore) {
  const counts = { found: 0, saved: 0 };
  const counted: ModuleStore = {
    load: (key) => {
      const bytes = store.load(key);
      if (bytes !== null) counts.found++;
      return bytes;
    },
    save: (key, bytes) => {
      counts.saved++;
      store.save(key, bytes);
    },
  };
  return { counts, counted };
}

const onlyFile = (folder: string) => {
  const names = [...Deno.readDirSync(folder)].map((entry) => `${folder}/${entry.name}`);
  assert.equal(names.length, 1);
  return names[0];
};

Deno.test("module cache: what is kept is what is generated now", () =>
  withFolder(async (folder) => {
    const l = freshLayout();
    const store = (await openModuleCache(`${folder}/modules`))!;
    const fresh = moduleFor(l, store);
    assert.deepEqual(store.load(JSON.stringify(l)), moduleBytes(l));
    const again = (await openModuleCache(`${folder}/modules`))!;
    assert.deepEqual(again.load(JSON.stringify(l)), moduleBytes(l));
    assert.ok(fresh.operations.size > 200);
  }));

Deno.test("module cache: damaged, foreign and missing files are generated anew", () =>
  withFolder(async (folder) => {
    const store = (await openModuleCache(`${folder}/modules`))!;
    const l = freshLayout();
    store.save(JSON.stringify(l), moduleBytes(l));
    const path = onlyFile(`${folder}/modules`);
    const whole = Deno.readFileSync(path);
    const flipped = whole.slice();
    flipped[whole.length >> 1] ^= 1;
    for (const bytes of [flipped, whole.slice(0, -1), whole.slice(0, 5), new Uint8Array()]) {
      Deno.writeFileSync(path, bytes);
      assert.equal(store.load(JSON.stringify(l)), null);
    }
    // A whole module of another layout under this one's name, and bytes that are no module.
    for (const bytes of [moduleBytes(freshLayout()), new Uint8Array(100)]) {
      const { counts, counted } = counting(store);
      const other = freshLayout();
      store.save(JSON.stringify(other), bytes);
      moduleFor(other, counted);
      assert.deepEqual(counts, { found: 1, saved: 1 });
      assert.deepEqual(store.load(JSON.stringify(other)), moduleBytes(other));
    }
  }));

Deno.test("module cache: a folder that cannot be written changes nothing", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/file`, "");
    const modules = (await openModuleCache(`${folder}/file/modules`))!;
    nextBytes += 2 ** 20;
    const cpu = new RiscvCpu({
      ...{ harts: 1, ramBase: 0x8000_0000, ramBytes: nextBytes, sbi: true },
      ...{ nsPerInsn: 1, timebaseHz: 10_000_000, modules },
    });
    assert.equal(cpu.hart(0).icount, 0);
  }));

Deno.test("module cache: the folder stays small", () =>
  withFolder(async (folder) => {
    const store = (await openModuleCache(`${folder}/modules`))!;
    for (let i = 0; i < 40; i++) store.save(`layout ${i}`, Uint8Array.of(i));
    assert.ok([...Deno.readDirSync(`${folder}/modules`)].length <= 16);
  }));
