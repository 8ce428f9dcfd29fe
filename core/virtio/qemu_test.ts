/**
 * Our virtio functions on PCI against QEMU's: configuration space byte by byte, then what a driver reads
 * that sizes and places BARs and tries the modern registers in any order.
 *
 * Left out: what QEMU 7.2 lets be written behind the capabilities; status, enabling of queues and
 * notifications, whose order ours enforces and QEMU does not; sizes and queues that cannot be, which
 * QEMU keeps; queue reset, which ours does not offer; of a disk, num_queues, which QEMU shows without
 * VIRTIO_BLK_F_MQ, and writeback, which there follows the features only at DRIVER_OK.
 * @module
 */
import assert from "node:assert/strict";
import { qemu } from "../../tests/needs.ts";
import { type Access, askQemu } from "../../tests/qtest.ts";
import type { PropValue } from "../mmio/device.ts";
import { DEVICES } from "../mmio/devices.ts";
import { HEADER } from "../mmio/pci/declaration.ts";
import { ECAM, MEM32, MEM64, TestBus } from "../mmio/pci/test_bus.ts";
import { Random, seeds } from "../mmio/test_random.ts";
import { MODERN } from "./test_faces.ts";

const FILE = "core/virtio/qemu_test.ts";
const NAME = "virtio-pci: reads as QEMU's does";
const ACCESSES = 3000;
const CONFIG_BYTES = 256, DEVICE_CONFIG = 0x2000;
/** writeback and num_queues. */
const HIDDEN = { from: 32, to: 36 } as const;
const DRIVE_BYTES = 256 * 1024;

interface Compared {
  readonly type: string;
  readonly props?: Readonly<Record<string, PropValue>>;
  readonly qemu: string;
  /** What of the device's own may be compared: QEMU's serial device has many ports. */
  readonly queues: number;
  readonly maxSize: number;
  readonly configBytes: number;
}
const BLK = { type: "virtio-blk-pci", queues: 1, maxSize: 256, configBytes: 56 };
const SCSI = { type: "virtio-scsi-pci", queues: 3, maxSize: 256, configBytes: 36 };
const RNG = { type: "virtio-rng-pci", queues: 1, maxSize: 8, configBytes: 0 };
const CONSOLE = { type: "virtio-console-pci", queues: 0, maxSize: 0, configBytes: 0 };
const MODERN_ONLY = { disable_legacy: true };
const COMPARED: readonly Compared[] = [
  { ...BLK, qemu: "virtio-blk-pci,drive=d,queue_reset=off" },
  { ...BLK, props: MODERN_ONLY, qemu: "virtio-blk-pci,drive=e,queue_reset=off,disable-legacy=on" },
  { ...SCSI, qemu: "virtio-scsi-pci,queue_reset=off" },
  { ...SCSI, props: MODERN_ONLY, qemu: "virtio-scsi-pci,queue_reset=off,disable-legacy=on" },
  { ...RNG, qemu: "virtio-rng-pci,queue_reset=off" },
  { ...RNG, props: { vectors: 0 }, qemu: "virtio-rng-pci,queue_reset=off,vectors=0" },
  { ...CONSOLE, qemu: "virtio-serial-pci,queue_reset=off" },
];

const slotBase = (i: number) => ECAM + (1 + i) * 0x8000;
const barAt = (i: number) => MEM64 + 0x1_0000 * i;
const read = (addr: number, size: Access["size"]): Access => ({ addr, size, value: null });
const write = (addr: number, size: Access["size"], value: number): Access => ({
  addr,
  size,
  value,
});

/** Every byte of configuration space, then all BARs sized and placed, memory on. */
function placing(i: number): Access[] {
  const base = slotBase(i);
  const bars = [0, 1, 2, 3, 4, 5].map((b) => base + HEADER.BAR0.at + 4 * b);
  return [
    ...Array.from({ length: CONFIG_BYTES / 4 }, (_, k) => read(base + 4 * k, 4)),
    ...bars.flatMap((addr) => [write(addr, 4, 0xffff_ffff), read(addr, 4)]),
    write(bars[1], 4, MEM32 + 0x1_0000 * i),
    write(bars[4], 4, barAt(i) % 2 ** 32),
    write(bars[5], 4, Math.floor(barAt(i) / 2 ** 32)),
    ...bars.map((addr) => read(addr, 4)),
    write(base + HEADER.COMMAND.at, 2, 2),
    read(base + HEADER.COMMAND.at, 4),
  ];
}

