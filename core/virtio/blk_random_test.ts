/**
 * Random requests over every combination of features: the disk is as plain memory. And a driver that
 * does anything at all: nothing throws, work is bounded, a machine saved and loaded amid requests goes
 * on alike.
 * @module
 */
import assert from "node:assert/strict";
import { type Medium, memoryMedium } from "../mmio/medium.ts";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { forSeeds, type Random } from "../mmio/test_random.ts";
import { virtioBlk, virtioBlkPci } from "./blk.ts";
import { AVAIL, DESC, DESC_F } from "./ring_layout.ts";
import { type Answer, type Ask, DiskDriver, IOERR, OK, range, SECTOR, T } from "./test_disk.ts";
import { FACES, mmio, pci as pciFace } from "./test_faces.ts";
import { type DriverQueue, ReferenceDriver } from "./test_driver.ts";

const FILE = "core/virtio/blk_random_test.ts";
const SECTORS = 200;
const BYTES = SECTORS * SECTOR;

const PROPS = ["pci", "legacy", "indirect", "event_idx", "suppress", "discard"] as const;
type Flags = Record<(typeof PROPS)[number], boolean>;
type Combination = Flags & { num_queues: number };

const COMBINATIONS = Array.from({ length: 2 ** PROPS.length }, (_, bits): Combination => ({
  ...Object.fromEntries(PROPS.map((p, i) => [p, (bits >> i & 1) !== 0])) as Flags,
  num_queues: bits % 3 === 0 ? 4 : 1,
}));

/** Within `sectors` from `first` on, but for one kind of mistake. */
function randomAsk(r: Random, first: number, sectors: number): Ask {
  const skip = r.below(sectors), count = r.below(Math.min(sectors - skip, 12) + 1);
  const sector = first + skip;
  const dice = r.below(20);
  if (dice < 8) return { type: T.IN, sector, room: count * SECTOR };
  if (dice < 15) return { type: T.OUT, sector, data: r.bytes(count * SECTOR) };
  if (dice < 16) return { type: T.DISCARD, data: range(sector, count) };
  if (dice < 17) return { type: T.WRITE_ZEROES, data: range(sector, count, r.below(2)) };
  if (dice < 18) return { type: T.FLUSH };
  if (dice < 19) return { type: T.GET_ID, room: 20 };
  return { type: T.IN, sector: SECTORS - 1, room: 2 * SECTOR };
}

/** What the disk should have answered, when requests complete in this order. */
function check(model: Medium, p: Combination, ask: Ask, answer: Answer): void {
  const { type, sector = 0, data = new Uint8Array(), room = 0 } = ask;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (type === T.DISCARD && !p.discard) return assert.equal(answer.status, 2);
  if (type === T.IN && sector * SECTOR + room > BYTES) return assert.equal(answer.status, IOERR);
  assert.equal(answer.status, OK, `type ${type}`);
  assert.equal(answer.written, room + 1);
  if (type === T.OUT) model.write(sector * SECTOR, data);
  if (type === T.DISCARD || type === T.WRITE_ZEROES) {
    model.zero(view.getUint32(0, true) * SECTOR, view.getUint32(8, true) * SECTOR);
  }
  if (type !== T.IN) return;
  const expected = new Uint8Array(room);
  model.read(sector * SECTOR, expected);
  assert.deepEqual(answer.data, expected);
}

/**
 * Requests of one queue are handed back in the order in which they took effect, those of several are
 * not: each queue has a part of the disk to itself.
 */
function traffic(r: Random, p: Combination, step: (n: number) => void): void {
  const contents = r.bytes(BYTES);
  const model = memoryMedium(contents.slice());
  const timing = { latencyNs: r.pick([0, 500]), bandwidth: r.pick([0, 2 ** 30]) };
  const { pci, legacy, ...props } = p;
  const face = (pci ? pciFace : mmio)(legacy);
  const d = new DiskDriver({
    props: { ...face.props, ...props },
    contents,
    timing,
    queueSize: 2 ** (2 + r.below(4)),
    face,
  });
  d.layout = r;
  const share = SECTORS / p.num_queues;
  const settle = () => d.reap().forEach(([s, answer]) => check(model, p, s.ask, answer));
  for (let i = 0; i < 120; i++) {
    step(i);
    const queue = r.below(p.num_queues);
    d.put(randomAsk(r, queue * share, share), queue);
    if (r.chance(0.5)) d.d.queues[queue].kick();
    if (r.chance(0.6)) d.m.advance(r.below(4000));
    if (r.chance(0.3)) d.d.interrupt();
    if (r.chance(0.3)) settle();
    if (r.chance(0.1)) {
      const saved = d.m.save();
      d.m.load(saved);
    }
  }
  for (let i = 0; i < 60 && d.sent.length > 0; i++) {
    for (const q of d.d.queues) q.kick();
    d.m.advance(100_000);
    settle();
  }
  assert.equal(d.sent.length, 0, "requests were never answered");
  const now = new Uint8Array(BYTES), expected = new Uint8Array(BYTES);
  d.m.drives[0].medium.read(0, now);
  model.read(0, expected);
  assert.deepEqual(now, expected);
  assert.ok(!d.rows("vring").some((row) => row.event === "error"));
}

for (const p of COMBINATIONS) {
  const on = PROPS.filter((name) => p[name]).join(" ") || "nothing";
  const title = `virtio-blk round trip: ${on}, ${p.num_queues} queues`;
  Deno.test(title, () => forSeeds(3, FILE, title, (r, step) => traffic(r, p, step)));
}

const RAM_BYTES = 1 << 16;
const SIZE = 8, QUEUES = 2;
/** Every chain of a full ring, its descriptors, DMA and ends; and two interrupts. */
const MOST_ROWS = 64 * (2 * 64 + 8) + 16;

