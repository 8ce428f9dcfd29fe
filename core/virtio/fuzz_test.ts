/**
 * A driver that does anything at all. Whatever it does, nothing throws, the work of one access is
 * bounded, a machine saved and loaded goes on alike, and the same inputs leave the same trace.
 * @module
 */
import assert from "node:assert/strict";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { forSeeds, type Random } from "../mmio/test_random.ts";
import { virtioConsole, virtioConsolePci } from "./console.ts";
import { ReferenceDriver } from "./test_driver.ts";
import { type Face, FACES } from "./test_faces.ts";
import { AVAIL, DESC } from "./ring_layout.ts";

const RAM_BYTES = 1 << 16;
/** Of queues whose size the driver chooses; and most heads that it uses of any. */
const SIZE = 8;
const QUEUES = 2;
/** Every chain of a full ring, its descriptors, DMA and ends; and two interrupts. */
const MOST_ROWS = 64 * (2 * 64 + 8) + 16;

type Op = (m: TestMachine) => void;

/** A word of guest memory, or a value written to a register, as a hostile driver picks it. */
function value(r: Random): number {
  switch (r.below(6)) {
    case 0:
      return r.below(SIZE + 1);
    case 1:
      return RAM_BASE + r.below(RAM_BYTES);
    case 2:
      return RAM_BASE + r.below(RAM_BYTES / 16) * 16;
    case 3:
      return 2 ** r.below(32);
    case 4:
      return r.pick([0, 1, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1000_1000]);
    default:
      return r.u32();
  }
}

function poke(gpa: number, v: number, bytes: 2 | 4): Op {
  return (m) => {
    const view = new DataView(m.ram.buffer);
    if (bytes === 2) view.setUint16(gpa - RAM_BASE, v & 0xffff, true);
    else view.setUint32(gpa - RAM_BASE, v >>> 0, true);
  };
}

/** A descriptor, mostly plausible. */
function descriptor(r: Random, table: number): Op {
  const at = table + DESC.bytes * r.below(SIZE);
  const words: [number, number, 2 | 4][] = [
    [DESC.addr, r.chance(0.8) ? RAM_BASE + r.below(RAM_BYTES - 256) : value(r), 4],
    [DESC.addrHigh, r.chance(0.97) ? 0 : value(r), 4],
    [DESC.len, r.chance(0.9) ? DESC.bytes * r.below(8) : value(r), 4],
    [DESC.flags, r.chance(0.9) ? r.pick([0, 0, 0, 1, 2, 2, 3, 4]) : r.u32(), 2],
    [DESC.next, r.below(SIZE + (r.chance(0.05) ? 1 : 0)), 2],
  ];
  const pokes = words.map(([offset, v, bytes]) => poke(at + offset, v, bytes));
  return (m) => pokes.forEach((p) => p(m));
}

/** An access to a region of the device: to a register of it, as often as not. */
function access(r: Random, { dev }: TestMachine): Op {
  // What is written to configuration space decides whether the function reaches memory at all.
  const n = r.chance(0.9) ? r.below(Math.max(1, dev.regions.length - 1)) : dev.regions.length - 1;
  const region = dev.regions[n];
  const known = region.registers.length > 0 && r.chance(0.7) ? r.pick(region.registers) : null;
  const at = known?.at ?? r.below(Math.min(region.sizeBytes, 0x120));
  const size = known !== null && r.chance(0.9) ? r.pick(known.sizes) : r.pick([1, 2, 4, 8]);
  const v = value(r);
  if (r.chance(0.6)) return (m) => void m.dev.regions[n].read(at, size);
  return (m) => m.dev.regions[n].write(at, size, v, 0);
}

function operation(r: Random, d: ReferenceDriver): Op {
  const q = d.queues[r.below(QUEUES)];
  switch (r.below(12)) {
    case 0:
    case 1:
    case 2:
      return access(r, d.m);
    case 3:
      return poke(RAM_BASE + 2 * r.below(RAM_BYTES / 2 - 1), value(r), 2);
    case 4:
    case 5:
      return descriptor(r, q.desc);
    case 6: {
      const slots = [...Array(q.size).keys()].map((i) =>
        poke(q.avail + AVAIL.ring + 2 * i, r.below(SIZE), 2)
      );
      return (m) => slots.forEach((p) => p(m));
    }
    case 7: {
      const more = r.below(3);
      return (m) => {
        const at = q.avail + AVAIL.idx - RAM_BASE;
        const view = new DataView(m.ram.buffer);
        view.setUint16(at, view.getUint16(at, true) + more, true);
      };
    }
    case 8: {
      const bytes = Uint8Array.from({ length: r.below(64) }, () => r.below(256));
      return (m) => m.dev.input("rx", bytes.subarray(0, m.dev.canInput("rx")));
    }
    case 9: {
      const ns = r.below(3000);
      return (m) => void m.advance(ns);
    }
    default:
      return (m) => d.face.notify(m, q.index);
  }
}

/** The driver's own set-up, so that most of the run has live queues. */
function setUp(m: TestMachine, face: Face): ReferenceDriver {
  return new ReferenceDriver(m, face, SIZE).init();
}

for (const face of FACES) {
  const type = face.bus === "pci" ? virtioConsolePci : virtioConsole;
  const title = `virtio-console ${face.name}: the laws hold for any driver`;
  Deno.test(title, () => {
    forSeeds(60, "core/virtio/fuzz_test.ts", title, (r, at) => {
      const props = { ...face.props, latency: r.pick([0, 1000]), suppress: r.chance(0.5) };
      const make = () => new TestMachine(type, { props, ramBytes: RAM_BYTES });
      const a = make();
      let b = make();
      let d = setUp(a, face);
      setUp(b, face);
      for (let step = 0; step < 400; step++) {
        at(step);
        if (r.chance(0.02)) {
          d = setUp(a, face);
          setUp(b, face);
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
      }
      assert.deepEqual(b.save(), a.save());
    });
  });
}
