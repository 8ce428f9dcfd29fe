import { DirectTrace } from "./direct_trace.ts";
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { TraceDirectory } from "./directory.ts";
import { TraceError } from "./error.ts";
import type { Recording } from "./manifest.ts";
import { inTemp, Random, RandomMachine, SEED, withSeed } from "./random_trace.ts";
import { TraceReader } from "./reader.ts";
import { EVENT_TABLES, TABLE_NAMES } from "./schema.ts";
import type { CommitState } from "./trace.ts";
import { equalBytes } from "./verify.ts";

const RECORDING: Recording = {
  version: "0.0.0",
  machine: { board: "virt" },
  files: [{ path: "kernel", sha256: "00", bytes: 1 }],
  batch_rows: 32,
  event_tables: EVENT_TABLES,
};

function record(path: string, o: { force?: boolean; batchRows?: number } = {}): void {
  const trace = new DirectTrace(new TraceDirectory(path, RECORDING, o), {
    batchRows: o.batchRows ?? 32,
  });
  const machine = new RandomMachine(trace, new Random(SEED));
  for (let i = 0; i < 200; i++) machine.step();
  trace.close({ kind: "poweroff", code: 0 });
}

const filesOf = (path: string) =>
  TABLE_NAMES.map((t) => Deno.readFileSync(`${path}/${t}.arrow`)).concat(
    Deno.readFileSync(`${path}/manifest.json`),
  );

Deno.test("directory: two runs give the same files", () =>
  inTemp((folder) =>
    withSeed("core/trace/directory_test.ts", () => {
      record(`${folder}/a.trace`);
      record(`${folder}/b.trace`);
      assert.deepEqual(filesOf(`${folder}/a.trace`), filesOf(`${folder}/b.trace`));
      record(`${folder}/c.trace`, { batchRows: 33 });
      assert.notDeepEqual(filesOf(`${folder}/a.trace`), filesOf(`${folder}/c.trace`));
    })
  ));

Deno.test("directory: the manifest says what was recorded and how it ended", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    record(path);
    const { manifest } = TraceReader.open(path);
    const { version, machine, files, batch_rows, event_tables } = manifest;
    assert.deepEqual({ version, machine, files, batch_rows, event_tables }, RECORDING);
    assert.equal(manifest.clean_end, true);
    assert.deepEqual(manifest.end, { kind: "poweroff", code: 0 });
    assert.match(manifest.digest, /^[0-9a-f]{64}$/);
    for (const table of TABLE_NAMES) {
      assert.equal(manifest.tables[table]!.bytes, Deno.statSync(`${path}/${table}.arrow`).size);
    }
    assert.deepEqual([...Deno.readDirSync(path)].length, TABLE_NAMES.length + 1);
  }));

function refuses(action: () => void, message: RegExp, fix: RegExp): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof TraceError, String(error));
    assert.match(error.message, message);
    assert.match(error.fix, fix);
    return true;
  });
}

Deno.test("directory: what exists is overwritten only when forced, and only a trace", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    record(path);
    const before = filesOf(path);
    refuses(() => record(path), /exists already/, /--force/);
    assert.deepEqual(filesOf(path), before);
    record(path, { force: true });
    assert.deepEqual(filesOf(path), before);

    Deno.writeTextFileSync(`${path}/thesis.txt`, "years of work");
    refuses(() => record(path, { force: true }), /thesis\.txt.*left alone/, /Move that file/);
    assert.deepEqual(filesOf(path), before);
    refuses(() => record(`${path}/thesis.txt`, { force: true }), /is no trace/, /another name/);
    assert.equal(Deno.readTextFileSync(`${path}/thesis.txt`), "years of work");
    record(`${folder}/new.trace`, { force: true });
  }));

Deno.test("directory: messages of any size lie behind each other, written in pieces that end at 64 KiB", () =>
  inTemp((folder) =>
    withSeed("core/trace/directory_test.ts", () => {
      const random = new Random(SEED);
      const path = `${folder}/a.trace`;
      const directory = new TraceDirectory(path, RECORDING);
      const real = Deno.FsFile.prototype.writeSync;
      const expected: number[] = [];
      let at = 0;
      Deno.FsFile.prototype.writeSync = function (bytes) {
        const last = Math.max(at, at + bytes.length - 1);
        assert.equal(Math.floor(last / 65536), Math.floor(at / 65536), `${bytes.length} at ${at}`);
        const n = real.call(this, bytes.subarray(0, 1 + random.below(bytes.length)));
        at += n;
        return n;
      };
      try {
        for (const largest of [10, 100_000, 300_000, 65536, 10, 200_000]) {
          const sizes = Array.from({ length: 4 }, () => random.below(largest));
          const message = [...sizes, 65536].map((n) =>
            new Uint8Array(n).map((_, i) => n + i + i / 251)
          );
          directory.write("exit", message);
          for (const part of message) for (const byte of part) expected.push(byte);
        }
      } finally {
        Deno.FsFile.prototype.writeSync = real;
      }
      const rows = Object.fromEntries(TABLE_NAMES.map((t) => [t, 0])) as CommitState["rows"];
      directory.commit({ seq: 0, time_ns: 0, icount: 0, vcpu: 0, rows });
      directory.abandon();
      const bytes = Deno.readFileSync(`${path}/exit.arrow`);
      assert.ok(equalBytes(bytes, Uint8Array.from(expected)));
      const { exit } = JSON.parse(Deno.readTextFileSync(`${path}/manifest.json`)).tables;
      assert.deepEqual(exit, { rows: 0, bytes: bytes.length, crc32: crc32(bytes) });
    })
  ));

Deno.test("directory: a missing folder is an error that says so", () =>
  inTemp((folder) =>
    refuses(() => record(`${folder}/no/a.trace`), /folder does not exist/, /Create the folder/)
  ));

Deno.test("directory: a full disk is an error, and the trace stays readable up to its last flush", () =>
  inTemp((folder) => {
    const path = `${folder}/a.trace`;
    const directory = new TraceDirectory(path, RECORDING);
    const trace = new DirectTrace(directory, { batchRows: 32 });
    const machine = new RandomMachine(trace, new Random(SEED));
    for (let i = 0; i < 50; i++) machine.step();
    const { tables } = TraceReader.open(path).manifest;

    const real = Deno.FsFile.prototype.writeSync;
    let room = 1000;
    Deno.FsFile.prototype.writeSync = function (bytes) {
      if (room === 0) throw Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
      const n = real.call(this, bytes.subarray(0, room));
      room -= n;
      return n;
    };
    try {
      trace.mark({ label: "x", number: 1 });
      refuses(() => trace.flush(), /disk is full/, /--trace-limit/);
    } finally {
      Deno.FsFile.prototype.writeSync = real;
      // There is room again, but the file holds half a message.
      refuses(() => trace.close(), /disk is full/, /--trace-limit/);
      directory.abandon();
    }
    const reader = TraceReader.open(path);
    reader.check();
    assert.deepEqual(reader.manifest.tables, tables);
    assert.equal(reader.manifest.clean_end, false);
  }));
