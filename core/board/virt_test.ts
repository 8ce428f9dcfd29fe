import assert from "node:assert/strict";
import { blankMedium } from "../mmio/medium.ts";
import { makeDrives } from "./drives.ts";
import { DEFAULT_SPEC, type DeviceSpec, type DriveSpec, type MachineSpec } from "./spec.ts";
import { BoardError, type Placed, placeDevices } from "./virt.ts";

const plug = (use: string, o: Partial<DeviceSpec> = {}): DeviceSpec => ({
  use,
  file: null,
  addr: null,
  irq: null,
  props: {},
  ...o,
});
const place = (devices: DeviceSpec[], o: Partial<MachineSpec> = {}) =>
  placeDevices({ ...DEFAULT_SPEC, ...o, devices }, new Map());

Deno.test("every device of a machine has a name, an address and lines of its own", () => {
  const uses = ["virtio-console", "virtio-mmio", "uart16550", "sifive_uart", "goldfish_rtc"];
  for (const serial of ["sifive", "16550", "virtio"] as const) {
    const all = place([...uses, ...uses].map((use) => plug(use)), { serial });
    const names = all.map((p) => p.name);
    const lines = all.flatMap((p) => p.irqs);
    const addrs = all.map((p) => p.addr);
    for (const list of [names, lines, addrs]) {
      assert.equal(new Set<unknown>(list).size, list.length);
    }
  }
});

Deno.test("a device in RAM, off its alignment or on a taken line is refused", () => {
  const refused: [Partial<DeviceSpec>, RegExp][] = [
    [{ addr: 0x8000_0000 }, /lies in RAM/],
    [{ addr: 0x87ff_f000 }, /lies in RAM/],
    [{ addr: 0x0401_0001 }, /natural alignment/],
    [{ irq: 10 }, /taken/],
    [{ irq: 96 }, /not one of 1 to 95/],
  ];
  for (const [o, message] of refused) {
    const fails = (e: unknown) => e instanceof BoardError && message.test(e.message);
    assert.throws(() => place([plug("uart16550", o)]), fails);
  }
  assert.equal(place([plug("uart16550", { addr: 0x8800_0000 })]).at(-1)?.addr, 0x8800_0000);
});

const disk = (id: string, o: Partial<DriveSpec> = {}): DriveSpec => ({
  id,
  path: null,
  sizeBytes: 512,
  sha256: null,
  seed: null,
  interface: "virtio",
  slot: null,
  readOnly: false,
  write: false,
  embed: false,
  latencyNs: 0,
  bandwidth: 0,
  props: {},
  ...o,
});
/** Names by virtio-mmio slot. */
const slots = (placed: Placed[]) =>
  Object.fromEntries(
    placed.filter((p) => p.type.compatible.includes("virtio,mmio"))
      .map((p) => [(p.addr - 0x1000_1000) / 0x1000, p.name]),
  );

Deno.test("drives and virtio devices take the last free slot, in order, as on QEMU's board", () => {
  const drives = [disk("a"), disk("b", { slot: 0 }), disk("c")];
  const all = place([plug("virtio-rng"), plug("virtio-rng", { addr: 0x1000_2000 })], { drives });
  const found = slots(all);
  assert.deepEqual([found[7], found[6], found[5]], ["virtio-blk1", "virtio-blk2", "virtio-rng1"]);
  assert.deepEqual([found[0], found[1], found[2]], [
    "virtio-blk0",
    "virtio-rng0",
    "virtio-mmio2",
  ]);
  const at = (name: string) => all.find((p) => p.name === name)!;
  assert.deepEqual([at("virtio-blk1").drives, at("virtio-blk0").drives], [["a"], ["b"]]);
  assert.deepEqual(at("virtio-blk1").irqs, [8]);
  // Drivers find them in the order of the device tree.
  const order = all.filter((p) => p.type.compatible.includes("virtio,mmio")).map((p) => p.addr);
  assert.deepEqual(order, order.toSorted((x, y) => y - x));
});

Deno.test("drives of bus=pci have a function each, and leave virtio-mmio slots alone", () => {
  const drives = [disk("a", { bus: "pci" }), disk("b"), disk("c", { bus: "pci", slot: 5 })];
  const all = place([plug("edu")], { drives });
  const functions = all.filter((p) => p.type.bus === "pci" && p.slot !== 0);
  assert.deepEqual(functions.map((p) => [p.name, p.slot, p.drives]), [
    ["virtio-blk-pci0", 1, ["a"]],
    ["virtio-blk-pci1", 5, ["c"]],
    ["edu0", 2, []],
  ]);
  assert.equal(slots(all)[7], "virtio-blk0");
  const taken = [disk("a", { bus: "pci", slot: 3 }), disk("b", { bus: "pci", slot: 3 })];
  assert.throws(() => place([], { drives: taken }), /slot 3 of the PCI bus is taken/);
});

Deno.test("drives of if=scsi go to the controller that there is, and else to an LSI", () => {
  const drives = [disk("a", { interface: "scsi" }), disk("b", { interface: "scsi" })];
  for (const use of ["virtio-scsi-pci", "virtio-scsi", "lsi53c895a", null]) {
    const all = place(use === null ? [] : [plug(use)], { drives });
    const owners = all.filter((p) => p.drives.length > 0);
    assert.deepEqual(owners.map((p) => p.type.name), [use ?? "lsi53c895a"]);
    assert.deepEqual(owners[0].drives, ["a", "b"]);
  }
});

Deno.test("a slot that is taken, not there, or one too many is refused", () => {
  const eight = Array.from({ length: 8 }, (_, i) => disk(`d${i}`));
  const refused: [DriveSpec[], Partial<MachineSpec>, RegExp][] = [
    [[disk("a", { slot: 8 })], {}, /no virtio-mmio slot 8/],
    [[disk("a", { slot: 3 }), disk("b", { slot: 3 })], {}, /slot 3 is taken by virtio-blk0/],
    [[disk("a", { slot: 7 })], { serial: "virtio" }, /slot 7 is taken by virtio-console0/],
    [[...eight, disk("more")], {}, /no virtio-mmio slot is free/],
  ];
  for (const [drives, o, message] of refused) {
    const fails = (e: unknown) => e instanceof BoardError && message.test(e.message);
    assert.throws(() => place([], { ...o, drives }), fails);
  }
  place([], { drives: eight });
});

Deno.test("a drive belongs to one device, which may name it", () => {
  const make = (devices: DeviceSpec[], drives: DriveSpec[]) => {
    const spec = { ...DEFAULT_SPEC, devices, drives };
    return [...makeDrives(spec, placeDevices(spec, new Map()), () => blankMedium(512)).keys()];
  };
  const named = (drive: string) => plug("virtio-blk", { props: { drive, serial: "x" } });
  assert.deepEqual(make([named("a")], [disk("a", { interface: "none" })]), ["a"]);
  const refused: [DeviceSpec[], DriveSpec[], RegExp][] = [
    [[], [disk("a", { interface: "none" })], /a is attached to no device/],
    [[named("a")], [disk("a")], /attached to virtio-blk\d and virtio-blk\d/],
    [[named("b")], [], /there is no drive b/],
    [[], [disk("a"), disk("a")], /two drives are called a|attached to/],
  ];
  for (const [devices, drives, message] of refused) {
    const fails = (e: unknown) => e instanceof BoardError && message.test(e.message);
    assert.throws(() => make(devices, drives), fails);
  }
});
