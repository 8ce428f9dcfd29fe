import assert from "node:assert/strict";
import { Random, SEED, withSeed } from "../trace/random_trace.ts";
import { findKallsyms } from "./kallsyms.ts";
import { kallsymsBytes, randomSymbols } from "./test_kernel.ts";

const FILE = "core/board/kallsyms_test.ts";
const BASE = 0xffff_ffff_8000_0000n;

/** RAM with something at `at` among noise. */
function ramWith(bytes: Uint8Array, at: number, random: Random): Uint8Array {
  const ram = Uint8Array.from({ length: at + bytes.length + 4096 }, () => random.below(256));
  ram.set(bytes, at);
  return ram;
}

for (const layout of ["6.1", "6.4"] as const) {
  Deno.test(`kallsyms: a table as Linux ${layout} lays it out is found and read, wherever it lies`, () => {
    withSeed(FILE, () => {
      const random = new Random(SEED);
      for (const count of [300, 512, 1000 + random.below(2000)]) {
        const symbols = randomSymbols(count, random);
        const bytes = kallsymsBytes(symbols, BASE, layout, random);
        const found = findKallsyms(ramWith(bytes, 8 * (1 + random.below(1000)), random));
        assert.ok(found !== null, `${count} symbols`);
        assert.equal(found.base, BASE);
        assert.deepEqual(found.names, symbols.map((s) => s.name));
        assert.equal(found.types, symbols.map((s) => s.type).join(""));
        assert.deepEqual([...found.offsets], symbols.map((s) => s.offset));
      }
    });
  });
}

Deno.test("kallsyms: a table whose parts contradict each other is none", () => {
  withSeed(FILE, () => {
    const random = new Random(SEED);
    const symbols = randomSymbols(700, random);
    const bytes = kallsymsBytes(symbols, BASE, "6.4", random);
    const names = 8;
    const whole = (b: Uint8Array) => findKallsyms(ramWith(b, 64, random));
    assert.ok(whole(bytes) !== null);
    const changed = (at: number, value: number) => {
      const copy = bytes.slice();
      copy[at] ^= value;
      return copy;
    };
    assert.equal(whole(changed(1, 2)), null, "the number of names");
    assert.equal(whole(changed(names, 1)), null, "a name's length");
    assert.equal(whole(changed(bytes.length - 8 - symbols.length * 4 - 500, 1)), null, "the index");
    assert.equal(whole(bytes.slice(0, bytes.length - 300)), null, "offsets that do not rise");
  });
});

Deno.test("kallsyms: memory full of what looks like tokens costs little and holds no table", () => {
  const digits = [..."0123456789"].map((d) => `${d}\0`).join("");
  const ram = new TextEncoder().encode(digits.repeat(400_000));
  assert.equal(findKallsyms(ram.slice(0, ram.length - ram.length % 8)), null);
  assert.equal(findKallsyms(new Uint8Array(1 << 20)), null);
  assert.equal(findKallsyms(new Uint8Array(0)), null);
});
