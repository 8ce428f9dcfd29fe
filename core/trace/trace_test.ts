import { DirectTrace } from "./direct_trace.ts";
import assert from "node:assert/strict";
import * as arrow from "apache-arrow";
import { type AlikeTable, constantsOf, rowOf } from "./alike.ts";
import { contentDigest } from "./digest.ts";
import type { Constants } from "./log.ts";
import { batchRows } from "./reader.ts";
import { columnsOf } from "./rows.ts";
import { concatenate } from "./table_file.ts";
import { Random, RandomMachine, SEED, withSeed } from "./random_trace.ts";
import { CODES, type Column, EVENT_TABLES, TABLE_NAMES, type TableName, TABLES } from "./schema.ts";
import { type CommitState, Trace, type TraceOptions, type TraceSink, type Watch } from "./trace.ts";

/** Keeps every stream in memory. */
class MemorySink implements TraceSink {
  readonly parts = new Map<TableName, Uint8Array[]>();
  readonly commits: CommitState[] = [];
  write(table: TableName, message: readonly Uint8Array[]) {
    const parts = this.parts.get(table) ?? [];
    this.parts.set(table, [...parts, concatenate(...message)]);
  }
  sync() {}
  commit(state: CommitState) {
    this.commits.push(state);
  }
  close() {}
  stream(table: TableName): Uint8Array {
    return new Uint8Array(this.parts.get(table)!.flatMap((p) => [...p]));
  }
  batches(table: TableName): arrow.RecordBatch[] {
    return arrow.tableFromIPC(this.stream(table)).batches;
  }
}

function randomTrace(o: TraceOptions, steps = 300, seed = SEED) {
  const sink = new MemorySink();
  const trace = new DirectTrace(sink, o);
  const machine = new RandomMachine(trace, new Random(seed));
  for (let i = 0; i < steps; i++) machine.step();
  trace.close();
  return { sink, trace, written: machine.written };
}

const here = "core/trace/trace_test.ts";

// The last grows the buffers several times over.
for (const [rowsPerBatch, steps] of [[1, 300], [7, 300], [65536, 8000]]) {
  Deno.test(`trace: every table reads back as it was written, ${rowsPerBatch} rows a batch`, () =>
    withSeed(here, () => {
      const { sink, written } = randomTrace({ batchRows: rowsPerBatch }, steps);
      const shared = Object.values(CODES).flat().length;
      for (const table of TABLE_NAMES) {
        const rows = sink.batches(table).flatMap((b) => [...batchRows(table, b)]);
        assert.ok(written[table].length > 0, `no row of ${table} to test with`);
        assert.deepEqual(table === "name" ? rows.slice(shared) : rows, written[table], table);
      }
    }));
}

Deno.test("trace: what the tables say does not depend on the batch size", () =>
  withSeed(here, () => {
    const digests = [1, 7, 100, 65536].map((batchRows) => {
      const { sink } = randomTrace({ batchRows });
      return TABLE_NAMES.map((t) => contentDigest(t, sink.batches(t)));
    });
    for (const other of digests.slice(1)) assert.deepEqual(other, digests[0]);
    const { sink } = randomTrace({ batchRows: 7 }, 300, SEED + 1);
    for (const [i, t] of TABLE_NAMES.entries()) {
      assert.notEqual(contentDigest(t, sink.batches(t)), digests[0][i], `${t}: digest is blind`);
    }
  }));

Deno.test("trace: two runs give the same bytes", () =>
  withSeed(here, () => {
    const [a, b] = [0, 1].map(() => randomTrace({ batchRows: 50 }).sink);
    for (const table of TABLE_NAMES) assert.deepEqual(a.stream(table), b.stream(table), table);
  }));

Deno.test("trace: what only hosts tell is no column of a machine's trace, and reads as null", () =>
  withSeed(here, () => {
    const { sink, written } = randomTrace({ batchRows: 50, columns: "machine" });
    const names = (sink.batches("exit")[0].schema.fields as { name: string }[]).map((f) => f.name);
    const own = columnsOf("exit", "machine").map(([name]) => name);
    assert.deepEqual(names, own);
    assert.deepEqual(columnsOf("exit").map(([n]) => n).filter((n) => !own.includes(n)), [
      "duration_ns",
    ]);
    const rows = sink.batches("exit").flatMap((b) => [...batchRows("exit", b)]);
    assert.deepEqual(rows, written.exit.map((row) => ({ ...row, duration_ns: null })));
  }));

