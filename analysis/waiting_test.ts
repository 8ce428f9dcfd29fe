import { strict as assert } from "node:assert";
import { textOutput } from "./output.ts";
import { whileWaiting } from "./waiting.ts";

const shown: (string | null)[] = [];
const output = { ...textOutput(), progress: (text: string | null) => void shown.push(text) };
const ended = (ms: number) => new Promise<number>((done) => setTimeout(() => done(ms), ms));

Deno.test("waiting: short work says nothing, long work the seconds, and what is shown goes again", async () => {
  assert.equal(await whileWaiting(output, "Asking", ended(10)), 10);
  assert.deepEqual(shown, []);
  await whileWaiting(output, "Asking", ended(1300));
  assert.match(shown[0]!, /^Asking: \d+ s$/);
  assert.equal(shown.at(-1), null);
});

Deno.test("waiting: what fails is passed on, and the display is given back", async () => {
  const failing = ended(1300).then(() => Promise.reject(new Error("no")));
  await assert.rejects(whileWaiting(output, "Asking", failing), /no/);
  assert.equal(shown.at(-1), null);
});
