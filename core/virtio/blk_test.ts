import assert from "node:assert/strict";
import { RAM_BASE, TestMachine } from "../mmio/test_machine.ts";
import { virtioBlk } from "./blk.ts";
import { REG } from "./test_driver.ts";
import { type Ask, DiskDriver, IOERR, OK, range, SECTOR, T, UNSUPP } from "./test_disk.ts";

const sectors = (n: number, byte: number) => new Uint8Array(n * SECTOR).fill(byte);
const SECTORS = 64;
const config = (m: TestMachine, at: number, size: number) => m.read(REG.Config + at, size);

for (const legacy of [false, true]) {
  const kind = legacy ? "legacy" : "modern";
  const disk = (o = {}) => new DiskDriver({ props: { legacy }, ...o });

  Deno.test(`virtio-blk ${kind}: what was written is read, at the sector that was named`, () => {
    const d = disk();
    assert.equal(d.ask({ type: T.OUT, sector: 3, data: sectors(2, 7) })?.status, OK);
    const read = d.ask({ type: T.IN, sector: 2, room: 4 * SECTOR })!;
    assert.equal(read.status, OK);
    assert.equal(read.written, 4 * SECTOR + 1);
    assert.deepEqual([...read.data].filter((_, i) => i % SECTOR === 0), [0, 7, 7, 0]);
  });

  Deno.test(`virtio-blk ${kind}: write-zeroes and discard leave zeros, where they were asked to`, () => {
    for (const type of [T.WRITE_ZEROES, T.DISCARD]) {
      const d = disk({ contents: sectors(SECTORS, 9) });
      const done = d.ask({ type, data: range(10, 2) });
      assert.deepEqual([done?.status, done?.written], [OK, 1]);
      const { data } = d.ask({ type: T.IN, sector: 9, room: 4 * SECTOR })!;
      assert.deepEqual([...data].filter((_, i) => i % SECTOR === 0), [9, 0, 0, 9]);
    }
  });

  Deno.test(`virtio-blk ${kind}: the serial number fills 20 bytes, or as many as there is room for`, () => {
    const d = new DiskDriver({ props: { legacy, serial: "disk-0042" } });
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const whole = d.ask({ type: T.GET_ID, room: 20 })!;
    assert.deepEqual([whole.status, whole.written], [OK, 21]);
    assert.equal(text(whole.data), "disk-0042".padEnd(20, "\0"));
    const part = d.ask({ type: T.GET_ID, room: 4 })!;
    assert.deepEqual([part.status, part.written, text(part.data)], [OK, 5, "disk"]);
    // Room beyond the number stays as it was, so that the status byte is not counted.
    const more = d.ask({ type: T.GET_ID, room: 32 })!;
    assert.deepEqual([more.status, more.written], [OK, 20]);
  });

  Deno.test(`virtio-blk ${kind}: a read-only drive takes no change and says so`, () => {
    const d = disk({ readOnly: true, contents: sectors(SECTORS, 5) });
    assert.equal(d.m.read(REG.DeviceFeatures) & 1 << 5, 1 << 5);
    for (
      const ask of [
        { type: T.OUT, sector: 0, data: sectors(1, 1) },
        { type: T.WRITE_ZEROES, data: range(0, 1) },
        { type: T.DISCARD, data: range(0, 1) },
      ]
    ) assert.equal(d.ask(ask)?.status, IOERR);
    assert.equal(d.ask({ type: T.FLUSH })?.status, OK);
    assert.deepEqual(d.ask({ type: T.IN, room: SECTOR })!.data, sectors(1, 5));
    assert.equal(disk().m.read(REG.DeviceFeatures) & 1 << 5, 0);
  });
}

interface Wrong {
  name: string;
  ask: Ask;
  status: number;
}

