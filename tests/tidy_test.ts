/**
 * What the house style asks and a machine can check. Every refusal names its fix.
 * @module
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { type Column, TABLES } from "../core/trace/schema.ts";
import { isTest, ROOT, type SourceFile, sourceFiles } from "./tidy/files.ts";
import * as rules from "./tidy/rules.ts";
import { analyse, type Syntax } from "./tidy/syntax.ts";
import exceptions from "./tidy/exceptions.json" with { type: "json" };

const FILES = sourceFiles();

let parsed: Map<string, Syntax> | null = null;
const syntax = () =>
  parsed ??= new Map(rules.typescript(FILES).map((f) => [f.path, analyse(f.path, f.text)]));

const refuseNothing = (refused: string[]) =>
  assert.equal(refused.length, 0, `${refused.length} refused:\n${refused.join("\n")}`);

Deno.test("tidy: functions keep to their length", () => {
  const fix = "give its parts names of their own";
  const lengths = rules.functionLengths(syntax());
  refuseNothing(rules.ratchet(lengths, rules.MAX_FUNCTION_LINES, exceptions.functions, fix));
});

Deno.test("tidy: files keep to their length", () => {
  const fix = "split it by what it is about";
  const lengths = rules.fileLengths(FILES);
  refuseNothing(rules.ratchet(lengths, rules.MAX_FILE_LINES, exceptions.files, fix));
});

Deno.test("tidy: core holds nothing that breaks determinism", () => {
  refuseNothing(rules.determinism(syntax()));
});

Deno.test("tidy: core, replay and analysis import only what they may", () => {
  refuseNothing(rules.borders(syntax()));
});

Deno.test("tidy: no text that means something on one machine only, no notes to oneself", () => {
  refuseNothing(rules.strayText(FILES));
});

Deno.test("tidy: tests leave the process alone that they share", () => {
  refuseNothing(rules.sharedProcess(FILES));
});

Deno.test("tidy: every folder has its README", () => refuseNothing(rules.readmes(FILES)));

Deno.test("tidy: every view is documented and tested", () => refuseNothing(rules.views(FILES)));

Deno.test("tidy: every column of the schema has its sentence", () => {
  const refused: string[] = [];
  for (const [table, { columns }] of Object.entries(TABLES)) {
    for (const [name, { doc }] of Object.entries(columns as Record<string, Column>)) {
      if (!/^\S+ .*\.$/.test(doc)) refused.push(`${table}.${name}: "${doc}" is no sentence`);
    }
  }
  refuseNothing(refused);
});

/** True for what `device(…)` returns. */
const isDeviceType = (value: unknown): value is { name: string } => {
  const type = value as { name?: unknown; create?: unknown; size?: unknown; regs?: unknown } | null;
  return typeof type === "object" && type !== null && typeof type.name === "string" &&
    typeof type.create === "function" && typeof type.size === "number";
};

