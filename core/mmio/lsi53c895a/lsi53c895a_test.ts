import assert from "node:assert/strict";
import { forSeeds } from "../test_random.ts";
import { RAM_BASE } from "../test_machine.ts";
import { operate } from "./script.ts";
import { addr, AT, Chip, disk, DRIVER, REGISTERS_AT, SCRIPT_RAM } from "./test_chip.ts";
import { DSTAT, ISTAT0, SCNTL1, SIST0, SIST1 } from "./registers.ts";

const FILE = "core/mmio/lsi53c895a/lsi53c895a_test.ts";
const BLOCK = 512;
const BLOCKS = 256;
const GOOD = 0, CHECK_CONDITION = 2, TASK_SET_FULL = 0x28;

const blank = (latencyNs = 0) => disk("drive0", new Uint8Array(BLOCKS * BLOCK), { latencyNs });
/** A chip whose disks have said that they were reset. */
function ready(latencyNs = 0, props = {}): Chip {
  const chip = new Chip([blank(latencyNs)], props);
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, CHECK_CONDITION);
  return chip;
}
const read10 = (
  lba: number,
  blocks: number,
) => [0x28, 0, 0, 0, lba >> 8, lba & 255, 0, 0, blocks, 0];
const write10 = (lba: number, blocks: number) => [0x2a, ...read10(lba, blocks).slice(1)];

Deno.test("lsi53c895a: a disk says that it was reset, and only once", () => {
  const chip = new Chip([blank()]);
  const { status, data } = chip.command({ cdb: [0x12, 0, 0, 0, 36, 0], room: 36 });
  assert.equal(status, GOOD);
  assert.match(new TextDecoder().decode(data.subarray(8)), /^EXITSCOPVIRTUAL DISK {4}1 {3}$/);
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, CHECK_CONDITION);
  assert.equal(chip.sense(), "06/29/00");
  assert.equal(chip.sense(), "00/00/00");
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, GOOD);
});

Deno.test("lsi53c895a: random requests in any layout leave the disk as a model says", () => {
  forSeeds(4, FILE, "random requests in any layout leave the disk as a model says", (rng, step) => {
    const latencyNs = rng.pick([0, 1, 5000, 200_000]);
    const chip = ready(latencyNs, { insn_ns: rng.pick([0, 1, 200, 1000]) });
    const model = new Uint8Array(BLOCKS * BLOCK);
    for (let i = 0; i < 60; i++) {
      step(i);
      const lba = rng.below(BLOCKS), blocks = 1 + rng.below(Math.min(20, BLOCKS - lba));
      const size = blocks * BLOCK;
      const segments = Array.from({ length: rng.below(10) }, () => 1 + rng.below(size));
      const o = {
        segments,
        disconnect: rng.chance(0.7),
        tag: rng.chance(0.5) ? rng.below(256) : undefined,
      };
      if (rng.chance(0.5)) {
        const out = rng.bytes(size);
        model.set(out, lba * BLOCK);
        assert.equal(chip.command({ cdb: write10(lba, blocks), out, ...o }).status, GOOD);
      } else {
        const { status, data } = chip.command({
          cdb: read10(lba, blocks),
          room: size + rng.below(2) * 100,
          ...o,
        });
        assert.equal(status, GOOD);
        assert.deepEqual(data, model.slice(lba * BLOCK, lba * BLOCK + size));
      }
    }
    assert.ok(chip.m.guarded);
  });
});

Deno.test("lsi53c895a: several targets and LUNs answer at their places, others do not", () => {
  const drives = ["a", "b", "c"].map((id) => disk(id, new Uint8Array(BLOCK * 8)));
  const chip = new Chip(drives, { units: "0:0+0:5+3:1", serial: "S" });
  const serial = (target: number, lun: number) => {
    const { data } = chip.command({ cdb: [0x12, 1, 0x80, 0, 64, 0], room: 64, target, lun });
    return new TextDecoder().decode(data.subarray(4, 7));
  };
  assert.deepEqual([serial(0, 0), serial(0, 5), serial(3, 1)], ["S-0", "S-1", "S-2"]);
  const luns = chip.command({ cdb: [0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], room: 64 });
  assert.deepEqual([...luns.data], [
    0,
    0,
    0,
    16,
    0,
    0,
    0,
    0,
    ...[0, 5].flatMap((l) => [0, l, 0, 0, 0, 0, 0, 0]),
  ]);
  const absent = chip.command({ cdb: [0x12, 0, 0, 0, 36, 0], room: 36, lun: 7 });
  assert.equal(absent.data[0], 0x7f);
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0], lun: 7 }).status, CHECK_CONDITION);
});

