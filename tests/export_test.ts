/**
 * Exports read back by readers that are not ours: Perfetto's by `protoc`, Parquet and CSV by DuckDB's own
 * readers, Arrow files by apache-arrow.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { tableFromIPC } from "apache-arrow";
import { openEngine } from "../analysis/engine.ts";
import { type ExportFormat, runExport } from "../analysis/export/export.ts";
import { textOutput } from "../analysis/output.ts";
import { openTraces } from "../analysis/open.ts";
import { runImport } from "../analysis/import/import.ts";
import { writeSynthetic } from "../analysis/synthetic.ts";
import { needs, needsThat } from "./needs.ts";
import { engine, withFolder } from "./with_folder.ts";

const REGION = { label: "echo", bytes: 1024, chunk: 64 };

function traces(folder: string): string[] {
  const synthetic = `${folder}/ours.trace`;
  writeSynthetic(synthetic, { serial: "virtio", regions: [REGION] });
  const host = `${folder}/host.trace`;
  const file = fileURLToPath(new URL("../fixtures/host_traces/perf_vmx.txt", import.meta.url));
  runImport({ files: [file], output: host, version: "test" }, textOutput());
  return [synthetic, host];
}

async function exported(folder: string, to: ExportFormat, host?: string): Promise<string> {
  const output = `${folder}/out-${to}`;
  const given = traces(folder);
  await runExport({ traces: given, to, output, partitionHost: host }, textOutput());
  return output;
}

/** What a query says of both traces, row by row. */
async function ask(folder: string, sql: string): Promise<string[][]> {
  const paths = [`${folder}/ours.trace`, `${folder}/host.trace`];
  const session = await openTraces(paths, textOutput(), { engine });
  try {
    return (await session.engine.query(sql)).rows.map((row) => row.map(String));
  } finally {
    session.close();
  }
}

const number = async (folder: string, sql: string) => Number((await ask(folder, sql))[0]![0]);

/** Perfetto's messages as far as they are read here; the numbers are those of its protos. */
const SCHEMA = `syntax = "proto2";
message Trace { repeated TracePacket packet = 1; }
message TracePacket {
  optional uint64 timestamp = 8;
  optional uint32 trusted_packet_sequence_id = 10;
  optional TrackEvent track_event = 11;
  optional uint32 sequence_flags = 13;
  optional TrackDescriptor track_descriptor = 60;
}
message TrackDescriptor {
  optional uint64 uuid = 1;
  optional string name = 2;
  optional ProcessDescriptor process = 3;
  optional ThreadDescriptor thread = 4;
  optional uint64 parent_uuid = 5;
  optional CounterDescriptor counter = 8;
}
message ProcessDescriptor { optional int32 pid = 1; optional string process_name = 6; }
message ThreadDescriptor {
  optional int32 pid = 1; optional int32 tid = 2; optional string thread_name = 5;
}
message CounterDescriptor { optional string unit_name = 6; }
message TrackEvent {
  enum Type { UNSPECIFIED = 0; SLICE_BEGIN = 1; SLICE_END = 2; INSTANT = 3; COUNTER = 4; }
  repeated DebugAnnotation debug_annotations = 4;
  optional Type type = 9;
  optional uint64 track_uuid = 11;
  repeated string categories = 22;
  optional string name = 23;
  optional int64 counter_value = 30;
  repeated fixed64 flow_ids = 47;
  repeated fixed64 terminating_flow_ids = 48;
}
message DebugAnnotation {
  optional bool bool_value = 2;
  optional uint64 uint_value = 3;
  optional string string_value = 6;
  optional string name = 10;
}
`;