Deno.test("trace: bytes hold nothing that an earlier batch left in the buffers", () => {
  const fresh = new MemorySink();
  const used = new MemorySink();
  for (const sink of [fresh, used]) {
    const trace = new DirectTrace(sink, {});
    if (sink === used) {
      const machine = new RandomMachine(trace, new Random(SEED));
      for (let i = 0; i < 100; i++) machine.step();
      trace.flush();
    }
    trace.setClock(5, 6, 0);
    trace.vring({ seq: 9, event: 0, device: 0, queue: 0 });
    trace.exit({ ...PLAIN_EXIT, seq: 8 });
    trace.flush();
  }
  for (const table of ["vring", "exit"] as const) {
    assert.deepEqual(used.parts.get(table)!.at(-1), fresh.parts.get(table)!.at(-1), table);
  }
});

const PLAIN_EXIT = {
  reason: 4,
  handler: 0,
  transitions: 2,
  cpu_mode: 1,
  pc: 0x80000000,
  insns: 1,
  cost_ns: 0,
};

Deno.test("trace: switched-off tables are empty and change no sequence number", () =>
  withSeed(here, () => {
    const all = randomTrace({ batchRows: 64 });
    const some = randomTrace({ batchRows: 64, tables: ["exit", "irq"] });
    assert.equal(some.trace.seq, all.trace.seq);
    for (const table of EVENT_TABLES) {
      const rows = some.sink.batches(table).flatMap((b) => [...batchRows(table, b)]);
      const kept = ["exit", "irq", "input"].includes(table);
      assert.deepEqual(rows, kept ? all.written[table] : [], table);
    }
  }));

Deno.test("trace: without a sink it only counts", () => {
  const trace = new Trace(null);
  trace.setClock(1, 2, 0);
  assert.equal(trace.exit(PLAIN_EXIT), 0);
  assert.equal(trace.take(), 1);
  assert.equal(trace.input({ kind: 0, executed: 0, channel: "rx", data: new Uint8Array() }), 2);
  assert.equal(trace.name({ kind: "device", code: 0, name: "a", spec: "b" }), -1);
  assert.equal(trace.seq, 3);
  assert.equal(trace.full, false);
  trace.close();
});

Deno.test("trace: 64-bit values keep every bit, numbers up to 2^53", () => {
  const sink = new MemorySink();
  const trace = new DirectTrace(sink);
  trace.setClock(Number.MAX_SAFE_INTEGER, null, 255);
  trace.exit({ ...PLAIN_EXIT, pc: 0xffffffff, pc_hi: 0xffffffff, gpa: 2 ** 53 - 1, value: 0 });
  trace.exit({ ...PLAIN_EXIT, pc: 1, pc_hi: 0x80000000, gpa: 2 ** 32, value: 5, value_hi: 1 });
  trace.close();
  const [a, b] = sink.batches("exit").flatMap((x) => [...batchRows("exit", x)]);
  assert.equal(a.pc, 2n ** 64n - 1n);
  assert.equal(a.gpa, 2 ** 53 - 1);
  assert.equal(a.value, 0n);
  assert.equal(a.time_ns, Number.MAX_SAFE_INTEGER);
  assert.equal(a.icount, null);
  assert.equal(a.vcpu, 255);
  assert.equal(b.pc, 0x8000000000000001n);
  assert.equal(b.gpa, 2 ** 32);
  assert.equal(b.value, (1n << 32n) + 5n);
});

/** Rows as machines write them: what they have in common, what differs. */
const ALIKE: { table: AlikeTable; constants: Constants; cells: string[] }[] = [
  { table: "irq", constants: { event: 2, device: 3, line: 9, path: 1 }, cells: [] },
  { table: "irq", constants: { event: 1, line: 9, path: 1 }, cells: ["device"] },
  {
    table: "vring",
    constants: { event: 2, device: 1, queue: 7 },
    cells: ["head", "desc_index", "gpa", "gpa_hi", "length", "flags", "request"],
  },
  { table: "vring", constants: { event: 3, device: 1, queue: 0 }, cells: ["used_idx", "head"] },
  {
    table: "dma",
    constants: { device: 4, write: 1, framing: 0 },
    cells: ["gpa", "bytes", "request"],
  },
  {
    table: "dma",
    constants: { device: 4, gpa: 2 ** 40 + 1 },
    cells: ["bytes", "framing", "write", "request"],
  },
  {
    table: "request",
    constants: { device: 2, kind: 1, status: 0, submit_icount: 2 ** 33 },
    cells: ["id", "bytes", "submit_ns", "complete_ns", "command", "kick_exit_seq", "irq_seq"],
  },
  {
    table: "exit",
    constants: { reason: 4, hw_reason: 22, handler: 0, transitions: 2, cpu_mode: 1, cost_ns: 0 },
    cells: ["pc", "pc_hi", "insns"],
  },
];

