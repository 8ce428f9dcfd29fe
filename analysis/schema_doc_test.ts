import { strict as assert } from "node:assert";
import { TABLE_NAMES } from "../core/trace/schema.ts";
import { openEngine } from "./engine.ts";
import { macros, views } from "./library.ts";
import { textOutput } from "./output.ts";
import { runExplainSchema } from "./query.ts";
import { describeEntry, renderSchema, schemaDoc } from "./schema_doc.ts";
import { libraryTypes } from "./view_types.ts";

const engine = await openEngine();
const TYPES = await libraryTypes(engine);
engine.close();

const PAGE = new URL("./SCHEMA.md", import.meta.url);

Deno.test("schema: SCHEMA.md is what its sources say; ACCEPT=1 writes it anew", () => {
  const made = renderSchema("markdown", Infinity, TYPES);
  if (Deno.env.get("ACCEPT") === "1") Deno.writeTextFileSync(PAGE, made);
  const fix = "SCHEMA.md is out of date: ACCEPT=1 deno task test analysis/schema_doc_test.ts";
  assert(Deno.readTextFileSync(PAGE) === made, fix);
});

Deno.test("schema: every table, view, macro and column is there, in every form", () => {
  const doc = schemaDoc(TYPES);
  assert.deepEqual(doc.tables.map((t) => t.name), TABLE_NAMES);
  assert.deepEqual(doc.views.map((v) => v.name).sort(), views().map((v) => v.name).sort());
  assert.deepEqual(doc.macros.map((m) => m.name), macros().map((m) => m.name));
  const texts = (["table", "markdown", "json"] as const).map((f) => renderSchema(f, 80, TYPES));
  for (const { name, columns } of [...doc.tables, ...doc.views]) {
    for (const word of [name, ...columns.map((column) => column.name)]) {
      for (const text of texts) assert(text.includes(word), word);
    }
  }
  assert(texts[0]!.split("\n").every((line) => line.length <= 80));
  assert.deepEqual(JSON.parse(texts[2]!), JSON.parse(JSON.stringify(doc)));
});

Deno.test("schema: every column has a type; a table's is the one it is declared with", () => {
  const doc = schemaDoc(TYPES);
  for (const { name, columns } of [...doc.tables, ...doc.views]) {
    for (const column of columns) {
      assert.equal(column.type, TYPES.get(`${name}.${column.name}`), `${name}.${column.name}`);
      assert(column.type !== undefined, `${name}.${column.name}`);
    }
  }
});

Deno.test("schema: one entry by its name; a form that is none of it is refused", async () => {
  assert.match(describeEntry("exit", 80)!, /^exit\n {2}One row per VM exit\.\n/);
  assert.match(describeEntry("region", 80)!, /Grain: one row per closed region/);
  assert.match(describeEntry("request_life", 80)!, /^request_life\(id\)\n/);
  assert.equal(describeEntry("nothing", 80), null);
  assert.match(describeEntry("region", 80, TYPES)!, /^ {2}label .*\[text\]$/m);
  await assert.rejects(runExplainSchema("csv", textOutput()), /not printed as csv/);
});

Deno.test("schema: no column takes 128 bits: sums and differences are cast to what they can be", () => {
  assert.deepEqual([...TYPES].filter(([, type]) => type === "i128"), []);
});
