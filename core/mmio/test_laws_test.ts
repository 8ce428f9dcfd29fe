/** The laws can fail: each of these devices breaks one. @module */
import assert from "node:assert/strict";
import { device, type DeviceType, u32 } from "./device.ts";
import { lawsOf } from "./test_laws.ts";

const ABOUT = { doc: "Wrong.", source: "this test", size: 0x10, state: { v: u32() } };

const BREAKERS: Record<string, DeviceType> = {
  "a restored device is indistinguishable from the original": device("forgets", ABOUT, () => {
    let hidden = 0;
    return { regs: [{ at: 0, name: "V", get: () => hidden, set: (v) => hidden = v }] };
  }),
  "a reset device is as a new one": device("remembers", ABOUT, (s) => {
    let writes = 0;
    return {
      regs: [{ at: 0, name: "V", get: () => s.v + writes, set: (v) => (s.v = v, writes++) }],
    };
  }),
  "a peek has no effect and tells what a read would": device("counts", ABOUT, (s) => ({
    regs: [{ at: 0, name: "V", get: () => s.v++ }],
  })),
  "the same accesses leave the same rows": (() => {
    let shared = 0;
    return device("shares", ABOUT, () => ({ regs: [{ at: 0, name: "V", get: () => shared++ }] }));
  })(),
  "any access at any offset and size is answered, in bounded work, inside RAM": device(
    "runs_away",
    ABOUT,
    (_, port) => ({
      regs: [{
        at: 0,
        name: "V",
        set: (v) => {
          for (let i = 0; i < Math.min(v, 10_000); i++) port.out(0);
        },
      }],
    }),
  ),
};

for (const [law, type] of Object.entries(BREAKERS)) {
  Deno.test(`laws: ${type.name} breaks "${law}"`, () => {
    const body = lawsOf(type, "a_test.ts").find((l) => l.name.endsWith(law));
    assert.throws(() => body!.check(), /to replay: SEED=\d+ deno test -A a_test.ts --filter/);
  });
}
