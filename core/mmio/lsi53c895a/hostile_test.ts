/**
 * Inputs that broke well-known implementations of this controller, each a test: the chip answers as its
 * manual says for a wrong program, and goes on.
 * @module
 */
import assert from "node:assert/strict";
import { DSTAT, ISTAT0 } from "./registers.ts";
import { addr, AT, Chip, disk, REGISTERS_AT, SCRIPT_RAM } from "./test_chip.ts";

const BLOCK = 512;
const blank = (latencyNs = 0) => disk("drive0", new Uint8Array(64 * BLOCK), { latencyNs });

function works(chip: Chip): void {
  chip.write("ISTAT0", ISTAT0.SRST, 1);
  chip.write("ISTAT0", 0, 1);
  for (const [name, v] of [["DIEN", 0x7d], ["SIEN0", 0x8f], ["SIEN1", 0x17]] as const) {
    chip.write(name, v, 1);
  }
  chip.command({ cdb: [0, 0, 0, 0, 0, 0] });
  assert.equal(chip.command({ cdb: [0, 0, 0, 0, 0, 0] }).status, 0);
  assert.ok(chip.m.guarded);
}

Deno.test("lsi53c895a: a block move into its own registers reaches none (CVE-2023-0330)", () => {
  const chip = new Chip([blank()]);
  chip.prepare({ cdb: [0x12, 0, 0, 0, 36, 0], room: 36 });
  chip.put32(AT.table + 24, 36, REGISTERS_AT + 0x14);
  const told = chip.run(chip.program.at.start);
  assert.equal(told.dstat, DSTAT.BF);
  assert.equal(chip.read("MBOX0", 1), 0);
  works(chip);
});

Deno.test("lsi53c895a: a memory move over its own registers reaches none", () => {
  for (const to of [REGISTERS_AT + 0x2c, 0x0300_0000, 0x1000_0000]) {
    const chip = new Chip([blank()]);
    const kill = chip.load(`MOVE MEMORY 64, data, ${to}`, addr(0xe00));
    assert.equal(kill.words.length, 3);
    assert.equal(chip.run(addr(0xe00)).dstat, DSTAT.BF);
    works(chip);
  }
});

Deno.test("lsi53c895a: LOAD may write DSP, ISTAT and DCNTL of the program that it belongs to", () => {
  for (
    const [reg, word] of [["DSP", addr(0xe00)], ["ISTAT0", 0x60], ["DCNTL", 4], [
      "SCNTL0",
      0xffff_ffff,
    ]] as const
  ) {
    const chip = new Chip([blank()]);
    const at = { ISTAT0: "DSA(0)", DCNTL: "DSA(3)", DSP: "DSA(0)", SCNTL0: "DSA(0)" }[reg];
    const bytes = { ISTAT0: 1, DCNTL: 1, DSP: 4, SCNTL0: 4 }[reg];
    chip.write("DSA", addr(AT.data));
    chip.put32(AT.data, word);
    if (reg === "DCNTL") chip.m.ram[AT.data + 3] = word;
    chip.load(`LOAD ${reg}, ${bytes}, ${at}\nINT 1`, addr(0xe00));
    chip.write("DSP", addr(0xe00));
    chip.m.advance(100_000, 1000);
    works(chip);
  }
});

Deno.test("lsi53c895a: a message after its request was ended finds nobody (CVE-2022-0216)", () => {
  const chip = new Chip([blank(1_000_000)]);
  chip.command({ cdb: [0, 0, 0, 0, 0, 0] });
  // A read that stays on the bus; ATN, and ABORT twice in one message and once more behind it.
  chip.prepare({ cdb: [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], room: BLOCK, disconnect: false });
  chip.write("DSP", chip.program.at.start);
  chip.m.advance(100_000);
  chip.write("ISTAT0", ISTAT0.ABRT, 1);
  chip.interrupted();
  chip.write("ISTAT0", 0, 1);
  chip.m.ram.set([6, 6, 0xc], AT.message);
  chip.put32(AT.table + 8, 3, addr(AT.message));
  chip.load(
    "SET ATN\nMOVE SCNTL2 & 0x7f TO SCNTL2\nMOVE FROM 8, WHEN MSG_OUT\nMOVE FROM 8, WHEN MSG_OUT\nINT 1",
    addr(0xe00),
  );
  chip.write("DSP", addr(0xe00));
  chip.m.advance(50_000_000);
  assert.equal(chip.read("ISTAT0", 1) & ISTAT0.CON, 0, "still connected");
  works(chip);
});