Deno.test("lsi53c895a: nobody at a target is a selection timeout, at its exact moment", () => {
  const chip = new Chip([blank()]);
  chip.prepare({ cdb: [0, 0, 0, 0, 0, 0], target: 5 });
  const started = chip.m.nowNs;
  const { dstat, sist0, sist1 } = chip.run(chip.program.at.start);
  assert.deepEqual([dstat, sist0, sist1], [0, 0, SIST1.STO]);
  // STIME0 = 12 and CCF = 3: 2^12 periods of 4340/3 clocks of 40 MHz / 2; and one instruction.
  assert.equal(chip.m.nowNs - started, Math.round(2 ** 12 * 4340 / 3 * 2 * 25) + 200);
});

Deno.test("lsi53c895a: each instruction takes its time, and not before its time does it act", () => {
  const chip = new Chip([], { insn_ns: 300 }, "MOVE MEMORY 4, data, status_byte\nINT 1");
  chip.put32(AT.data, 0xaaaa_5555);
  chip.write("DSP", addr(AT.script));
  const at = (offset: number) =>
    new DataView(chip.m.ram.buffer, chip.m.ram.byteOffset).getUint32(offset, true);
  chip.m.advance(299);
  assert.equal(at(AT.status), 0);
  chip.m.advance(1);
  assert.equal(at(AT.status), 0xaaaa_5555);
  chip.m.advance(299);
  assert.equal(chip.read("ISTAT0", 1) & ISTAT0.DIP, 0);
  chip.m.advance(1);
  assert.equal(chip.read("ISTAT0", 1) & ISTAT0.DIP, ISTAT0.DIP);
});

Deno.test("lsi53c895a: register arithmetic is that of the manual's table", () => {
  for (let value = 0; value < 256; value += 5) {
    for (let data = 0; data < 256; data += 7) {
      for (const carry of [false, true]) {
        const c = carry ? 1 : 0;
        const want: Record<number, [number, boolean]> = {
          0: [data, carry],
          1: [value * 2 % 256 + c, value >= 128],
          2: [value | data, carry],
          3: [value ^ data, carry],
          4: [value & data, carry],
          5: [Math.floor(value / 2) + 128 * c, value % 2 === 1],
          6: [(value + data) % 256, value + data > 255],
          7: [(value + data + c) % 256, value + data + c > 255],
        };
        for (const [operator, [v, out]] of Object.entries(want)) {
          assert.deepEqual(operate(Number(operator), value, data, carry), { value: v, carry: out });
        }
      }
    }
  }
});

/** A program that only computes: registers, jumps, memory. */
const SUMS = `
        CLEAR CARRY
        MOVE SCRATCHA0 = 0xf0 TO SCRATCHA0
        MOVE SCRATCHA0 + 0x20 TO SCRATCHA0
        INT 1, IF NOT CARRY
        MOVE SCRATCHA1 +c 0 TO SCRATCHA1
        MOVE SCRATCHA1 = 0 TO SFBR
        MOVE SCRATCHA0 | 0 TO SFBR
        INT 2, IF NOT 0x10
        INT 3, IF 0x11
        INT 4, IF NOT 0x1f AND MASK 0x0f
        MOVE SFBR + 3 TO SBR
        CALL REL(sub)
        JUMP over
        INT 5
sub:    STORE SCRATCHA, 4, data
        LOAD SCRATCHD, 4, data
        LOAD SCRATCHR2, 1, DSA(2)
        RETURN
over:   INTFLY
        MOVE SCRATCHD1 + 1 TO SCRATCHD1
        INT 0x1234
`;

