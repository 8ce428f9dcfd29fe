import assert from "node:assert/strict";
import { makeDrive, memoryMedium, overlayMedium } from "../medium.ts";
import { forSeeds, type Random } from "../test_random.ts";
import { StateStore } from "../state.ts";
import { cdbBytes, type CommandName, commandOf, COMMANDS } from "./cdb.ts";
import { BLOCK_BYTES, MAX_WRITE_SAME_BLOCKS } from "./pages.ts";
import { placesOf } from "./places.ts";
import { encodeSense, packSense, SENSE, STATUS, unpackSense } from "./sense.ts";
import { targetFields, Targets } from "./target.ts";
import { DIRECTION, MAX_PARAMETER_BYTES, newTask, PLACE, type Task } from "./task.ts";

const FILE = "core/mmio/scsi/target_test.ts";
const BLOCKS = 128;

/** Targets over one disk at 0:0, as a transport sees them. */
class Domain {
  readonly bytes = new Uint8Array(BLOCKS * BLOCK_BYTES);
  readonly store = new StateStore(targetFields(2));
  readonly targets: Targets;

  constructor(o: { readOnly?: boolean; serial?: string; fresh?: boolean } = {}) {
    const medium = overlayMedium(memoryMedium(this.bytes), { readOnly: o.readOnly ?? false });
    const drives = [makeDrive("disk", medium, { latencyNs: 1000, bandwidth: 0 })];
    const naming = { product: "VIRTUAL DISK", serial: o.serial ?? "" };
    const places = placesOf("test", "0:0+0:3", 2, 7);
    this.targets = new Targets(this.store.state, places, (i) => drives[i] ?? null, naming);
    if (!o.fresh) this.run([0x00, 0, 0, 0, 0, 0]);
  }

  /** Runs a command with all the data that it asks for. */
  run(cdb: readonly number[], out: Uint8Array = new Uint8Array(), at = { target: 0, lun: 0 }) {
    const task = newTask(at.target, at.lun);
    task.cdb = [...cdb];
    this.targets.begin(task);
    let data = new Uint8Array();
    if (task.direction === DIRECTION.in) {
      data = Uint8Array.from(this.targets.read(task, task.sizeBytes));
    }
    if (task.direction === DIRECTION.out) {
      const all = new Uint8Array(task.sizeBytes);
      all.set(out.subarray(0, task.sizeBytes));
      assert.equal(this.targets.write(task, all), task.sizeBytes);
    }
    this.targets.end(task);
    return { task, data, status: task.status, sense: said(task) };
  }

  /** What the disk holds. */
  read(lba: number, blocks: number): Uint8Array {
    return this.run([0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0]).data;
  }
}

function said(task: Task): string {
  const found = Object.entries(SENSE).find(([, s]) =>
    packSense(s) === (task.sense[2] << 16 | task.sense[12] << 8 | task.sense[13])
  );
  return task.status === STATUS.GOOD ? "GOOD" : found?.[0] ?? `unknown ${task.sense}`;
}

const be = (v: number, n: number) =>
  Array.from({ length: n }, (_, i) => Math.floor(v / 256 ** (n - 1 - i)) % 256);

/** A CDB of the command for these blocks. */
function onBlocks(name: CommandName, lba: number, blocks: number, flags = 0): number[] {
  const { opcode } = COMMANDS[name];
  switch (cdbBytes(opcode)) {
    case 6:
      return [opcode, ...be(lba, 3), blocks, 0];
    case 10:
      return [opcode, flags, ...be(lba, 4), 0, ...be(blocks, 2), 0];
    case 12:
      return [opcode, flags, ...be(lba, 4), ...be(blocks, 4), 0, 0];
    default:
      return [opcode, flags, ...be(lba, 8), ...be(blocks, 4), 0, 0];
  }
}

Deno.test("scsi: every command of the table is found by its code, and no other is", () => {
  for (const [name, { opcode, action = 0 }] of Object.entries(COMMANDS)) {
    assert.equal(commandOf([opcode, action]), name);
  }
  const known = new Set(Object.values(COMMANDS).map((c) => c.opcode));
  const d = new Domain();
  for (let opcode = 0; opcode < 256; opcode++) {
    if (known.has(opcode)) continue;
    const { sense } = d.run([opcode, ...new Array(15).fill(0)]);
    assert.equal(sense, "INVALID_COMMAND", `opcode ${opcode}`);
  }
  assert.equal(d.run([0x9e, 0x11, ...new Array(14).fill(0)]).sense, "INVALID_COMMAND");
});

