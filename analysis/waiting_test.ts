import { strict as assert } from "node:assert";
import { textOutput } from "./output.ts";
import { whileWaiting } from "./waiting.ts";

/** An output that keeps what it is to show, and says when it shows something. */
function display() {
  const shown: (string | null)[] = [];
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const progress = (text: string | null) => {
    shown.push(text);
    resolve();
  };
  return { shown, begun, output: { ...textOutput(), progress } };
}

Deno.test("waiting: short work says nothing, long work the seconds, and what is shown goes again", async () => {
  const short = display();
  assert.equal(await whileWaiting(short.output, "Asking", Promise.resolve(10)), 10);
  const { shown, begun, output } = display();
  await whileWaiting(output, "Asking", begun);
  assert.match(shown[0]!, /^Asking: \d+ s$/);
  assert.equal(shown.at(-1), null);
  assert.deepEqual(short.shown, [], "nothing came of it later either");
});

Deno.test("waiting: what fails is passed on, and the display is given back", async () => {
  const { shown, begun, output } = display();
  const failing = begun.then(() => Promise.reject(new Error("no")));
  await assert.rejects(whileWaiting(output, "Asking", failing), /no/);
  assert.equal(shown.at(-1), null);
});
