/**
 * A hostile driver of a virtio device over MMIO: sets queues up as Virtio 1.2 §3.1 says, then makes
 * chains of which most are such as the device serves, and notifies.
 * @module
 */
import type { DeviceInstance } from "../../core/mmio/device.ts";
import { value } from "../../core/mmio/test_laws.ts";
import type { Random } from "../../core/mmio/test_random.ts";
import { AVAIL, DESC, DESC_F, legacyAreas } from "../../core/virtio/ring_layout.ts";
import { REG } from "../../core/virtio/test_driver.ts";
import type { Op } from "./script.ts";

const QUEUES = 2;
/** Of a driver's memory: rings first, an indirect table, then buffers. */
const QUEUE_BYTES = 0x3000, INDIRECT_AT = 0x7000, BUFFERS_AT = 0x8000, BUFFER_BYTES = 0x8000;
const PAGE = 4096;
const INDIRECT = 1 << 28; // VIRTIO_F_INDIRECT_DESC
const DRIVER = 3, FEATURES_OK = 8, DRIVER_OK = 4;

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
  readonly #isDisk: boolean;
  readonly #offered: readonly number[];

  /** Were indirect descriptors negotiated? */
  #indirect = false;

  constructor(
    private readonly rng: Random,
    dev: DeviceInstance,
    private readonly at: number,
    private readonly memory: number,
  ) {
    this.#isDisk = dev.type.name.includes("blk");
    this.#legacy = dev.peek(REG.Version, 4) === 1n;
    this.#offered = [Number(dev.peek(REG.DeviceFeatures, 4) ?? 0n), this.#legacy ? 0 : 1];
    const queues = dev.type.name.includes("console") ? QUEUES : 1;
    this.#queues = Array.from({ length: queues }, (_, index) => this.#place(index, 8));
  }

  #place(index: number, size: number): Queue {
    const base = this.memory + QUEUE_BYTES * index;
    const areas = this.#legacy
      ? legacyAreas(base, size, PAGE)
      : { desc: base, avail: base + 0x1000, used: base + 0x2000 };
    return { index, size, availIdx: 0, ...areas };
  }

  #write(register: number, v: number): Op {
    return { op: "write", addr: this.at + register, size: 4, lo: v >>> 0, hi: 0 };
  }

  setUp(): Op[] {
    const { rng } = this;
    const ops = [this.#write(REG.Status, 0), this.#write(REG.Status, DRIVER)];
    this.#offered.forEach((word, i) => {
      const accepted = rng.chance(0.5) ? word : (word & rng.u32()) >>> 0;
      if (i === 0) this.#indirect = (accepted & INDIRECT) !== 0;
      ops.push(this.#write(REG.DriverFeaturesSel, i));
      ops.push(this.#write(REG.DriverFeatures, i === 1 ? word : accepted));
    });
    if (this.#legacy) ops.push(this.#write(REG.GuestPageSize, PAGE));
    else ops.push(this.#write(REG.Status, DRIVER | FEATURES_OK));
    for (const { index } of this.#queues) ops.push(...this.#start(index));
    ops.push(this.#write(REG.Status, DRIVER | (this.#legacy ? 0 : FEATURES_OK) | DRIVER_OK));
    return ops;
  }

  #start(i: number): Op[] {
    const size = this.rng.pick([1, 2, 4, 8, 8, 8, 8, 16]);
    const q = this.#queues[i] = this.#place(i, size);
    const ops = [fill(q.desc, new Uint8Array(QUEUE_BYTES)), this.#write(REG.QueueSel, i)];
    ops.push(this.#write(REG.QueueNum, size));
    if (this.#legacy) {
      return [
        ...ops,
        this.#write(REG.QueueAlign, PAGE),
        this.#write(REG.QueuePFN, q.desc / PAGE),
      ];
    }
    const areas = [[REG.QueueDescLow, q.desc], [REG.QueueDriverLow, q.avail], [
      REG.QueueDeviceLow,
      q.used,
    ]];
    for (const [low, gpa] of areas) {
      ops.push(this.#write(low, gpa), this.#write(low + 4, 0));
    }
    return [...ops, this.#write(REG.QueueReady, 1)];
  }

  #buffer(): number {
    const { rng } = this;
    return rng.chance(0.99) ? this.memory + BUFFERS_AT + rng.below(BUFFER_BYTES) : value(rng);
  }

  /** Device-readable and device-writable buffers of a chain. */
  #shape(index: number): [number, number] {
    const { rng } = this;
    if (rng.chance(0.1)) return [rng.below(4), rng.below(4)];
    if (this.#isDisk) return rng.chance(0.5) ? [1, 2] : [2, 1];
    return index === 0 ? [0, 1 + rng.below(2)] : [1 + rng.below(2), 0];
  }

  /** A chain as a device may expect one: header, data, status; or only some of them. */
  #chain({ size, index }: Queue): Descriptor[] {
    const { rng } = this;
    const [readable, writable] = this.#shape(index);
    const sectors = [512, 512, 1024, 4096];
    const lengths = this.#isDisk && rng.chance(0.9) ? sectors : [16, 1, 0, 512, rng.below(5000)];
    const total = Math.max(1, Math.min(size, readable + writable));
    const first = rng.below(size);
    return Array.from({ length: total }, (_, i) => ({
      gpa: this.#buffer(),
      length: i === 0 && readable > 0 && rng.chance(0.95)
        ? 16
        : i === total - 1 && writable > 0 && rng.chance(this.#isDisk ? 0.97 : 0.3)
        ? 1
        : rng.chance(0.995)
        ? rng.pick(lengths)
        : value(rng),
      flags: rng.chance(0.004)
        ? rng.below(8)
        : (i < total - 1 ? DESC_F.NEXT : 0) | (i >= readable ? DESC_F.WRITE : 0),
      next: rng.chance(0.997) ? (first + i + 1) % size : rng.below(0x1_0000),
    }));
  }

  /** A disk's header (§5.2.6), where a chain may find one. */
  #header(gpa: number): Op {
    const { rng } = this;
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
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
        return [this.#write(REG.InterruptACK, rng.below(4))];
      case 1:
        return [fill16(q.avail + AVAIL.flags, rng.below(2))];
      case 2:
        return [this.#write(REG.QueueNotify, rng.chance(0.9) ? q.index : value(rng))];
      case 3:
        return rng.chance(0.05) ? [this.#write(REG.QueueReady, 0)] : [...this.#request(q)];
      default:
        return [...this.#request(q), this.#write(REG.QueueNotify, q.index)];
    }
  }
}
