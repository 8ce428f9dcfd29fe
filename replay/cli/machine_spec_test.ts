import assert from "node:assert/strict";
import { DEFAULT_SPEC } from "../../core/board/spec.ts";
import { bundledGuests } from "../files.ts";
import { isDemonstration } from "./recipe.ts";
import { machineFor, type RecordArguments } from "./machine_spec.ts";

const NOTHING: RecordArguments = {
  load: [],
  symbols: [],
  bios: "builtin",
  memory: DEFAULT_SPEC.memoryBytes,
  harts: 1,
  device: [],
  drive: [],
  stage2Page: "4k",
  cpu: "compiled",
  force: false,
};
const given = (a: Partial<RecordArguments>): RecordArguments => ({ ...NOTHING, ...a });

Deno.test("machine: without options it is the board's default with the bundled guest", async () => {
  const { spec, files } = await machineFor(NOTHING);
  assert.deepEqual({ ...spec, kernel: null }, DEFAULT_SPEC);
  assert.equal(spec.kernel?.path, "bundled:serial");
  assert.equal(files.get("bundled:serial")?.length, spec.kernel?.bytes);
});

Deno.test("machine: firmware in M-mode means no hypervisor, and its own bundled guest", async () => {
  const { spec } = await machineFor(given({ bios: "none" }));
  assert.equal(spec.hypervisor, "none");
  assert.equal(spec.kernel?.path, "bundled:mmode");
});

Deno.test("machine: with a drive, the bundled guest is the one that uses it", async () => {
  const a = given({ drive: [{ path: null, options: { size: "1M" } }] });
  const { spec } = await machineFor(a);
  assert.equal(spec.kernel?.path, "bundled:block");
  assert.equal(spec.drives?.[0].sizeBytes, 2 ** 20);
  assert.equal(isDemonstration(a), false);
});

Deno.test("machine: what the caller prefers gives way to what the user said", async () => {
  const prefers = { serial: "virtio", append: "theirs" } as const;
  assert.equal((await machineFor(NOTHING, prefers)).spec.serial, "virtio");
  assert.equal((await machineFor(NOTHING, prefers)).spec.append, "theirs");
  const said = given({ serial: { kind: "sifive", props: { a: "1" } }, append: "mine" });
  const { spec } = await machineFor(said, prefers);
  assert.deepEqual([spec.serial, spec.serialProps, spec.append], ["sifive", { a: "1" }, "mine"]);
});

Deno.test("machine: a device is a file when its name is a path", async () => {
  const type = { use: "increment", addr: 1, irq: null, slot: null, props: {} };
  assert.equal((await machineFor(given({ device: [type] }))).spec.devices[0].file, null);
  const file = { ...type, use: "./no_such_device.ts" };
  await assert.rejects(() => machineFor(given({ device: [file] })), /no_such_device/);
});

Deno.test("machine: every bundled guest that the help names is there", () => {
  for (const name of ["serial", "block", "bench", "flops", "trap", "mmode", "legacy_blk"]) {
    assert.ok(bundledGuests().has(name), name);
  }
});

Deno.test("demonstration: only when neither guest, its work, console nor name is chosen", () => {
  assert.equal(isDemonstration(NOTHING), true);
  assert.equal(isDemonstration(given({ hypervisor: "kvm-x86", harts: 2 })), true);
  assert.equal(isDemonstration(given({ kernel: "bundled:serial" })), false);
  assert.equal(isDemonstration(given({ serial: { kind: "virtio", props: {} } })), false);
  assert.equal(isDemonstration(given({ bios: "none" })), false);
  assert.equal(isDemonstration(given({ append: "mode=echo" })), false);
  assert.equal(isDemonstration(given({ output: "a.trace" })), false);
});
