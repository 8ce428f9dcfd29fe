/**
 * A hostile driver of a virtio device, over MMIO or modern over PCI: sets queues up as Virtio 1.2 §3.1 says, then makes
 * chains of which most are such as the device serves, and notifies.
 * @module
 */
import type { DeviceInstance } from "../../core/mmio/device.ts";
import type { Region } from "../../core/mmio/region.ts";
import { value } from "../../core/mmio/test_laws.ts";
import type { Random } from "../../core/mmio/test_random.ts";
import { AVAIL, DESC, DESC_F, legacyAreas } from "../../core/virtio/ring_layout.ts";
import { MODERN, NOTIFY, REG } from "../../core/virtio/test_faces.ts";
import type { Op } from "./script.ts";

/** Of a driver's memory: rings first, an indirect table, then buffers. */
const QUEUE_BYTES = 0x3000, INDIRECT_AT = 0x9000, BUFFERS_AT = 0xa000, BUFFER_BYTES = 0x6000;
const PAGE = 4096;
const INDIRECT = 1 << 28; // VIRTIO_F_INDIRECT_DESC
const DRIVER = 3, FEATURES_OK = 8, DRIVER_OK = 4;

/** Where modern PCI has what MMIO calls so. */
const OVER_PCI: Readonly<Partial<Record<keyof typeof REG, keyof typeof MODERN>>> = {
  DeviceFeatures: "device_feature",
  DriverFeaturesSel: "driver_feature_select",
  DriverFeatures: "driver_feature",
  QueueSel: "queue_select",
  QueueNum: "queue_size",
  QueueReady: "queue_enable",
  InterruptACK: "isr_status",
  Status: "device_status",
  QueueDescLow: "queue_desc_low",
  QueueDescHigh: "queue_desc_high",
  QueueDriverLow: "queue_driver_low",
  QueueDriverHigh: "queue_driver_high",
  QueueDeviceLow: "queue_device_low",
  QueueDeviceHigh: "queue_device_high",
};
/** Bytes of what a driver notifies a queue by, over PCI. */
const NOTIFY_BYTES = 4;

/** What a kind of device has: how many queues, and what its chains begin and answer with. */
const KINDS = {
  blk: { queues: 1, requests: 0, header: 16, answer: 1 },
  scsi: { queues: 3, requests: 2, header: 51, answer: 108 },
  console: { queues: 2, requests: -1, header: 0, answer: 0 },
  rng: { queues: 1, requests: -1, header: 0, answer: 0 },
} as const;
const CDBS = [0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x41, 0x42, 0x88, 0xa0];

interface Queue {
  readonly index: number;
  size: number;
  desc: number;
  avail: number;
  used: number;
  availIdx: number;
}

interface Descriptor {
  readonly gpa: number;
  readonly length: number;
  readonly flags: number;
  readonly next: number;
}

function descriptorBytes(list: readonly Descriptor[]): Uint8Array {
  const bytes = new Uint8Array(DESC.bytes * list.length);
  const view = new DataView(bytes.buffer);
  list.forEach((d, i) => {
    const at = DESC.bytes * i;
    view.setUint32(at + DESC.addr, d.gpa >>> 0, true);
    view.setUint32(at + DESC.addrHigh, Math.floor(d.gpa / 2 ** 32), true);
    view.setUint32(at + DESC.len, d.length >>> 0, true);
    view.setUint16(at + DESC.flags, d.flags, true);
    view.setUint16(at + DESC.next, d.next, true);
  });
  return bytes;
}

const fill = (addr: number, bytes: Uint8Array): Op => ({ op: "fill", addr, bytes });
const fill16 = (addr: number, ...v: number[]): Op =>
  fill(addr, new Uint8Array(Uint16Array.from(v).buffer));

export class RingDriver {
  readonly #queues: Queue[];
  readonly #legacy: boolean;
  readonly #kind: (typeof KINDS)[keyof typeof KINDS];
  readonly #offered: readonly number[];

  /** Were indirect descriptors negotiated? */
  #indirect = false;