Deno.test("lsi53c895a: a program computes, calls, jumps, loads and stores", () => {
  const chip = new Chip([], {}, SUMS);
  chip.write("DSA", addr(AT.data));
  chip.put32(AT.data, 0);
  assert.deepEqual(chip.run(addr(AT.script)), {
    dstat: DSTAT.SIR,
    sist0: 0,
    sist1: 0,
    dsps: 0x1234,
  });
  assert.equal(chip.read("SCRATCHA"), 0x0110);
  assert.equal(chip.read("SBR", 1), 0x13);
  assert.equal(chip.read("SCRATCHD"), 0x0210);
  assert.equal(chip.read("SCRATCHR2", 1), 0);
  const events = chip.m.log.filter((l) => l.startsWith("irq")).length;
  assert.equal(events, 4, "up and down for INTFLY, up and down for INT");
});

Deno.test("lsi53c895a: a program runs in script RAM, which the CPU reads and writes in any size", () => {
  const chip = new Chip([], {}, "INT 9");
  const ram = chip.m.dev.region("script_ram");
  chip.program.words.forEach((w, i) => {
    ram.write(0x800 + 4 * i, 2, w & 0xffff);
    ram.write(0x802 + 4 * i, 1, w >>> 16 & 0xff);
    ram.write(0x803 + 4 * i, 1, w >>> 24);
  });
  assert.equal(ram.read(0x800, 4), chip.program.words[0]);
  assert.equal(chip.run(SCRIPT_RAM + 0x800).dsps, 9);
  assert.match(chip.m.log.join("\n"), /step .*"own_memory":true/);
});

/** Programs that cannot go on: what they are told by. */
const FAULTS: Record<string, { text: string; dstat?: number; sist0?: number }> = {
  "a block move of no bytes": { text: "MOVE 0, data, WHEN CMD", dstat: DSTAT.IID },
  "a reserved transfer control": { text: "JUMP 0\n", dstat: DSTAT.BF },
  "a jump out of memory": { text: "JUMP 0x1000", dstat: DSTAT.BF },
  "a memory move whose ends lie apart": {
    text: "MOVE MEMORY 4, 0x80001000, 0x80001001",
    dstat: DSTAT.IID,
  },
  "a memory move of nothing": { text: "MOVE MEMORY 0, data, data", dstat: DSTAT.IID },
  "a memory move from nowhere": { text: "MOVE MEMORY 4, 0x1000, data", dstat: DSTAT.BF },
  "a load across words": { text: "LOAD SCRATCHA2, 3, 0x80001002", dstat: DSTAT.IID },
  "a load off its register": { text: "LOAD SCRATCHA, 1, 0x80001001", dstat: DSTAT.IID },
  "a store to nowhere": { text: "STORE SCRATCHA, 4, 0xfffffff0", dstat: DSTAT.BF },
  "a table that is nowhere": { text: "MOVE FROM 0, WHEN CMD", dstat: DSTAT.BF },
  "the target role": { text: "SET TARGET\nSELECT 0, 0", dstat: DSTAT.IID },
};

for (const [what, { text, dstat = 0, sist0 = 0 }] of Object.entries(FAULTS)) {
  Deno.test(`lsi53c895a: ${what} stops SCRIPTS and is told`, () => {
    const chip = new Chip([blank()], {}, text);
    const told = chip.run(addr(AT.script));
    assert.deepEqual([told.dstat, told.sist0], [dstat, sist0]);
    assert.equal(chip.read("ISTAT1", 1) & 2, 0, "still running");
    assert.equal(chip.m.pending.length, 0);
  });
}

Deno.test("lsi53c895a: without bus mastering nothing is reached", () => {
  const chip = new Chip([], {}, "INT 1");
  chip.m.dev.region("config").write(0x04, 2, 0x3);
  assert.equal(chip.run(addr(AT.script)).dstat, DSTAT.BF);
});

Deno.test("lsi53c895a: a phase other than expected stops, or jumps with what is left in RBC and UA", () => {
  const text = DRIVER.replace("JUMP data_in, IF DATA_IN", "MOVE FROM 24, WHEN DATA_IN");
  for (const jump of [false, true]) {
    const chip = new Chip([blank()], {}, text);
    const alternate = chip.load("INT 0x77", addr(0xf00)).at;
    assert.deepEqual(alternate, {});
    if (jump) chip.write("PMJAD1", addr(0xf00));
    chip.write("PMJAD2", addr(0xf00));
    chip.write("CCNTL0", jump ? 0x80 : 0, 1);
    chip.prepare({ cdb: [0x12, 0, 0, 0, 36, 0], room: 100 });
    const told = chip.run(chip.program.at.start);
    if (jump) assert.deepEqual([told.dstat, told.dsps], [DSTAT.SIR, 0x77]);
    else assert.deepEqual([told.sist0, told.dstat], [SIST0.MA, 0]);
    assert.equal(chip.read("RBC") & 0xff_ffff, 64);
    assert.equal(chip.read("UA"), addr(AT.data + 36));
    assert.equal(chip.read("SBC"), 36);
    assert.equal(chip.read("ESA"), addr(AT.table + 24));
    assert.equal(chip.read("IA"), chip.program.at.dispatch + 24);
    assert.equal(chip.run(chip.program.at.status).dsps, 0);
    assert.equal(chip.m.ram[AT.status], GOOD);
  }
});

