import { DirectTrace } from "./direct_trace.ts";
import assert from "node:assert/strict";
import { TraceDirectory } from "./directory.ts";
import { Random, RandomMachine, SEED, withSeed } from "./random_trace.ts";
import { TraceReader } from "./reader.ts";
import { EVENT_TABLES } from "./schema.ts";
import { Trace } from "./trace.ts";
import { VerifySink } from "./verify.ts";

const here = "core/trace/verify_test.ts";
const STEPS = 200;

function inTemp(body: (path: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "trace-test-" });
  try {
    withSeed(here, () => body(`${folder}/a.trace`));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Runs the random machine; `at` is called before each step. */
function run(trace: Trace, steps: number, at: (step: number) => void = () => {}): RandomMachine {
  const machine = new RandomMachine(trace, new Random(SEED));
  for (let i = 0; i < steps; i++) {
    at(i);
    machine.step();
  }
  return machine;
}

function record(path: string, o: { killed?: boolean; tables?: typeof EVENT_TABLES } = {}): void {
  const event_tables = o.tables ?? EVENT_TABLES;
  const recording = { version: "0.0.0", machine: {}, files: [], batch_rows: 16, event_tables };
  const directory = new TraceDirectory(path, recording);
  const trace = new DirectTrace(directory, { batchRows: 16, tables: event_tables });
  const machine = run(trace, STEPS);
  if (!o.killed) return trace.close();
  // Dies right after an input that no flush has followed.
  const { input } = machine.written;
  for (let before = input.length; input.length === before || trace.log!.pending === 0;) {
    before = input.length;
    machine.step();
  }
  directory.abandon();
}

interface Replay {
  batchRows?: number;
  steps?: number;
  at?: (step: number, trace: Trace) => void;
  tables?: typeof EVENT_TABLES;
}

function verify(path: string, o: Replay = {}): VerifySink {
  const sink = new VerifySink(TraceReader.open(path));
  const trace = new DirectTrace(sink, { batchRows: o.batchRows ?? 16, tables: o.tables });
  run(trace, o.steps ?? STEPS, (step) => o.at?.(step, trace));
  trace.close();
  return sink;
}

for (const batchRows of [16, 1, 7, 65536]) {
  Deno.test(`verify: the same run agrees, replayed with ${batchRows} rows a batch`, () =>
    inTemp((path) => {
      record(path);
      const sink = verify(path, { batchRows });
      assert.equal(sink.difference, null);
      assert.equal(sink.complete, true);
      const reader = TraceReader.open(path);
      assert.equal(sink.rows, EVENT_TABLES.reduce((sum, table) => sum + reader.rowCount(table), 0));
    }));
}

for (const batchRows of [16, 5]) {
  Deno.test(`verify: the first difference is named, ${batchRows} rows a batch`, () =>
    inTemp((path) => {
      record(path);
      const clean = TraceReader.open(path);
      let seq = -1;
      const sink = verify(path, {
        batchRows,
        // One irq row too many shifts every number after it: the irq row itself must be blamed.
        at: (step, trace) => {
          if (step === 100) seq = trace.irq({ event: 0, line: 3, path: 0 });
        },
      });
      const difference = sink.difference!;
      assert.equal(difference.seq, seq);
      const earlier = [...clean.rows("irq")].filter((row) => row.seq < seq).length;
      if (difference.table === "irq") assert.equal(difference.row, earlier);
      assert.equal(sink.complete, false);
    }));
}

Deno.test("verify: a value that differs is shown with both values", () =>
  inTemp((path) => {
    record(path);
    const sink = new VerifySink(TraceReader.open(path));
    const trace = new DirectTrace(sink, { batchRows: 16 });
    const cost = trace.cost;
    Object.assign(trace, { cost: (row: Parameters<typeof cost>[0]) => cost({ ...row, ns: 77 }) });
    run(trace, STEPS);
    trace.close();
    const { table, row, column, got, seq, expected } = sink.difference!;
    assert.deepEqual({ table, row, column, got, seq }, {
      table: "cost",
      row: 0,
      column: "ns",
      got: 77,
      seq: null,
    });
    assert.equal(expected, [...TraceReader.open(path).rows("cost")][0].ns);
  }));

Deno.test("verify: a replay that ends early misses a row, one that goes on has one too many", () =>
  inTemp((path) => {
    record(path);
    const short = verify(path, { steps: STEPS - 20 }).difference!;
    assert.equal(short.column, null);
    assert.equal(short.got, null);
    assert.equal((short.expected as { seq: bigint }).seq, BigInt(short.seq!));
    const long = verify(path, { steps: STEPS + 20 }).difference!;
    assert.equal(long.expected, null);
    assert.equal((long.got as { seq: bigint }).seq, BigInt(long.seq!));
  }));

for (const batchRows of [16, 9]) {
  Deno.test(`verify: a killed recording is a prefix of its replay, ${batchRows} rows a batch`, () =>
    inTemp((path) => {
      record(path, { killed: true });
      const sink = verify(path, { batchRows, steps: STEPS + 500 });
      assert.equal(sink.difference, null);
      assert.equal(sink.complete, true);
      const inputs = [...TraceReader.open(path).inputs()].length;
      assert.ok(inputs > TraceReader.open(path).rowCount("input"), "no input after the last flush");
    }));
}

Deno.test("verify: tables that were not recorded are not compared", () =>
  inTemp((path) => {
    record(path, { tables: ["exit"] });
    const sink = verify(path);
    assert.equal(sink.difference, null);
    assert.equal(sink.complete, true);
  }));