const HUGE = 2 ** 55; // Times 512, the sum would wrap at 2^64.
const WRONG: Wrong[] = [
  { name: "a read past the end", ask: { type: T.IN, sector: 63, room: 1024 }, status: IOERR },
  { name: "a read at the end", ask: { type: T.IN, sector: 64, room: 512 }, status: IOERR },
  { name: "a sector that wraps", ask: { type: T.IN, sector: HUGE, room: 512 }, status: IOERR },
  {
    name: "the largest sector",
    ask: { type: T.OUT, sector: 2 ** 64 - 2048, data: sectors(8, 1) },
    status: IOERR,
  },
  { name: "half a sector", ask: { type: T.IN, room: 256 }, status: IOERR },
  { name: "a write of 513 bytes", ask: { type: T.OUT, data: new Uint8Array(513) }, status: IOERR },
  { name: "a read that sends", ask: { type: T.IN, data: sectors(1, 1) }, status: IOERR },
  {
    name: "a read that sends and has room",
    ask: { type: T.IN, data: sectors(1, 1), room: 512 },
    status: IOERR,
  },
  { name: "a write with room", ask: { type: T.OUT, room: 512 }, status: IOERR },
  { name: "an unknown type", ask: { type: 99 }, status: UNSUPP },
  { name: "a type with its high bit", ask: { type: 0x8000_0000, room: 512 }, status: UNSUPP },
  { name: "a SCSI command", ask: { type: 2, data: sectors(1, 0), room: 96 }, status: UNSUPP },
  { name: "a zone report", ask: { type: 16, room: 512 }, status: UNSUPP },
  { name: "secure erase", ask: { type: 14, data: range(0, 1) }, status: UNSUPP },
  { name: "a discard without a list", ask: { type: T.DISCARD }, status: IOERR },
  {
    name: "a discard of half an entry",
    ask: { type: T.DISCARD, data: new Uint8Array(8) },
    status: IOERR,
  },
  {
    name: "a list longer than max_discard_seg",
    ask: { type: T.DISCARD, data: new Uint8Array(32) },
    status: IOERR,
  },
  { name: "a list with room", ask: { type: T.DISCARD, data: range(0, 1), room: 8 }, status: IOERR },
  { name: "a discard past the end", ask: { type: T.DISCARD, data: range(60, 5) }, status: IOERR },
  {
    name: "a count of sectors that wraps",
    ask: { type: T.WRITE_ZEROES, data: range(2 ** 32, 0xffff_ffff) },
    status: IOERR,
  },
  {
    name: "a discard with the unmap flag",
    ask: { type: T.DISCARD, data: range(0, 1, 1) },
    status: UNSUPP,
  },
  {
    name: "write-zeroes with an unknown flag",
    ask: { type: T.WRITE_ZEROES, data: range(0, 1, 2) },
    status: UNSUPP,
  },
];

for (const { name, ask, status } of WRONG) {
  Deno.test(`virtio-blk: ${name} is refused, changes nothing, and the device goes on`, () => {
    const contents = sectors(SECTORS, 3);
    const d = new DiskDriver({ contents });
    const answer = d.ask(ask);
    assert.equal(answer?.status, status);
    assert.ok(answer.written <= 1 && (answer.written === 1) === !ask.room);
    assert.deepEqual(d.ask({ type: T.IN, room: SECTORS * SECTOR })!.data, contents);
    const [row] = d.rows("request");
    assert.deepEqual([row.status, row.complete_ns], ["error", row.submit_ns]);
  });
}

Deno.test("virtio-blk: a zero-sector request at the very end is in order", () => {
  const d = new DiskDriver();
  assert.equal(d.ask({ type: T.IN, sector: SECTORS })?.status, OK);
  assert.equal(d.ask({ type: T.OUT, sector: SECTORS })?.status, OK);
  assert.equal(d.ask({ type: T.DISCARD, data: range(SECTORS, 0) })?.status, OK);
});

