import assert from "node:assert/strict";
import { makeDrive, type MediumTiming, memoryMedium, overlayMedium } from "../mmio/medium.ts";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { forSeeds, type Random } from "../mmio/test_random.ts";
import { virtioScsi, virtioScsiPci } from "./scsi.ts";
import { type Face, FACES, mmio, REG } from "./test_faces.ts";
import { type Buffer, type DriverQueue, ReferenceDriver } from "./test_driver.ts";
import { AVAIL, DESC, DESC_F } from "./ring_layout.ts";

const FILE = "core/virtio/scsi_test.ts";
const CONTROLQ = 0, REQUESTQ = 2;
const BLOCK = 512, BLOCKS = 128;
const RAM_BYTES = 8 << 20;
const NEEDS_RESET = 64;
/** §5.6.6 */
const R = { OK: 0, OVERRUN: 1, ABORTED: 2, BAD_TARGET: 3, RESET: 4, FAILURE: 9 } as const;
const TMF = { SUCCEEDED: 10, REJECTED: 11, INCORRECT_LUN: 12 } as const;
const ABORT_TASK = 0, ABORT_TASK_SET = 1, CLEAR_ACA = 2, NEXUS_RESET = 4, LUN_RESET = 5;
const QUERY_TASK = 6, QUERY_TASK_SET = 7;
const UNANSWERED = 0xee;

interface Ask {
  cdb: readonly number[];
  target?: number;
  lun?: number;
  id?: number;
  out?: Uint8Array;
  room?: number;
  /** The first bytes of lun[], instead of those of target and lun. */
  address?: readonly number[];
}

interface Answer {
  response: number;
  status: number;
  residual: number;
  sense: Uint8Array;
  data: Uint8Array;
  written: number;
}

interface Sent {
  readonly head: number;
  readonly response: number;
  readonly data: Buffer | null;
}

const lunBytes = (
  target: number,
  lun: number,
) => [1, target, 0x40 | lun >> 8, lun & 0xff, 0, 0, 0, 0];
const read10 = (lba: number, blocks: number) => [0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0];
const write10 = (lba: number, blocks: number) => [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0];
const INQUIRY = [0x12, 0, 0, 0, 36, 0], TEST_UNIT_READY = [0, 0, 0, 0, 0, 0];

/** A driver of virtio-scsi, written from the driver's side of §5.6.6. */
class ScsiDriver {
  readonly m: TestMachine;
  d: ReferenceDriver;
  senseSize = 96;
  cdbSize = 32;

  constructor(
    face: Face = mmio(false),
    o: { disks?: number; units?: string; timing?: Partial<MediumTiming>; quiet?: boolean } = {},
  ) {
    const drives = Array.from({ length: o.disks ?? 1 }, (_, i) => {
      const medium = overlayMedium(memoryMedium(new Uint8Array(BLOCKS * BLOCK)));
      return makeDrive(`d${i}`, medium, { latencyNs: 0, bandwidth: 0, ...o.timing });
    });
    this.m = new TestMachine(face.bus === "pci" ? virtioScsiPci : virtioScsi, {
      props: { ...face.props, units: o.units ?? "" },
      ramBytes: RAM_BYTES,
      drives,
    });
    this.d = new ReferenceDriver(this.m, face, 32).init(3);
    if (o.quiet) return;
    // The first command of each unit hears of the reset.
    for (let target = 0; target < drives.length; target++) {
      this.ask({ cdb: TEST_UNIT_READY, target });
    }
  }

  /** As a driver that was loaded anew, with its rings where they were. */
  restart(): void {
    this.d = new ReferenceDriver(this.m, this.d.face, 32).init(3);
  }

  put({ cdb, target = 0, lun = 0, id = 0, out, room = 0, address }: Ask): Sent {
    const { ram, queues } = this.d;
    const header = ram.alloc(19 + this.cdbSize);
    ram.write(header, Uint8Array.from(address ?? lunBytes(target, lun)));
    ram.setU32(header + 8, id);
    ram.write(header + 19, Uint8Array.from(cdb));
    const responseBytes = 12 + this.senseSize;
    const response = ram.alloc(responseBytes);
    ram.write(response, new Uint8Array(responseBytes).fill(UNANSWERED));
    const buffers: Buffer[] = [{ gpa: header, length: 19 + this.cdbSize, write: false }];
    if (out) {
      const gpa = ram.alloc(out.length);
      ram.write(gpa, out);
      buffers.push({ gpa, length: out.length, write: false });
    }
    buffers.push({ gpa: response, length: responseBytes, write: true });
    const data = room > 0 ? { gpa: ram.alloc(room), length: room, write: true } : null;
    if (data) buffers.push(data);
    return { head: queues[REQUESTQ].add(buffers), response, data };
  }

