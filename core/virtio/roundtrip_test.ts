/**
 * Data arrive unchanged whatever was negotiated, and the counts of kicks and interrupts obey the
 * suppression rules.
 * @module
 */
import assert from "node:assert/strict";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { forSeeds, type Random } from "../mmio/test_random.ts";
import { virtioConsole, virtioConsolePci } from "./console.ts";
import { type Buffer, type DriverQueue, ReferenceDriver } from "./test_driver.ts";
import { type Face, FACES, mmio } from "./test_faces.ts";
import { DESC_F, usedBytes } from "./ring_layout.ts";
import { watched } from "./test_memory.ts";

const FILE = "core/virtio/roundtrip_test.ts";
const RX = 0, TX = 1;
const RAM_BYTES = 4 << 20;

interface Props {
  indirect: boolean;
  event_idx: boolean;
  suppress: boolean;
  latency: number;
}

interface Combination {
  face: Face;
  props: Props;
}

const COMBINATIONS: Combination[] = FACES.flatMap((face) =>
  Array.from({ length: 16 }, (_, i) => ({
    face,
    props: {
      indirect: (i & 1) !== 0,
      event_idx: (i & 2) !== 0,
      suppress: (i & 4) !== 0,
      latency: i & 8 ? 0 : 700,
    },
  }))
);

const typeOf = (face: Face) => face.bus === "pci" ? virtioConsolePci : virtioConsole;

const label = ({ face, props }: Combination) =>
  [
    face.name,
    ...Object.entries(props).flatMap(([k, v]) =>
      v === true ? [k] : k === "latency" ? [`${k} ${v}`] : []
    ),
  ]
    .join(" ");

/** A machine, its driver and what both ends should have seen. */
class Traffic {
  readonly m: TestMachine;
  readonly d: ReferenceDriver;
  readonly sent: number[] = [];
  readonly typed: number[] = [];
  readonly got: number[] = [];
  readonly #lent = new Map<number, Buffer[]>();

  constructor({ face, props }: Combination, private readonly r: Random, type = typeOf(face)) {
    this.m = new TestMachine(type, { props: { ...face.props, ...props }, ramBytes: RAM_BYTES });
    this.d = new ReferenceDriver(this.m, face, 2 ** r.below(7)).init();
    assert.equal(this.d.indirect, props.indirect);
    assert.equal(this.d.eventIdx, props.event_idx);
  }

  #buffers(q: DriverQueue, write: boolean): { buffers: Buffer[]; indirect: number } | null {
    const { r, d } = this;
    const count = 1 + r.below(Math.min(q.size, 6));
    const indirect = d.indirect && r.chance(0.6) ? 1 + r.below(count) : 0;
    if (q.freeDescriptors < count - indirect + (indirect > 0 ? 1 : 0)) return null;
    const buffers = Array.from({ length: count }, () => {
      const length = r.below(r.chance(0.1) ? 2000 : 60);
      return { gpa: d.ram.alloc(length, 1), length, write };
    });
    return { buffers, indirect };
  }

  send(): void {
    const q = this.d.queues[TX];
    const chain = this.#buffers(q, false);
    if (!chain) return;
    for (const { gpa, length } of chain.buffers) {
      const data = Uint8Array.from({ length }, () => this.r.below(256));
      this.d.ram.write(gpa, data);
      this.sent.push(...data);
    }
    q.add(chain.buffers, chain.indirect);
  }

  lend(): void {
    const q = this.d.queues[RX];
    const chain = this.#buffers(q, true);
    if (chain) this.#lent.set(q.add(chain.buffers, chain.indirect), chain.buffers);
  }

  type(): void {
    const room = Math.min(this.m.dev.canInput("rx"), 300);
    const data = Uint8Array.from({ length: this.r.below(room + 1) }, () => this.r.below(256));
    if (data.length === 0) return;
    this.typed.push(...data);
    this.m.dev.input("rx", data);
  }

  reap(): void {
    this.d.queues[TX].reap();
    for (const { head, written } of this.d.queues[RX].reap()) {
      let left = written;
      for (const { gpa, length } of this.#lent.get(head)!) {
        const bytes = Math.min(left, length);
        this.got.push(...this.d.ram.read(gpa, bytes));
        left -= bytes;
      }
      assert.equal(left, 0, "the device claims more bytes than the buffers hold");
    }
  }

  step(): void {
    const { r, m, d } = this;
    const q = d.queues[r.below(2)];
    switch (r.below(8)) {
      case 0:
      case 1:
        return this.send();
      case 2:
        return this.lend();
      case 3:
        return this.type();
      case 4:
        return void q.kick();
      case 5:
        return void m.advance(r.below(1500));
      case 6:
        return this.reap();
      case 7:
        return void d.interrupt();
    }
  }

  /** No spurious kick here: what is still waiting must come through by the rules alone. */
  finish(): void {
    for (let i = 0; i < 400; i++) {
      this.lend();
      for (const q of this.d.queues) q.kick();
      this.m.advance(2000);
      this.reap();
    }
  }
}

