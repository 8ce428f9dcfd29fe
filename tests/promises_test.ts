/**
 * What a recording promises: the same run gives the same bytes, however it was cut into slices or
 * batches; a replay gives them again; a killed recording keeps a consistent prefix that replays.
 * @module
 */
import assert from "node:assert/strict";
import { traceDigests } from "../core/trace/digest.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { payload, regions } from "../fixtures/guests/payload.ts";
import type { MachineSpec } from "../core/board/spec.ts";
import { replay } from "../replay/replay.ts";
import { fileDigests, recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const SERIALS: MachineSpec["serial"][] = ["sifive", "16550", "virtio"];

async function assertReplays(directory: string): Promise<void> {
  const result = await replay(directory, { verify: true });
  assert.equal(result.ok, true, JSON.stringify(result.firstDifference, replaceBigints));
}

const replaceBigints = (_key: string, v: unknown) => typeof v === "bigint" ? v.toString() : v;

for (const serial of SERIALS) {
  Deno.test(`${serial}: the guest's data arrive unchanged, in every write size`, async () => {
    await withFolder(async (folder) => {
      const spec = serialSpec({ serial, append: "bytes=8192 chunk=16,100,4096" });
      const { text, result } = await recordInto(folder, spec);
      assert.deepEqual(result.end, { kind: "poweroff", code: 0 });
      const found = regions(Uint8Array.from(text, (c) => c.charCodeAt(0)));
      assert.deepEqual(found.map((r) => r.chunk), [16, 100, 4096]);
      for (const r of found) assert.deepEqual(r.data, payload(8192));
    });
  });

  Deno.test(`${serial}: two recordings are byte-identical, also with another slice`, async () => {
    await withFolder(async (folder) => {
      const spec = serialSpec({ serial });
      const first = await recordInto(folder, spec);
      const second = await recordInto(folder, spec);
      const sliced = await recordInto(folder, spec, { sliceInsns: 777 });
      assert.deepEqual(fileDigests(second.directory), fileDigests(first.directory));
      assert.deepEqual(fileDigests(sliced.directory), fileDigests(first.directory));
      assert.ok(TraceReader.open(first.directory).rowCount("exit") > 100);
    });
  });

  Deno.test(`${serial}: another batch size changes no value, and replays`, async () => {
    await withFolder(async (folder) => {
      const spec = serialSpec({ serial, append: "bytes=1024" });
      const one = await recordInto(folder, spec);
      const two = await recordInto(folder, spec, { batchRows: 100 });
      const digests = (d: string) => traceDigests(TraceReader.open(d));
      assert.deepEqual(digests(two.directory), digests(one.directory));
      await assertReplays(one.directory);
      await assertReplays(two.directory);
    });
  });

  Deno.test(`${serial}: a guest that was typed at replays`, async () => {
    await withFolder(async (folder) => {
      const spec = serialSpec({ serial, append: "mode=echo" });
      const script = [
        { after: "echo\n", text: "hello\n" },
        { after: "hello", text: `${"long ".repeat(60)}\n` },
        { after: "long \n", text: "exit 7\n" },
      ];
      const { directory, text, result } = await recordInto(folder, spec, { script });
      assert.match(text, /hello/);
      assert.deepEqual(result.end, { kind: "fail", code: 7 });
      assert.equal(result.exitCode, 7);
      assert.ok(TraceReader.open(directory).rowCount("input") >= 3);
      await assertReplays(directory);
    });
  });
}

Deno.test("a recording stopped by time, by count or by output replays", async () => {
  await withFolder(async (folder) => {
    // More than any host gets done in that time.
    const spec = serialSpec({ append: "bytes=2000000000 chunk=16" });
    const stops = [
      { o: { timeoutSeconds: 0.3 }, kind: "timeout", exitCode: 3 },
      { o: { untilIcount: 123_457 }, kind: "until-icount", exitCode: 0 },
      { o: { untilOutput: /write=16/ }, kind: "until-output", exitCode: 0 },
      { o: { traceLimitBytes: 2_000_000, batchRows: 1000 }, kind: "trace-limit", exitCode: 0 },
    ];
    for (const { o, kind, exitCode } of stops) {
      const { directory, result } = await recordInto(folder, spec, o);
      assert.equal(result.end.kind, kind);
      assert.equal(result.exitCode, exitCode);
      await assertReplays(directory);
    }
  });
});

Deno.test("until-icount is exact, and output stops at the very byte", async () => {
  await withFolder(async (folder) => {
    const exact = await recordInto(folder, serialSpec(), { untilIcount: 123_457 });
    assert.equal(exact.result.icount, 123_457);
    const { text } = await recordInto(folder, serialSpec(), { untilOutput: /serial=/ });
    assert.ok(text.endsWith("serial="), JSON.stringify(text.slice(-20)));
  });
});

Deno.test("tracing changes nothing: exits and time are the same with no table recorded", async () => {
  await withFolder(async (folder) => {
    const all = await recordInto(folder, serialSpec());
    const none = await recordInto(folder, serialSpec(), { tables: [] });
    const { icount, timeNs, exits, rows } = all.result;
    const got = none.result;
    assert.deepEqual([got.icount, got.timeNs, got.exits], [icount, timeNs, exits]);
    assert.ok(rows > exits && got.rows === 0, `${rows} rows against ${got.rows}`);
    const seq = (r: typeof all) => TraceReader.open(r.directory).manifest.commit.seq;
    assert.equal(seq(none), seq(all));
    assert.equal(TraceReader.open(none.directory).rowCount("exit"), 0);
    await assertReplays(none.directory);
  });
});

for (const harts of [2, 4]) {
  Deno.test(`${harts} harts: recorded twice alike, and replayed`, async () => {
    await withFolder(async (folder) => {
      const spec = serialSpec({ harts, serial: "virtio" });
      const first = await recordInto(folder, spec);
      const sliced = await recordInto(folder, spec, { sliceInsns: 777 });
      assert.deepEqual(fileDigests(sliced.directory), fileDigests(first.directory));
      await assertReplays(first.directory);
    });
  });
}

Deno.test("costs feed virtual time and change no count of a guest that never looks at time", async () => {
  await withFolder(async (folder) => {
    const free = await recordInto(folder, serialSpec());
    const zero = await recordInto(folder, serialSpec({ costs: "zero" }));
    const dear = await recordInto(folder, serialSpec({ costs: "kvm-riscv" }));
    assert.equal(zero.result.timeNs, free.result.timeNs);
    assert.ok(dear.result.timeNs > free.result.timeNs);
    await assertReplays(dear.directory);
  });
});

Deno.test("a changed guest file is refused by replay, and a changed trace is told apart", async () => {
  await withFolder(async (folder) => {
    const kernel = `${folder}/kernel.elf`;
    Deno.copyFileSync(new URL("../fixtures/guests/serial.elf", import.meta.url), kernel);
    const { readInput } = await import("../replay/files.ts");
    const spec = serialSpec({ kernel: readInput(kernel, "kernel").ref });
    const { directory } = await recordInto(folder, spec);
    await assertReplays(directory);
    const manifest = JSON.parse(Deno.readTextFileSync(`${directory}/manifest.json`));
    manifest.machine.append = "bytes=4097";
    Deno.writeTextFileSync(`${directory}/manifest.json`, JSON.stringify(manifest));
    const changed = await replay(directory, { verify: true });
    assert.equal(changed.ok, false);
    assert.notEqual(changed.firstDifference, null);
    Deno.writeFileSync(kernel, new Uint8Array([1]), { append: true });
    await assert.rejects(
      () => replay(directory, { verify: true }),
      /not the file that was recorded/,
    );
  });
});

// A replay comes to a place by its count of instructions. Faults of stage 2, interrupts taken and
// events that fire while a hart runs count none, so that no recording may stop right behind one.
Deno.test("a recording told to stop by a device's event replays", async () => {
  await withFolder(async (folder) => {
    const spec = serialSpec({ serial: "virtio", serialProps: { latency: "1" } });
    const { directory, result } = await recordInto(folder, spec, { untilOutput: /ial=/ });
    assert.equal(result.end.kind, "until-output");
    await assertReplays(directory);
  });
});

Deno.test("a recording told to stop by the row of an interrupt or a fault replays", async () => {
  await withFolder(async (folder) => {
    const spec = serialSpec({ serial: "virtio", append: "bytes=4096 chunk=16 hz=100000" });
    for (const tables of [["irq"], ["exit"]] as const) {
      for (let i = 0; i < 12; i++) {
        const { directory, result } = await recordInto(folder, spec, {
          tables: [...tables],
          traceLimitBytes: 31_600 + i * 400,
          batchRows: 7,
        });
        assert.equal(result.end.kind, "trace-limit");
        await assertReplays(directory);
      }
    }
  });
});