  answer(s: Sent, written: number): Answer {
    const { ram } = this.d;
    const bytes = ram.read(s.response, 12 + this.senseSize);
    const length = ram.u32(s.response);
    return {
      response: bytes[11],
      status: bytes[10],
      residual: ram.u32(s.response + 4),
      sense: bytes.slice(12, 12 + length),
      data: s.data ? ram.read(s.data.gpa, s.data.length) : new Uint8Array(),
      written,
    };
  }

  /** One command, waited for; null when it is not answered. */
  ask(a: Ask): Answer | null {
    const mark = this.d.ram.mark();
    const sent = this.put(a);
    this.d.queues[REQUESTQ].kick();
    this.m.advance(1e9);
    this.d.interrupt();
    const done = this.d.queues[REQUESTQ].reap().find((r) => r.head === sent.head);
    const answer = done ? this.answer(sent, done.written) : null;
    this.d.ram.release(mark);
    return answer;
  }

  /** A request of the control queue; its response, null without an answer. */
  control(bytes: readonly number[], room = 1): Uint8Array | null {
    const { ram, queues } = this.d;
    const request = ram.alloc(bytes.length);
    ram.write(request, Uint8Array.from(bytes));
    const response = ram.alloc(room);
    ram.write(response, new Uint8Array(room).fill(UNANSWERED));
    queues[CONTROLQ].add([
      { gpa: request, length: bytes.length, write: false },
      { gpa: response, length: room, write: true },
    ]);
    queues[CONTROLQ].kick();
    this.d.interrupt();
    return queues[CONTROLQ].reap().length === 1 ? ram.read(response, room) : null;
  }

  manage(subtype: number, o: { target?: number; lun?: number; id?: number } = {}): number {
    const { target = 0, lun = 0, id = 0 } = o;
    const answer = this.control([
      ...[0, 0, 0, 0, subtype, 0, 0, 0],
      ...lunBytes(target, lun),
      ...[id, 0, 0, 0, 0, 0, 0, 0],
    ]);
    return answer?.[0] ?? UNANSWERED;
  }

  rows(table: string): Record<string, unknown>[] {
    return this.m.log.filter((l) => l.startsWith(`${table} {`))
      .map((l) => JSON.parse(l.slice(table.length + 1)));
  }
}

const filled = (blocks: number, v: number) => new Uint8Array(blocks * BLOCK).fill(v);

for (const face of FACES) {
  Deno.test(`virtio-scsi ${face.name}: what was written is read, at the block that was named`, () => {
    const d = new ScsiDriver(face);
    const written = d.ask({ cdb: write10(3, 2), out: filled(2, 7) })!;
    assert.deepEqual([written.response, written.status, written.residual], [R.OK, 0, 0]);
    const read = d.ask({ cdb: read10(2, 4), room: 4 * BLOCK })!;
    assert.deepEqual([read.response, read.status, read.written], [R.OK, 0, 108 + 4 * BLOCK]);
    assert.deepEqual([...read.data].filter((_, i) => i % BLOCK === 0), [0, 7, 7, 0]);
  });

  const title = `virtio-scsi ${face.name}: random commands leave the disk as plain memory`;
  Deno.test(title, () => {
    forSeeds(8, FILE, title, (r, at) => {
      const timing = { latencyNs: r.pick([0, 500]), bandwidth: r.pick([0, 2 ** 30]) };
      const d = new ScsiDriver(face, { timing });
      const model = new Uint8Array(BLOCKS * BLOCK);
      for (let i = 0; i < 60; i++) {
        at(i);
        const lba = r.below(BLOCKS), blocks = r.below(8), fits = lba + blocks <= BLOCKS;
        const spare = r.pick([0, 0, 100]);
        if (r.chance(0.5)) {
          const out = r.bytes(blocks * BLOCK + spare);
          const done = d.ask({ cdb: write10(lba, blocks), out })!;
          assert.deepEqual([done.response, done.status], [R.OK, fits ? 0 : 2]);
          if (fits) model.set(out.subarray(0, blocks * BLOCK), lba * BLOCK);
          if (fits) assert.equal(done.residual, spare);
        } else {
          const done = d.ask({ cdb: read10(lba, blocks), room: blocks * BLOCK + spare })!;
          assert.deepEqual([done.response, done.status], [R.OK, fits ? 0 : 2]);
          if (!fits) continue;
          assert.equal(done.residual, spare);
          const expected = model.slice(lba * BLOCK, (lba + blocks) * BLOCK);
          assert.deepEqual(done.data.slice(0, blocks * BLOCK), expected);
        }
      }
      const now = new Uint8Array(BLOCKS * BLOCK);
      d.m.drives[0].medium.read(0, now);
      assert.deepEqual(now, model);
    });
  });
}

