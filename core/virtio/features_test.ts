/**
 * Every feature of every virtio device can be withheld by its own property, one by one, on every
 * transport; the specification's one that cannot is VIRTIO_F_VERSION_1.
 * @module
 */
import assert from "node:assert/strict";
import { DEVICES } from "../mmio/devices.ts";
import type { DeviceType, PropValue } from "../mmio/device.ts";
import { makeDrive, memoryMedium, overlayMedium } from "../mmio/medium.ts";
import { TestMachine } from "../mmio/test_machine.ts";
import { type Face, FACES } from "./test_faces.ts";

const VERSION_1 = 32;
/** Features that are only there if something else is, and what. */
const WITHOUT: Readonly<Record<string, readonly string[]>> = {
  VIRTIO_BLK_F_FLUSH: ["VIRTIO_BLK_F_CONFIG_WCE"],
};

const TYPES = Object.values(DEVICES).filter((t) =>
  /^virtio-(?!mmio)/.test(t.name) && t.bus === (t.name.endsWith("-pci") ? "pci" : "mmio")
);
const facesOf = (type: DeviceType) => FACES.filter((f) => f.bus === type.bus);

/** The feature that a property withholds. */
const featureOf = (doc: string) => /^Offer (VIRTIO_\w+) /.exec(doc)?.[1];

function offered(type: DeviceType, face: Face, props: Record<string, PropValue>): Set<number> {
  const medium = overlayMedium(memoryMedium(new Uint8Array(4096)), { readOnly: true });
  const drives = type.drives > 0 ? [makeDrive("d", medium, { latencyNs: 0, bandwidth: 0 })] : [];
  const many: Record<string, PropValue> = "num_queues" in type.props ? { num_queues: 2 } : {};
  const m = new TestMachine(type, { props: { ...face.props, ...many, ...props }, drives });
  face.prepare(m);
  const words = [face.offered(m, 0), face.offered(m, 1)];
  return new Set(Array.from({ length: 64 }, (_, b) => b).filter((b) => words[b >> 5] >>> b & 1));
}

for (const type of TYPES) {
  for (const face of facesOf(type)) {
    Deno.test(`${type.name} ${face.name}: each feature offered is withheld by one property`, () => {
      const all = offered(type, face, {});
      const names = new Map<number, string>();
      const gone = new Map<string, number[]>();
      for (const [name, { doc }] of Object.entries(type.props)) {
        const feature = featureOf(doc);
        if (feature === undefined) continue;
        const left = offered(type, face, { [name]: false });
        assert.ok([...left].every((b) => all.has(b)), `${name}=off added a feature`);
        gone.set(feature, [...all].filter((b) => !left.has(b)));
      }
      for (const [feature, bits] of gone) {
        const others = (WITHOUT[feature] ?? []).flatMap((f) => gone.get(f)!);
        const own = bits.filter((b) => !others.includes(b));
        assert.ok(own.length <= 1, `${feature} takes ${own} with it`);
        if (own.length === 1) names.set(own[0], feature);
      }
      const unnamed = [...all].filter((b) => !names.has(b));
      assert.deepEqual(unnamed, face.legacy ? [] : [VERSION_1], "bits without a property");
    });
  }
}

Deno.test("virtio: properties that withhold features are found on every virtio device", () => {
  assert.equal(TYPES.length, 8);
  for (const type of TYPES) {
    for (const name of ["indirect", "event_idx", "any_layout"]) assert.ok(name in type.props);
  }
});
