import assert from "node:assert/strict";
import { dependsOf, inOrder, modinfo } from "./modules.ts";
import { fakeModule } from "./testing.ts";

/** Modules by what each depends on. */
const reader = (depends: Record<string, string>) => (name: string) =>
  name in depends ? fakeModule(depends[name]) : null;
const names = (wanted: string[], depends: Record<string, string>) =>
  inOrder(wanted, reader(depends)).map((m) => m.name);

Deno.test("modules: .modinfo is read, with empty values and several of a key", () => {
  const elf = fakeModule("a,b-c", "alias=x\0alias=y=z\0");
  assert.deepEqual(modinfo(elf, "m"), [
    ["license", "GPL"],
    ["depends", "a,b-c"],
    ["alias", "x"],
    ["alias", "y=z"],
  ]);
  assert.deepEqual(dependsOf(elf, "m"), ["a", "b_c"]);
  assert.deepEqual(dependsOf(fakeModule(""), "m"), []);
});

Deno.test("modules: each comes once, after all that it needs", () => {
  const depends = {
    sd_mod: "scsi_mod,crc",
    virtio_scsi: "scsi_mod",
    scsi_mod: "common",
    crc: "common",
  };
  const order = names(["sd-mod", "virtio_scsi"], { ...depends, common: "" });
  assert.deepEqual(order, ["common", "scsi_mod", "crc", "sd_mod", "virtio_scsi"]);
});

Deno.test("modules: one that is built in is left out, one that is needed and missing is an error", () => {
  assert.deepEqual(names(["built_in", "a"], { a: "" }), ["a"]);
  assert.throws(() => names(["a"], { a: "gone" }), /the module a needs gone/);
});

Deno.test("modules: a circle ends", () => {
  assert.deepEqual(names(["a"], { a: "b", b: "a" }), ["b", "a"]);
});

Deno.test("modules: what is no module is refused in a sentence", () => {
  const cut = fakeModule("a").slice(0, 80);
  for (const bytes of [new Uint8Array(), new Uint8Array(200), cut]) {
    assert.throws(() => modinfo(bytes, "x.ko"), /x\.ko is no kernel module/);
  }
});