Deno.test("scsi: sense data is of the fixed format, and packs", () => {
  for (const s of Object.values(SENSE)) {
    assert.deepEqual(unpackSense(packSense(s)), s);
    const bytes = encodeSense(s);
    assert.deepEqual([bytes.length, bytes[0], bytes[2], bytes[7]], [18, 0x70, s.key, 10]);
  }
});

const WRITES: CommandName[] = [
  "WRITE (6)",
  "WRITE (10)",
  "WRITE (12)",
  "WRITE (16)",
  "WRITE AND VERIFY (10)",
  "WRITE AND VERIFY (12)",
  "WRITE AND VERIFY (16)",
];
const READS: CommandName[] = ["READ (6)", "READ (10)", "READ (12)", "READ (16)"];

Deno.test("scsi: random reads, writes, unmaps and write-sames are those of a model", () => {
  const test = "random reads, writes, unmaps and write-sames are those of a model";
  forSeeds(6, FILE, test, (rng, step) => {
    const d = new Domain();
    const model = new Uint8Array(BLOCKS * BLOCK_BYTES);
    for (let i = 0; i < 150; i++) {
      step(i);
      const lba = rng.below(BLOCKS), blocks = 1 + rng.below(Math.min(16, BLOCKS - lba));
      const [from, to] = [lba * BLOCK_BYTES, (lba + blocks) * BLOCK_BYTES];
      const out = rng.bytes(blocks * BLOCK_BYTES);
      switch (rng.below(5)) {
        case 0:
          assert.equal(d.run(onBlocks(rng.pick(WRITES), lba, blocks), out).status, STATUS.GOOD);
          model.set(out, from);
          break;
        case 1: {
          const one = rng.chance(0.3) ? new Uint8Array(BLOCK_BYTES) : out.subarray(0, BLOCK_BYTES);
          const name = rng.pick<CommandName>(["WRITE SAME (10)", "WRITE SAME (16)"]);
          assert.equal(d.run(onBlocks(name, lba, blocks, rng.pick([0, 8])), one).sense, "GOOD");
          for (let at = from; at < to; at += BLOCK_BYTES) model.set(one, at);
          break;
        }
        case 2:
          unmap(d, model, [[lba, blocks], [rng.below(BLOCKS), 1]]);
          break;
        default: {
          const { data } = d.run(onBlocks(rng.pick(READS), lba, blocks));
          assert.deepEqual(data, model.slice(from, to));
        }
      }
    }
  });
});

function unmap(d: Domain, model: Uint8Array, ranges: [number, number][]): void {
  const list = ranges.flatMap(([lba, blocks]) => [...be(lba, 8), ...be(blocks, 4), 0, 0, 0, 0]);
  const out = Uint8Array.from([
    ...be(6 + list.length, 2),
    ...be(list.length, 2),
    0,
    0,
    0,
    0,
    ...list,
  ]);
  const { sense, task } = d.run([0x42, 0, 0, 0, 0, 0, 0, ...be(out.length, 2), 0], out);
  assert.equal(sense, "GOOD");
  assert.equal(d.targets.bytesOf(task), ranges.reduce((n, [, b]) => n + b, 0) * BLOCK_BYTES);
  for (const [lba, blocks] of ranges) {
    model.fill(0, lba * BLOCK_BYTES, (lba + blocks) * BLOCK_BYTES);
  }
}

Deno.test("scsi: NDOB writes zeros without data; only WRITE SAME (16) has it", () => {
  const d = new Domain();
  d.run(onBlocks("WRITE (10)", 0, 2), new Uint8Array(1024).fill(7));
  const { task, sense } = d.run(onBlocks("WRITE SAME (16)", 0, 1, 0x01));
  assert.deepEqual([sense, task.sizeBytes], ["GOOD", 0]);
  assert.deepEqual([...new Set(d.read(0, 1))], [0]);
  assert.deepEqual([...new Set(d.read(1, 1))], [7]);
  assert.equal(d.run(onBlocks("WRITE SAME (10)", 0, 1, 0x01)).sense, "INVALID_FIELD_IN_CDB");
});

