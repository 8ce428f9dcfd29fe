import { strict as assert } from "node:assert";
import { join } from "node:path";
import { openEngine } from "./engine.ts";
import { openTraces } from "./open.ts";
import { textOutput } from "./output.ts";
import { INTERRUPT, type Lines, runPrompt } from "./prompt.ts";
import { historyFile, keepHistory, readHistory } from "./prompt_lines.ts";
import { writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

type Typed = string | typeof INTERRUPT;

/** What a session prints, and the prompts that it showed. */
async function session(typed: readonly Typed[]) {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const regions = [{ label: "a", bytes: 64, chunk: 16 }, { label: "b", bytes: 32, chunk: 16 }];
    writeSynthetic(`${folder}/s.trace`, { serial: "virtio", regions });
    const output = textOutput(100);
    const opened = await openTraces([`${folder}/s.trace`], output, { engine });
    const prompts: string[] = [];
    const rest = [...typed];
    let closed = false;
    const lines: Lines = {
      next(prompt) {
        prompts.push(prompt.trim());
        return Promise.resolve(rest.shift() ?? null);
      },
      close: () => closed = true,
    };
    const fine = await runPrompt({
      session: opened,
      output,
      lines,
      format: "csv",
      params: new Map(),
    });
    assert(closed);
    return { text: output.text, notes: output.notes, prompts, fine, left: rest };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("prompt: a statement goes up to its semicolon, several stand on one line", async () => {
  const { text, prompts, fine } = await session([
    "SELECT 1",
    "  AS one;",
    "SELECT 2 AS two; SELECT 3 AS three",
    ";",
    "SELECT 4 AS four",
  ]);
  assert.equal(text, "one\n1\ntwo\n2\nthree\n3\nfour\n4\n");
  assert.deepEqual(prompts, [
    "exitscope>",
    "...>",
    "exitscope>",
    "...>",
    "exitscope>",
    "...>",
  ]);
  assert.equal(fine, true);
});

Deno.test("prompt: an interrupt drops what is begun, an error ends nothing and is remembered", async () => {
  const { text, notes, fine } = await session([
    "SELECT nonsense",
    INTERRUPT,
    "FROM nothing;",
    ".nothing",
    "SELECT $x;",
    "SELECT 5 AS five;",
  ]);
  assert.equal(text, "five\n5\n");
  assert.equal(notes.length, 3);
  assert.match(notes[0]!, /nothing does not exist/);
  assert.match(notes[1]!, /no command \.nothing\.\n\.help/);
  assert.match(notes[2]!, /asks for \$x/);
  assert.equal(fine, false);
});

Deno.test("prompt: .param, .format, .between, .schema and .quit do what .help says", async () => {
  const all = await session([".help"]);
  for (const name of [".tables", ".schema NAME", ".between", ".param", ".format", ".quit"]) {
    assert(all.text.includes(name), all.text);
  }
  const kicks = "SELECT count(*) AS kicks FROM vring WHERE event = $what;";
  const { text, left, notes } = await session([
    ".param what=kick",
    kicks,
    ".between b",
    kicks,
    "SELECT label FROM region;",
    ".between off",
    kicks,
    ".format json",
    "SELECT 1 AS one;",
    ".format csv",
    ".schema region",
    ".quit",
    "SELECT 'never'",
  ]);
  assert.deepEqual(notes, []);
  assert(
    text.startsWith('kicks\n6\nkicks\n2\nlabel\nb\nkicks\n6\n[\n  {"one":1}\n]\nregion\n'),
    text,
  );
  assert.match(text, /begin_seq +seq of the begin mark\./);
  assert.deepEqual(left, ["SELECT 'never'"]);
});

Deno.test("prompt: the history is kept between sessions, newest first, and is nobody else's", () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    const home: Record<string, string> = { HOME: folder };
    const file = historyFile((name) => home[name]);
    assert.equal(file, join(folder, ".local", "state", "exitscope", "query_history"));
    assert.equal(
      historyFile((name) => name === "XDG_STATE_HOME" ? "/s" : undefined),
      "/s/exitscope/query_history",
    );
    assert.equal(historyFile(() => undefined), null);
    assert.deepEqual(readHistory(file), []);
    keepHistory(file, Array.from({ length: 600 }, (_, i) => `SELECT ${i}`));
    const kept = readHistory(file);
    assert.equal(kept.length, 500);
    assert.deepEqual([kept[0], kept[499]], ["SELECT 0", "SELECT 499"]);
    assert.equal(Deno.statSync(file!).mode! & 0o777, 0o600);
    keepHistory(join(folder, ".local", "state", "exitscope", "query_history", "x"), ["y"]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
