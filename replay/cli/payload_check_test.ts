import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { checkPayload } from "./payload_check.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const region = (payload: string, crc = crc32(payload)) =>
  `exitscope: serial=x write=16 bytes=${payload.length}\n${payload}exitscope: crc32 ${
    crc.toString(16).padStart(8, "0")
  }\n`;

Deno.test("payload: regions whose CRC agrees are added up", () => {
  const output = bytes(`hello\n${region("abc\ndef\n")}${region("x\n")}bye\n`);
  assert.deepEqual(checkPayload(output), { bytes: 10, fault: null });
});

Deno.test("payload: a byte changed, lost or added on the way is a fault", () => {
  const sent = region("abc\ndef\n");
  for (
    const damaged of [
      sent.replace("abc", "abd"),
      sent.replace("abc", "ac"),
      sent.replace("abc", "abbc"),
    ]
  ) {
    assert.match(checkPayload(bytes(damaged)).fault!, /CRC/);
  }
});

Deno.test("payload: output without any region is a fault", () => {
  assert.equal(checkPayload(bytes("panic\n")).fault, "no payload arrived");
});