Deno.test("scsi: 0 blocks are 256 in the 6-byte commands, none in the others", () => {
  const d = new Domain();
  assert.equal(d.run(onBlocks("READ (6)", 0, 0)).sense, "LBA_OUT_OF_RANGE");
  assert.deepEqual(d.run(onBlocks("READ (10)", BLOCKS, 0)).data.length, 0);
  assert.equal(d.run(onBlocks("READ (10)", BLOCKS, 0)).sense, "GOOD");
  assert.equal(d.run(onBlocks("READ (10)", BLOCKS + 1, 0)).sense, "LBA_OUT_OF_RANGE");
  assert.equal(d.run(onBlocks("WRITE SAME (10)", 0, 0)).sense, "INVALID_FIELD_IN_CDB");
});

/** CDB and parameters that are refused, and what is said. */
const REFUSED: [string, number[], string, number[]?][] = [
  ["protection that is not there", onBlocks("READ (10)", 0, 1, 0x20), "INVALID_FIELD_IN_CDB"],
  ["a comparison by VERIFY", onBlocks("VERIFY (10)", 0, 1, 0x02), "INVALID_FIELD_IN_CDB"],
  ["an anchored UNMAP", [0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0], "INVALID_FIELD_IN_CDB"],
  [
    "a list too short for its header",
    [0x42, 0, 0, 0, 0, 0, 0, 0, 4, 0],
    "PARAMETER_LIST_LENGTH_ERROR",
  ],
  ["half a descriptor", [0x42, 0, 0, 0, 0, 0, 0, 0, 16, 0], "INVALID_FIELD_IN_PARAMETERS", [
    0,
    14,
    0,
    8,
    0,
    0,
    0,
    0,
  ]],
  [
    "descriptors that were not sent",
    [0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0],
    "INVALID_FIELD_IN_PARAMETERS",
    [0, 22, 0, 16],
  ],
  ["a range beyond the end", [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], "LBA_OUT_OF_RANGE", [
    0,
    22,
    0,
    16,
    0,
    0,
    0,
    0,
    ...be(BLOCKS - 1, 8),
    ...be(2, 4),
  ]],
  ["a parameter list too long", [0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0], "INVALID_FIELD_IN_CDB"],
  ["saved mode pages", [0x1a, 0, 0xc8, 0, 64, 0], "SAVING_NOT_SUPPORTED"],
  ["a mode page that is not there", [0x1a, 0, 0x1c, 0, 64, 0], "INVALID_FIELD_IN_CDB"],
  ["a subpage", [0x1a, 0, 0x08, 1, 64, 0], "INVALID_FIELD_IN_CDB"],
  ["a vital page that is not there", [0x12, 1, 0x99, 0, 64, 0], "INVALID_FIELD_IN_CDB"],
  ["a serial number where there is none", [0x12, 1, 0x80, 0, 64, 0], "INVALID_FIELD_IN_CDB"],
  ["a page without EVPD", [0x12, 0, 0x83, 0, 64, 0], "INVALID_FIELD_IN_CDB"],
  ["descriptor sense", [0x03, 1, 0, 0, 18, 0], "INVALID_FIELD_IN_CDB"],
  ["a link", [0x00, 0, 0, 0, 0, 1], "INVALID_FIELD_IN_CDB"],
  ["auto contingent allegiance", [0x00, 0, 0, 0, 0, 4], "INVALID_FIELD_IN_CDB"],
  ["ejecting a disk", [0x1b, 0, 0, 0, 2, 0], "INVALID_FIELD_IN_CDB"],
  ["an address with READ CAPACITY", [0x25, 0, 0, 0, 0, 9, 0, 0, 0, 0], "INVALID_FIELD_IN_CDB"],
  ["too little room for LUNs", [0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], "INVALID_FIELD_IN_CDB"],
  [
    "an unknown selection of LUNs",
    [0xa0, 0, 9, 0, 0, 0, 0, 0, 0, 64, 0, 0],
    "INVALID_FIELD_IN_CDB",
  ],
  ["a mode list without its format", [0x15, 0, 0, 0, 24, 0], "INVALID_FIELD_IN_CDB"],
  ["a mode list that saves", [0x15, 0x11, 0, 0, 24, 0], "INVALID_FIELD_IN_CDB"],
  ["a mode list cut in its header", [0x15, 0x10, 0, 0, 3, 0], "PARAMETER_LIST_LENGTH_ERROR"],
  ["a change that is none to make", [0x15, 0x10, 0, 0, 24, 0], "INVALID_FIELD_IN_PARAMETERS", [
    0,
    0,
    0,
    0,
    8,
    18,
    0xff,
  ]],
  ["another block size", [0x15, 0x10, 0, 0, 12, 0], "INVALID_FIELD_IN_PARAMETERS", [
    0,
    0,
    0,
    8,
    0,
    0,
    0,
    0,
    0,
    0,
    16,
    0,
  ]],
  ["a self-test of another kind", [0x1d, 0x20, 0, 0, 0, 0], "INVALID_FIELD_IN_CDB"],
];

