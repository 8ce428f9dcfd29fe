/**
 * `import` and `export` as their users meet them: what cannot be read or written is told in one line with
 * what to do, and leaves everything as it was.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assertOneError, cliTest, run } from "./cli.ts";

const SAMPLES = new URL("../fixtures/host_traces/", import.meta.url);
const sample = (name: string): Uint8Array => Deno.readFileSync(new URL(name, SAMPLES));

interface Bad {
  readonly name: string;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly args: readonly string[];
  readonly says: RegExp;
}

const FILE = { "a.txt": sample("perf_vmx.txt") };
const BAD: readonly Bad[] = [
  { name: "import of nothing", args: ["import", "-o", "b"], says: /Name a file to import/ },
  { name: "import to nowhere", files: FILE, args: ["import", "a.txt"], says: /--output|-o/ },
  { name: "a missing file", args: ["import", "no", "-o", "b"], says: /no: does not exist.*path/ },
  { name: "a folder", args: ["import", ".", "-o", "b"], says: /is no file|directory/i },
  {
    name: "an empty file",
    files: { "a.txt": "" },
    args: ["import", "a.txt", "-o", "b"],
    says: /a\.txt is empty.*perf script/,
  },
  {
    name: "a file of something else",
    files: { "a.txt": "Dear diary,\n" },
    args: ["import", "a.txt", "-o", "b"],
    says: /no line of a trace.*--format/,
  },
  {
    name: "a binary file",
    files: { "perf.data": new Uint8Array(4096) },
    args: ["import", "perf.data", "-o", "b"],
    says: /binary.*perf script/,
  },
  {
    name: "a text as simpletrace",
    files: FILE,
    args: ["import", "a.txt", "--format", "simpletrace", "-o", "b"],
    says: /no simpletrace file of version 4/,
  },
  {
    name: "files of two formats",
    files: { ...FILE, "b.txt": sample("qemu_log.txt") },
    args: ["import", "a.txt", "b.txt", "-o", "b"],
    says: /one by one/,
  },
  {
    name: "an unknown format",
    files: FILE,
    args: ["import", "a.txt", "--format", "vmware", "-o", "b"],
    says: /--format/,
  },
  {
    name: "a trace that exists",
    files: { ...FILE, b: "mine" },
    args: ["import", "a.txt", "-o", "b"],
    says: /b exists already.*--force/,
  },
  {
    name: "export of no trace",
    args: ["export", "no", "--to", "csv", "-o", "b"],
    says: /no does not/,
  },
  { name: "export to no format", args: ["export", "no", "-o", "b"], says: /--to/ },
];

for (const { name, files, args, says } of BAD) {
  cliTest(`${name} is refused`, async (folder) => {
    for (const [path, data] of Object.entries(files ?? {})) {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      Deno.writeFileSync(join(folder, path), bytes);
    }
    const before = [...Deno.readDirSync(folder)].map((e) => e.name).sort();
    assertOneError(await run(folder, args), says);
    assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name).sort(), before);
  });
}

cliTest(
  "import, query, compare with itself, export: the whole way of a host's trace",
  async (folder) => {
    Deno.writeFileSync(join(folder, "host.txt"), sample("perf_vmx.txt"));
    const imported = await run(folder, ["import", "host.txt", "-o", "host.trace"]);
    assert.equal(imported.code, 0, imported.stderr);
    assert.match(imported.stdout, /32 lines: 31 understood, 1 not understood/);
    const asked = await run(folder, ["query", "host.trace", "SELECT count(*) AS n FROM exit"]);
    assert.match(asked.stdout, /8\n/);
    const replayed = await run(folder, ["replay", "host.trace"]);
    assertOneError(replayed, /imported.*cannot be replayed|cannot be replayed.*imported/i);
    const wrong = await run(folder, [
      "export",
      "host.trace",
      "--to",
      "csv",
      "--host",
      "x",
      "-o",
      "o",
    ]);
    assertOneError(wrong, /not partitioned/);
    const out = await run(folder, ["export", "host.trace", "--to", "csv", "-o", "out"]);
    assert.equal(out.code, 0, out.stderr);
    assert.ok(existsSync(join(folder, "out/exit.csv")));
    const again = await run(folder, ["export", "host.trace", "--to", "csv", "-o", "out"]);
    assertOneError(again, /out exists already/);
  },
);

cliTest("import says with its exit code that nothing was understood", async (folder) => {
  Deno.writeTextFileSync(join(folder, "a.txt"), "one\ntwo\n");
  const outcome = await run(folder, ["import", "a.txt", "--format", "kvm", "-o", "a.trace"]);
  assert.equal(outcome.code, 1, outcome.stderr);
  assert.match(outcome.stdout, /2 lines: 0 understood, 2 not understood/);
});