type Op = (m: TestMachine) => void;

function pokes(words: readonly [number, number, 2 | 4][]): Op {
  return (m) => {
    const view = new DataView(m.ram.buffer, m.ram.byteOffset);
    for (const [gpa, v, bytes] of words) {
      if (bytes === 2) view.setUint16(gpa - RAM_BASE, v & 0xffff, true);
      else view.setUint32(gpa - RAM_BASE, v >>> 0, true);
    }
  };
}

/** A request that is nearly in order, made of a few descriptors, somewhere in RAM. */
function nearRequest(r: Random, q: DriverQueue): Op {
  const header = RAM_BASE + 0x8000 + 16 * r.below(16);
  const words: [number, number, 2 | 4][] = [
    [header, r.chance(0.9) ? r.pick([...Object.values(T), 2, 5, 14]) : r.u32(), 4],
    [header + 8, r.chance(0.9) ? r.below(520) : r.u32(), 4],
    [header + 12, r.chance(0.95) ? 0 : r.u32(), 4],
  ];
  const parts = [
    { gpa: header, length: r.chance(0.9) ? 16 : r.below(40), flags: 0 },
    {
      gpa: RAM_BASE + r.below(RAM_BYTES - 2048),
      length: r.chance(0.8) ? SECTOR * r.below(4) : r.below(2048),
      flags: r.pick([0, DESC_F.WRITE]),
    },
    {
      gpa: RAM_BASE + r.below(RAM_BYTES),
      length: r.chance(0.9) ? 1 : r.below(3),
      flags: r.chance(0.97) ? DESC_F.WRITE : 0,
    },
  ];
  const first = r.below(SIZE - 2);
  parts.forEach(({ gpa, length, flags }, i) => {
    const at = q.desc + DESC.bytes * (first + i);
    const last = i === 2 || r.chance(0.02);
    words.push([at + DESC.addr, gpa, 4], [at + DESC.addrHigh, 0, 4], [at + DESC.len, length, 4]);
    words.push([at + DESC.flags, flags | (last ? 0 : DESC_F.NEXT), 2]);
    words.push([at + DESC.next, first + i + 1, 2]);
  });
  const write = pokes(words);
  if (r.chance(0.3)) return write;
  const made = publish(q, first, 1, r.below(SIZE)), kick = r.chance(0.5);
  return (m) => {
    write(m);
    made(m);
    if (kick) q.face.notify(m, q.index);
  };
}

/** Makes `more` chains available, the next of them with this head, and a stale one somewhere. */
function publish(q: DriverQueue, head: number, more: number, stale: number): Op {
  return (m) => {
    const view = new DataView(m.ram.buffer, m.ram.byteOffset);
    const at = q.avail + AVAIL.idx - RAM_BASE;
    const idx = view.getUint16(at, true);
    const ring = q.avail + AVAIL.ring;
    pokes([[ring + 2 * stale, head, 2], [ring + 2 * (idx % q.size), head, 2]])(m);
    view.setUint16(at, idx + more, true);
  };
}

function operation(r: Random, d: ReferenceDriver): Op {
  const q = d.queues[r.below(QUEUES)];
  switch (r.below(10)) {
    case 0: {
      const [at, v, size] = [r.below(0x140), r.u32(), r.pick([1, 2, 4, 8])];
      const n = r.below(d.m.dev.regions.length);
      return r.chance(0.5)
        ? (m) => void m.dev.regions[n].read(at % m.dev.regions[n].sizeBytes, size)
        : (m) => m.dev.regions[n].write(at % m.dev.regions[n].sizeBytes, size, v, 0);
    }
    case 1:
      return pokes([[RAM_BASE + 2 * r.below(RAM_BYTES / 2 - 1), r.u32(), 2]]);
    case 2:
    case 3:
    case 4:
      return nearRequest(r, q);
    case 5:
      return publish(q, r.below(SIZE - 2), r.below(3), r.below(SIZE));
    case 6:
    case 7: {
      const ns = r.below(3000);
      return (m) => void m.advance(ns);
    }
    default:
      return (m) => q.face.notify(m, q.index);
  }
}

for (const face of FACES) {
  const type = face.bus === "pci" ? virtioBlkPci : virtioBlk;
  const title = `virtio-blk ${face.name}: the laws hold for any driver`;
  Deno.test(title, () => {
    let answered = 0;
    forSeeds(60, FILE, title, (r, step) => {
      const props = { ...face.props, suppress: r.chance(0.5), num_queues: QUEUES };
      const make = () => new TestMachine(type, { props, ramBytes: RAM_BYTES });
      const setUp = (m: TestMachine) => new ReferenceDriver(m, face, SIZE).init(QUEUES);
      const a = make();
      let b = make();
      let d = setUp(a);
      setUp(b);
      for (let i = 0; i < 400; i++) {
        step(i);
        if (r.chance(0.08)) {
          d = setUp(a);
          setUp(b);
        }
        if (r.chance(0.05)) {
          const saved = a.save();
          b = make();
          b.load(saved);
        }
        const op = operation(r, d);
        a.log.length = b.log.length = 0;
        op(a);
        op(b);
        assert.ok(a.log.length <= MOST_ROWS, `${a.log.length} rows`);
        assert.deepEqual(b.log, a.log, "another trace");
        assert.ok(a.pending.length <= QUEUES, `${a.pending.length} events`);
        answered += a.log.filter((l) => l.startsWith("request")).length;
      }
      assert.ok(a.guarded);
      assert.deepEqual(b.save(), a.save());
    });
    if (!Deno.env.has("SEED")) assert.ok(answered > 500, `only ${answered} requests got through`);
  });
}