type Name = keyof typeof MODERN;
const WRITTEN: readonly Name[] = [
  "device_feature_select",
  "driver_feature_select",
  "driver_feature",
  "config_msix_vector",
  "queue_select",
  "queue_size",
  "queue_msix_vector",
  "queue_desc_low",
  "queue_desc_high",
  "queue_driver_low",
  "queue_driver_high",
  "queue_device_low",
  "queue_device_high",
];
const READ = Object.keys(MODERN) as Name[];

function value(r: Random, name: Name, d: Compared): number {
  switch (name) {
    case "device_feature_select":
    case "driver_feature_select":
      return r.below(4);
    case "config_msix_vector":
    case "queue_msix_vector":
      return r.pick([0, 1, 3, 4, 0xffff]);
    case "queue_select":
      return r.below(d.queues);
    case "queue_size":
      return 2 ** r.below(Math.log2(d.maxSize) + 1);
    default:
      return r.u32();
  }
}

function modernAccess(r: Random): Access {
  const i = r.below(COMPARED.length);
  const d = COMPARED[i];
  if (d.queues === 0) return read(slotBase(i) + 4 * r.below(CONFIG_BYTES / 4), 4);
  if (r.chance(0.2) && d.configBytes > 0) {
    const size = r.pick([1, 2, 4] as const);
    const at = size * r.below(d.configBytes / size);
    const hidden = d.type === BLK.type && at + size > HIDDEN.from && at < HIDDEN.to;
    return read(barAt(i) + DEVICE_CONFIG + (hidden ? 0 : at), size);
  }
  if (r.chance(0.5)) {
    const name = r.pick(WRITTEN);
    const [at, size] = MODERN[name];
    return write(barAt(i) + at, size, value(r, name, d) % 2 ** (8 * size));
  }
  const [at, size] = MODERN[r.pick(READ)];
  return read(barAt(i) + at, size);
}

function ours(accesses: readonly Access[]): bigint[] {
  const t = new TestBus(COMPARED.map(({ type, props }) => ({ type: DEVICES[type], props })));
  return accesses.flatMap(({ addr, size, value }) => {
    if (value === null) return [BigInt(t.read(addr, size) >>> 0)];
    t.write(addr, value, size);
    return [];
  });
}

qemu().test(NAME, async () => {
  const drive = Deno.makeTempFileSync();
  try {
    Deno.truncateSync(drive, DRIVE_BYTES);
    const disks = ["d", "e"].flatMap((
      id,
    ) => ["-drive", `file=${drive},if=none,id=${id},format=raw,file.locking=off`]);
    const devices = COMPARED.flatMap((d) => ["-device", d.qemu]);
    for (const seed of seeds(3)) {
      const r = new Random(seed);
      const accesses = [
        ...COMPARED.flatMap((_, i) => placing(i)),
        ...Array.from({ length: ACCESSES }, () => modernAccess(r)),
      ];
      const theirs = await askQemu(accesses, [...disks, ...devices]);
      const mine = ours(accesses);
      const telling = theirs.filter((v) => v !== 0n).length;
      assert.ok(telling > 500, `only ${telling} reads told anything`);
      const reads = accesses.flatMap((a, at) => a.value === null ? [{ ...a, at }] : []);
      const k = reads.findIndex((_, k) => mine[k] !== theirs[k]);
      if (k < 0) continue;
      const { addr, size } = reads[k];
      assert.fail(
        `at step ${reads[k].at}; to replay: SEED=${seed} deno test -A ${FILE}\n` +
          `read ${size} at 0x${addr.toString(16)}: ours 0x${mine[k].toString(16)}, ` +
          `QEMU's 0x${theirs[k].toString(16)}`,
      );
    }
  } finally {
    Deno.removeSync(drive);
  }
});