Deno.test("lsi53c895a: a target that leaves unexpectedly is told of", () => {
  const chip = new Chip(
    [blank()],
    {},
    DRIVER.replaceAll("MOVE SCNTL2 & 0x7f TO SCNTL2", "CLEAR CARRY"),
  );
  chip.prepare({ cdb: [0x12, 0, 0, 0, 36, 0], room: 36 });
  assert.equal(chip.run(chip.program.at.start).sist0, SIST0.UDC);
});

Deno.test("lsi53c895a: SIGP ends a wait for reselection; CTEST2 clears it", () => {
  const chip = new Chip([blank()]);
  chip.write("DSP", chip.program.at.idle);
  chip.m.advance(1000);
  assert.equal(chip.read("ISTAT1", 1), 2);
  assert.equal(chip.m.pending.length, 0, "a wait costs no events");
  chip.write("ISTAT0", ISTAT0.SIGP, 1);
  assert.equal(chip.interrupted().dsps, 0x516);
  assert.equal(chip.read("CTEST2", 1) & 0x40, 0x40);
  assert.equal(chip.read("ISTAT0", 1) & ISTAT0.SIGP, 0);
});

Deno.test("lsi53c895a: single step, abort and manual start", () => {
  const chip = new Chip([], {}, "MOVE SBR = 1 TO SBR\nMOVE SBR = 2 TO SBR\nJUMP 0x80000010");
  chip.write("DCNTL", 0x10, 1);
  assert.equal(chip.run(addr(AT.script)).dstat, DSTAT.SSI);
  assert.equal(chip.read("SBR", 1), 1);
  chip.write("DCNTL", 0x14, 1); // STD
  assert.equal(chip.interrupted().dstat, DSTAT.SSI);
  assert.equal(chip.read("SBR", 1), 2);
  chip.write("DMODE", 1, 1); // MAN
  chip.write("DCNTL", 0, 1);
  chip.write("DSP", addr(AT.script + 16));
  assert.equal(chip.read("ISTAT1", 1), 0, "started by itself");
  chip.write("DCNTL", 4, 1);
  chip.m.advance(10_000);
  assert.equal(chip.read("ISTAT1", 1), 2);
  chip.write("ISTAT0", ISTAT0.ABRT, 1);
  assert.equal(chip.interrupted().dstat, DSTAT.ABRT);
  assert.equal(chip.read("ISTAT1", 1), 0);
});

Deno.test("lsi53c895a: the byte that ends DSP starts it, the others do not", () => {
  const chip = new Chip([], {}, "INT 5");
  const at = addr(AT.script);
  for (let i = 0; i < 3; i++) chip.write(`DSP${i}`, at >>> 8 * i & 0xff, 1);
  assert.equal(chip.read("ISTAT1", 1), 0);
  chip.write("DSP3", at >>> 24, 1);
  assert.equal(chip.interrupted().dsps, 5);
});

Deno.test("lsi53c895a: a condition behind another comes forward when that one was read", () => {
  const chip = new Chip([blank()]);
  chip.write("STIME1", 1, 1);
  chip.prepare({ cdb: [0, 0, 0, 0, 0, 0], target: 9 });
  chip.write("DSP", chip.program.at.start);
  chip.m.advance(2_000_000_000);
  assert.equal(chip.read("SIST0", 2), SIST1.GEN << 8);
  assert.equal(chip.m.wires[0].level, true);
  assert.equal(chip.read("SIST0", 2), SIST1.STO << 8);
  assert.equal(chip.m.wires[0].level, false);
});