/** Packets as protoc prints them. */
async function decodePerfetto(folder: string, path: string): Promise<string[]> {
  Deno.writeTextFileSync(`${folder}/trace.proto`, SCHEMA);
  const child = new Deno.Command("protoc", {
    args: ["--decode=Trace", `--proto_path=${folder}`, "trace.proto"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(Deno.readFileSync(path));
  await writer.close();
  const { success, stdout, stderr } = await output;
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split(/^packet /m).slice(1);
}

const protoc = needs("protoc", { apt: "protobuf-compiler" });

protoc.test("export: Perfetto's packets, as protoc reads them, hold every exit, request and flow", () =>
  withFolder(async (folder) => {
    const packets = await decodePerfetto(folder, await exported(folder, "perfetto"));
    assert.ok(packets.every((p) => !/^\s+\d+: /m.test(p)), "a field that Perfetto does not have");
    const events = packets.filter((p) => p.includes("track_event"));
    const of = (category: string, type: string) =>
      events.filter((p) => p.includes(`categories: "${category}"`) && p.includes(`type: ${type}`))
        .length;
    const exits = await number(folder, "SELECT count(*) FROM exit");
    const requests = await number(folder, "SELECT count(*) FROM request");
    assert.ok(exits > 50 && requests > 10);
    assert.equal(of("exit", "SLICE_BEGIN"), exits);
    assert.equal(of("request", "SLICE_BEGIN"), requests);
    assert.equal(of("irq", "INSTANT"), await number(folder, "SELECT count(*) FROM irq"));
    const ends = events.filter((p) => p.includes("type: SLICE_END")).length;
    assert.equal(ends, exits + requests);
    const ids = (field: string) =>
      new Set(
        events.flatMap((p) => [...p.matchAll(new RegExp(`\\b${field}: (\\d+)`, "g"))])
          .map(([, id]) => id),
      );
    assert.equal(ids("flow_ids").size, requests);
    assert.deepEqual(ids("terminating_flow_ids"), ids("flow_ids"));
    for (const name of ["vCPU 0", "vCPU 1", "exits per second", "virtio-console0 queue 1 depth"]) {
      assert.ok(packets.some((p) => p.includes(`name: "${name}"`)), name);
    }
  }));

protoc.test("export: no two slices of a Perfetto track overlap, and counters end where they should", () =>
  withFolder(async (folder) => {
    const packets = await decodePerfetto(folder, await exported(folder, "perfetto"));
    const open = new Map<string, boolean>();
    const depths = new Map<string, string>();
    const times = new Map<string, number>();
    for (const packet of packets) {
      const track = /track_uuid: (\d+)/.exec(packet)?.[1];
      if (track === undefined) continue;
      const at = Number(/timestamp: (\d+)/.exec(packet)![1]);
      if (!packet.includes("type: INSTANT")) {
        assert.ok(at >= (times.get(track) ?? 0), `track ${track} at ${at}`);
      }
      times.set(track, at);
      if (packet.includes("SLICE_BEGIN")) assert.equal(open.get(track) ?? false, false, packet);
      if (packet.includes("SLICE_BEGIN")) open.set(track, true);
      if (packet.includes("SLICE_END")) open.set(track, false);
      const value = /counter_value: (-?\d+)/.exec(packet)?.[1];
      if (value !== undefined) depths.set(track, value);
    }
    assert.ok([...open.values()].every((isOpen) => !isOpen));
    assert.ok([...depths.values()].includes("0"), "every chain that was popped was pushed");
  }));

Deno.test("export: CSV, read by DuckDB, holds what query shows", () =>
  withFolder(async (folder) => {
    const output = await exported(folder, "csv");
    const columns =
      "run, seq, time_ns, reason, hw_reason, gpa, value, device, register, duration_ns";
    const shown = await ask(folder, `SELECT ${columns} FROM exit ORDER BY run, seq`);
    const file = await ask(
      folder,
      `SELECT ${columns} FROM read_csv('${output}/exit.csv', header = true) ORDER BY run, seq`,
    ).catch(() => null);
    const lines = Deno.readTextFileSync(`${output}/exit.csv`).trimEnd().split("\n");
    assert.equal(lines.length, shown.length + 1);
    if (file !== null) assert.deepEqual(file, shown);
  }));

Deno.test("export: Arrow files, read by apache-arrow, hold every row with its type", () =>
  withFolder(async (folder) => {
    const output = await exported(folder, "arrow");
    const bytes = Deno.readFileSync(`${output}/exit.arrow`);
    assert.equal(new TextDecoder().decode(bytes.subarray(0, 6)), "ARROW1");
    assert.equal(new TextDecoder().decode(bytes.subarray(-6)), "ARROW1");
    const table = tableFromIPC(bytes);
    const shown = await ask(folder, "SELECT run, seq, reason FROM exit");
    assert.equal(table.numRows, shown.length);
    const rows = Array.from(
      { length: table.numRows },
      (_, i) => ["run", "seq", "reason"].map((name) => String(table.getChild(name)!.get(i))),
    );
    assert.deepEqual(rows.sort(), shown.sort());
  }));

const nativeEngine = await openEngine("native").catch(() => null);
Deno.test.afterAll(() => nativeEngine?.close());
const native = needsThat("native DuckDB", nativeEngine !== null, {
  command: "deno task query TRACE --engine native, with a network",
});

native.test("export: Parquet, whole and partitioned by host and run, holds what query shows", () =>
  withFolder(async (folder) => {
    const whole = await exported(folder, "parquet");
    const shown = await ask(folder, "SELECT run, seq, reason, gpa FROM exit ORDER BY run, seq");
    const read = async (files: string) =>
      (await nativeEngine!.query(
        `SELECT run, seq, reason, gpa FROM read_parquet(${files}) ORDER BY run, seq`,
      )).rows.map((row) => row.map(String));
    assert.deepEqual(await read(`'${whole}/exit.parquet'`), shown);
    const meta = await nativeEngine!.query(
      `SELECT DISTINCT compression FROM parquet_metadata('${whole}/exit.parquet')`,
    );
    assert.deepEqual(meta.rows, [["ZSTD"]]);
    const paths = [`${folder}/ours.trace`, `${folder}/host.trace`];
    const parts = `${folder}/parts`;
    await runExport(
      { traces: paths, to: "parquet", output: parts, partitionHost: "lab 1", tables: ["exit"] },
      textOutput(),
    );
    assert.deepEqual([...Deno.readDirSync(`${parts}/exit`)].map((e) => e.name), ["host=lab%201"]);
    const all = `'${parts}/exit/*/*/*.parquet', hive_partitioning = true`;
    assert.deepEqual(await read(all), shown);
  }));