Deno.test("virtio-scsi: a CHECK CONDITION carries its sense data, as much as sense_size has room for", () => {
  const d = new ScsiDriver(mmio(false), { quiet: true });
  const first = d.ask({ cdb: TEST_UNIT_READY })!;
  assert.deepEqual([first.response, first.status, first.sense.length], [R.OK, 2, 18]);
  assert.deepEqual([first.sense[2], first.sense[12]], [6, 0x29], "power on or reset");
  assert.equal(d.ask({ cdb: TEST_UNIT_READY })!.status, 0);
  d.m.write(0x100 + 20, 8);
  d.senseSize = 8;
  const beyond = d.ask({ cdb: read10(BLOCKS, 1), room: BLOCK })!;
  assert.deepEqual([beyond.status, beyond.sense.length, beyond.sense[2]], [2, 8, 5]);
  assert.equal(beyond.written, 20);
});

Deno.test("virtio-scsi: sense_size and cdb_size take sensible values, and a reset restores them (§5.6.4)", () => {
  const d = new ScsiDriver();
  d.m.write(0x100 + 20, 0x10000);
  d.m.write(0x100 + 24, 0x100);
  assert.deepEqual([d.m.read(0x114), d.m.read(0x118)], [96, 32]);
  d.m.write(0x114, 32);
  d.m.write(0x118, 64);
  d.senseSize = 32;
  d.cdbSize = 64;
  assert.equal(d.ask({ cdb: TEST_UNIT_READY })!.response, R.OK);
  d.d.init(0);
  assert.deepEqual([d.m.read(0x114), d.m.read(0x118)], [96, 32]);
});

Deno.test("virtio-scsi: targets and units are told apart as they are addressed (§5.6.6.1)", () => {
  const d = new ScsiDriver(mmio(false), { disks: 3, units: "0:0+0:5+9:0", quiet: true });
  const kind = (a: Omit<Ask, "cdb">) => {
    const answer = d.ask({ cdb: INQUIRY, room: 36, ...a })!;
    return answer.response === R.OK ? answer.data[0] : `response ${answer.response}`;
  };
  assert.deepEqual([kind({}), kind({ lun: 5 }), kind({ target: 9 })], [0, 0, 0]);
  assert.equal(kind({ lun: 1 }), 0x7f, "a unit that is not there, of a target that is");
  assert.equal(kind({ lun: 16383 }), 0x7f);
  assert.equal(kind({ target: 1 }), `response ${R.BAD_TARGET}`);
  assert.equal(kind({ target: 255 }), `response ${R.BAD_TARGET}`);
  for (const address of [[0, 0, 0x40, 0], [2, 0, 0x40, 0], [1, 0, 0x80, 0], [0xc1, 1, 0, 0]]) {
    assert.equal(kind({ address }), `response ${R.BAD_TARGET}`);
  }
  assert.equal(kind({ address: [1, 0, 0, 5] }), 0, "peripheral device addressing");
  const luns = d.ask({ cdb: [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], room: 256 })!;
  assert.deepEqual([...luns.data.slice(0, 18)].filter((_, i) => [3, 9, 17].includes(i)), [
    16,
    0,
    5,
  ]);
});

