import assert from "node:assert/strict";
import { ByteReader, ByteWriter } from "./bytes.ts";

Deno.test("ByteWriter: values written while its buffer grows are all there", () => {
  const out = new ByteWriter();
  for (let i = 0; i < 1000; i++) {
    out.u8(i & 0xff);
    out.u16(i);
    out.u32(i);
    out.u64(BigInt(i));
    out.f64(i);
    out.bytes(Uint8Array.of(i & 0xff));
  }
  const from = new ByteReader(out.finish());
  for (let i = 0; i < 1000; i++) {
    const got = [from.u8(), from.u16(), from.u32(), from.u64(), from.f64(), [...from.bytes()]];
    assert.deepEqual(got, [i & 0xff, i, i, BigInt(i), i, [i & 0xff]]);
  }
  assert.equal(from.rest, 0);
});
