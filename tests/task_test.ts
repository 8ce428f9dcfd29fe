/** Developers' tasks: each says what it takes, and refuses other words in one line. @module */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "./cli.ts";

const ROOT = new URL("../", import.meta.url);
/** They hand their words on to `deno test`. */
const PASSES_ON = ["test", "ok"];

/** Tasks by name, with the files that they run. */
function tasks(): [string, string][] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  return Object.entries(tasks as Record<string, string>).flatMap(([name, command]) => {
    const file = /\bdeno run -A (?!main\.ts)(\S+)$/.exec(command)?.[1];
    return file === undefined || PASSES_ON.includes(name) ? [] : [[name, file]];
  });
}

for (const [name, file] of tasks()) {
  Deno.test(`deno task ${name}: --help says what it takes; other words are refused`, async () => {
    const script = fileURLToPath(new URL(file, ROOT));
    const help = await run(".", ["--help"], { script });
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, new RegExp(`^[^\\n]+\\nUsage: deno task ${name} `));
    const refused = await run(".", ["--nonsense"], { script });
    assert.equal(refused.code, 2);
    assert.equal(refused.stdout, "");
    assert.match(
      refused.stderr,
      new RegExp(`^${name}: [^\\n]*--nonsense[^\\n]* \\(see deno task ${name} --help\\)\\n$`),
    );
  });
}