Deno.test("virtio-scsi: buffers smaller than the command, or of both kinds, are told by the response", () => {
  const d = new ScsiDriver();
  assert.equal(d.ask({ cdb: read10(0, 2), room: BLOCK })!.response, R.OVERRUN);
  assert.equal(d.ask({ cdb: read10(0, 2), out: filled(2, 1) })!.response, R.OVERRUN);
  assert.equal(d.ask({ cdb: write10(0, 2), out: filled(1, 1) })!.response, R.OVERRUN);
  assert.equal(d.ask({ cdb: write10(0, 2), room: 2 * BLOCK })!.response, R.OVERRUN);
  assert.equal(d.ask({ cdb: read10(0, 1), out: filled(1, 1), room: BLOCK })!.response, R.FAILURE);
  const now = new Uint8Array(BLOCK);
  d.m.drives[0].medium.read(0, now);
  assert.ok(now.every((v) => v === 0), "an overrun changed the disk");
  assert.equal(d.ask({ cdb: read10(0, 2), room: 2 * BLOCK })!.response, R.OK);
});

/** Three commands on their way: ids 1 and 2 at 0:0, id 3 at 1:0. */
function busy() {
  const d = new ScsiDriver(mmio(false), { disks: 2, timing: { latencyNs: 1000 } });
  const sent = [1, 2, 3].map((id) =>
    d.put({ cdb: read10(0, 1), room: BLOCK, id, target: id === 3 ? 1 : 0 })
  );
  d.d.queues[REQUESTQ].kick();
  const answers = () => {
    const done = d.d.queues[REQUESTQ].reap();
    return sent.map((s) => {
      const found = done.find((r) => r.head === s.head);
      return found ? d.answer(s, found.written).response : null;
    });
  };
  return { d, answers };
}

const MANAGED: readonly [string, number, number, readonly (number | null)[]][] = [
  ["ABORT TASK", ABORT_TASK, R.OK, [null, R.ABORTED, null]],
  ["ABORT TASK SET", ABORT_TASK_SET, R.OK, [R.ABORTED, R.ABORTED, null]],
  ["CLEAR ACA", CLEAR_ACA, TMF.REJECTED, [null, null, null]],
  ["I_T NEXUS RESET", NEXUS_RESET, R.OK, [R.RESET, R.RESET, null]],
  ["LOGICAL UNIT RESET", LUN_RESET, R.OK, [R.RESET, R.RESET, null]],
  ["QUERY TASK", QUERY_TASK, TMF.SUCCEEDED, [null, null, null]],
  ["QUERY TASK SET", QUERY_TASK_SET, TMF.SUCCEEDED, [null, null, null]],
  ["a function of no number", 99, TMF.REJECTED, [null, null, null]],
];
for (const [name, subtype, response, ended] of MANAGED) {
  Deno.test(`virtio-scsi: ${name} ends what it names, and nothing else`, () => {
    const { d, answers } = busy();
    assert.equal(d.manage(subtype, { id: 2 }), response);
    assert.deepEqual(answers(), ended);
    d.m.advance(5000);
    assert.deepEqual(answers(), ended.map((e) => e === null ? R.OK : null));
    const resets = subtype === NEXUS_RESET || subtype === LUN_RESET;
    assert.equal(d.ask({ cdb: TEST_UNIT_READY })!.status, resets ? 2 : 0, "unit attention");
    assert.equal(d.ask({ cdb: TEST_UNIT_READY, target: 1 })!.status, 0);
    assert.equal(d.manage(QUERY_TASK, { id: 2 }), R.OK, "nothing is left of it");
  });
}

Deno.test("virtio-scsi: task management says when there is no such target, unit or task", () => {
  const { d } = busy();
  assert.equal(d.manage(ABORT_TASK, { target: 5 }), R.BAD_TARGET);
  assert.equal(d.manage(LUN_RESET, { lun: 3 }), TMF.INCORRECT_LUN);
  assert.equal(d.manage(LUN_RESET, { lun: 256 }), TMF.INCORRECT_LUN, "not unit 0 of target 1");
  assert.equal(d.manage(ABORT_TASK, { id: 77 }), R.OK);
  assert.equal(d.manage(QUERY_TASK, { id: 77 }), R.OK);
  const notified = d.control([1, 0, 0, 0, ...lunBytes(0, 0), 2, 0, 0, 0], 5);
  assert.deepEqual([...notified!], [0, 0, 0, 0, R.OK], "no asynchronous notification is there");
});

