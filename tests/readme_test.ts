/**
 * The READMEs hold: every command is understood, what is shown is what is printed, tables are the
 * schema's, links lead somewhere, and the translation shows the same.
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@optique/core/parser";
import { TABLES } from "../core/trace/schema.ts";
import { parser } from "../replay/cli/command_line.ts";
import { inFolder, run } from "./cli.ts";
import {
  blocksOf,
  type Command,
  type Example,
  examplesOf,
  firstMissing,
  shownAgain,
} from "./readme/blocks.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (name: string) => Deno.readTextFileSync(join(ROOT, name));
const ENGLISH = "README.md";
const FILES = [ENGLISH, "README.zh.md"];
const ACCEPT = "ACCEPT=1 deno test -A tests/readme_test.ts";

const TASKS: Record<string, string> = JSON.parse(read("deno.json")).tasks;

/** The task that a command starts and the arguments that main.ts gets; null when not main.ts. */
function taskOf({ words }: Command): { task: string; args: string[] | null } {
  const shown = words.join(" ");
  const from = words[0] === "npx" ? words.slice(2) : words;
  const deno = words[0] === "npx" ? "deno@2.9.6" : "deno";
  assert.ok(from[0] === deno && from[1] === "task", `not a task: ${shown}`);
  const command = TASKS[from[2]];
  assert.ok(command, `no such task: ${shown}`);
  const before = /\bmain\.ts ?(.*)$/.exec(command);
  return { task: from[2], args: before ? [...before[1].split(" "), ...from.slice(3)] : null };
}

/** What commands print, standard output of all first, and both streams in turn. */
async function printed(folder: string, { commands }: Example): Promise<string[]> {
  let out = "";
  let both = "";
  for (const command of commands) {
    const { args } = taskOf(command);
    assert.ok(args, `its output is shown, but it is no command: ${command.words.join(" ")}`);
    const { stdout, stderr, code } = await run(folder, args);
    assert.equal(code, 0, `${command.words.join(" ")}\n${stderr}`);
    const kept = command.into === null ? stdout : "";
    out += kept;
    both += kept + stderr;
  }
  return [out, both];
}

/** `markdown` with each block's text replaced by the one of the same position in `texts`. */
function withBlocks(markdown: string, texts: readonly string[]): string {
  const lines = markdown.split("\n");
  for (const [i, { at, lines: count }] of [...blocksOf(markdown).entries()].toReversed()) {
    lines.splice(at, count, ...texts[i].split("\n"));
  }
  return lines.join("\n");
}

/** Writes what `outputs` printed into every README, in place of what was shown. */
function accept(outputs: ReadonlyMap<number, string>): void {
  const texts = blocksOf(read(ENGLISH)).map(({ at, text }) => {
    const output = outputs.get(at);
    return output === undefined ? text : shownAgain(text, output);
  });
  for (const file of FILES) {
    Deno.writeTextFileSync(join(ROOT, file), withBlocks(read(file), texts));
  }
}

for (const file of FILES) {
  Deno.test(`${file}: every command is understood`, () => {
    for (const { commands } of examplesOf(read(file))) {
      for (const command of commands) {
        const { args } = taskOf(command);
        if (args === null) continue;
        const result = parse(parser, args);
        assert.ok(result.success, `${command.words.join(" ")}: not understood`);
      }
    }
  });

  Deno.test(`${file}: every link leads to a file`, () => {
    const text = read(file);
    const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)|src="([^"]+)"/g)].map((m) => m[1] ?? m[2]);
    assert.ok(links.length > 5);
    for (const link of links.filter((l) => !l.startsWith("https://"))) {
      assert.ok(Deno.statSync(join(ROOT, link)), link);
    }
  });

  Deno.test(`${file}: the tables are the schema's`, () => {
    const rows = [...read(file).matchAll(/^\| `(\w+)` +\| (.+?) +\|$/gm)]
      .filter(([, name]) => name in TABLES);
    assert.deepEqual(rows.map(([, name]) => name), Object.keys(TABLES));
    if (file !== ENGLISH) return;
    for (const [, name, sentence] of rows) {
      assert.equal(sentence, TABLES[name as keyof typeof TABLES].doc, name);
    }
  });
}

Deno.test("README.md: what it shows is what the commands print", () =>
  inFolder(async (folder) => {
    Deno.symlinkSync(join(ROOT, "fixtures"), join(folder, "fixtures"));
    const outputs = new Map<number, string>();
    const wrong: string[] = [];
    for (const example of examplesOf(read(ENGLISH)).filter((e) => e.shown)) {
      const printings = await printed(folder, example);
      const missing = printings.map((p) => firstMissing(example.shown!.text, p));
      if (missing.includes(null)) continue;
      wrong.push(`line ${example.shown!.at + 1}: ${missing[0]}`);
      const all = printings[0] === "" || example.shown!.text.includes("exitscope: the guest ");
      outputs.set(example.shown!.at, printings[all ? 1 : 0]);
    }
    if (Deno.env.get("ACCEPT") === "1") accept(outputs);
    else assert.deepEqual(wrong, [], `shown, but not printed; to accept: ${ACCEPT}`);
  }));

Deno.test("README.zh.md: it shows the same commands and outputs", () => {
  const [english, chinese] = FILES.map((f) => blocksOf(read(f)).map((b) => b.text));
  assert.deepEqual(chinese, english);
});

Deno.test("overview.svg: its figures are those that README.md shows", () => {
  const table = blocksOf(read(ENGLISH)).find((b) => /^run .*per_write$/m.test(b.text))!.text;
  const total = (pattern: RegExp) =>
    Math.round(
      table.split("\n").filter((line) => pattern.test(line))
        .reduce((sum, line) => sum + Number(/[\d.]+$/.exec(line)![0]), 0),
    ).toLocaleString("en-US");
  const svg = read("overview.svg");
  for (
    const [uart, virtio] of [
      [/uart0 +txdata/, /virtio.*QueueNotify/],
      [/sifive.*plic/, /virtio.*plic/],
      [/uart0 +i[pe] /, /Interrupt(ACK|Status)/],
      [/sifive.*(wfi|external)/, /virtio +(wfi|external)/],
      [/^serial-sifive.*[\d.]+$/, /^serial-virtio.*[\d.]+$/],
    ]
  ) {
    const row = new RegExp(
      `>\\s*${total(uart)}\\s*</text>\\s*<text[^>]*>\\s*${total(virtio)}\\s*</text>`,
    );
    assert.match(svg, row);
  }
});
