import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { memoryMedium } from "../../core/mmio/medium.ts";
import { noise } from "../../core/mmio/noise.ts";
import { arrival } from "./arrival.ts";
import { checkBuffer } from "./buffer_check.ts";
import { checkDisk } from "./disk_check.ts";

const text = (lines: readonly string[]) => new TextEncoder().encode(lines.join("\r\n") + "\r\n");
const hex = (bytes: Uint8Array) => crc32(bytes).toString(16).padStart(8, "0");

/** Two regions of 4096 bytes behind each other, and what a guest says of them. */
function twoRegions() {
  const bytes = new Uint8Array(16384);
  noise(7, 0, bytes);
  const crcs = [hex(bytes.subarray(0, 4096)), hex(bytes.subarray(4096, 8192))];
  const lines = crcs.flatMap((crc, i) =>
    ["write", "read"].map((what) => `exitscope: ${what}=${512 << i} bytes=4096 crc32 ${crc}`)
  );
  const linux = crcs.flatMap((crc, i) =>
    ["write", "read"].map((what) =>
      `exitscope: ${what}-${4096 << i} of 4096 bytes in blocks of ${4096 << i}: done`
    ).concat("[   1.0] a line of the kernel", `exitscope: crc32 ${crc}`)
  );
  return { bytes, lines, linux };
}

Deno.test("disk check: what lies on the disk is what the guests say", () => {
  const { bytes, lines, linux } = twoRegions();
  const disk = memoryMedium(bytes);
  assert.deepEqual(checkDisk(text(lines), disk), { bytes: 16384, fault: null });
  // Linux says only what it read.
  assert.deepEqual(checkDisk(text(linux), disk), { bytes: 8192, fault: null });
});

for (const at of [0, 4095, 4096, 8191]) {
  Deno.test(`disk check: one bit that differs on the disk at ${at} is found`, () => {
    const { bytes, lines, linux } = twoRegions();
    bytes[at] ^= 1;
    const region = at < 4096 ? [/^write-512: /, /^read-4096: /] : [/^write-1024: /, /^read-8192: /];
    assert.match(checkDisk(text(lines), memoryMedium(bytes)).fault!, region[0]);
    assert.match(checkDisk(text(linux), memoryMedium(bytes)).fault!, region[1]);
  });
}

Deno.test("disk check: silence is a fault, and so is more than fits", () => {
  const { bytes, lines } = twoRegions();
  assert.equal(checkDisk(text([]), memoryMedium(bytes)).fault, "no data arrived");
  assert.equal(checkDisk(text(lines.slice(0, 1)), memoryMedium(bytes)).fault, "no data arrived");
  const small = memoryMedium(bytes.subarray(0, 4096));
  assert.equal(checkDisk(text(lines), small).fault, "more was moved than fits");
});

Deno.test("buffer check: what comes back is what went there", () => {
  const line = (
    back: string,
  ) => [`edu: 4 copies of 1024 bytes, crc32 0123abcd there and ${back} back`];
  assert.deepEqual(checkBuffer(text(line("0123abcd"))), { bytes: 4096, fault: null });
  assert.match(
    checkBuffer(text(line("0123abce"))).fault!,
    /0123abcd went there, 0123abce came back/,
  );
  assert.equal(checkBuffer(text([])).fault, "no data arrived");
});

Deno.test("arrival: the side that lost data is named, and work that is not equal", () => {
  const { bytes, lines } = twoRegions();
  const side = (path: string, given: string[], disk = bytes) => ({
    path,
    output: text(given),
    disks: [memoryMedium(disk)],
  });
  assert.match(
    arrival("disk", [side("a", lines), side("b", lines)]),
    /^Both guests .* 16,384 bytes moved each/,
  );
  const empty = new Uint8Array(bytes.length);
  assert.throws(
    () => arrival("disk", [side("a", lines), side("b", lines, empty)]),
    /^UserError: b: write-512/,
  );
  assert.throws(
    () => arrival("disk", [side("a", lines), side("b", lines.slice(0, 2))]),
    /b: 8192 bytes were moved, 16384/,
  );
});