Deno.test("lsi53c895a: aborting a task that reselects, is read from, or has ended harms nobody", () => {
  for (const after of [0, 4_000, 6_000, 9_000, 20_000]) {
    const chip = new Chip([blank(2000)]);
    chip.command({ cdb: [0, 0, 0, 0, 0, 0] });
    chip.prepare({ cdb: [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0], room: 8 * BLOCK });
    chip.write("DSP", chip.program.at.start);
    chip.m.advance(after);
    chip.write("ISTAT0", ISTAT0.ABRT, 1);
    chip.interrupted();
    chip.write("ISTAT0", 0, 1);
    chip.m.ram.set([0xc0, 6, 0xc0, 0xd, 0xc], AT.message);
    chip.put32(AT.table + 8, 5, addr(AT.message));
    chip.load(
      "SELECT ATN 0, on\non: SET ATN\nCLEAR ACK\nMOVE FROM 8, WHEN MSG_OUT\nINT 1",
      addr(0xe00),
    );
    chip.write("DSP", addr(0xe00));
    chip.m.advance(1_000_000);
    works(chip);
  }
});

Deno.test("lsi53c895a: a program that jumps to itself is bounded, and the CPU can end it", () => {
  for (const insn_ns of [0, 1, 200]) {
    const chip = new Chip([blank()], { insn_ns }, "self: JUMP self");
    chip.write("DSP", addr(AT.script));
    chip.m.log.length = 0;
    chip.m.advance(100_000_000, 100_000);
    const steps = chip.m.log.filter((l) => l.startsWith("step")).length;
    assert.ok(steps > 1000 && steps < 100 * 256, `${steps} steps in 100 ms`);
    assert.equal(chip.read("ISTAT1", 1), 2);
    chip.write("ISTAT0", ISTAT0.ABRT, 1);
    assert.equal(chip.interrupted().dstat, DSTAT.ABRT);
    assert.equal(chip.m.advance(100_000_000), 0);
  }
});

Deno.test("lsi53c895a: a message without end makes the target leave", () => {
  const chip = new Chip([blank()], {}, "SELECT ATN 0, 0\nMOVE 4000, data, WHEN MSG_OUT\nINT 1");
  chip.write("DSP", addr(AT.script));
  chip.m.advance(100_000);
  assert.equal(chip.read("ISTAT0", 1) & ISTAT0.CON, 0);
  works(new Chip([blank()]));
});

Deno.test("lsi53c895a: data may overwrite the program that moves it", () => {
  const chip = new Chip([blank()]);
  chip.command({ cdb: [0, 0, 0, 0, 0, 0] });
  chip.prepare({ cdb: [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0], room: 8 * BLOCK });
  chip.put32(AT.table + 24, 8 * BLOCK, addr(AT.script));
  // Zeros are a block move of nothing.
  assert.equal(chip.run(chip.program.at.start).dstat, DSTAT.IID);
  chip.m.ram.set(chip.program.bytes, AT.script);
  works(chip);
});

Deno.test("lsi53c895a: requests beyond the disk, and counts that wrap, are refused", () => {
  const chip = new Chip([blank()]);
  chip.command({ cdb: [0, 0, 0, 0, 0, 0] });
  const ones = new Array(8).fill(0xff);
  const cdbs = [
    [0x28, 0, 0, 0, 0, 63, 0, 0, 2, 0],
    [0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0],
    [0x2a, 0, 0, 0, 0, 64, 0, 0, 1, 0],
    [0x88, 0, ...ones, 0, 0, 0, 1, 0, 0],
    [0x8a, 0, ...ones, 0xff, 0xff, 0xff, 0xff, 0, 0],
    [0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
    [0x08, 0x1f, 0xff, 0xff, 0, 0],
    [0x35, 0, 0, 0, 0, 64, 0, 0, 1, 0],
    [0x41, 0, 0, 0, 0, 60, 0, 0, 5, 0],
  ];
  for (const cdb of cdbs) {
    assert.equal(chip.command({ cdb }).status, 2, String(cdb));
    assert.equal(chip.sense(), "05/21/00", String(cdb));
  }
  assert.equal(chip.read("DSP") > SCRIPT_RAM, true);
});