/** A value of a cell, -1 for null; of 32 bits with or without a sign, as callers have it. */
function randomCell(table: AlikeTable, cell: string, random: Random): number {
  const column: Column | undefined = columnsOf(table).find(([name]) => name === cell)?.[1];
  if (column === undefined || ["u32", "i32", "wide"].includes(column.type)) {
    return random.below(2) === 0 ? random.u32() : random.u32() | 0;
  }
  if (column.nullable && random.below(3) === 0) return -1;
  const bits = { u8: 8, u16: 16, bool: 1 }[column.type as string];
  return bits === undefined ? random.u53() : random.below(2 ** bits);
}

/** Writes random rows of all sorts with `alike`, or each as the object that it stands for. */
function alikeTrace(alike: boolean, o: TraceOptions = {}): MemorySink {
  const sink = new MemorySink();
  const trace = new DirectTrace(sink, { batchRows: 7, ...o });
  const random = new Random(SEED);
  const append = (table: AlikeTable) => trace[table] as (row: unknown) => number;
  const writers = ALIKE.map(({ table, constants, cells }) => {
    const all = constantsOf(table, constants, cells);
    const writer = trace.alike(table, constants, cells as never[]) as (...v: number[]) => number;
    return alike ? writer : (...v: number[]) => append(table)(rowOf(table, all, cells, v));
  });
  for (let i = 0; i < 400; i++) {
    trace.setClock(random.u53(), random.below(5) === 0 ? null : random.u53(), i % 3);
    trace.exitSeq = random.below(2) === 0 ? -1 : random.u53();
    const k = random.below(ALIKE.length);
    const { table, cells } = ALIKE[k];
    assert.equal(writers[k](...cells.map((cell) => randomCell(table, cell, random))), i);
    trace.exitSeq = -1;
    if (trace.full) trace.flush();
  }
  trace.close();
  return sink;
}

Deno.test("trace: rows that are alike are the same bytes as rows by their columns", () =>
  withSeed(here, () => {
    const [a, b] = [alikeTrace(true), alikeTrace(false)];
    for (const { table } of ALIKE) assert.deepEqual(a.stream(table), b.stream(table), table);
    assert.ok(ALIKE.every(({ table }) => a.batches(table).length > 10));
  }));

Deno.test("trace: rows that are alike take their numbers where their table is switched off, too", () =>
  withSeed(here, () => {
    const [all, some] = [alikeTrace(true), alikeTrace(true, { tables: ["dma", "irq"] })];
    for (const table of ["dma", "irq"] as const) {
      const rows = (sink: MemorySink) => contentDigest(table, sink.batches(table));
      assert.deepEqual(rows(some), rows(all), table);
    }
    assert.deepEqual(some.batches("vring").map((b) => b.numRows), [0]);
  }));

Deno.test("trace: who watches is shown rows that are alike as rows by their columns", () =>
  withSeed(here, () => {
    const [a, b] = [true, false].map((alike) => {
      const seen: unknown[] = [];
      const watch: Watch = (table, row, seq, clock) => {
        if (table !== "name") seen.push({ table, ...row, seq, clock: [...clock] });
      };
      const sink = alikeTrace(alike, { watch });
      return { seen, dma: sink.stream("dma") };
    });
    assert.equal(a.seen.length, 400);
    assert.deepEqual(a, b);
  }));

Deno.test("trace: what rows that are alike leave unsaid is refused where it cannot be null", () => {
  const trace = new DirectTrace(new MemorySink());
  const alike = (constants: Constants, ...cells: never[]) => () =>
    trace.alike("irq", constants, cells);
  assert.throws(alike({ event: 1, line: 1 }), /irq.path cannot be null/);
  assert.throws(
    alike({ event: 1, line: 1, path: 1 }, "line" as never),
    /irq.line is both a constant and a cell/,
  );
});

