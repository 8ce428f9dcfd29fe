import assert from "node:assert/strict";
import {
  formatSize,
  parseAnswer,
  parseCount,
  parseDevice,
  parseInstant,
  parseNumber,
  parseSize,
} from "./values.ts";
import { distance, nearest } from "./suggest.ts";

Deno.test("sizes: units are powers of 1024, nonsense is refused", () => {
  assert.equal(parseSize("128M"), 128 * 1024 ** 2);
  assert.equal(parseSize("2g"), 2 * 1024 ** 3);
  assert.equal(parseSize("1.5K"), 1536);
  assert.equal(parseSize("64MiB"), 64 * 1024 ** 2);
  for (const bad of ["", "M", "12Q", "-1", "1e3", "0x10"]) assert.equal(parseSize(bad), null);
});

Deno.test("sizes: a size printed is a size read", () => {
  for (const bytes of [1, 1000, 1024, 3 << 20, 2 ** 31, 2 ** 40]) {
    assert.equal(parseSize(formatSize(bytes)), bytes);
  }
});

Deno.test("numbers: decimal and hexadecimal; counts take units of 1000", () => {
  assert.equal(parseNumber("0x80200000"), 0x8020_0000);
  assert.equal(parseNumber("12a"), null);
  assert.equal(parseCount("2.5M"), 2_500_000);
  assert.equal(parseCount("1_000"), 1000);
  assert.equal(parseCount("x"), null);
});

Deno.test("instants: UTC unless told otherwise", () => {
  assert.equal(parseInstant("2025-01-01"), 1_735_689_600_000 * 1e6);
  assert.equal(parseInstant("2025-01-01T00:00"), parseInstant("2025-01-01T00:00:00Z"));
  assert.equal(parseInstant("2025-01-01T01:00+01:00"), parseInstant("2025-01-01"));
  assert.equal(parseInstant("yesterday"), null);
});

Deno.test("devices: address, interrupt and slot apart from properties", () => {
  assert.deepEqual(parseDevice("./inc.ts,addr=0x4010000,irq=64,step=a=b,fast"), {
    use: "./inc.ts",
    addr: 0x401_0000,
    irq: 64,
    slot: null,
    props: { step: "a=b", fast: "on" },
  });
  assert.equal(parseDevice("edu,slot=3")?.slot, 3);
  for (const bad of ["", "addr=1", "x,addr=zz", "x,slot=one", "x,,y"]) {
    assert.equal(parseDevice(bad), null);
  }
});

Deno.test("suggestions: distance counts edits, nearest refuses what is far", () => {
  assert.equal(distance("kitten", "sitting"), 3);
  assert.equal(nearest("--kernal", ["--kernel", "--initrd"]), "--kernel");
  assert.equal(nearest("--zzzzzz", ["--kernel", "--initrd"]), null);
});

Deno.test("answers: a pattern, the last =>, and text with escapes", () => {
  const answer = parseAnswer(String.raw`a=>b\$ $=>ls\x20-l\\n\n`);
  assert.equal(answer?.after.source, String.raw`a=>b\$ $`);
  assert.equal(answer?.type, "ls -l\\n\n");
  assert.deepEqual(parseAnswer("a=>"), { after: /a/, type: "" });
  for (const bad of ["", "a", "=>b", "(=>b"]) assert.equal(parseAnswer(bad), null);
});
