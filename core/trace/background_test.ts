import assert from "node:assert/strict";
import { AT, BackgroundDirectory, GIVE_UP, post, share, type Start } from "./background.ts";
import { createTrace } from "./create_trace.ts";
import { DirectLog } from "./direct_trace.ts";
import { TraceDirectory } from "./directory.ts";
import { TraceError } from "./error.ts";
import type { Recording } from "./manifest.ts";
import { inTemp, Random, RandomMachine, SEED, withSeed } from "./random_trace.ts";
import { TraceReader } from "./reader.ts";
import { EVENT_TABLES, TABLE_NAMES } from "./schema.ts";
import { Trace } from "./trace.ts";

const RECORDING: Recording = {
  version: "0.0.0",
  machine: {},
  files: [],
  batch_rows: 32,
  event_tables: EVENT_TABLES,
};

function run(trace: Trace, steps: number): void {
  const machine = new RandomMachine(trace, new Random(SEED));
  for (let i = 0; i < steps; i++) machine.step();
}

const filesOf = (path: string) =>
  [...TABLE_NAMES.map((t) => `${t}.arrow`), "manifest.json"].map((name) =>
    Deno.readFileSync(`${path}/${name}`)
  );

Deno.test("background: the files are those that are written on the spot", () =>
  inTemp((folder) =>
    withSeed("core/trace/background_test.ts", () => {
      const sinks = [
        new DirectLog(new TraceDirectory(`${folder}/a.trace`, RECORDING)),
        new BackgroundDirectory(`${folder}/b.trace`, RECORDING),
      ];
      for (const sink of sinks) {
        const trace = new Trace(sink, { batchRows: 32 });
        run(trace, 2000);
        trace.close({ kind: "poweroff", code: 0 });
      }
      assert.deepEqual(filesOf(`${folder}/b.trace`), filesOf(`${folder}/a.trace`));
    })
  ));

Deno.test("background: an input is on disk when it may take effect", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    const sink = new BackgroundDirectory(path, RECORDING);
    const trace = new Trace(sink);
    trace.input({ kind: 0, executed: 7, device: "uart0", channel: "rx", data: Uint8Array.of(65) });
    const [input] = TraceReader.open(path).inputs();
    assert.deepEqual([input.executed, input.data], [7, Uint8Array.of(65)]);
    sink.abandon();
  }));

Deno.test("background: what was given up stays readable up to its last flush", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    const sink = new BackgroundDirectory(path, RECORDING);
    const trace = new Trace(sink, { batchRows: 32 });
    run(trace, 300);
    sink.abandon();
    const reader = TraceReader.open(path);
    reader.check();
    assert.equal(reader.manifest.clean_end, false);
    assert.ok(reader.rowCount("exit") > 100);
  }));

Deno.test("background: an error of the writer comes back as it was", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    const sink = new BackgroundDirectory(path, RECORDING);
    Deno.removeSync(path, { recursive: true });
    const fails = (act: () => void) =>
      assert.throws(act, (error) => {
        assert.ok(error instanceof TraceError, String(error));
        assert.match(error.message, /folder does not exist/);
        return true;
      });
    fails(() => run(new Trace(sink, { batchRows: 32 }), 5000));
    fails(() => sink.drain());
    sink.abandon();
  }));

Deno.test("background: a notification without a piece makes the writer take nothing", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    createTrace(path, {});
    const shared = share();
    const writer = new Worker(new URL("./background_worker.ts", import.meta.url).href, {
      type: "module",
    });
    const kept = new Set(TABLE_NAMES);
    const start: Start = { shared, path, recording: RECORDING, kept, columns: "all" };
    writer.postMessage(start);
    const { control } = shared;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    let woken = 0;
    // It waits once its modules are loaded, which takes a busy machine its time.
    for (let tries = 0; woken < 3 && tries < 300_000; tries++) {
      woken += Atomics.notify(control, AT.given);
      Atomics.wait(pause, 0, 0, 1);
    }
    assert.equal(woken, 3);
    assert.equal(Atomics.load(control, AT.taken), 0);
    control[AT.lengths] = GIVE_UP;
    post(control, AT.given, 1);
    Atomics.wait(control, AT.taken, 0);
    assert.equal(Atomics.load(control, AT.taken), 1);
  }));
