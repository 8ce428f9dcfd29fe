/**
 * Asking and comparing from the command line: formats, prompts without a terminal, sweeps.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { assertOneError, cliTest, run } from "./cli.ts";

/** The bundled guest on little work: a recording in a moment. */
const SMALL = ["record", "--serial", "sifive", "--append", "bytes=64 chunk=16"];

cliTest("a sweep records every combination, and compare tells median and range", async (folder) => {
  const args = ["record", "--serial", "virtio,latency={latency}", "--append", "bytes={n} chunk=16"];
  const sweep = ["--sweep", "latency=1000,4000,n=64..65", "-o", "sweep"];
  const { code, stderr, stdout } = await run(folder, [...args, ...sweep]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /^4\/4 .*sweep\/latency=4000,n=65\.trace/m);
  assert.equal(readdirSync(join(folder, "sweep")).length, 4);
  const compared = await run(folder, ["compare", "sweep", "--by", "latency"]);
  assert.equal(compared.code, 0, compared.stderr);
  assert.match(compared.stdout, /exits at work +32 \(28–36\) /);
  assertOneError(await run(folder, [...args, ...sweep]), /exists.*--force/);
});

cliTest("statements from standard input, parameters, marks, patterns of traces", async (folder) => {
  for (const name of ["a", "b"]) await run(folder, [...SMALL, "-o", `t/${name}.trace`]);
  const input = ".format csv\nSELECT run,\n 1 AS one FROM exit\nGROUP BY run ORDER BY run;\n";
  const piped = await run(folder, ["query", "-i", "t/*.trace"], { input });
  assert.deepEqual([piped.code, piped.stdout], [0, "run,one\na,1\nb,1\n"]);
  const failed = await run(folder, ["query", "-i", "t"], { input: "FROM nothing;\nSELECT 1;\n" });
  assert.equal(failed.code, 2);
  assert.match(failed.stderr, /nothing does not exist/);
  const limited = await run(folder, [
    ...["query", "t/a.trace", "--between", "write-16", "--param", "what=txdata", "--format", "csv"],
    "SELECT count(*) AS n FROM exit WHERE register = $what",
  ]);
  assert.equal(limited.stdout, "n\n64\n");
  const schema = await run(folder, ["query", "--explain-schema", "--format", "json"]);
  assert.ok(JSON.parse(schema.stdout).views.length > 20);
});

cliTest("answers come as table, CSV, JSON and Arrow; a view's name is a query", async (folder) => {
  await run(folder, [...SMALL, "-o", "a.trace"]);
  const sql = "SELECT 1 AS one, 'x' AS letter";
  const ask = (format: string) => run(folder, ["query", "a.trace", sql, "--format", format]);
  assert.equal((await ask("csv")).stdout, "one,letter\n1,x\n");
  assert.deepEqual(JSON.parse((await ask("json")).stdout), [{ one: 1, letter: "x" }]);
  assert.match((await ask("table")).stdout, /one +letter\n.*\n +1 +x/);
  assert.equal((await ask("arrow")).code, 0);
  assert.match((await run(folder, ["query", "a.trace", "exits_by_reason"])).stdout, /stage2_fault/);
  Deno.writeTextFileSync(join(folder, "q.sql"), sql);
  const fromFile = await run(folder, ["query", "a.trace", "--file", "q.sql", "--format", "csv"]);
  assert.equal(fromFile.stdout, "one,letter\n1,x\n");
});

cliTest("a query says what its trace was recorded without", async (folder) => {
  await run(folder, [...SMALL, "--trace-tables", "exit,mark", "-o", "a.trace"]);
  const asked = await run(folder, ["query", "a.trace", "request_latency", "--format", "csv"]);
  assert.equal(asked.code, 0);
  assert.equal(asked.stdout.trimEnd().split("\n").length, 1);
  assert.equal(
    asked.stderr,
    "a was recorded without irq, request, which the query reads; " +
      "record it with --trace-tables exit,irq,request,mark, or without this option for all.\n",
  );
  const silent = await run(folder, [
    "query",
    "a.trace",
    "SELECT count(device) AS request FROM exit",
  ]);
  assert.deepEqual([silent.code, silent.stderr], [0, ""]);
  const rule = { name: "slow", metric: "latency_max_ns", max: 1 };
  Deno.writeTextFileSync(join(folder, "b.json"), JSON.stringify({ rules: [rule] }));
  const held = await run(folder, ["budget", "a.trace", "--file", "b.json"]);
  assert.equal(held.code, 1);
  assert.match(
    held.stderr,
    /^a was recorded without .*request.*\nbudget: slow in a: found no value/,
  );
});

cliTest("bad SQL points at the place, without a stack", async (folder) => {
  await run(folder, [...SMALL, "-o", "a.trace"]);
  const { code, stderr } = await run(folder, ["query", "a.trace", "SELECT nothing FROM exit"]);
  assert.equal(code, 2);
  assert.match(stderr, /^exitscope: .*nothing[\s\S]*LINE 1: SELECT nothing[\s\S]*\^\n/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

cliTest("a trace without its exits has none to compare, which is not 0", async (folder) => {
  await run(folder, [...SMALL, "-o", "a.trace"]);
  await run(folder, [...SMALL, "--trace-tables", "irq,mark", "-o", "b.trace"]);
  const { code, stdout, stderr } = await run(folder, ["compare", "a.trace", "b.trace"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /exits, whole run +[\d,]+ +—\n/);
  assert.match(stdout, /uart0\.txdata write +64 .*—\n/);
  assert.match(
    stdout,
    /b was recorded without the table exit: how many exits it took is not known/,
  );
  assert.doesNotMatch(stdout, /What explains/);
});
