/**
 * A virtio driver for tests, written from the driver's side of Virtio 1.2 (§2.7.13, §2.7.14, §3.1), over
 * any transport. It keeps every MUST of the driver; hostile tests then write over its rings.
 * @module
 */
import assert from "node:assert/strict";
import { RAM_BASE, type TestMachine } from "../mmio/test_machine.ts";
import type { Face } from "./test_faces.ts";
import {
  AVAIL,
  AVAIL_F_NO_INTERRUPT,
  availBytes,
  availEventAt,
  DESC,
  DESC_F,
  descBytes,
  legacyAreas,
  passedEvent,
  USED,
  USED_F_NO_NOTIFY,
  usedBytes,
  usedEventAt,
} from "./ring_layout.ts";

export { REG } from "./test_faces.ts";

const PAGE_BYTES = 4096;
const EVENT_IDX = 1 << 29, INDIRECT_DESC = 1 << 28, VERSION_1_HIGH = 1;

export interface Buffer {
  gpa: number;
  length: number;
  write: boolean;
}

/** A view of guest RAM by guest-physical address, as a driver has it. */
export class GuestRam {
  readonly #view: DataView;
  #free = 0;
  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  /** Zeroed memory; never freed but by `release`. */
  alloc(sizeBytes: number, align = 16): number {
    const at = Math.ceil(this.#free / align) * align;
    assert.ok(at + sizeBytes <= this.bytes.length, "the test needs more RAM");
    this.#free = at + sizeBytes;
    this.bytes.fill(0, at, at + sizeBytes);
    return RAM_BASE + at;
  }
  mark(): number {
    return this.#free;
  }
  release(mark: number): void {
    this.#free = mark;
  }
  u16 = (gpa: number) => this.#view.getUint16(gpa - RAM_BASE, true);
  u32 = (gpa: number) => this.#view.getUint32(gpa - RAM_BASE, true);
  setU16 = (gpa: number, v: number) => this.#view.setUint16(gpa - RAM_BASE, v, true);
  setU32 = (gpa: number, v: number) => this.#view.setUint32(gpa - RAM_BASE, v >>> 0, true);
  read = (gpa: number, n: number) => this.bytes.slice(gpa - RAM_BASE, gpa - RAM_BASE + n);
  write = (gpa: number, data: Uint8Array) => this.bytes.set(data, gpa - RAM_BASE);
}

export class DriverQueue {
  desc = 0;
  avail = 0;
  used = 0;
  kicks = 0;
  #availIdx = 0;
  #kicked = 0;
  #seen = 0;
  #free: number[];
  readonly #chains = new Map<number, number[]>();

  constructor(
    private readonly driver: ReferenceDriver,
    readonly index: number,
    readonly size: number,
  ) {
    this.#free = Array.from({ length: size }, (_, i) => i);
  }

  get ram(): GuestRam {
    return this.driver.ram;
  }
  get face(): Face {
    return this.driver.face;
  }
  get freeDescriptors(): number {
    return this.#free.length;
  }

  writeDesc(table: number, i: number, b: Buffer, flags: number, next: number): void {
    const at = table + DESC.bytes * i;
    this.ram.setU32(at + DESC.addr, b.gpa % 2 ** 32);
    this.ram.setU32(at + DESC.addrHigh, Math.floor(b.gpa / 2 ** 32));
    this.ram.setU32(at + DESC.len, b.length);
    this.ram.setU16(at + DESC.flags, flags | (b.write ? DESC_F.WRITE : 0));
    this.ram.setU16(at + DESC.next, next);
  }

  /** §2.7.13.1, §2.7.13.2: places a chain, `indirect` of its buffers at the end in a table. */
  add(buffers: readonly Buffer[], indirect = 0): number {
    const direct = buffers.slice(0, buffers.length - indirect);
    const slots = this.#free.splice(0, direct.length + (indirect > 0 ? 1 : 0));
    direct.forEach((b, k) => {
      const next = slots.at(k + 1);
      this.writeDesc(this.desc, slots[k], b, next === undefined ? 0 : DESC_F.NEXT, next ?? 0);
    });
    if (indirect > 0) {
      const table = this.ram.alloc(DESC.bytes * indirect);
      const rest = buffers.slice(direct.length);
      rest.forEach((b, k) => {
        const last = k === rest.length - 1;
        this.writeDesc(table, k, b, last ? 0 : DESC_F.NEXT, last ? 0 : k + 1);
      });
      const of = { gpa: table, length: DESC.bytes * indirect, write: false };
      this.writeDesc(this.desc, slots[slots.length - 1], of, DESC_F.INDIRECT, 0);
    }
    this.#chains.set(slots[0], slots);
    this.publish(slots[0]);
    return slots[0];
  }

