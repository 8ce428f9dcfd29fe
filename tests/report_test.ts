/**
 * `report` as its users meet it: real recordings in, a file out, in each format; the suite; and what it
 * refuses.
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SUITES } from "../replay/cli/suites.ts";
import { assertOneError, cliTest, inFolder, run } from "./cli.ts";
import { linux } from "./linux/guest.ts";

const SMALL = ["record", "--append", "bytes=256 chunk=16,64"];

async function recordPair(folder: string): Promise<string[]> {
  const sides = ["sifive", "virtio"];
  for (const serial of sides) {
    const { code, stderr } = await run(folder, [
      ...SMALL,
      "--serial",
      serial,
      "-o",
      `${serial}.trace`,
    ]);
    assert.equal(code, 0, stderr);
  }
  return sides.map((serial) => `${serial}.trace`);
}

cliTest("report: a pair in every format, with the same numbers", async (folder) => {
  const traces = await recordPair(folder);
  for (const ending of ["html", "md", "json", "csv"]) {
    const { code, stderr, stdout } = await run(folder, ["report", ...traces, "-o", `r.${ending}`]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`wrote r\\.${ending}`));
  }
  const text = (ending: string) => Deno.readTextFileSync(join(folder, `r.${ending}`));
  const { chapters: [chapter], command } = JSON.parse(text("json"));
  assert.equal(command, "deno task report sifive.trace virtio.trace -o r.json");
  assert.match(chapter.answer, /virtio-console0 took .* fewer exits for the same 512 bytes/);
  // A byte, a write: what the work is says what the count must be.
  const registers = chapter.figures.find((f: { id: string }) => f.id === "registers");
  const txdata = registers.rows.find((row: { register: string }) =>
    row.register === "uart0.txdata write"
  );
  assert.equal(txdata.exits, 512);
  assert.equal(txdata.exits_per_kib, 1024);
  assert.match(text("csv"), /^traces,registers,\d+,exits,512$/m);
  assert.match(text("md"), /\| sifive \| uart0\.txdata write \| 512 \| 1,024 \|/);
  assert.match(text("html"), /<text[^>]*>uart0\.txdata write<\/text>/);
  assert.match(text("html"), /<text[^>]*>1,024<\/text>/);
});

cliTest("report: the suite records every question and repeats what it did", async (folder) => {
  const { code, stderr } = await run(folder, ["report", "--suite", "standard", "-o", "s.json"]);
  assert.equal(code, 0, stderr);
  const { chapters } = JSON.parse(Deno.readTextFileSync(join(folder, "s.json")));
  assert.deepEqual(
    chapters.map((c: { id: string }) => c.id),
    SUITES.standard.map(({ id }) => id),
  );
  for (const [i, { sides }] of SUITES.standard.entries()) {
    for (const [k, { name, words }] of sides.entries()) {
      const { path, command } = chapters[i].traces[k];
      assert.equal(path, join("traces", `${name}.trace`));
      assert.ok(existsSync(join(folder, path)));
      assert.ok(command.startsWith(`deno task record ${words[0]} ${words[1]} `), command);
    }
  }
  // The command that stands in the report makes the same trace.
  const side = SUITES.standard.at(-1)!.sides[0]!;
  const again = await run(folder, ["record", ...side.words, "-o", "again.trace"]);
  assert.equal(again.code, 0, again.stderr);
  const digest = (path: string) =>
    JSON.parse(Deno.readTextFileSync(join(folder, path, "manifest.json"))).digest;
  assert.equal(digest("again.trace"), digest(`traces/${side.name}.trace`));
});

linux().test(
  "report: the suite on stock Linux asks the standard one's questions of its disks",
  () =>
    inFolder(async (folder) => {
      const made = await run(folder, ["report", "--suite", "linux", "-o", "s.json"]);
      assert.equal(made.code, 0, made.stderr);
      const { chapters } = JSON.parse(Deno.readTextFileSync(join(folder, "s.json")));
      const ids = chapters.map((c: { id: string }) => c.id);
      assert.deepEqual(ids, ["linux-block", "linux-scsi"]);
      for (const { traces, figures } of chapters) {
        for (const { path, command } of traces) {
          assert.ok(existsSync(join(folder, path)), path);
          assert.ok(command.startsWith("deno task record --guest linux --drive "), command);
        }
        // The full device's processor works inside, the paravirtual one reads descriptors.
        const { rows } = figures.find((f: { id: string }) => f.id === "internals");
        const parts = (lsi: boolean) =>
          new Set(
            rows.filter((row: { device: string }) => row.device.startsWith("lsi") === lsi)
              .map((row: { part: string }) => row.part),
          );
        assert.ok(parts(true).has("instructions") && !parts(true).has("descriptors"));
        assert.ok(parts(false).has("descriptors") && !parts(false).has("instructions"));
      }
    }),
);

cliTest("report: limited to what lies between two marks, of a folder of traces", async (folder) => {
  for (const path of await recordPair(folder)) {
    Deno.mkdirSync(join(folder, "t"), { recursive: true });
    Deno.renameSync(join(folder, path), join(folder, "t", path));
  }
  const { code, stderr } = await run(folder, [
    ...["report", "t", "--between", "write-16", "--engine", "wasm", "-o", "r.json"],
  ]);
  assert.equal(code, 0, stderr);
  const { chapters: [chapter], command } = JSON.parse(
    Deno.readTextFileSync(join(folder, "r.json")),
  );
  assert.equal(command, "deno task report t --between write-16 -o r.json");
  assert.match(chapter.remark, /between the marks “write-16 begin” and “write-16 end”/);
  const { rows } = chapter.figures.find((f: { id: string }) => f.id === "registers");
  const txdata = rows.find((r: { register: string }) => r.register === "uart0.txdata write");
  assert.equal(txdata.exits, 256);
});

cliTest("report: refuses in one line, before it records or loads anything", async (folder) => {
  Deno.writeTextFileSync(join(folder, "there.html"), "mine");
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[], /Name a trace to report on.*--suite standard/],
    [["none.trace"], /none\.trace/],
    [["none.trace", "-o", "r.pdf"], /r\.pdf: no format.*\.html, \.md, \.json or \.csv/],
    [["none.trace", "-o", "no/r.html"], /no\/r\.html: its folder does not exist/],
    [["--suite", "standard", "--between", "w"], /--suite reports on whole runs/],
    [["no*.trace"], /No trace matches no\*\.trace/],
    [["none.trace", "-o", "there.html"], /there\.html exists already.*--force/],
    [["a.trace", "--suite", "standard"], /--suite records its own traces/],
    [["--suite", "most"], /standard/],
    [["a.trace", "--format", "pdf"], /html/],
  ];
  for (const [args, says] of cases) {
    assertOneError(await run(folder, ["report", ...args]), says);
  }
  assert.equal(Deno.readTextFileSync(join(folder, "there.html")), "mine");
  assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name), ["there.html"]);
});