Deno.test("virtio-scsi: a request row says which command it was, and how it ended", () => {
  const d = new ScsiDriver(mmio(false), { timing: { latencyNs: 700 } });
  d.m.log.length = 0;
  d.ask({ cdb: write10(0, 2), out: filled(2, 1) });
  d.ask({ cdb: [0xff, 0, 0, 0, 0, 0] });
  d.ask({ cdb: TEST_UNIT_READY, target: 8 });
  const rows = d.rows("request").map((
    { kind, command, bytes, status },
  ) => [kind, command, bytes, status]);
  assert.deepEqual(rows, [
    ["disk_write", "WRITE (10)", 2 * BLOCK, "ok"],
    ["disk_unknown", null, 0, "error"],
    ["scsi_control", "TEST UNIT READY", 0, "error"],
  ]);
  const [first] = d.rows("request");
  assert.equal(first.complete_ns as number - (first.submit_ns as number), 700);
  const payload = d.rows("dma").filter((row) => !row.framing && row.request === first.id);
  assert.equal(payload.reduce((n, row) => n + (row.bytes as number), 0), 2 * BLOCK);
});

const SHORT: readonly [string, number, readonly Buffer[]][] = [
  ["a request shorter than its header", REQUESTQ, [buffer(50, false), buffer(108, true)]],
  ["no room for the response", REQUESTQ, [buffer(51, false), buffer(107, true)]],
  ["nothing but a header", REQUESTQ, [buffer(51, false)]],
  ["a control request of three bytes", CONTROLQ, [buffer(3, false), buffer(1, true)]],
  ["a control request of no known type", CONTROLQ, [buffer(64, false, 7), buffer(1, true)]],
  ["task management cut short", CONTROLQ, [buffer(23, false), buffer(1, true)]],
  ["task management without an answer", CONTROLQ, [buffer(24, false)]],
];
function buffer(length: number, write: boolean, page = 0): Buffer {
  return { gpa: RAM_BASE + RAM_BYTES - 4096 * (1 + page), length, write };
}
for (const face of FACES) {
  for (const [name, queue, buffers] of SHORT) {
    Deno.test(`virtio-scsi ${face.name}: ${name} needs a reset, and the device goes on after it`, () => {
      const d = new ScsiDriver(face);
      d.d.ram.write(buffer(1, false, 7).gpa, new Uint8Array(64).fill(0x55));
      d.d.queues[queue].add(buffers);
      d.d.queues[queue].kick();
      assert.equal(d.rows("vring").filter((row) => row.event === "error").length, 1);
      assert.equal(face.status(d.m) & NEEDS_RESET, face.legacy ? 0 : NEEDS_RESET);
      d.d.init(3);
      assert.equal(d.ask({ cdb: INQUIRY, room: 36 })!.response, R.OK);
    });
  }
}

Deno.test("virtio-scsi: a reset amid commands loses them, and units say that they were reset", () => {
  const { d } = busy();
  d.d.init(3);
  assert.equal(d.m.pending.length, 0);
  const after = d.ask({ cdb: TEST_UNIT_READY })!;
  assert.deepEqual([after.status, after.sense[12]], [2, 0x29]);
});

Deno.test("virtio-scsi: commands of a queue that is stopped again and again do not pile up", () => {
  const d = new ScsiDriver(mmio(false), { timing: { latencyNs: 1e6 } });
  let most = 0;
  for (let i = 0; i < 3000; i++) {
    const mark = d.d.ram.mark();
    d.d.setupQueue(REQUESTQ);
    d.put({ cdb: read10(0, 1), room: BLOCK });
    d.d.queues[REQUESTQ].kick();
    d.m.write(REG.QueueSel, REQUESTQ);
    d.m.write(REG.QueueReady, 0);
    d.d.ram.release(mark);
    most = Math.max(most, d.m.dev.save().length);
    d.m.log.length = 0;
  }
  assert.ok(most < 16384, `state grew to ${most} bytes`);
  d.restart();
  assert.equal(d.ask({ cdb: INQUIRY, room: 36 })!.response, R.OK);
});

type Op = (m: TestMachine) => void;

function pokes(words: readonly [number, number][]): Op {
  return (m) => {
    const view = new DataView(m.ram.buffer, m.ram.byteOffset);
    for (const [gpa, v] of words) view.setUint8(gpa - RAM_BASE, v);
  };
}

