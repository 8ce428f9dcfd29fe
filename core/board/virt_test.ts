import assert from "node:assert/strict";
import { DEFAULT_SPEC, type DeviceSpec, type MachineSpec } from "./spec.ts";
import { BoardError, placeDevices } from "./virt.ts";

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
