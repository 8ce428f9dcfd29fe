import assert from "node:assert/strict";
import { TestMachine } from "../mmio/test_machine.ts";
import { virtioRng } from "./rng.ts";
import { ReferenceDriver, REG } from "./test_driver.ts";
import { mmio } from "./test_faces.ts";

function source(props: Record<string, number | boolean> = {}) {
  const m = new TestMachine(virtioRng, { props, ramBytes: 1 << 20 });
  const legacy = props.legacy === true;
  return { m, d: new ReferenceDriver(m, mmio(legacy)).init(1) };
}

/** Bytes that a request with buffers of these lengths gets. */
function draw({ m, d }: ReturnType<typeof source>, ...lengths: number[]): Uint8Array {
  const total = lengths.reduce((a, b) => a + b, 0);
  const gpa = d.ram.alloc(total, 1);
  let at = gpa;
  d.queues[0].add(lengths.map((length) => ({ gpa: (at += length) - length, length, write: true })));
  d.queues[0].kick();
  m.advance(10_000);
  assert.deepEqual(d.queues[0].reap().map((u) => u.written), [total]);
  return d.ram.read(gpa, total);
}

for (const legacy of [false, true]) {
  const kind = legacy ? "legacy" : "modern";
  Deno.test(`virtio-rng ${kind}: the same seed gives the same bytes, however they are asked for`, () => {
    const whole = draw(source({ legacy, seed: 7 }), 64);
    const one = source({ legacy, seed: 7 });
    const parts = [draw(one, 1), draw(one, 30, 0, 3), draw(one, 30)];
    assert.deepEqual(Uint8Array.from(parts.flatMap((p) => [...p])), whole);
    assert.notDeepEqual(draw(source({ legacy, seed: 8 }), 64), whole);
  });
}

Deno.test("virtio-rng: a driver's reset does not bring the same bytes again", () => {
  const s = source();
  const before = draw(s, 16);
  s.m.write(REG.Status, 0);
  s.d.init(1);
  assert.notDeepEqual(draw(s, 16), before);
  s.m.reset();
  s.d.init(1);
  assert.deepEqual(draw(s, 16), before);
});

Deno.test("virtio-rng: device-readable buffers carry nothing", () => {
  const { m, d } = source();
  const gpa = d.ram.alloc(8);
  d.queues[0].add([{ gpa, length: 8, write: false }]);
  d.queues[0].kick();
  m.advance(10_000);
  assert.deepEqual(d.queues[0].reap().map((u) => u.written), [0]);
});

Deno.test("virtio-rng: more than a request may carry is a fault", () => {
  const m = new TestMachine(virtioRng, { ramBytes: 4 << 20 });
  const d = new ReferenceDriver(m, mmio(false)).init(1);
  d.queues[0].add([{ gpa: d.ram.alloc((1 << 20) + 1), length: (1 << 20) + 1, write: true }]);
  d.queues[0].kick();
  assert.equal(m.read(REG.Status) & 64, 64);
});
