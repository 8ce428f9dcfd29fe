import { strict as assert } from "node:assert";
import { catalogOf, complete } from "./completion.ts";
import { COMMAND_NAMES } from "./prompt.ts";

const catalog = catalogOf(COMMAND_NAMES);
const offered = (line: string, before = "") => complete(line, before, catalog)[0];

Deno.test("completion: tables, views and macros after FROM and JOIN, and nothing else", () => {
  assert.deepEqual(offered("SELECT * FROM exits_by_reg"), ["exits_by_region", "exits_by_register"]);
  assert.deepEqual(offered("FROM request_li"), ["request_life("]);
  assert.deepEqual(offered("FROM exit JOIN symb"), ["symbol"]);
  assert.deepEqual(offered("FROM raw.exit"), ["raw.exit"]);
  assert(!offered("FROM e").includes("event"));
});

Deno.test("completion: columns of the tables that the statement names, in earlier lines too", () => {
  assert.deepEqual(offered("SELECT hw", "FROM exit"), ["hw_reason"]);
  assert.deepEqual(offered("WHERE kick_ex", "SELECT * FROM request"), ["kick_exit_seq"]);
  assert.deepEqual(offered("SELECT kick_ex", "FROM irq"), []);
  assert.deepEqual(offered("SELECT r.kick", "FROM request r"), ["r.kick_exit_seq"]);
  assert.deepEqual(offered("SELECT irq.pa", "FROM irq"), ["irq.path"]);
});

Deno.test("completion: commands only where a statement begins; keywords as the user types them", () => {
  assert.deepEqual(offered(".sch"), [".schema"]);
  assert.deepEqual(offered(".schema vring_d"), ["vring_depth"]);
  assert.deepEqual(offered("SELECT 1 grou"), ["group"]);
  assert.deepEqual(offered("SELECT 1 GROU"), ["GROUP"]);
  assert.deepEqual(offered(".sch", "SELECT 1"), []);
});