Deno.test("lsi53c895a: a masked condition that is fatal stops SCRIPTS and does not interrupt", () => {
  const chip = new Chip([], {}, "INT 5");
  chip.write("DIEN", 0, 1);
  chip.write("DSP", addr(AT.script));
  chip.m.advance(1000);
  assert.equal(chip.m.wires[0].level, false);
  assert.equal(chip.read("ISTAT1", 1), 0);
  assert.equal(chip.read("ISTAT0", 1), ISTAT0.DIP);
  chip.write("DIEN", 0x7d, 1);
  assert.equal(chip.m.wires[0].level, true);
  chip.write("DCNTL", 2, 1); // IRQD
  assert.equal(chip.m.wires[0].level, false);
});

Deno.test("lsi53c895a: a bus reset ends everything; the disks say so", () => {
  const chip = ready(1_000_000);
  chip.prepare({ cdb: read10(0, 1), room: BLOCK });
  chip.write("DSP", chip.program.at.start);
  chip.m.advance(500_000);
  chip.write("SCNTL1", SCNTL1.RST, 1);
  assert.equal(chip.read("SSTAT0", 1), 2);
  assert.equal(chip.interrupted().sist0, SIST0.RST);
  chip.write("SCNTL1", 0, 1);
  assert.equal(chip.m.pending.length, 0);
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, CHECK_CONDITION);
  assert.equal(chip.sense(), "06/29/00");
});

Deno.test("lsi53c895a: a soft reset in the middle of a command forgets it, and all registers", () => {
  const chip = ready(1_000_000);
  chip.prepare({ cdb: read10(0, 1), room: BLOCK, disconnect: false });
  chip.write("DSP", chip.program.at.start);
  chip.m.advance(500_000);
  assert.equal(chip.read("ISTAT0", 1), ISTAT0.CON);
  chip.write("ISTAT0", ISTAT0.SRST, 1);
  chip.write("ISTAT0", 0, 1);
  assert.equal(chip.read("ISTAT0", 1), 0);
  assert.equal(chip.read("SCNTL0", 1), 0xc0);
  assert.equal(chip.read("DIEN", 1), 0);
  assert.equal(chip.m.advance(10_000_000), 0);
});

const ABORT = 6, RESET = 0xc, ABORT_TAG = 0xd, CLEAR_QUEUE = 0xe, NOP = 8;

/** Starts tagged reads that disconnect, then sends a message to the target they wait at. */
function aborted(message: number[], tags: number[]): { chip: Chip; left: number } {
  const chip = ready(50_000_000);
  for (const tag of tags) {
    chip.prepare({ cdb: read10(0, 1), room: BLOCK, tag });
    chip.write("DSP", chip.program.at.start);
    chip.m.advance(20_000);
    chip.write("ISTAT0", ISTAT0.ABRT, 1);
    assert.equal(chip.interrupted().dstat, DSTAT.ABRT);
    chip.write("ISTAT0", 0, 1);
  }
  const kill = chip.load(
    "SELECT ATN 0, fail\nMOVE SCNTL2 & 0x7f TO SCNTL2\nMOVE FROM 8, WHEN MSG_OUT\n" +
      "WAIT DISCONNECT\nINT 0x33\nfail: INT 0x44",
    addr(0xe00),
  );
  chip.prepare({ cdb: [0], message, room: BLOCK });
  assert.equal(chip.run(kill.at.fail - 40).dsps, 0x33);
  // Who is left reselects; the program takes one after the other.
  let left = 0;
  while (left < 10 && chip.run(chip.program.at.idle).dstat === DSTAT.SIR) left++;
  return { chip, left };
}

Deno.test("lsi53c895a: messages end the tasks that they name, and no others", () => {
  const tags = [1, 2, 3];
  assert.equal(aborted([0xc0, 0x20, 2, ABORT_TAG], tags).left, 2);
  assert.equal(aborted([0xc0, ABORT], tags).left, 0);
  assert.equal(aborted([0xc0, 0x20, 1, CLEAR_QUEUE], tags).left, 0);
  assert.equal(aborted([0xc1, ABORT], tags).left, 3, "another LUN's");
  const { chip, left } = aborted([0xc0, RESET], tags);
  assert.equal(left, 0);
  chip.write("ISTAT0", ISTAT0.ABRT, 1);
  chip.interrupted();
  chip.write("ISTAT0", 0, 1);
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, CHECK_CONDITION);
});