for (const legacy of [false, true]) {
  const kind = legacy ? "legacy" : "modern";
  Deno.test(`virtio-blk ${kind}: a header that is too short is an error, answered`, () => {
    for (const length of [0, 1, 15]) {
      const d = new DiskDriver({ props: { legacy } });
      const [q] = d.d.queues;
      const gpa = d.d.ram.alloc(32), status = d.d.ram.alloc(1);
      q.add([{ gpa, length, write: false }, { gpa: status, length: 1, write: true }]);
      q.kick();
      assert.equal(q.reap().length, 1);
      assert.equal(d.d.ram.u32(status) & 0xff, IOERR);
      assert.equal(d.ask({ type: T.FLUSH })?.status, OK);
    }
  });

  Deno.test(`virtio-blk ${kind}: without a status byte there is no answer but NEEDS_RESET`, () => {
    const d = new DiskDriver({ props: { legacy } });
    const [q] = d.d.queues;
    q.add([{ gpa: d.d.ram.alloc(16), length: 16, write: false }]);
    q.kick();
    assert.equal(d.m.read(REG.Status) & 64, legacy ? 0 : 64);
    assert.equal(d.rows("vring").filter((r) => r.event === "error").length, 1);
    assert.equal(q.reap().length, 0);
    d.d.init(1);
    assert.equal(d.ask({ type: T.FLUSH })?.status, OK);
  });
}

Deno.test("virtio-blk: a command whose feature was not negotiated is unsupported", () => {
  for (const [prop, type] of [["discard", T.DISCARD], ["write_zeroes", T.WRITE_ZEROES]] as const) {
    const d = new DiskDriver({ props: { [prop]: false } });
    assert.equal(d.ask({ type, data: range(0, 1) })?.status, UNSUPP);
  }
});

Deno.test("virtio-blk: the configuration space is that of QEMU's device", () => {
  const { m } = new DiskDriver({ contents: new Uint8Array(1 << 20) });
  assert.equal(config(m, 0, 4), 2048);
  const fields: [number, number, number][] = [
    [4, 4, 0], // capacity, upper half
    [12, 4, 254], // seg_max
    [16, 2, 2], // cylinders
    [18, 1, 16], // heads
    [19, 1, 63], // sectors
    [20, 4, 512], // blk_size
    [32, 1, 1], // writeback
    [36, 4, 4194303], // max_discard_sectors
    [40, 4, 1], // max_discard_seg
    [44, 4, 1], // discard_sector_alignment
    [48, 4, 4194303], // max_write_zeroes_sectors
    [52, 4, 1], // max_write_zeroes_seg
    [56, 1, 1], // write_zeroes_may_unmap
    [34, 2, 0], // num_queues does not exist without VIRTIO_BLK_F_MQ
  ];
  for (const [at, bytes, value] of fields) assert.equal(config(m, at, bytes), value, `at ${at}`);
  m.write(REG.DeviceFeaturesSel, 0);
  assert.equal(m.read(REG.DeviceFeatures), 0x3000_6e54);
});

Deno.test("virtio-blk: num_queues queues exist, and no more", () => {
  const d = new DiskDriver({ props: { num_queues: 4 } });
  assert.equal(config(d.m, 34, 2), 4);
  for (let queue = 0; queue < 4; queue++) {
    assert.equal(d.ask({ type: T.FLUSH }, queue)?.status, OK);
  }
  d.m.write(REG.QueueSel, 4);
  assert.equal(d.m.read(REG.QueueNumMax), 0);
  for (const num_queues of [0, 9]) {
    assert.throws(() => new TestMachine(virtioBlk, { props: { num_queues } }), /num_queues=/);
  }
});