Deno.test("trace: templates may be many, told early or late, and their records come in any order", () =>
  withSeed(here, () => {
    const random = new Random(SEED);
    const sinks = [new MemorySink(), new MemorySink()];
    const [one, two] = sinks.map((sink) => new DirectTrace(sink, { batchRows: 5000 }));
    const writers: (() => number)[] = [];
    for (let i = 0; i < 20_000; i++) {
      if (i % 50 === 0) {
        const device = random.below(3) === 0 ? null : random.below(255);
        const row = { event: random.below(7), device, line: random.below(65536), path: 2 };
        const alike = one.alike("irq", row, []);
        writers.push(() => {
          two.irq(row);
          return alike();
        });
      }
      if (random.below(3) === 0) { for (const trace of [one, two]) trace.exit(PLAIN_EXIT); }
      writers[random.below(writers.length)]();
      for (const trace of [one, two]) if (trace.full) trace.flush();
    }
    for (const trace of [one, two]) trace.close();
    assert.equal(writers.length, 400);
    for (const table of ["irq", "exit"] as const) {
      assert.deepEqual(sinks[0].parts.get(table), sinks[1].parts.get(table), table);
    }
  }));

Deno.test("trace: texts may be empty, null or as long as the log's pieces let them", () =>
  withSeed(here, () => {
    const random = new Random(SEED);
    const sink = new MemorySink();
    const trace = new DirectTrace(sink);
    const text = (max: number) => "ab🙂".repeat(random.below(max)).slice(random.below(2));
    const rows = Array.from({ length: 300 }, (_, i) => ({
      ...{ address: BigInt(i), size: i, source: 0 },
      name: i % 50 === 0 ? "x".repeat(250_000) : text(i % 7 === 0 ? 9000 : 3),
      module: random.below(3) === 0 ? null : text(30),
    }));
    for (const row of rows) trace.symbol({ ...row, address: Number(row.address) });
    trace.close();
    const read = sink.batches("symbol").flatMap((b) => [...batchRows("symbol", b)]);
    assert.deepEqual(read, rows);
  }));

Deno.test("trace: a flush inside an exit is refused: its row would come too late", () => {
  const trace = new DirectTrace(new MemorySink());
  trace.exitSeq = trace.take();
  assert.throws(() => trace.flush(), /during exit 0/);
});

Deno.test("trace: an input is synced before it is returned, and flushes nothing else", () => {
  const calls: string[] = [];
  const sink = new MemorySink();
  sink.sync = (...[table]: string[]) => calls.push(table);
  const trace = new DirectTrace(sink);
  trace.exit(PLAIN_EXIT);
  trace.input({ kind: 0, executed: 1, device: "uart0", channel: "rx", data: Uint8Array.of(65) });
  assert.deepEqual(calls, ["input"]);
  assert.equal(sink.batches("input").length, 1);
  assert.equal(sink.parts.get("exit")!.length, 1);
  assert.equal(sink.commits.length, 1);
});

Deno.test("trace: the limit is reached before it is passed, and not long before", () => {
  const sink = new MemorySink();
  const limitBytes = 200_000;
  const trace = new DirectTrace(sink, { limitBytes, batchRows: 500 });
  for (let i = 0; i < 100_000 && !trace.limitReached; i++) {
    trace.exit(PLAIN_EXIT);
    if (trace.full) trace.flush();
  }
  assert.ok(trace.limitReached);
  trace.close();
  assert.ok(trace.bytes < limitBytes + 2000, `${trace.bytes} bytes`);
  assert.ok(trace.bytes > limitBytes * 0.8, `${trace.bytes} bytes`);
});

Deno.test("trace: the schema travels with every table", () => {
  const { sink } = randomTrace({}, 1);
  for (const table of TABLE_NAMES) {
    const { schema } = arrow.tableFromIPC(sink.stream(table));
    assert.equal(schema.metadata.get("table"), table);
    assert.equal(schema.metadata.get("doc"), TABLES[table].doc);
    assert.deepEqual(schema.fields.map((f) => f.name), columnsOf(table).map(([name]) => name));
    for (const [i, [name, column]] of columnsOf(table).entries()) {
      const field = schema.fields[i];
      assert.equal(field.nullable, column.nullable, name);
      assert.equal(field.metadata.get("doc"), column.doc);
      assert.equal(field.metadata.get("kind"), column.codes ?? undefined);
    }
  }
  const exit = arrow.tableFromIPC(sink.stream("exit")).schema;
  const reason = exit.fields.find((f) => f.name === "reason")!;
  assert.equal(JSON.parse(reason.metadata.get("codes")!)[0], "mmio");
});
