/**
 * virtio over MMIO: Virtio 1.2 §4.2, version 2, and version 1 with `legacy=on` (§4.2.4). Register
 * names are the specification's.
 *
 * Simplifications: no shared memory regions (their length reads as -1, §4.2.2), no queue reset
 * (VIRTIO_F_RING_RESET is not offered) and no notification data. Registers of a queue are locked
 * while it is ready. An access across configuration fields reads them all and writes none.
 * Deviates: writing 0 to QueuePFN stops that queue, as §4.2.4 says; QEMU resets the device.
 * @module
 */
import {
  device,
  type DeviceType,
  type Fields,
  prop,
  type Props,
  records,
  type Reg,
  type StateOf,
  u32,
} from "../mmio/device.ts";
import type { coreFields, VirtioCore } from "./core.ts";
import { legacyAreas } from "./ring_layout.ts";
import { byLine, configReg, declared, readAcross } from "./transport.ts";
import type { VirtioDevice } from "./virtio.ts";

const MAGIC = 0x74726976; // "virt"
/** "QEMU", as on its `virt` board: xv6 takes a disk of no other vendor. */
const VENDOR = 0x554d4551;
const REGION_BYTES = 0x1000;
const CONFIG = 0x100;
const NO_REGION = 0xffffffff;

const LEGACY = {
  legacy: prop.flag(false, "Offer the legacy interface (version 1) instead of the modern one."),
};

const transportFields = (queues: number) => ({
  deviceFeaturesSel: u32(),
  driverFeaturesSel: u32(),
  queueSel: u32(),
  legacyQueues: records(queues, { queueAlign: u32(), queuePfn: u32() }),
});
type DriverState =
  & StateOf<ReturnType<typeof coreFields>>
  & StateOf<ReturnType<typeof transportFields>>;

/** What a reset by the driver leaves: Linux writes GuestPageSize before it. */
const keptFields = { guestPageSize: u32() };
type KeptState = StateOf<typeof keptFields>;

/** A virtio device behind the MMIO transport. */
export function virtioMmio<
  const S extends Fields,
  const K extends Fields,
  const P extends Props,
  const F extends string,
>(d: VirtioDevice<S, K, P, F>): DeviceType {
  const { assemble, props, ...shared } = declared(d, transportFields(d.queues.length), keptFields);
  return device(d.name, {
    ...shared,
    doc: d.doc,
    source: d.source,
    size: REGION_BYTES,
    compatible: ["virtio,mmio"],
    node: "virtio_mmio",
    irqs: 1,
    dt: () => ({ "dma-coherent": true }),
    props: { ...LEGACY, ...props } as Props,
  }, (state, port, props) => {
    const legacy = props.legacy as boolean;
    const { s, kept, core, fields, behaviour } = assemble(state, port, props, {
      legacy: () => legacy,
      // xv6's driver reads and writes one word of features alone.
      needsVersion1: false,
      interrupts: (s) => byLine(s, port),
    });
    const regs = legacy
      ? legacyRegs(d.id, core, s, kept)
      : modernRegs(d.id, core, s, () => kept.configGeneration);
    return {
      ...behaviour,
      regs: [...regs, ...fields.map((f) => configReg(f, CONFIG + f.at))],
      raw: { read: (at, size) => readAcross(fields, at - CONFIG, size), write: () => {} },
    };
  });
}

function identityRegs(version: 1 | 2, id: number): Reg[] {
  return [
    { at: 0x000, name: "MagicValue", get: () => MAGIC },
    { at: 0x004, name: "Version", get: () => version },
    { at: 0x008, name: "DeviceID", get: () => id },
    { at: 0x00c, name: "VendorID", get: () => VENDOR },
  ];
}

/** Registers that both versions have. */
function commonRegs(core: VirtioCore, s: DriverState): Reg[] {
  const selected = () => s.queueSel < core.queues.length ? s.queues[s.queueSel] : undefined;
  return [
    { at: 0x030, name: "QueueSel", set: (v) => s.queueSel = v },
    { at: 0x034, name: "QueueNumMax", get: () => core.queues.at(s.queueSel)?.limits.maxSize ?? 0 },
    {
      at: 0x038,
      name: "QueueNum",
      set(v) {
        const q = selected();
        if (q && !q.queueReady) q.queueNum = v;
      },
    },
    { at: 0x050, name: "QueueNotify", set: (v) => core.kick(v) },
    { at: 0x060, name: "InterruptStatus", get: () => s.interruptStatus },
    { at: 0x064, name: "InterruptACK", set: (v) => core.acknowledge(v) },
    { at: 0x070, name: "Status", get: () => s.status, set: (v) => core.writeStatus(v) },
  ];
}