  constructor(
    private readonly rng: Random,
    dev: DeviceInstance,
    /** Where its registers are: for PCI, the BAR of the modern ones. */
    private readonly at: number,
    private readonly memory: number,
    region: Region,
    private readonly isPci: boolean,
  ) {
    const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[]).find((k) =>
      dev.type.name.includes(k)
    );
    this.#kind = KINDS[kind ?? "rng"];
    this.#legacy = !this.isPci && dev.peek(REG.Version, 4) === 1n;
    const featuresAt = this.isPci ? MODERN.device_feature[0] : REG.DeviceFeatures;
    const offered = (this.isPci ? region : dev.main).peek(featuresAt, 4) ?? 0n;
    this.#offered = [Number(offered), this.#legacy ? 0 : 1];
    this.#queues = Array.from(
      { length: this.#kind.queues },
      (_, index) => this.#place(index, 8),
    );
  }

  #place(index: number, size: number): Queue {
    const base = this.memory + QUEUE_BYTES * index;
    const areas = this.#legacy
      ? legacyAreas(base, size, PAGE)
      : { desc: base, avail: base + 0x1000, used: base + 0x2000 };
    return { index, size, availIdx: 0, ...areas };
  }

  #write(name: keyof typeof REG, v: number): Op {
    const place = this.isPci ? MODERN[OVER_PCI[name]!] : [REG[name], 4] as const;
    return { op: "write", addr: this.at + place[0], size: place[1], lo: v >>> 0, hi: 0 };
  }

  #notify(v: number): Op {
    if (!this.isPci) return this.#write("QueueNotify", v);
    const addr = this.at + NOTIFY + NOTIFY_BYTES * (v % this.#queues.length);
    return { op: "write", addr, size: 2, lo: v >>> 0, hi: 0 };
  }

  setUp(): Op[] {
    const { rng } = this;
    const ops = [this.#write("Status", 0), this.#write("Status", DRIVER)];
    this.#offered.forEach((word, i) => {
      const accepted = rng.chance(0.5) ? word : (word & rng.u32()) >>> 0;
      if (i === 0) this.#indirect = (accepted & INDIRECT) !== 0;
      ops.push(this.#write("DriverFeaturesSel", i));
      ops.push(this.#write("DriverFeatures", i === 1 ? word : accepted));
    });
    if (this.#legacy) ops.push(this.#write("GuestPageSize", PAGE));
    else ops.push(this.#write("Status", DRIVER | FEATURES_OK));
    for (const { index } of this.#queues) ops.push(...this.#start(index));
    ops.push(this.#write("Status", DRIVER | (this.#legacy ? 0 : FEATURES_OK) | DRIVER_OK));
    return ops;
  }

  #start(i: number): Op[] {
    const size = this.rng.pick([1, 2, 4, 8, 8, 8, 8, 16]);
    const q = this.#queues[i] = this.#place(i, size);
    const ops = [fill(q.desc, new Uint8Array(QUEUE_BYTES)), this.#write("QueueSel", i)];
    ops.push(this.#write("QueueNum", size));
    if (this.#legacy) {
      return [
        ...ops,
        this.#write("QueueAlign", PAGE),
        this.#write("QueuePFN", q.desc / PAGE),
      ];
    }
    ops.push(
      this.#write("QueueDescLow", q.desc),
      this.#write("QueueDescHigh", 0),
      this.#write("QueueDriverLow", q.avail),
      this.#write("QueueDriverHigh", 0),
      this.#write("QueueDeviceLow", q.used),
      this.#write("QueueDeviceHigh", 0),
    );
    return [...ops, this.#write("QueueReady", 1)];
  }

  #buffer(): number {
    const { rng } = this;
    return rng.chance(0.99) ? this.memory + BUFFERS_AT + rng.below(BUFFER_BYTES) : value(rng);
  }

  /** Device-readable and device-writable buffers of a chain. */
  #shape(index: number): [number, number] {
    const { rng } = this;
    if (rng.chance(0.1)) return [rng.below(4), rng.below(4)];
    if (this.#kind.requests === index) return rng.chance(0.5) ? [1, 2] : [2, 1];
    if (this.#kind.requests > 0) return index === 0 ? [1, 1] : [0, 1];
    return index === 0 ? [0, 1 + rng.below(2)] : [1 + rng.below(2), 0];
  }

  /** A chain as a device may expect one: header, data, answer; or only some of them. */
  #chain({ size, index }: Queue): Descriptor[] {
    const { rng } = this;
    const [readable, writable] = this.#shape(index);
    const { header, answer, requests } = this.#kind;
    const total = Math.max(1, Math.min(size, readable + writable));
    // A SCSI answer comes before its data, a disk's status after them.
    const answerAt = requests > 0 ? readable : total - 1;
    const sectors = [512, 512, 1024, 4096];
    const isRequest = requests === index;
    const lengths = isRequest && rng.chance(0.9) ? sectors : [16, 1, 0, 512, rng.below(5000)];
    const first = rng.below(size);
    return Array.from({ length: total }, (_, i) => ({
      gpa: this.#buffer(),
      length: isRequest && i === 0 && rng.chance(0.96)
        ? header
        : isRequest && i === answerAt && rng.chance(0.97)
        ? answer
        : rng.chance(0.995)
        ? rng.pick(lengths)
        : value(rng),
      flags: rng.chance(0.004)
        ? rng.below(8)
        : (i < total - 1 ? DESC_F.NEXT : 0) | (i >= readable ? DESC_F.WRITE : 0),
      next: rng.chance(0.997) ? (first + i + 1) % size : rng.below(0x1_0000),
    }));
  }

  /** What a request begins with, where a chain may find it: of a disk §5.2.6, of SCSI §5.6.6.1. */
  #header(gpa: number): Op {
    const { rng } = this;
    const { header } = this.#kind;
    const bytes = new Uint8Array(Math.max(16, header));
    const view = new DataView(bytes.buffer);
    if (header === KINDS.scsi.header) {
      bytes.set([1, rng.below(3), 0x40, rng.below(2)]);
      bytes.set([rng.pick(CDBS), 0, 0, 0, 0, rng.below(130), 0, 0, rng.below(4), 0], 19);
      if (rng.chance(0.05)) bytes.set(rng.bytes(header));
      return fill(gpa, bytes);
    }
    view.setUint32(0, rng.pick([0, 0, 0, 1, 1, 1, 4, 8, 11, 13, 14, rng.u32()]), true);
    view.setUint32(8, rng.chance(0.9) ? rng.below(130) : value(rng), true);
    view.setUint32(12, rng.chance(0.95) ? 0 : value(rng), true);
    return fill(gpa, bytes);
  }

  #request(q: Queue): Op[] {
    const { rng } = this;
    const chain = this.#chain(q);
    // One after the other, so that few meet themselves in flight.
    const head = rng.chance(0.97) ? 3 * q.availIdx % q.size : rng.below(q.size);
    const ops: Op[] = [];
    if (rng.chance(0.95)) ops.push(this.#header(chain[0].gpa));
    if (rng.chance(this.#indirect ? 0.3 : 0.005)) {
      const table = chain.map((d, i) => ({ ...d, next: i + 1 }));
      ops.push(fill(this.memory + INDIRECT_AT, descriptorBytes(table)));
      const length = DESC.bytes * table.length + (rng.chance(0.03) ? rng.below(16) : 0);
      const flags = DESC_F.INDIRECT;
      const one = { gpa: this.memory + INDIRECT_AT, length, flags, next: 0 };
      ops.push(fill(q.desc + DESC.bytes * head, descriptorBytes([one])));
    } else {
      chain.forEach((d, i) => {
        const index = (head + i) % q.size;
        const next = d.next >= q.size ? d.next : (index + 1) % q.size;
        ops.push(fill(q.desc + DESC.bytes * index, descriptorBytes([{ ...d, next }])));
      });
    }
    return [...ops, ...this.#publish(q, head)];
  }

  #publish(q: Queue, head: number): Op[] {
    const { rng } = this;
    const slot = q.avail + AVAIL.ring + AVAIL.entryBytes * (q.availIdx & (q.size - 1));
    const wild = rng.chance(0.005);
    q.availIdx = (wild ? rng.u32() : q.availIdx + 1) & 0xffff;
    return [
      fill16(slot, rng.chance(0.995) ? head : rng.below(0x1_0000)),
      fill16(q.avail + AVAIL.idx, q.availIdx),
    ];
  }

  /** A step of the driver. */
  some(): Op[] {
    const { rng } = this;
    const q = rng.pick(this.#queues);
    switch (rng.below(8)) {
      case 0:
        return [this.#write("InterruptACK", rng.below(4))];
      case 1:
        return [fill16(q.avail + AVAIL.flags, rng.below(2))];
      case 2:
        return [this.#notify(rng.chance(0.9) ? q.index : value(rng))];
      case 3:
        return rng.chance(0.05) ? [this.#write("QueueReady", 0)] : [...this.#request(q)];
      default:
        return [...this.#request(q), this.#notify(q.index)];
    }
  }
}
