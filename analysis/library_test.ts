import { strict as assert } from "node:assert";
import { answer, type Case, loadCase, parseCases } from "./cases.ts";
import { openEngine } from "./engine.ts";
import { laws, type LibraryEntry, macros, parseEntry, views } from "./library.ts";
import { createEntry } from "./load.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

function casesOf(folder: string, entry: LibraryEntry): Case[] {
  const file = new URL(`./${folder}/${entry.name}_test.txt`, import.meta.url);
  const text = Deno.readTextFileSync(file);
  const first = `${folder === "laws" ? "law" : "view"} ${entry.name}`;
  assert.equal(text.split("\n", 1)[0], first, `${file}: first line`);
  return parseCases(text);
}

async function checkCase(entry: LibraryEntry, example: Case): Promise<void> {
  const actual = await answer(await engine, entry.name, example);
  const expected = { columns: example.columns, rows: example.rows };
  assert.deepEqual(actual, expected, `${entry.name}: ${example.title}`);
}

Deno.test("views: rows in give the rows out that stand beside each view", async () => {
  for (const view of views()) {
    const cases = casesOf("views", view);
    assert(cases.length > 0, `${view.name}_test.txt has no case`);
    for (const example of cases) {
      await loadCase(await engine, example, [view.name]);
      await checkCase(view, example);
    }
  }
});

Deno.test("laws: each holds on a sound trace and fails on a broken one", async () => {
  for (const law of laws()) {
    const cases = casesOf("laws", law);
    assert(cases.some(({ rows }) => rows.length === 0), `${law.name}: no sound case`);
    assert(cases.some(({ rows }) => rows.length > 0), `${law.name}: no broken case`);
    for (const example of cases) {
      await loadCase(await engine, example, law.reads);
      await createEntry(await engine, law);
      await checkCase(law, example);
    }
  }
});

Deno.test("views: each has as many columns as its header documents, and its example runs", async () => {
  await loadCase(await engine, parseCases("case empty\nquery SELECT 1\nrows")[0]!, []);
  for (const view of views()) {
    const { columns } = await (await engine).query(`FROM ${view.name} LIMIT 0`);
    assert.deepEqual(columns.map((c) => c.name), view.columns.map((c) => c.name));
    if (view.example !== null) await (await engine).query(view.example);
  }
  for (const { example } of macros()) if (example !== null) await (await engine).query(example);
});

Deno.test("library: a column without a sentence is refused", () => {
  const header = "-- It.\n--\n-- Grain: one.\n-- Time: none.\n-- Reads: exit.\n";
  const sql = (column: string) => `${header}CREATE OR REPLACE VIEW v (\n${column}\n) AS SELECT 1`;
  assert.equal(parseEntry(sql("  a -- Good."), "v.sql").columns[0]!.doc, "Good.");
  assert.throws(() => parseEntry(sql("  a"), "v.sql"), /expected "column, -- Sentence\."/);
  assert.throws(() => parseEntry("SELECT 1", "v.sql"), /must be a comment/);
});
