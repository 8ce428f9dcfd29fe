/**
 * Random machines, stopped at random places: recorded twice in other slices they are byte-identical,
 * in another batch size they hold the same values, and every one replays to where it was stopped.
 * @module
 */
import assert from "node:assert/strict";
import type { MachineSpec } from "../core/board/spec.ts";
import { Random, seeds } from "../core/mmio/test_random.ts";
import { traceDigests } from "../core/trace/digest.ts";
import { TraceReader } from "../core/trace/reader.ts";
import { EVENT_TABLES } from "../core/trace/schema.ts";
import { readInput } from "../replay/files.ts";
import { drivesOf } from "../replay/cli/drive.ts";
import { parseDrive } from "../replay/cli/values.ts";
import type { RecordOptions } from "../replay/record.ts";
import { replay } from "../replay/replay.ts";
import { fileDigests, recordInto, serialSpec, type Typed } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

const RUNS = 20;
const MIB = 1024 * 1024;
const WORDS = ["hello\n", `${"x".repeat(300)}\n`, "a\nb\nc\n", `${"y".repeat(5000)}\n`];

/** Properties of virtio-console, each off its default now and then. */
function virtioProps(r: Random): Record<string, string> {
  const props: Record<string, string> = {};
  if (r.chance(0.3)) props.legacy = "on";
  if (r.chance(0.5)) props.latency = r.pick(["0", "1", "777", "100000", "5000000"]);
  for (const name of ["event_idx", "indirect"]) if (r.chance(0.25)) props[name] = "off";
  if (r.chance(0.25)) props.suppress = "on";
  return props;
}

/** Drives of several kinds, and what the guest is to do with the first. */
function randomDrives(r: Random): Partial<MachineSpec> {
  const scsi = r.chance(0.4);
  const words = (): string[] => [
    ...r.chance(0.5) ? [`seed=${r.below(9)}`] : [],
    ...r.chance(0.5) ? [`latency=${r.pick(["0", "1", "700ns", "3ms"])}`] : [],
    ...r.chance(0.5) ? [`bandwidth=${r.pick(["1M", "100M", "4G"])}`] : [],
    ...scsi ? ["if=scsi"] : virtioWords(),
  ];
  const virtioWords = (): string[] => [
    ...r.chance(0.5) ? ["legacy=on"] : [],
    ...["event_idx", "indirect", "flush"].filter(() => r.chance(0.25)).map((p) => `${p}=off`),
    ...r.chance(0.25) ? ["suppress=on"] : [],
    ...r.chance(0.25) ? ["num_queues=3"] : [],
  ];
  const given = Array.from({ length: r.pick([1, 1, 2]) }, () => ["size=256K", ...words()]);
  return {
    kernel: readInput("bundled:block", "kernel").ref,
    drives: drivesOf(given.map((g) => parseDrive(g.join(","))!)),
    append: `bytes=${r.pick([4096, 65536])} chunk=${r.pick(["512", "4096,512", "65536"])}` +
      r.pick(["", " mode=sum", " hz=1000"]),
  };
}

function randomSpec(r: Random, echo: boolean): MachineSpec {
  const serial = r.pick(["sifive", "16550", "virtio", "virtio"] as const);
  const work = `bytes=${r.pick([100, 1000, 4096])} chunk=${r.pick(["16", "1,4096", "100,16"])}`;
  const guest = !echo && r.chance(0.2) ? "bundled:trap" : "bundled:serial";
  return serialSpec({
    serial,
    serialProps: serial === "virtio" ? virtioProps(r) : {},
    harts: r.pick([1, 1, 2, 3, 8]),
    memoryBytes: r.pick([16, 64, 128]) * MIB,
    hypervisor: r.pick(["kvm-riscv", "kvm-x86", "none"] as const),
    stage2Page: r.pick(["4k", "2m"] as const),
    costs: r.pick([null, null, "kvm-riscv", "kvm-x86"]),
    nsPerInsn: r.pick([1, 1, 3, 7]),
    quantumInsns: r.pick([1000, 1000, 17, 100_000]),
    append: (echo ? "mode=echo" : work) + r.pick(["", " hz=1000", " hz=100000", " reclaim=lazy"]),
    kernel: readInput(guest, "kernel").ref,
    ...!echo && r.chance(0.3) ? randomDrives(r) : {},
  });
}

type Stop = Pick<RecordOptions, "untilIcount" | "untilOutput" | "traceLimitBytes">;

/** Where the run is stopped; far out when nothing else stops it, so that no test hangs. */
function randomStop(r: Random): Stop {
  const untilIcount = 6_000_000;
  const stops: Stop[] = [
    { untilIcount },
    { untilIcount: r.below(2_000_000) },
    { untilIcount, untilOutput: r.pick([/write=/, /crc32/, /[a-z]{3}/, /ial=/, /ok/]) },
    { untilIcount, traceLimitBytes: 20_000 + r.below(600_000) },
  ];
  return r.pick(stops);
}

function randomScript(r: Random): Typed[] {
  return [
    { after: r.pick(["echo\n", "e", "serial="]), text: r.pick(WORDS) + r.pick(WORDS) },
    { after: r.pick(["echo ", "0", "h"]), text: r.pick(WORDS) },
    { after: "echo ", text: "\nexit 7\n" },
  ];
}

async function recordAndReplay(folder: string, r: Random): Promise<void> {
  const script = r.chance(0.25) ? randomScript(r) : undefined;
  const spec = randomSpec(r, script !== undefined);
  const tables = r.chance(0.3) ? EVENT_TABLES.filter(() => r.chance(0.5)) : undefined;
  const o = { script, tables, ...randomStop(r), batchRows: r.pick([65536, 1000, 37]) };
  const one = await recordInto(folder, spec, { ...o, sliceInsns: r.pick([2_000_000, 1000, 77]) });
  // What is typed comes when the world is looked at: with the slices, its place changes.
  if (script === undefined) {
    const two = await recordInto(folder, spec, { ...o, sliceInsns: r.pick([2_000_000, 333]) });
    assert.deepEqual(fileDigests(two.directory), fileDigests(one.directory));
    // The limit is checked against what is written, and that is done by the batch.
    if (o.traceLimitBytes === undefined) {
      const three = await recordInto(folder, spec, { ...o, batchRows: 500 });
      const digests = (d: string) => traceDigests(TraceReader.open(d));
      assert.deepEqual(digests(three.directory), digests(one.directory));
    }
  }
  for (const batchRows of [undefined, 50]) {
    const again = await replay(one.directory, { verify: true, batchRows });
    assert.deepEqual(again.firstDifference, null);
    const { icount, timeNs, rows, end } = one.result;
    assert.deepEqual([again.end?.kind, again.end?.code], [end.kind, end.code]);
    assert.deepEqual([again.icount, again.timeNs, again.rows], [icount, timeNs, rows]);
  }
}

const NAME = "random machines, stopped at random places, are alike and replay";
Deno.test(NAME, async () => {
  for (const seed of seeds(RUNS)) {
    try {
      await withFolder((folder) => recordAndReplay(folder, new Random(seed)));
    } catch (e) {
      const again = `SEED=${seed} deno test -A tests/random_recordings_test.ts`;
      throw new Error(`to replay: ${again}\n${(e as Error).message}`, { cause: e });
    }
  }
});