Deno.test("tidy: every device of core stands in DEVICES", async () => {
  const { DEVICES } = await import("../core/mmio/devices.ts");
  const listed = new Set<unknown>(Object.values(DEVICES));
  const refused: string[] = [];
  for (const { path } of rules.typescript(FILES)) {
    if (!/^core\/(mmio|virtio)\//.test(path) || isTest(path)) continue;
    const exports = await import(pathToFileURL(join(ROOT, path)).href);
    for (const [name, value] of Object.entries(exports)) {
      if (!isDeviceType(value) || listed.has(value)) continue;
      refused.push(
        `${path}: ${name} is a device and not in DEVICES; add it in core/mmio/devices.ts`,
      );
    }
  }
  refuseNothing(refused);
});

const file = (path: string, text: string): SourceFile => ({
  path,
  text,
  lines: text.split("\n").length,
});

Deno.test("tidy rules: a ratchet lets an exception shrink and never grow", () => {
  const measured = new Map([["a", 80], ["b", 90], ["c", 75], ["d", 60], ["e", 70]]);
  const refused = rules.ratchet(measured, 70, { b: 90, c: 78, d: 72 }, "split");
  assert.deepEqual(refused.map((r) => r.split(":")[0]), ["a", "c", "d"]);
});

Deno.test("tidy rules: a function's length is its own, without the functions in it", () => {
  const inner = `  const inner = () => {\n${"    x();\n".repeat(80)}  };\n`;
  const text = `function outer() {\n${inner}${"  y();\n".repeat(5)}}\n`;
  const lengths = rules.functionLengths(new Map([["a.ts", analyse("a.ts", text)]]));
  assert.deepEqual([...lengths], [["a.ts:inner", 82], ["a.ts:outer", 8]]);
});

Deno.test("tidy rules: time, chance and tasks are found, also behind white space", () => {
  const text =
    "const a = Date\n  .now();\nasync function f() {}\nsetTimeout(f);\nnew Promise(f);\n" +
    "let p: Promise<1>;\nx.fetch({ fetch: 1 });\nconst b = Math.random;\n";
  const refused = rules.determinism(new Map([["core/a.ts", analyse("core/a.ts", text)]]));
  assert.deepEqual(refused.map((r) => r.split(" ")[1]), [
    "Date.now",
    "async",
    "setTimeout",
    "Promise",
    "Math.random",
  ]);
});

Deno.test("tidy rules: borders between folders hold for imports and re-exports", () => {
  const at = (path: string, text: string) => rules.borders(new Map([[path, analyse(path, text)]]));
  assert.equal(at("core/x/a.ts", 'import "../../replay/b.ts";').length, 1);
  assert.equal(at("core/x/a.ts", 'export * from "../../analysis/b.ts";').length, 1);
  assert.equal(at("analysis/a.ts", 'import { x } from "../core/mmio/b.ts";').length, 1);
  assert.equal(at("analysis/a.ts", 'import { x } from "../core/trace/b.ts";').length, 0);
});

Deno.test("tidy rules: stray text is found, ordinary text is not", () => {
  const found = (text: string) => rules.strayText([file("a.ts", text)]).length;
  const slash = "/";
  assert.equal(found(`see ${slash}home${slash}ann${slash}x`), 1);
  assert.equal(found("// TO" + "DO later"), 1);
  assert.equal(found(`see docs/home/page and https://a.example${slash}work${slash}x`), 0);
});

Deno.test("tidy rules: a test that changes the environment or the current folder is found", () => {
  const text = `Deno.${"env"}.set("A", "1");\n`;
  assert.equal(rules.sharedProcess([file("a_test.ts", text), file("a.ts", text)]).length, 1);
  assert.deepEqual(rules.sharedProcess([file("a_test.ts", 'Deno.env.get("A");\n')]), []);
});

Deno.test("tidy rules: a view without sentence, grain or test is refused", () => {
  const view = (name: string, column: string) =>
    "-- Grain: one row.\n-- Time:  none.\n-- Reads: exit.\n" +
    `CREATE OR REPLACE VIEW ${name} (\n  ${column}\n) AS SELECT 1;\n`;
  const tests = file("analysis/views_test.ts", "good bare");
  const of = (sql: string) => rules.views([file("analysis/views/v.sql", sql), tests]).length;
  assert.equal(of(view("good", "a  -- A number.")), 0);
  assert.equal(of(view("bare", "a")), 1);
  assert.equal(of(view("untested", "a  -- A number.")), 1);
  assert.equal(of(view("good", "a  -- A number.").replace("-- Grain: one row.\n", "")), 1);
});

Deno.test("tidy rules: a folder without README is refused", () => {
  const refused = rules.readmes([file("core/cpu/a.ts", ""), file("core/README.md", "")]);
  assert.deepEqual(refused.map((r) => r.split(":")[0]), ["core/cpu/"]);
});
