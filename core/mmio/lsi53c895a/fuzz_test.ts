/**
 * SCRIPTS and drivers that do anything at all. Whatever they do, nothing throws, an event's work is
 * bounded, memory around RAM stays as it was, a chip saved and loaded in the middle of anything goes on
 * alike, and the same inputs leave the same rows. LSI_FUZZ_SEEDS asks for more than a test's worth.
 * @module
 */
import assert from "node:assert/strict";
import { RAM_BASE, type TestMachine } from "../test_machine.ts";
import { forSeeds, type Random } from "../test_random.ts";
import { FILE_BYTES } from "./registers.ts";
import { registerAt } from "./test_assembler.ts";
import {
  instruction,
  type Places,
  type Poke,
  programAt,
  slot,
  SLOTS,
  table,
  words,
} from "./test_random_scripts.ts";
import { addr, AT, Chip, disk, DRIVER, REGISTERS_AT, SCRIPT_RAM } from "./test_chip.ts";

const FILE = "core/mmio/lsi53c895a/fuzz_test.ts";
const SEEDS = Number(Deno.env.get("LSI_FUZZ_SEEDS") ?? 24);
const STEPS = 300;
const RAM_BYTES = 1 << 15;
/** Of one access or one event: rows and what it asked of its port. */
const MOST_ROWS = 400;
const MOST_TIMERS = 4;

type Op = (m: TestMachine) => void;

/** An address that a program may name. */
function place(r: Random): number {
  switch (r.below(24)) {
    case 0:
      return SCRIPT_RAM + 4 * r.below(2048);
    case 1:
      return REGISTERS_AT + r.below(FILE_BYTES);
    case 2:
      return r.u32();
    case 3:
      return RAM_BASE + RAM_BYTES - r.below(64);
    default:
      return RAM_BASE + 4 * r.below(RAM_BYTES / 4);
  }
}

const PLACES: Places = { base: RAM_BASE, place };
const poke = ({ at, bytes }: Poke): Op => (m) => m.ram.set(bytes, at);
const newInstruction = (r: Random, at: number) => poke(words(at, ...instruction(r, PLACES)));

function newTable(r: Random): Op {
  const pokes = table(r, PLACES).map(poke);
  return (m) => pokes.forEach((p) => p(m));
}

function operation(r: Random): Op {
  switch (r.pick([0, 1, 2, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8, 8])) {
    case 0: {
      const [at, v, size] = [r.below(FILE_BYTES), r.u32(), r.pick([1, 2, 4])];
      return (m) => m.write(at, v, size);
    }
    case 1: {
      const [at, size] = [r.below(FILE_BYTES), r.pick([1, 2, 4, 8])];
      return (m) => void m.read(at, size);
    }
    case 2:
      return newInstruction(r, slot(r));
    case 3:
      return newTable(r);
    case 4: {
      const to = r.chance(0.9) ? programAt(r, PLACES) : place(r);
      const repaired = r.chance(0.6);
      const ns = r.pick([0, 100, 5_000, 50_000]);
      return (m) => {
        if (repaired) {
          m.dev.region("config").write(0x04, 2, 0x7);
          for (const v of [0x40, 0]) m.write(registerAt("ISTAT0"), v, 1); // SRST
        }
        m.write(registerAt("DSA"), addr(AT.table));
        m.write(registerAt("DSP"), to);
        m.advance(ns, 200);
      };
    }
    case 5: {
      const v = r.pick([0x20, 0x80, 0x40, 0, 4]);
      return (m) => m.write(registerAt("ISTAT0"), v, 1);
    }
    case 6:
      return (m) => void [m.read(registerAt("DSTAT"), 1), m.read(registerAt("SIST0"), 2)];
    case 7: {
      const [at, v] = [4 * r.below(16), r.u32()];
      return r.chance(0.05) ? (m) => m.dev.region("config").write(at, 4, v) : () => {};
    }
    default: {
      const ns = r.chance(0.9) ? r.below(20_000) : r.below(20_000_000);
      return (m) => void m.advance(ns, 200);
    }
  }
}

function make(insnNs: number, latencyNs: number): Chip {
  const drives = [0, 1].map((i) =>
    disk(`drive${i}`, new Uint8Array(64 * 512), { latencyNs: latencyNs * i })
  );
  return new Chip(drives, { insn_ns: insnNs }, DRIVER, RAM_BYTES);
}

const title = "lsi53c895a: the laws hold for any SCRIPTS and any driver";
Deno.test(title, () => {
  let instructions = 0;
  forSeeds(SEEDS, FILE, title, (r, at) => {
    const [insnNs, latencyNs] = [r.pick([0, 1, 200, 5000]), r.pick([0, 1000, 100_000])];
    const a = make(insnNs, latencyNs).m;
    let b = make(insnNs, latencyNs).m;
    // The driver's own program with a few instructions replaced, or one of nothing but dice.
    const replaced = r.chance(0.6) ? r.below(8) : SLOTS;
    for (let i = 0; i < replaced; i++) {
      const change = newInstruction(r, replaced === SLOTS ? AT.script + 8 * i : slot(r));
      for (const m of [a, b]) change(m);
    }
    for (let step = 0; step < STEPS; step++) {
      at(step);
      if (r.chance(0.1)) {
        const saved = a.save();
        b = make(insnNs, latencyNs).m;
        b.load(saved);
        assert.deepEqual(b.save(), saved);
      }
      const op = operation(r);
      for (const m of [a, b]) {
        m.log.length = 0;
        op(m);
      }
      assert.deepEqual(b.log, a.log, "another trace");
      assert.ok(a.pending.length <= MOST_TIMERS, `${a.pending.length} events`);
      instructions += a.log.filter((l) => l.startsWith("step")).length;
    }
    assert.deepEqual(b.save(), a.save());
    assert.ok(a.guarded, "memory around RAM was written");
  });
  if (SEEDS > 20 && !Deno.env.has("SEED")) {
    assert.ok(instructions > 2000, `only ${instructions} instructions ran`);
  }
});

Deno.test("lsi53c895a: one event's work is bounded, whatever the program", () => {
  forSeeds(12, FILE, "one event's work is bounded, whatever the program", (r, at) => {
    const { m } = make(r.pick([0, 1, 200]), 0);
    for (let step = 0; step < 200; step++) {
      at(step);
      poke(words(AT.script, ...Array.from({ length: SLOTS }, () => instruction(r, PLACES)).flat()))(
        m,
      );
      newTable(r)(m);
      m.write(registerAt("DSA"), addr(AT.table));
      m.log.length = 0;
      m.write(registerAt("DSP"), programAt(r, PLACES));
      for (let events = 0; events < 50 && m.pending.length > 0; events++) {
        assert.ok(m.log.length <= MOST_ROWS, `${m.log.length} rows`);
        m.log.length = 0;
        m.advance(Math.max(0, m.pending[0].atNs - m.nowNs), 1);
      }
    }
  });
});
