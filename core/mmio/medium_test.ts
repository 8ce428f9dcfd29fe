import assert from "node:assert/strict";
import {
  blankMedium,
  GRANULE_BYTES,
  makeDrive,
  type Medium,
  memoryMedium,
  overlayMedium,
  seededMedium,
} from "./medium.ts";
import { noise } from "./noise.ts";
import { forSeeds, type Random } from "./test_random.ts";

const FILE = "core/mmio/medium_test.ts";
/** Some granules, the last of them cut short. */
const BYTES = 5 * GRANULE_BYTES + 512;

function contents(medium: Medium): Uint8Array {
  const bytes = new Uint8Array(medium.sizeBytes);
  medium.read(0, bytes);
  return bytes;
}

function randomBytes(r: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  noise(r.u32(), 0, bytes);
  return bytes;
}

/** The same change of every medium of `media`. */
function change(r: Random, media: readonly Medium[]): void {
  const at = r.below(BYTES);
  const length = Math.min(BYTES - at, r.pick([1, 512, 4096, GRANULE_BYTES, 3 * GRANULE_BYTES]));
  const from = r.chance(0.3) ? at - at % GRANULE_BYTES : at;
  const data = randomBytes(r, length);
  const what = r.below(3);
  for (const medium of media) {
    if (what === 0) medium.zero(from, length);
    else if (what === 1) medium.discard(from, length);
    else medium.write(from, data);
  }
}

const MODEL = "an overlay is as plain memory, and its base is as it was";
Deno.test(MODEL, () => {
  forSeeds(40, FILE, MODEL, (r, step) => {
    const start = randomBytes(r, BYTES);
    const base = memoryMedium(start.slice(), true);
    const overlay = overlayMedium(base);
    const model = memoryMedium(start.slice());
    for (let i = 0; i < 60; i++) {
      step(i);
      change(r, [overlay, model]);
      const at = r.below(BYTES), length = r.below(BYTES - at);
      const [got, expected] = [new Uint8Array(length), new Uint8Array(length)];
      overlay.read(at, got);
      model.read(at, expected);
      assert.deepEqual(got, expected);
    }
    assert.deepEqual(contents(base), start);
  });
});

const SAVED = "an overlay saved and loaded over the same base is the same, and goes on alike";
Deno.test(SAVED, () => {
  forSeeds(20, FILE, SAVED, (r) => {
    const one = overlayMedium(seededMedium(BYTES, r.seed));
    for (let i = 0; i < 10; i++) change(r, [one]);
    const two = overlayMedium(seededMedium(BYTES, r.seed));
    change(r, [two]); // What it held is gone after loading.
    two.load(one.save());
    assert.deepEqual(contents(two), contents(one));
    for (let i = 0; i < 10; i++) change(r, [one, two]);
    assert.deepEqual(two.save(), one.save());
  });
});

const THROUGH = "a base that may be written gets every write, and keeps what is only discarded";
Deno.test(THROUGH, () => {
  forSeeds(20, FILE, THROUGH, (r) => {
    const base = memoryMedium(randomBytes(r, BYTES));
    const overlay = overlayMedium(base);
    for (let i = 0; i < 20; i++) {
      const at = r.below(BYTES - 600);
      if (r.chance(0.3)) overlay.zero(at, 600);
      else overlay.write(at, randomBytes(r, 600));
    }
    const before = contents(base);
    assert.deepEqual(before, contents(overlay));
    overlay.discard(0, BYTES);
    assert.deepEqual(contents(base), before);
    assert.deepEqual(contents(overlay), new Uint8Array(BYTES));
  });
});

Deno.test("an overlay of 100 TB costs what is touched of it", () => {
  const size = 100 * 2 ** 40;
  const overlay = overlayMedium(blankMedium(size));
  const at = size - 512;
  overlay.write(at, new Uint8Array(512).fill(7));
  overlay.zero(2 ** 40, 2 ** 31);
  assert.ok(overlay.save().length < 2 * GRANULE_BYTES, `${overlay.save().length} bytes`);
  const got = new Uint8Array(1024);
  overlay.read(size - 1024, got);
  assert.deepEqual([got[511], got[512], got[1023]], [0, 7, 7]);
});

Deno.test("noise is the same from any position, and every seed has its own", () => {
  const whole = new Uint8Array(4096);
  noise(5, 2 ** 34 + 3, whole);
  for (const [from, length] of [[0, 1], [1, 7], [1000, 96]]) {
    const part = new Uint8Array(length);
    noise(5, 2 ** 34 + 3 + from, part);
    assert.deepEqual(part, whole.subarray(from, from + length));
  }
  const other = new Uint8Array(4096);
  noise(6, 2 ** 34 + 3, other);
  const same = whole.filter((v, i) => v === other[i]).length;
  assert.ok(same < 50, `${same} of 4096 bytes agree; 16 are expected by chance`);
  const ones = whole.reduce((sum, v) => sum + v.toString(2).replaceAll("0", "").length, 0);
  assert.ok(Math.abs(ones / 32768 - 0.5) < 0.02, `${ones} of 32768 bits are set`);
});

function timed(latencyNs: number, bandwidth: number) {
  return makeDrive("d", overlayMedium(blankMedium(4096)), { latencyNs, bandwidth });
}

Deno.test("a drive takes latency and transfer; transfers queue, latencies do not", () => {
  const d = timed(100, 1e9);
  assert.equal(d.doneNs(0, 1000), 1100);
  assert.equal(d.doneNs(0, 500), 1600, "waits for the transfer before");
  assert.equal(d.doneNs(0, 0), 100, "a request without data waits for none");
  assert.equal(d.doneNs(5000, 10), 5110, "an idle medium begins at once");
  const unlimited = timed(100, 0);
  assert.equal(unlimited.doneNs(7, 1 << 20), 107);
  assert.equal(unlimited.doneNs(7, 1 << 20), 107);
  assert.equal(timed(0, 3).doneNs(0, 1), 333_333_334, "a part of a ns counts whole");
});

Deno.test("a drive saved and loaded has its transfers still to do", () => {
  const d = timed(100, 1e9), e = timed(100, 1e9);
  d.doneNs(0, 1000);
  e.load(d.save());
  assert.equal(e.doneNs(0, 500), 1600);
});
