import { DirectTrace } from "../trace/direct_trace.ts";
import assert from "node:assert/strict";
import { type Hart, META_BOXED, META_SIGNED, META_STORE, RiscvCpu, WORD } from "../cpu/mod.ts";
import { Random, SEED, withSeed } from "../trace/random_trace.ts";
import type { TableName } from "../trace/schema.ts";
import { Trace, type TraceSink } from "../trace/trace.ts";
import {
  ACCESS_LANES,
  type AccessConstants,
  accessEnders,
  type AccessPlace,
} from "./access_log.ts";

/** Keeps what is written to each table. */
class Bytes implements TraceSink {
  readonly tables: Partial<Record<TableName, number[]>> = {};
  write(table: TableName, message: readonly Uint8Array[]) {
    (this.tables[table] ??= []).push(...message.flatMap((part) => [...part]));
  }
  sync() {}
  commit() {}
  close() {}
}

const NS_PER_INSN = 3;
const HARTS = [5, 0];
/** A store, and how a load extends its value. */
const WHATS = [META_STORE, 0, META_SIGNED, META_BOXED];

function randomConstants(random: Random): AccessConstants {
  const orNull = (n: number) => random.below(4) === 0 ? null : random.below(n);
  return {
    ...{ reason: random.below(6), hw_reason: orNull(100), handler: random.below(2) },
    ...{ transitions: random.below(5), cpu_mode: random.below(4), size: 1 << random.below(4) },
    ...{ write: random.below(2), device: random.below(255), register: orNull(1000) },
    ...{ cost_ns: random.u32(), space: random.below(3), duration_ns: null },
  };
}

/** An exit and its access by their columns, as `accessEnders` take them from the hart. */
function byColumns(
  trace: Trace,
  h: Hart,
  k: AccessConstants,
  offset: number,
  lo: number,
  hi: number,
) {
  const { words } = h;
  const number = (word: number) => words[word] + words[word + 1] * 2 ** 32;
  const icount = number(WORD.icount);
  trace.setClock(number(WORD.skewNs) + icount * NS_PER_INSN, icount, words[WORD.hartid]);
  const [seq, write] = [trace.take(), k.write !== 0];
  trace.exit({
    ...{ seq, reason: k.reason, hw_reason: k.hw_reason, handler: k.handler },
    ...{ transitions: k.transitions, cpu_mode: k.cpu_mode },
    ...{ pc: words[WORD.pc], pc_hi: words[WORD.pc + 1], gpa: number(WORD.accessGpa) },
    ...{ size: k.size, write, value: lo, value_hi: hi, device: k.device, register: k.register },
    ...{ insns: icount - number(WORD.lastExit), cost_ns: k.cost_ns },
  });
  trace.access({
    ...{ space: k.space, device: k.device, register: k.register, offset, size: k.size, write },
    ...{ value: lo, value_hi: hi, exit_seq: seq },
  });
}

Deno.test("access log: the bytes are those of an exit and an access by their columns, the hart goes on alike", () =>
  withSeed("core/vmm/access_log_test.ts", () => {
    const random = new Random(SEED);
    const cpu = new RiscvCpu({
      ...{ harts: 1, ramBase: 0x8000_0000, ramBytes: 2 ** 21, sbi: true },
      ...{ nsPerInsn: NS_PER_INSN, timebaseHz: 10_000_000 },
    });
    const h = cpu.hart(0);
    const sinks = [new Bytes(), new Bytes()];
    const [one, two] = sinks.map((sink) => new DirectTrace(sink, { batchRows: 50 }));
    const log = one.log!;
    const ends = accessEnders(cpu.memory, log.memory);
    const templates = Array.from({ length: 20 }, () => randomConstants(random));
    /** Every other one has a place. */
    const places = templates.map((_, i): AccessPlace | null =>
      i % 2 === 0
        ? null
        : { gpa: random.u53(), offset: random.u32(), vcpu: HARTS[random.below(HARTS.length)] }
    );
    const kinds = templates.map((t, i) => log.template("access_exit", { ...t, ...places[i] }));
    for (let i = 0; i < 3000; i++) {
      const put = (word: number, bits: number) => {
        const v = random.u53() % 2 ** bits;
        [h.words[word], h.words[word + 1]] = [v, v / 2 ** 32];
      };
      put(WORD.skewNs, 50);
      put(WORD.icount, 50);
      put(WORD.accessGpa, 53);
      const [what, length] = [WHATS[random.below(WHATS.length)], 2 + 2 * random.below(2)];
      h.words[WORD.accessMeta] = 1 << random.below(4) | what | length << 8;
      h.words[WORD.accessRd] = 8 * random.below(32);
      h.words[WORD.mstatus] = random.u32();
      [h.words[WORD.pc], h.words[WORD.pc + 1]] = [random.u32(), random.u32()];
      const back = random.below(2 ** 31);
      const last = Math.max(0, h.icount - back);
      h.exited(last);
      const [lo, hi] = [random.u32(), random.u32()];
      const which = random.below(templates.length);
      const place = places[which];
      const offset = place?.offset ?? random.u32();
      h.words[WORD.hartid] = place?.vcpu ?? HARTS[random.below(HARTS.length)];
      if (place !== null) {
        [h.words[WORD.accessGpa], h.words[WORD.accessGpa + 1]] = [place.gpa, place.gpa / 2 ** 32];
      }
      const seq = one.take();
      one.take();
      byColumns(two, h, templates[which], offset, lo, hi);
      const form = place === null ? "anywhere" : "placed";
      const at = log.address(log.reserve(ACCESS_LANES[form], 2));
      const { cost_ns } = templates[which];
      const before = h.words.slice();
      ends[form](h.at, at, kinds[which], offset | 0, lo | 0, hi | 0, cost_ns | 0, seq);
      const after = h.words.slice();
      h.words.set(before);
      h.exited(h.icount);
      h.addNs(cost_ns);
      if (what === META_STORE) h.completeStore();
      else h.completeLoad(lo, hi);
      assert.deepEqual(after, h.words);
      for (const trace of [one, two]) if (trace.full) trace.flush();
    }
    for (const trace of [one, two]) {
      trace.setClock(1, 2, 0);
      trace.close();
    }
    for (const table of ["exit", "access"] as const) {
      assert.ok(sinks[0].tables[table]!.length > 100_000, `${table}: too little to compare`);
      assert.deepEqual(sinks[0].tables[table], sinks[1].tables[table], table);
    }
  }));