Deno.test("lsi53c895a: negotiations and unknown messages are rejected, and the command goes on", () => {
  const chip = ready();
  const cdb = [0, 0, 0, 0, 0, 0];
  const sdtr = [0xc0, 1, 3, 1, 25, 8],
    wdtr = [0xc0, 1, 2, 3, 1],
    ppr = [0xc0, 1, 6, 4, 9, 0, 8, 1, 0];
  const rejected = [sdtr, wdtr, ppr, [0xc0, 0x55], [0xc0, 1], [0xc0, 1, 200, 3]];
  for (const message of rejected) {
    chip.prepare({ cdb, message });
    assert.equal(chip.run(chip.program.at.start).dsps, 7, String(message));
    assert.equal(chip.run(chip.program.at.dispatch).dsps, 0);
    assert.equal(chip.m.ram[AT.status], GOOD);
  }
  assert.equal(chip.command({ cdb, message: [0xc0, NOP] }).status, GOOD);
});

Deno.test("lsi53c895a: a second command of one nexus is overlapped, one too many finds the set full", () => {
  const chip = ready(1_000_000_000);
  const start = (tag: number) => {
    chip.prepare({ cdb: read10(0, 1), room: BLOCK, tag });
    const told = chip.run(chip.program.at.start);
    return told.dstat === DSTAT.SIR && told.dsps === 0 ? chip.m.ram[AT.status] : null;
  };
  const leave = () => {
    chip.write("ISTAT0", ISTAT0.ABRT, 1);
    chip.interrupted();
    chip.write("ISTAT0", 0, 1);
  };
  const short = (tag: number) => {
    chip.prepare({ cdb: read10(0, 1), room: BLOCK, tag });
    chip.write("DSP", chip.program.at.start);
    chip.m.advance(10_000);
    leave();
  };
  short(7);
  assert.equal(start(7), CHECK_CONDITION);
  assert.equal(chip.sense(), "0b/4e/00");
  for (let tag = 0; tag < 255; tag++) short(tag);
  assert.equal(start(255), TASK_SET_FULL);
});

Deno.test("lsi53c895a: 40-bit tables and their selectors give the upper address bits", () => {
  const chip = ready();
  chip.prepare({ cdb: [0x12, 0, 0, 0, 36, 0], room: 36 });
  chip.write("CCNTL1", 0x06, 1);
  chip.put32(AT.table + 24, 0x0100_0000 | 36, addr(AT.data));
  assert.equal(chip.run(chip.program.at.start).dstat, DSTAT.BF, "0x1_8000_2000 is no memory");
  chip.write("CCNTL1", 0x02, 1); // SCRATCHD holds the upper half: 0.
  assert.equal(chip.run(chip.program.at.dispatch).dsps, 0);
  assert.equal(chip.m.ram[AT.data + 3], 0x12);
});

Deno.test("lsi53c895a: PCICIE shows the base addresses in SCRATCHA and SCRATCHB", () => {
  const chip = new Chip([]);
  chip.write("CTEST2", 8, 1);
  assert.deepEqual([chip.read("SCRATCHA"), chip.read("SCRATCHB")], [REGISTERS_AT, SCRIPT_RAM]);
});

Deno.test("lsi53c895a: what it did for a request stands in the trace", () => {
  const chip = ready(1000);
  chip.m.log.length = 0;
  chip.command({ cdb: write10(0, 8), out: new Uint8Array(8 * BLOCK), segments: [1000, 96] });
  const rows = (table: string) =>
    chip.m.log.filter((l) => l.startsWith(`${table} `)).map((l) =>
      JSON.parse(l.slice(table.length + 1))
    );
  const [request] = rows("request");
  assert.deepEqual([request.kind, request.command, request.bytes, request.status], [
    "disk_write",
    "WRITE (10)",
    4096,
    "ok",
  ]);
  const data = rows("dma").filter((d) => !d.framing && d.request === request.id);
  assert.deepEqual(data.map((d) => d.bytes), [1000, 96, 3000]);
  const steps = rows("step");
  assert.equal(steps.filter((s) => s.kind === "table_fetch").length, 6);
  assert.ok(steps.every((s) => s.gpa >= RAM_BASE));
  assert.ok(request.irq_seq !== null && request.complete_ns > request.submit_ns);
});
