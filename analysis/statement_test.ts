import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { isBlank, oneStatement, setParam, split, withParams } from "./statement.ts";

const params = new Map([["id", "7"], ["name", "uart0"]]);

Deno.test("statement: semicolons in text, names and comments end nothing", () => {
  assert.deepEqual(split("a; b"), ["a", " b"]);
  assert.deepEqual(split("SELECT ';', \"a;b\" -- c; d\n; e").map((s) => s.trim()), [
    "SELECT ';', \"a;b\" -- c; d",
    "e",
  ]);
  assert.deepEqual(split("SELECT $$;$$, $q$;$;$q$ /* ; */"), ["SELECT $$;$$, $q$;$;$q$ /* ; */"]);
  assert.equal(isBlank(" -- nothing\n /* at all */ "), true);
  assert.equal(isBlank("SELECT 1"), false);
  assert.equal(oneStatement(" exit; "), 'FROM "exit"');
  assert.throws(() => oneStatement("SELECT 1; SELECT 2"), /several statements/);
});

Deno.test("statement: $name is the parameter, but not inside text; one not given is refused", () => {
  assert.equal(
    withParams("SELECT $id, '$id', \"$id\" -- $id", params),
    "SELECT getvariable('id'), '$id', \"$id\" -- $id",
  );
  assert.throws(() => withParams("SELECT $nope", params), /asks for \$nope/);
  assert.equal(withParams("SELECT $$ $nope $$", params), "SELECT $$ $nope $$");
});

Deno.test("statement: parameters are numbers, truth values, null or text, whatever they hold", async () => {
  const engine = await openEngine();
  try {
    const values: [string, unknown][] = [
      ["7", 7],
      ["-1.5", -1.5],
      ["1e3", 1000],
      ["0xffffffffffffffff", 2n ** 64n - 1n],
      ["true", true],
      ["null", null],
      ["uart0", "uart0"],
      ["it's; DROP TABLE x --", "it's; DROP TABLE x --"],
      ["", ""],
      ["1 OR 1", "1 OR 1"],
    ];
    for (const [text, expected] of values) {
      await engine.query(setParam("x", text));
      const { rows } = await engine.query(withParams("SELECT $x", new Map([["x", text]])));
      const [[value]] = rows as unknown[][];
      assert.equal(typeof expected === "number" ? Number(value) : value, expected, text);
    }
  } finally {
    engine.close();
  }
});