for (const c of COMBINATIONS) {
  const title = `virtio-console round trip: ${label(c)}`;
  Deno.test(title, () => {
    forSeeds(4, FILE, title, (r, at) => {
      const t = new Traffic(c, r);
      for (let i = 0; i < 250; i++) {
        at(i);
        t.step();
      }
      t.finish();
      assert.deepEqual(t.m.outBytes, t.sent);
      assert.deepEqual(t.got, t.typed);
      assert.equal(t.m.log.filter((l) => l.includes('"error"')).length, 0);
    });
  });
}

const ONLY_ITS_OWN = "virtqueue: the device writes used rings and lent buffers, and nothing else";
Deno.test(ONLY_ITS_OWN, () => {
  forSeeds(64, FILE, ONLY_ITS_OWN, (r) => {
    const writes: [number, number][] = [];
    const c = COMBINATIONS[r.seed % COMBINATIONS.length];
    const type = watched(typeOf(c.face), { write: (gpa, n) => writes.push([gpa, n]) });
    const t = new Traffic(c, r, type);
    for (let i = 0; i < 100; i++) t.step();
    const allowed = t.d.queues.map((q): [number, number] => [q.used, usedBytes(q.size)]);
    for (const line of t.m.log.filter((l) => l.startsWith('vring {"event":"descriptor"'))) {
      const row = JSON.parse(line.slice(6));
      if (row.flags & DESC_F.WRITE) allowed.push([row.gpa, row.length]);
    }
    for (const [gpa, bytes] of writes) {
      assert.ok(allowed.some(([at, length]) => gpa >= at && gpa + bytes <= at + length));
    }
  });
});

function quiet(props: Partial<Props>, queueSize = 16) {
  const m = new TestMachine(virtioConsole, { props, ramBytes: RAM_BYTES });
  const d = new ReferenceDriver(m, mmio(false), queueSize).init();
  return { m, d, tx: d.queues[TX], rx: d.queues[RX] };
}

const one = (q: DriverQueue) => q.add([{ gpa: RAM_BASE, length: 1, write: false }]);
const rows = (m: TestMachine, event: string) =>
  m.log.filter((l) => l.startsWith(`vring {"event":"${event}"`)).length;

for (const event_idx of [false, true]) {
  const how = event_idx ? "used_event" : "VIRTQ_AVAIL_F_NO_INTERRUPT";
  Deno.test(`virtqueue: no interrupt for a driver that polls (${how})`, () => {
    const { m, d, tx } = quiet({ event_idx });
    tx.wantInterrupt(null);
    for (let i = 0; i < 10; i++) {
      one(tx);
      tx.kick();
      m.advance(1000);
    }
    assert.equal(d.interrupt(), 0);
    assert.equal(rows(m, "interrupt"), 0);
    assert.equal(rows(m, "interrupt_suppressed"), 10);
  });

  Deno.test(`virtqueue: one kick and one interrupt carry a batch (event_idx ${event_idx})`, () => {
    const { m, d, tx } = quiet({ event_idx, latency: 0 });
    for (let i = 0; i < 10; i++) one(tx);
    tx.kick();
    assert.equal(tx.kicks, 1);
    assert.equal(d.interrupt(), 1);
    assert.equal(rows(m, "interrupt"), 1);
    assert.equal(tx.reap().length, 10);
  });

  Deno.test(`virtqueue: suppress=on spares the kicks of a busy queue (event_idx ${event_idx})`, () => {
    const kicks = (suppress: boolean) => {
      const { m, tx } = quiet({ event_idx, suppress });
      for (let i = 0; i < 10; i++) {
        one(tx);
        tx.kick();
        m.advance(100);
      }
      m.advance(100_000);
      assert.equal(tx.reap().length, 10);
      one(tx);
      tx.kick();
      m.advance(1000);
      assert.equal(tx.reap().length, 1, "an idle queue asks for kicks again");
      return tx.kicks;
    };
    assert.equal(kicks(false), 11);
    assert.equal(kicks(true), 2);
  });
}

Deno.test("virtqueue: used_event asks for one interrupt after that many chains", () => {
  const { m, d, tx } = quiet({});
  tx.wantInterrupt(8);
  for (let i = 0; i < 10; i++) {
    one(tx);
    tx.kick();
    m.advance(1000);
    assert.equal(d.interrupt(), i === 7 ? 1 : 0);
  }
  assert.equal(rows(m, "interrupt"), 1);
});

Deno.test("virtqueue: indices wrap at 65536 without losing a request or a notification", () => {
  for (const event_idx of [false, true]) {
    const { m, d, tx } = quiet({ event_idx, latency: 0 }, 2);
    for (let i = 0; i < 0x1_0010; i++) {
      tx.wantInterrupt(1);
      one(tx);
      assert.ok(tx.kick());
      assert.equal(d.interrupt(), 1);
      assert.equal(tx.reap().length, 1);
      m.log.length = 0;
    }
    assert.equal(m.outBytes.length, 0x1_0010);
  }
});
