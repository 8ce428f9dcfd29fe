/**
 * The state machine of a device (§2.1, §2.4, §3.1) on every face: a driver that takes its steps in any
 * order, with anything for features and queues, against a small model of what the specification lets it
 * reach; requests are in flight meanwhile, and resets come at any moment.
 * @module
 */
import assert from "node:assert/strict";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { forSeeds, type Random } from "../mmio/test_random.ts";
import { virtioConsole, virtioConsolePci } from "./console.ts";
import { AVAIL, DESC } from "./ring_layout.ts";
import { type Face, FACES } from "./test_faces.ts";

const FILE = "core/virtio/state_machine_test.ts";
const ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64, FAILED = 128;
const BITS = [ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED];
const TX = 1, QUEUES = 2;
const VERSION_1 = 1; // In word 1.
const RAM_BYTES = 1 << 18;
const PAGE = 4096;

/** A place for a queue's areas, and one that no queue may have. */
const placeOf = (queue: number) => RAM_BASE + 0x10000 * (1 + queue);
const OUTSIDE = 0x1000_0000;

interface Queue {
  enabled: boolean;
  /** What its driver said last, where it was listened to. */
  size: number;
}

/** What the specification says of one device. */
class Model {
  status = 0;
  features: [number, number] = [0, 0];
  broken = false;
  queues: Queue[] = [];
  /** Requests that must have been served, and those that may have been. */
  served = 0;
  flying = 0;

  constructor(readonly face: Face, readonly offered: readonly number[], readonly max: number) {
    this.reset();
  }

  /** §2.4 */
  reset(): void {
    this.status = 0;
    this.features = [0, 0];
    this.broken = false;
    this.flying = 0;
    this.queues = Array.from({ length: QUEUES }, () => ({ enabled: false, size: this.unset }));
  }

  /** Size of a queue whose driver has said none. */
  get unset(): number {
    return this.face.bus === "pci" ? this.max : 0;
  }

  get isAcceptable(): boolean {
    const [low, high] = this.features;
    const subset = (low & ~this.offered[0]) === 0 && (high & ~this.offered[1]) === 0;
    // Over MMIO a driver may know one word of features alone.
    return subset && (this.face.bus === "mmio" || (high & VERSION_1) !== 0);
  }

  /** §3.1.1: each step from DRIVER on needs the one before; a bit is cleared by a reset alone. */
  setStatus(v: number): void {
    if (v === 0) return this.reset();
    let wanted = (v | this.status) & ~NEEDS_RESET;
    if (!this.face.legacy) {
      const order = [DRIVER, FEATURES_OK, DRIVER_OK];
      for (let i = 1; i < order.length; i++) {
        const refused = order[i] === FEATURES_OK && !this.isAcceptable;
        if ((wanted & order[i - 1]) === 0 || refused) wanted &= ~order[i] | this.status;
      }
      if (wanted & FAILED) wanted = this.status | FAILED;
    }
    this.status |= wanted;
  }

  accept(word: number, bits: number): void {
    if (this.status & (FEATURES_OK | DRIVER_OK)) return;
    if (word < (this.face.legacy && this.face.bus === "pci" ? 1 : 2)) this.features[word] = bits;
  }