  /** §2.7.13.3: makes a head available. */
  publish(head: number): void {
    const slot = this.#availIdx & (this.size - 1);
    this.ram.setU16(this.avail + AVAIL.ring + AVAIL.entryBytes * slot, head);
    this.#availIdx = (this.#availIdx + 1) & 0xffff;
    this.ram.setU16(this.avail + AVAIL.idx, this.#availIdx);
  }

  /** §2.7.10.1: notifies the device unless it asked for none; tells which. */
  kick(): boolean {
    const before = this.#kicked;
    this.#kicked = this.#availIdx;
    const wanted = this.driver.eventIdx
      ? passedEvent(this.ram.u16(this.used + availEventAt(this.size)), before, this.#availIdx)
      : (this.ram.u16(this.used + USED.flags) & USED_F_NO_NOTIFY) === 0;
    if (wanted) this.notify();
    return wanted;
  }

  notify(): void {
    this.kicks++;
    this.driver.face.notify(this.driver.m, this.index);
  }

  /** §2.7.14: chains handed back since the last call. */
  reap(): { head: number; written: number }[] {
    const out = [];
    while (this.#seen !== this.ram.u16(this.used + USED.idx)) {
      const at = this.used + USED.ring + USED.entryBytes * (this.#seen & (this.size - 1));
      const head = this.ram.u32(at), written = this.ram.u32(at + USED.entryLen);
      const slots = this.#chains.get(head);
      assert.ok(slots, `used ring names head ${head}, which is not in flight`);
      this.#chains.delete(head);
      this.#free.push(...slots);
      this.#seen = (this.#seen + 1) & 0xffff;
      out.push({ head, written });
    }
    return out;
  }

  /** §2.7.7.1: asks for an interrupt once `after` more chains were used, or for none. */
  wantInterrupt(after: number | null): void {
    if (this.driver.eventIdx) {
      const event = after === null ? this.#seen - 1 : this.#seen + after - 1;
      this.ram.setU16(this.avail + usedEventAt(this.size), event & 0xffff);
    } else {
      this.ram.setU16(this.avail + AVAIL.flags, after === null ? AVAIL_F_NO_INTERRUPT : 0);
    }
  }
}

export class ReferenceDriver {
  readonly ram: GuestRam;
  readonly queues: DriverQueue[] = [];
  interrupts = 0;
  eventIdx = false;
  indirect = false;

  constructor(readonly m: TestMachine, readonly face: Face, readonly queueSize = 8) {
    this.ram = new GuestRam(m.ram);
  }

  get legacy(): boolean {
    return this.face.legacy;
  }

  /** §3.1.1: accepts every feature that it is offered and knows. */
  init(queues = 2): this {
    const { m, face } = this;
    face.prepare(m);
    face.setStatus(m, 0);
    face.setStatus(m, 1);
    face.setStatus(m, 3);
    this.#features();
    if (!face.legacy) {
      face.setStatus(m, 11);
      assert.equal(face.status(m), 11, "FEATURES_OK was refused");
    }
    for (let i = 0; i < queues; i++) this.setupQueue(i);
    face.setStatus(m, face.status(m) | 4);
    return this;
  }

  #features(): void {
    const { m, face } = this;
    const low = face.offered(m, 0);
    this.eventIdx = (low & EVENT_IDX) !== 0;
    this.indirect = (low & INDIRECT_DESC) !== 0;
    face.accept(m, 0, low);
    if (!face.legacy) face.accept(m, 1, VERSION_1_HIGH);
  }

  setupQueue(i: number): DriverQueue {
    const { m, ram, face } = this;
    face.select(m, i);
    const max = face.maxSize(m);
    const size = face.fixedSize ? max : this.queueSize;
    assert.ok(max >= size);
    const q = new DriverQueue(this, i, size);
    face.setSize(m, size);
    if (face.legacy) {
      const bytes = legacyAreas(0, size, PAGE_BYTES).used + usedBytes(size);
      Object.assign(q, legacyAreas(ram.alloc(bytes, PAGE_BYTES), size, PAGE_BYTES));
    } else {
      q.desc = ram.alloc(descBytes(size), 16);
      q.avail = ram.alloc(availBytes(size), 2);
      q.used = ram.alloc(usedBytes(size), 4);
    }
    face.enable(m, q);
    assert.ok(face.enabled(m), `queue ${i} was not taken`);
    this.queues[i] = q;
    return q;
  }

  /** Takes an interrupt if the line is up; returns the status bits it found. */
  interrupt(): number {
    if (!this.m.wires[0].level) return 0;
    this.interrupts++;
    return this.face.interruptStatus(this.m);
  }
}