/** A command or a control request that is nearly in order, published and kicked. */
function nearRequest(r: Random, q: DriverQueue): Op {
  const at = RAM_BASE + 0x40_0000 + 0x1000 * r.below(4);
  const control = q.index === CONTROLQ;
  const lun = lunBytes(r.below(3), r.below(2));
  const opcode = r.pick([0, 3, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x41, 0x42, 0xa0, r.below(256)]);
  const cdb = [opcode, 0, 0, 0, 0, r.below(BLOCKS + 4), 0, r.below(2), r.below(6), 0];
  const bytes = control
    ? [r.below(3), 0, 0, 0, r.below(9), 0, 0, 0, ...lun, r.below(4), ...new Array(7).fill(0)]
    : [...lun, r.below(4), ...new Array(10).fill(0), ...cdb, ...new Array(22).fill(0)];
  const words: [number, number][] = bytes.map((v, i) => [at + i, v]);
  const parts = [
    { gpa: at, length: r.chance(0.95) ? bytes.length : r.below(60), write: false },
    ...r.chance(0.4) ? [{ gpa: at + 0x200, length: BLOCK * r.below(4), write: false }] : [],
    { gpa: at + 0x800, length: r.chance(0.95) ? 108 : r.below(110), write: true },
    ...r.chance(0.4) ? [{ gpa: at + 0x900, length: BLOCK * r.below(4), write: true }] : [],
  ];
  const first = r.below(4);
  return (m) => {
    pokes(words)(m);
    const view = new DataView(m.ram.buffer, m.ram.byteOffset);
    parts.forEach((p, i) => {
      const desc = q.desc - RAM_BASE + DESC.bytes * (first + i);
      const last = i === parts.length - 1;
      view.setUint32(desc + DESC.addr, p.gpa, true);
      view.setUint32(desc + DESC.addrHigh, 0, true);
      view.setUint32(desc + DESC.len, p.length, true);
      view.setUint16(
        desc + DESC.flags,
        (p.write ? DESC_F.WRITE : 0) | (last ? 0 : DESC_F.NEXT),
        true,
      );
      view.setUint16(desc + DESC.next, first + i + 1, true);
    });
    const avail = q.avail - RAM_BASE;
    const idx = view.getUint16(avail + AVAIL.idx, true);
    view.setUint16(avail + AVAIL.ring + 2 * (idx % q.size), first, true);
    view.setUint16(avail + AVAIL.idx, idx + 1, true);
    q.face.notify(m, q.index);
  };
}

for (const face of FACES) {
  const title = `virtio-scsi ${face.name}: the laws hold for any driver`;
  Deno.test(title, () => {
    let answered = 0;
    forSeeds(25, FILE, title, (r, at) => {
      const timing = { latencyNs: r.pick([0, 1500]), bandwidth: 0 };
      const make = () => new ScsiDriver(face, { disks: 2, timing, quiet: true });
      const a = make();
      let b = make();
      for (let i = 0; i < 120; i++) {
        at(i);
        if (r.chance(0.06)) { for (const x of [a, b]) x.restart(); }
        if (r.chance(0.05)) {
          const saved = a.m.save();
          b = make();
          b.m.load(saved);
        }
        const region = r.below(a.m.dev.regions.length - 1);
        const [place, v, size] = [r.below(0x120), r.u32(), r.pick([1, 2, 4, 8])];
        const ns = r.below(2500), dice = r.below(10);
        const request = nearRequest(
          r,
          a.d.queues[r.pick([CONTROLQ, REQUESTQ, REQUESTQ, REQUESTQ])],
        );
        const op: Op = dice < 7
          ? request
          : dice < 9
          ? (m) => void m.advance(ns)
          : (m) => m.dev.regions[region].write(place % m.dev.regions[region].sizeBytes, size, v, 0);
        a.m.log.length = b.m.log.length = 0;
        op(a.m);
        op(b.m);
        assert.ok(a.m.log.length <= 2000, `${a.m.log.length} rows`);
        assert.deepEqual(b.m.log, a.m.log, "another trace");
        answered += a.rows("request").length;
      }
      assert.ok(a.m.guarded);
      assert.deepEqual(b.m.save().device, a.m.save().device);
    });
    if (!Deno.env.has("SEED")) assert.ok(answered > 300, `only ${answered} requests got through`);
  });
}