  /** May the driver set up this queue? */
  #isOpen(q: Queue): boolean {
    if (q.enabled) return false;
    return this.face.legacy || this.face.bus === "mmio" || (this.status & DRIVER_OK) === 0;
  }

  setSize(queue: number, size: number): void {
    const q = this.queues[queue];
    if (this.#isOpen(q) && !this.face.fixedSize) q.size = size || this.unset;
  }

  /** §2.1.2: areas outside RAM and wrong sizes break the device. */
  enable(queue: number, inRam: boolean): void {
    const q = this.queues[queue];
    const settled = this.face.legacy || (this.status & FEATURES_OK) !== 0;
    if (!this.#isOpen(q) || !settled) return;
    const size = this.face.fixedSize ? this.max : q.size;
    const isPowerOf2 = size > 0 && (size & (size - 1)) === 0;
    if (inRam && isPowerOf2 && size <= this.max) q.enabled = true;
    else this.fail();
  }

  fail(): void {
    this.broken = true;
    this.flying = 0;
    if (!this.face.legacy) this.status |= NEEDS_RESET;
  }

  /** Would a request on this queue be served? */
  isLive(queue: number): boolean {
    const started = this.face.legacy || (this.status & DRIVER_OK) !== 0;
    return started && !this.broken && this.queues[queue].enabled;
  }
}

/** One device, its model, and what a driver does to both. */
class Pair {
  readonly m: TestMachine;
  readonly model: Model;

  constructor(private readonly face: Face, private readonly r: Random) {
    const type = face.bus === "pci" ? virtioConsolePci : virtioConsole;
    this.m = new TestMachine(type, {
      props: { ...face.props, latency: r.pick([0, 1000]), event_idx: false },
      ramBytes: RAM_BYTES,
    });
    face.prepare(this.m);
    const offered = [0, 1].map((word) => face.offered(this.m, word));
    face.select(this.m, TX);
    this.model = new Model(face, offered, face.maxSize(this.m));
    face.setStatus(this.m, 0);
  }

  step(): void {
    const { r, face, m, model } = this;
    const queue = r.below(QUEUES);
    switch (r.below(8)) {
      case 0:
        return this.#setStatus(r.chance(0.15) ? 0 : r.pick(BITS) | (r.chance(0.2) ? r.u32() : 0));
      case 1:
        // The next step, as a driver that keeps the order takes it.
        return this.#setStatus(model.status << 1 & 2 | model.status | r.pick([1, 3, 11, 15]));
      case 2: {
        const word = r.below(3);
        const good = word < 2 ? model.offered[word] & r.u32() | word : 0;
        const bits = r.chance(0.8) ? good : r.u32();
        face.accept(m, word, bits);
        return model.accept(word, bits >>> 0);
      }
      case 3: {
        const size = r.chance(0.8) ? 2 ** r.below(7) : r.pick([0, 3, 128, 0xffff]);
        face.select(m, queue);
        face.setSize(m, size);
        return model.setSize(queue, size);
      }
      case 4:
      case 5:
        return this.#enable(queue);
      case 6:
        return void m.advance(r.below(1500));
      default:
        if (r.chance(0.2)) this.#setUp();
        return this.#send();
    }
  }

  /** As a driver does that means it. */
  #setUp(): void {
    const { face, m, model } = this;
    for (const status of [0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER]) this.#setStatus(status);
    for (const word of [0, 1]) {
      face.accept(m, word, word);
      model.accept(word, word);
    }
    if (!face.legacy) this.#setStatus(model.status | FEATURES_OK);
    for (let queue = 0; queue < QUEUES; queue++) {
      face.select(m, queue);
      face.setSize(m, 16);
      model.setSize(queue, 16);
      this.#enable(queue, true);
    }
    this.#setStatus(model.status | DRIVER_OK);
  }

  #setStatus(v: number): void {
    const byte = v & 0xff;
    const { m, model } = this;
    const out = m.outBytes.length;
    this.face.setStatus(m, byte);
    model.setStatus(byte);
    if (byte !== 0) return;
    // What was in flight is lost, and nothing of it comes later.
    assert.equal(m.outBytes.length, out);
    model.served = out;
  }

  #enable(queue: number, inRam = this.r.chance(0.9)): void {
    const { face, m, model } = this;
    const out = m.outBytes.length;
    const at = inRam ? placeOf(queue) : OUTSIDE;
    // Neither ring may hold anything when a queue goes into service.
    if (!model.queues[queue].enabled) {
      m.ram.fill(0, placeOf(queue) - RAM_BASE, placeOf(queue + 1) - RAM_BASE);
    }
    face.select(m, queue);
    face.enable(m, { desc: at, avail: at + 0x4000, used: at + 0x8000 });
    model.enable(queue, inRam);
    if (model.broken) model.served = out;
  }

  /** A request of one byte, in rings that are where the driver meant them to be. */
  #send(): void {
    const { face, m, model } = this;
    if (face.legacy && !model.isLive(TX)) return face.notify(m, TX);
    const view = new DataView(m.ram.buffer, m.ram.byteOffset, m.ram.length);
    const size = model.queues[TX].size || 1;
    const avail = face.legacy ? this.#legacyAvail(size) : placeOf(TX) + 0x4000 - RAM_BASE;
    const idx = view.getUint16(avail + AVAIL.idx, true);
    const head = idx % size;
    const desc = placeOf(TX) - RAM_BASE + DESC.bytes * head;
    view.setUint32(desc + DESC.addr, RAM_BASE + PAGE, true);
    view.setUint32(desc + DESC.len, 1, true);
    const isLive = model.isLive(TX);
    if (isLive && model.flying >= size) return;
    if (isLive) {
      view.setUint16(avail + AVAIL.ring + 2 * head, head, true);
      view.setUint16(avail + AVAIL.idx, idx + 1, true);
      model.flying++;
    }
    face.notify(m, TX);
    if (isLive && this.r.chance(0.5)) this.#wait();
  }

  /** All that is in flight must be served now. */
  #wait(): void {
    const { m, model } = this;
    m.advance(1_000_000);
    model.served += model.flying;
    model.flying = 0;
  }

  #legacyAvail(size: number): number {
    return placeOf(TX) - RAM_BASE + DESC.bytes * size;
  }

  check(): void {
    const { face, m, model } = this;
    const served = m.outBytes.length;
    const { served: least, flying } = model;
    assert.ok(
      served >= least && served <= least + flying,
      `${served} of ${least} to ${flying} more`,
    );
    assert.equal(face.status(m), model.status, "status");
    for (let queue = 0; queue < QUEUES; queue++) {
      face.select(m, queue);
      if (face.legacy && face.bus === "mmio") continue; // A page number is kept, whatever became of it.
      if (face.legacy && model.broken) continue;
      assert.equal(face.enabled(m), model.queues[queue].enabled, `queue ${queue}`);
    }
    if (model.status === 0 && !face.legacy) assert.equal(m.pending.length, 0, "a reset left work");
    if (model.status & DRIVER_OK || face.legacy) return;
    assert.equal(m.wires[0].level, false, "an interrupt before DRIVER_OK");
  }
}

for (const face of FACES) {
  const title = `virtio ${face.name}: the state machine is the specification's, for any driver`;
  Deno.test(title, () => {
    let sent = 0, broken = 0, started = 0;
    forSeeds(150, FILE, title, (r, at) => {
      const pair = new Pair(face, r);
      for (let i = 0; i < 120; i++) {
        at(i);
        pair.step();
        pair.check();
        if (pair.model.broken) broken++;
        if (pair.model.status & DRIVER_OK) started++;
      }
      sent += pair.m.outBytes.length;
      assert.ok(pair.m.guarded);
    });
    if (Deno.env.has("SEED")) return;
    assert.ok(sent > 200 && broken > 50 && started > 500, `${sent} sent, ${broken}, ${started}`);
  });
}
