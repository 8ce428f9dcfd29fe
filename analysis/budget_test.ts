import { strict as assert } from "node:assert";
import { runBudget } from "./budget.ts";
import { parseBudget } from "./budget_file.ts";
import { openEngine } from "./engine.ts";
import { METRICS, metricSql } from "./metrics.ts";
import { textOutput } from "./output.ts";
import { writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

async function judged(rules: unknown[], format: "table" | "junit" | "github" = "table") {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const regions = [{ label: "write-16", bytes: 1024, chunk: 16 }];
    for (const serial of ["sifive", "virtio"] as const) {
      writeSynthetic(`${folder}/${serial}.trace`, { serial, regions });
    }
    Deno.writeTextFileSync(`${folder}/budget.json`, JSON.stringify({ rules }));
    const output = textOutput(120);
    const traces = [`${folder}/sifive.trace`, `${folder}/virtio.trace`];
    const file = `${folder}/budget.json`;
    const code = await runBudget({ traces, file, format, engine }, output);
    return { code, text: output.text.replaceAll(folder, "F"), notes: output.notes };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const KICKS = { name: "kicks", metric: "kicks_per_request", runs: "virtio", max: 1 };

Deno.test("budget: rules that hold give 0, a broken one gives 1 and is named with both figures", async () => {
  const fine = await judged([
    KICKS,
    { name: "txdata per byte", sql: SQL_PER_BYTE, runs: "sifive", min: 1, max: 1 },
    { name: "all exits", sql: "SELECT count(*) AS value FROM exit", min: 1 },
  ]);
  assert.equal(fine.code, 0, fine.text);
  assert.equal(fine.text.match(/holds/g)?.length, 3);
  assert.deepEqual(fine.notes, []);
  const broken = await judged([KICKS, { ...KICKS, name: "fewer", max: 0.5 }]);
  assert.equal(broken.code, 1);
  assert.match(broken.text, /fewer +virtio +1 kicks\/request +at most 0\.5 kicks\/request +BROKEN/);
  assert.deepEqual(broken.notes, [
    "budget: fewer in virtio: found 1 kicks/request, allowed at most 0.5 kicks/request",
  ]);
});

const SQL_PER_BYTE =
  "SELECT run, sum(exits) / any_value(bytes) AS value FROM exits_at_work JOIN work USING (run) " +
  "WHERE register = 'txdata' GROUP BY run";

Deno.test("budget: what a trace does not tell is no value, which breaks a rule", async () => {
  const { code, notes } = await judged([
    { ...KICKS, runs: "sifive" },
    { ...KICKS, name: "no such run", runs: "other*" },
    { name: "too few", metric: "exits", where: { register: "txdata" }, runs: "sifive", min: 2000 },
  ]);
  assert.equal(code, 1);
  assert.deepEqual(notes, [
    "budget: kicks in sifive: found no value, allowed at most 1 kicks/request",
    "budget: no such run in other*: found no such trace, allowed at most 1 kicks/request",
    "budget: too few in sifive: found 1,024 exits, allowed at least 2,000 exits",
  ]);
});

Deno.test("budget: JUnit and GitHub's annotations say the same, escaped", async () => {
  const rules = [KICKS, { ...KICKS, name: 'a "<b>", 100%: c', max: 0.5 }];
  const junit = await judged(rules, "junit");
  assert.equal(junit.code, 1);
  assert.match(junit.text, /<testsuite name="F\/budget\.json" tests="2" failures="1">/);
  assert.match(junit.text, /<testcase classname="virtio" name="kicks"\/>/);
  assert.match(
    junit.text,
    /name="a &quot;&lt;b&gt;&quot;, 100%: c">\n {4}<failure message="a &quot;/,
  );
  const github = await judged(rules, "github");
  assert.equal(
    github.text,
    '::error file=F/budget.json,title=a "<b>"%2C 100%25%3A c::a "<b>", 100%25: c in virtio: ' +
      "found 1 kicks/request, allowed at most 0.5 kicks/request\n",
  );
  assert.match((await judged([KICKS], "github")).text, /^::notice file=.*::1 rules/);
});

Deno.test("budget: a file that is none is refused, and the rule at fault is named", () => {
  const refuses = (rules: unknown, message: RegExp) =>
    assert.throws(() => parseBudget(JSON.stringify({ rules }), "b.json"), message);
  assert.throws(() => parseBudget("{", "b.json"), /b\.json is no JSON/);
  refuses([], /no list "rules"/);
  refuses([7], /rule 1: is no object/);
  refuses([{ ...KICKS, most: 1 }], /unknown "most"/);
  refuses([{ metric: "exits", max: 1 }], /has no name/);
  refuses([{ name: "a", metric: "exits" }], /"a" has neither max nor min/);
  refuses([{ name: "a", max: 1 }], /one of metric and sql/);
  refuses([{ name: "a", metric: "exit", max: 1 }], /no metric "exit"/);
  refuses([{ ...KICKS, where: { kind: "x" } }], /has no "kind"/);
  refuses([{ ...KICKS, where: { device: [] } }], /neither text nor number/);
  refuses([{ ...KICKS, max: "1" }], /max is no number/);
  refuses([{ ...KICKS, sql: "SELECT 1" }], /one of metric and sql/);
  refuses([KICKS, KICKS], /two rules "kicks"/);
});

Deno.test("budget: SQL at fault names its rule; an answer without value too", async () => {
  const sql = (text: string) => judged([{ name: "mine", sql: text, max: 1 }]);
  await assert.rejects(sql("SELEC 1"), /rule "mine" cannot be asked: Parser Error/);
  await assert.rejects(sql("SELECT 1 AS found"), /rule "mine" answers found, and no value/);
});

Deno.test("metrics: each can be asked by each of its keys", async () => {
  await judged([KICKS]);
  const asked = await engine;
  for (const [name, { keys, doc, unit }] of Object.entries(METRICS)) {
    assert.match(doc, /^[A-Z].*\.$/);
    assert(unit !== "");
    const { columns } = await asked.query(metricSql(name));
    assert.deepEqual(columns.map((column) => column.name), ["run", "value"]);
    for (const key of keys) await asked.query(metricSql(name, { [key]: null }));
  }
  const { rows } = await asked.query(
    metricSql("exits_per_kib", { device: "uart0", register: "txdata" }),
  );
  assert.deepEqual(rows.map(([run, value]) => [run, Number(value)]), [["sifive", 1024]]);
});
