import { strict as assert } from "node:assert";
import { openEngine } from "./engine.ts";
import { textOutput } from "./output.ts";
import { runSummary } from "./summary.ts";
import { type SyntheticRegion, writeSynthetic } from "./synthetic.ts";

const engine = openEngine();
Deno.test.afterAll(async () => (await engine).close());

async function summaryOf(regions: readonly SyntheticRegion[], width = 100): Promise<string> {
  const directory = Deno.makeTempDirSync({ prefix: "exitscope-" });
  try {
    writeSynthetic(`${directory}/a.trace`, { serial: "virtio", regions });
    const output = textOutput(width);
    await runSummary({ trace: `${directory}/a.trace`, engine }, output);
    return output.text;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("summary: regions side by side, by reason and by register, dearest first", async () => {
  const text = await summaryOf([
    { label: "small", bytes: 1024, chunk: 16 },
    { label: "large", bytes: 4096, chunk: 4096 },
  ], 80);
  assert.match(text, /^\nBetween the marks\n +small +large\n/);
  assert.match(text, /^ {2}payload +1 KiB +4 KiB$/m);
  assert.match(text, /^ {2}requests +64 +1$/m);
  assert.match(text, /^ {2}virtio-console0\.QueueNotify write +64 +1$/m);
  assert.match(text, /^ {2}mmio +\d+ +\d+$/m);
  const exits = (row: string) => Number(new RegExp(`^  ${row} +(\\d+)`, "m").exec(text)![1]);
  assert.equal(exits("exits"), exits("mmio") + exits("external_interrupt"));
  assert(!text.includes("marker"), text);
  assert(text.split("\n").every((line) => line.length <= 80), text);
});

Deno.test("summary: a run without regions has none", async () => {
  assert.equal(await summaryOf([]), "");
});