for (const [what, cdb, sense, out = []] of REFUSED) {
  Deno.test(`scsi: ${what} is refused, and the disk goes on`, () => {
    const d = new Domain();
    assert.equal(d.run(cdb, Uint8Array.from(out)).sense, sense);
    assert.equal(d.run([0, 0, 0, 0, 0, 0]).sense, "GOOD");
    assert.ok(d.read(0, BLOCKS).every((v) => v === 0));
  });
}

Deno.test("scsi: a disk that is write-protected says so, and to its mode pages", () => {
  const d = new Domain({ readOnly: true });
  for (const name of [...WRITES, "WRITE SAME (10)"] as CommandName[]) {
    assert.equal(d.run(onBlocks(name, 0, 1)).sense, "WRITE_PROTECTED", name);
  }
  assert.equal(d.run([0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0]).sense, "WRITE_PROTECTED");
  assert.equal(d.run([0x1a, 0, 0x3f, 0, 255, 0]).data[2], 0x80);
});

Deno.test("scsi: mode pages are 100 bytes with their header, as scsi-hd's; changeable is WCE alone", () => {
  const d = new Domain();
  assert.deepEqual([...d.run([0x1a, 0, 0x3f, 0, 4, 0]).data], [99, 0, 0, 8]);
  const { data } = d.run([0x5a, 8, 0x48, 0, 0, 0, 0, 0, 64, 0]);
  assert.deepEqual([...data], [0, 26, 0, 0, 0, 0, 0, 0, 0x08, 18, 4, ...new Array(17).fill(0)]);
});

Deno.test("scsi: MODE SELECT turns the write cache off and on; a reset turns it on", () => {
  const d = new Domain();
  const cache = () => d.run([0x1a, 8, 0x08, 0, 64, 0]).data[6];
  const select = (v: number) =>
    d.run([0x15, 0x10, 0, 0, 24, 0], Uint8Array.from([0, 0, 0, 0, 8, 18, v]));
  assert.equal(cache(), 4);
  assert.equal(select(0).sense, "GOOD");
  assert.equal(cache(), 0);
  assert.equal(select(4).sense, "GOOD");
  assert.equal(cache(), 4);
  select(0);
  d.targets.reset(0);
  assert.equal(d.run([0x12, 0, 0, 0, 36, 0]).sense, "GOOD", "INQUIRY is always answered");
  assert.equal(d.run([0, 0, 0, 0, 0, 0]).sense, "POWER_ON_OR_RESET");
  assert.equal(cache(), 4);
});

Deno.test("scsi: a stopped disk moves nothing until it is started", () => {
  const d = new Domain();
  assert.equal(d.run([0x1b, 0, 0, 0, 0, 0]).sense, "GOOD");
  assert.equal(d.run([0, 0, 0, 0, 0, 0]).sense, "STOPPED");
  assert.equal(d.run(onBlocks("READ (10)", 0, 1)).sense, "STOPPED");
  assert.equal(d.run([0x1b, 0, 0, 0, 1, 0]).sense, "GOOD");
  assert.equal(d.run(onBlocks("READ (10)", 0, 1)).sense, "GOOD");
});

Deno.test("scsi: sense waits for REQUEST SENSE, until another command comes", () => {
  const d = new Domain();
  const asked = () => d.run([3, 0, 0, 0, 252, 0]).data;
  d.run([0xff]);
  assert.deepEqual([...asked()].slice(0, 14), [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0]);
  assert.equal(asked()[2], 0);
  d.run([0xff]);
  d.run([0, 0, 0, 0, 0, 0]);
  assert.equal(asked()[2], 0);
  const fresh = new Domain({ fresh: true });
  assert.equal(fresh.run([3, 0, 0, 0, 18, 0]).data[2], 6, "a unit attention is told as sense");
  assert.equal(fresh.run([0, 0, 0, 0, 0, 0]).sense, "GOOD");
});