Deno.test("virtio-blk: a cache is writeback as the driver says, else as it negotiated", () => {
  const cases: [Record<string, boolean>, number, string][] = [
    [{}, 1, "writeback after a reset"],
    [{ config_wce: false }, 0, "no field without its feature"],
    [{ flush: false }, 0, "no CONFIG_WCE without FLUSH (§5.2.5.2)"],
  ];
  for (const [props, value, why] of cases) {
    assert.equal(config(new DiskDriver({ props }).m, 32, 1), value, why);
  }
  const d = new DiskDriver();
  d.m.write(REG.Config + 32, 0, 1);
  assert.equal(config(d.m, 32, 1), 0);
  d.d.init(1);
  assert.equal(config(d.m, 32, 1), 1, "a reset forgets the driver's choice");
  // CONFIG_WCE taken and FLUSH not: a writethrough cache.
  d.m.write(REG.Status, 0);
  d.m.write(REG.DriverFeaturesSel, 0);
  d.m.write(REG.DriverFeatures, 1 << 11);
  d.m.write(REG.DriverFeaturesSel, 1);
  d.m.write(REG.DriverFeatures, 1);
  assert.equal(config(d.m, 32, 1), 0);
});

Deno.test("virtio-blk: a request takes its drive's time, and its row tells it", () => {
  const d = new DiskDriver({ timing: { latencyNs: 1000, bandwidth: 1e9 } });
  d.put({ type: T.IN, room: 4 * SECTOR });
  d.put({ type: T.IN, room: 2 * SECTOR });
  d.put({ type: T.FLUSH });
  d.put({ type: T.GET_ID, room: 20 });
  d.d.queues[0].kick();
  const answered = [];
  for (const at of [0, 999, 1000, 1000 + 2048, 1000 + 3072]) {
    d.m.advance(at - d.m.nowNs);
    answered.push(...d.reap().map(([s]) => [s.ask.type, at]));
  }
  // The number is answered at once, a flush moves no data, and transfers queue.
  assert.deepEqual(answered, [[T.GET_ID, 0], [T.FLUSH, 1000], [T.IN, 3048], [T.IN, 4072]]);
  const rows = d.rows("request").map((r) => [r.kind, r.bytes, r.complete_ns]);
  assert.deepEqual(rows, [
    ["disk_get_id", 20, 0],
    ["disk_flush", 0, 1000],
    ["disk_read", 2048, 3048],
    ["disk_read", 1024, 4072],
  ]);
});

Deno.test("virtio-blk: dma rows are header, payload and status, and add up", () => {
  const d = new DiskDriver();
  d.ask({ type: T.OUT, sector: 1, data: sectors(2, 1) });
  const rows = d.rows("dma").map((r) => [r.bytes, r.write, r.framing]);
  assert.deepEqual(rows, [[16, false, true], [1024, false, false], [1, true, true]]);
});

Deno.test("virtio-blk: the header is taken when the request is popped, and not read again", () => {
  const d = new DiskDriver({ timing: { latencyNs: 1000 }, contents: sectors(SECTORS, 4) });
  const sent = d.put({ type: T.OUT, sector: 1, data: sectors(1, 8) })!;
  d.d.queues[0].kick();
  const header = d.rows("dma")[0].gpa as number;
  d.m.ram.fill(0xff, header - RAM_BASE, header - RAM_BASE + 16);
  d.m.advance(1000);
  assert.deepEqual(d.reap().map(([s, a]) => [s, a.status]), [[sent, OK]]);
  assert.equal(d.ask({ type: T.IN, sector: 1, room: 512 })!.data[0], 8);
});

Deno.test("virtio-blk: a device without a drive has no sectors, and answers with errors", () => {
  const d = new DiskDriver({ drives: [] });
  assert.equal(config(d.m, 0, 4), 0);
  for (const type of Object.values(T)) {
    assert.equal(d.ask({ type, room: type === T.IN ? SECTOR : 0 })?.status, IOERR);
  }
});

Deno.test("virtio-blk: a serial number of over 20 characters is refused", () => {
  const make = (serial: string) => new TestMachine(virtioBlk, { props: { serial } });
  make("x".repeat(20));
  assert.throws(() => make("x".repeat(21)), /does not fit/);
  assert.throws(() => make("é"), /does not fit/);
});