function featureRegs(core: VirtioCore, s: DriverState, device: string, driver: string): Reg[] {
  return [
    { at: 0x010, name: `${device}Features`, get: () => core.offered(s.deviceFeaturesSel) },
    { at: 0x014, name: `${device}FeaturesSel`, set: (v) => s.deviceFeaturesSel = v },
    {
      at: 0x020,
      name: `${driver}Features`,
      set: (v) => core.acceptFeatures(s.driverFeaturesSel, v),
    },
    { at: 0x024, name: `${driver}FeaturesSel`, set: (v) => s.driverFeaturesSel = v },
  ];
}

/** §4.2.2 */
function modernRegs(id: number, core: VirtioCore, s: DriverState, generation: () => number): Reg[] {
  const selected = () => s.queueSel < core.queues.length ? s.queues[s.queueSel] : undefined;
  type Address =
    | `queueDesc${"Low" | "High"}`
    | `queueDriver${"Low" | "High"}`
    | `queueDevice${"Low" | "High"}`;
  const address = (at: number, key: Address): Reg => ({
    at,
    name: `Q${key.slice(1)}`,
    set(v) {
      const q = selected();
      if (q && !q.queueReady) q[key] = v;
    },
  });
  return [
    ...identityRegs(2, id),
    ...featureRegs(core, s, "Device", "Driver"),
    ...commonRegs(core, s),
    {
      at: 0x044,
      name: "QueueReady",
      get: () => selected()?.queueReady ? 1 : 0,
      set(v) {
        const q = selected();
        if (!q || q.queueReady === ((v & 1) !== 0)) return;
        if (v & 1) core.startQueue(s.queueSel);
        else core.stopQueue(s.queueSel);
      },
    },
    address(0x080, "queueDescLow"),
    address(0x084, "queueDescHigh"),
    address(0x090, "queueDriverLow"),
    address(0x094, "queueDriverHigh"),
    address(0x0a0, "queueDeviceLow"),
    address(0x0a4, "queueDeviceHigh"),
    { at: 0x0ac, name: "SHMSel", set: () => {} },
    { at: 0x0b0, name: "SHMLenLow", get: () => NO_REGION },
    { at: 0x0b4, name: "SHMLenHigh", get: () => NO_REGION },
    { at: 0x0b8, name: "SHMBaseLow", get: () => NO_REGION },
    { at: 0x0bc, name: "SHMBaseHigh", get: () => NO_REGION },
    { at: 0x0fc, name: "ConfigGeneration", get: generation },
  ];
}

const isPowerOf2 = (v: number) => v > 0 && (v & (v - 1)) === 0;

/** §4.2.4 */
function legacyRegs(id: number, core: VirtioCore, s: DriverState, kept: KeptState): Reg[] {
  const selected = () => s.queueSel < core.queues.length ? s.legacyQueues[s.queueSel] : undefined;
  const ready = () => s.queues[s.queueSel].queueReady;
  function setPfn(v: number): void {
    const q = selected();
    if (!q || (v !== 0 && ready())) return;
    q.queuePfn = v;
    if (v === 0) return core.stopQueue(s.queueSel);
    if (!isPowerOf2(kept.guestPageSize) || !isPowerOf2(q.queueAlign)) {
      return core.fail(s.queueSel, { error: "GuestPageSize or QueueAlign is no power of two" });
    }
    const num = s.queues[s.queueSel].queueNum;
    const areas = legacyAreas(v * kept.guestPageSize, num, q.queueAlign);
    core.queues[s.queueSel].setAreas(areas);
    core.startQueue(s.queueSel);
  }
  return [
    ...identityRegs(1, id),
    ...featureRegs(core, s, "Host", "Guest"),
    ...commonRegs(core, s),
    { at: 0x028, name: "GuestPageSize", set: (v) => kept.guestPageSize = v },
    {
      at: 0x03c,
      name: "QueueAlign",
      set(v) {
        const q = selected();
        if (q && !ready()) q.queueAlign = v;
      },
    },
    { at: 0x040, name: "QueuePFN", get: () => selected()?.queuePfn ?? 0, set: setPfn },
  ];
}

/**
 * A slot without a device: DeviceID 0 tells drivers to leave it alone (§4.2.2). It answers as QEMU's
 * empty slot does, with 0 in every other register.
 */
export const virtioMmioEmpty: DeviceType = device("virtio-mmio", {
  doc: "A virtio-mmio slot without a device.",
  source: "Virtio 1.2 §4.2.2",
  size: REGION_BYTES,
  compatible: ["virtio,mmio"],
  node: "virtio_mmio",
  irqs: 1,
  dt: () => ({ "dma-coherent": true }),
  props: LEGACY,
  state: {},
}, (_s, _port, props) => ({ regs: identityRegs(props.legacy ? 1 : 2, 0) }));