Deno.test("scsi: units that are not there say so; their target lists those that are", () => {
  const d = new Domain();
  const nobody = { target: 0, lun: 9 };
  assert.equal(d.run([0x12, 0, 0, 0, 36, 0], undefined, nobody).data[0], 0x7f);
  assert.equal(d.run([0, 0, 0, 0, 0, 0], undefined, nobody).sense, "LUN_NOT_SUPPORTED");
  assert.equal(d.run([3, 0, 0, 0, 18, 0], undefined, nobody).data[12], 0x25);
  const { data } = d.run([0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], undefined, nobody);
  assert.deepEqual([...data], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.ok(d.targets.has(0) && !d.targets.has(1));
});

Deno.test("scsi: capacity is told in both forms", () => {
  const d = new Domain();
  assert.deepEqual([...d.run([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]).data], [
    ...be(BLOCKS - 1, 4),
    0,
    0,
    2,
    0,
  ]);
  const { data } = d.run([0x9e, 0x10, ...be(0, 8), 0, 0, 0, 32, 0, 0]);
  assert.deepEqual([...data], [...be(BLOCKS - 1, 8), 0, 0, 2, 0, 0, 0, 0x80, ...be(0, 17)]);
});

Deno.test("scsi: vital product data lists the pages that there are, each under its number", () => {
  for (const serial of ["", "S"]) {
    const d = new Domain({ serial });
    const { data } = d.run([0x12, 1, 0, 0, 255, 0]);
    const pages = [...data.subarray(4)];
    assert.deepEqual(pages, [0, ...serial ? [0x80] : [], 0x83, 0xb0, 0xb1, 0xb2]);
    for (const page of pages) {
      const told = d.run([0x12, 1, page, 0, 255, 0]).data;
      assert.deepEqual([told[1], told[2] << 8 | told[3]], [page, told.length - 4]);
    }
  }
});

/** Any bytes at all as a CDB, of a length that fits. */
function anyCdb(rng: Random): number[] {
  const known = Object.values(COMMANDS).map((c) => c.opcode);
  const opcode = rng.chance(0.9) ? rng.pick(known) : rng.below(256);
  const zero = rng.chance(0.5) ? 0.8 : 0.2;
  return [
    opcode,
    ...Array.from({ length: cdbBytes(opcode) - 1 }, () => rng.chance(zero) ? 0 : rng.below(256)),
  ];
}

Deno.test("scsi: any command with any parameters is answered, within bounds", () => {
  const test = "any command with any parameters is answered, within bounds";
  forSeeds(8, FILE, test, (rng, step) => {
    const d = new Domain();
    for (let i = 0; i < 800; i++) {
      step(i);
      const cdb = anyCdb(rng);
      const task = newTask(0, rng.pick([0, 0, 0, 5]));
      task.cdb = [...cdb];
      d.targets.begin(task);
      assert.ok(task.sizeBytes <= BLOCKS * BLOCK_BYTES || task.status !== STATUS.GOOD, String(cdb));
      if (task.place === PLACE.parameters) assert.ok(task.sizeBytes <= MAX_PARAMETER_BYTES);
      while (task.direction === DIRECTION.out && task.moved < task.sizeBytes && !rng.chance(0.05)) {
        d.targets.write(task, rng.bytes(1 + rng.below(600)));
      }
      while (task.direction === DIRECTION.in && task.moved < task.sizeBytes) {
        assert.ok(d.targets.read(task, 1 + rng.below(5000)).length > 0);
      }
      d.targets.end(task);
      assert.ok(([STATUS.GOOD, STATUS.CHECK_CONDITION] as number[]).includes(task.status));
      assert.equal(task.status === STATUS.CHECK_CONDITION, task.sense.length > 0);
      assert.ok(!said(task).startsWith("unknown"), said(task));
      assert.ok(d.targets.doneNs(task, 5000) >= 5000);
    }
    assert.ok(MAX_WRITE_SAME_BLOCKS * BLOCK_BYTES < 2 ** 26);
  });
});

Deno.test("scsi: places are read as written, and wrong ones are refused with the form", () => {
  assert.deepEqual(placesOf("x", "3:1+0:0", 16, 7), [{ target: 3, lun: 1 }, { target: 0, lun: 0 }]);
  assert.deepEqual(placesOf("x", "", 9, 7).map((p) => p.target), [0, 1, 2, 3, 4, 5, 6, 8, 9]);
  for (const wrong of ["7:0", "16:0", "0:64", "0", "a:b", "0:0+0:0", "0:0,1:0"]) {
    assert.throws(
      () => placesOf("x", wrong, 16, 7),
      (e: { fix?: string }) => /units=0:0/.test(e.fix ?? ""),
    );
  }
});
